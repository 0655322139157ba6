//! What a request's program is checked against.

use std::sync::Arc;

use super::app::App;
use crate::auth::{Caller, KeyLimits};
use crate::config::RunsConfig;
use crate::run::{Catalog, Terms, WallTime};
use crate::store::Owner;

/// The caller's and the service's bounds at one moment, for whichever thread checks.
pub(super) struct Grounds {
    owner: Owner,
    maxima: KeyLimits,
    catalog: Arc<Catalog>,
    runs: RunsConfig,
    live: Option<WallTime>,
}

impl Grounds {
    /// For a program that runs once.
    pub(super) fn of(app: &App, caller: &Caller) -> Self {
        Self {
            owner: caller.owner(),
            maxima: caller.maxima().copied().unwrap_or_default(),
            catalog: app.catalog(),
            runs: app.config.config.runs,
            live: None,
        }
    }

    /// For one that runs live.
    pub(super) fn of_live(app: &App, caller: &Caller) -> Self {
        let live = app.config.config.live;
        Self {
            live: Some(WallTime {
                default_ms: live.default_wall_time_ms,
                max_ms: live.max_wall_time_ms,
            }),
            ..Self::of(app, caller)
        }
    }

    pub(super) fn terms(&self) -> Terms<'_> {
        Terms {
            owner: self.owner,
            catalog: &self.catalog,
            config: &self.runs,
            maxima: self.maxima,
            max_output_bytes: 0,
            live: self.live,
        }
    }
}
