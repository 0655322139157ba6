//! A route: its handler, its description, and who may use it.

use std::sync::Arc;

use utoipa_axum::router::UtoipaMethodRouter;

use super::app::App;
use crate::auth::Scope;

/// Who may use a route.
#[derive(Clone, Copy, Debug)]
pub(super) enum Access {
    /// Anybody.
    Open,
    /// Callers with any of these scopes; all callers, if none is named.
    Keyed(&'static [Scope]),
    /// As the configuration says of metrics: anybody, or callers with the scope `read`.
    Metrics,
}

/// Handlers with their descriptions, as `routes!` makes them: a handler without one does not compile.
pub(super) type Documented = UtoipaMethodRouter<Arc<App>>;

/// One route.
pub(super) struct Route {
    pub(super) access: Access,
    pub(super) documented: Documented,
}

impl Route {
    /// For anybody.
    pub(super) fn open(documented: Documented) -> Self {
        let access = Access::Open;
        Self { access, documented }
    }

    /// For callers with any of `scopes`; for all callers, if none is named.
    pub(super) fn keyed(scopes: &'static [Scope], documented: Documented) -> Self {
        let access = Access::Keyed(scopes);
        Self { access, documented }
    }

    /// For whom the configuration says.
    pub(super) fn metrics(documented: Documented) -> Self {
        let access = Access::Metrics;
        Self { access, documented }
    }
}
