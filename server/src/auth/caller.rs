//! Who makes a request.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::key::{InProgress, LiveKey, NO_KEY};
use super::{Denied, KeyLimits, Scope, Scopes};
use crate::store::{Owner, Whose};

/// Who makes a request: the holder of a key, or anybody where there are no keys.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Only keys whose settings are understood get here.
    key: Option<Arc<LiveKey>>,
}

impl Caller {
    /// Anybody, who may do everything.
    pub(super) const ANONYMOUS: Self = Self { key: None };

    pub(super) fn holder(key: Arc<LiveKey>) -> Self {
        Self { key: Some(key) }
    }

    fn settings(&self) -> Option<&super::Settings> {
        self.key.as_ref()?.settings.as_ref()
    }

    /// To whom belongs what this request makes: the key's id; `None` where there are no keys.
    pub fn owner(&self) -> Owner {
        self.key.as_ref().map(|key| key.row.id)
    }

    /// The caller's name in metrics; there are few.
    pub fn label(&self) -> &str {
        self.key.as_ref().map_or(NO_KEY, |key| &key.label)
    }

    fn scopes(&self) -> Scopes {
        match (&self.key, self.settings()) {
            (None, _) => Scopes::ALL,
            (Some(_), Some(settings)) => settings.scopes,
            (Some(_), None) => Scopes::default(),
        }
    }

    /// Fails unless the caller has any of these scopes.
    pub fn require_any(&self, needs: &'static [Scope]) -> Result<(), Denied> {
        let has = self.scopes();
        if needs.iter().any(|scope| has.grant(*scope)) {
            return Ok(());
        }
        Err(Denied::Scope { needs, has })
    }

    /// Fails unless the caller has this scope.
    pub fn require(&self, scope: Scope) -> Result<(), Denied> {
        self.require_any(scope.alone())
    }

    /// Whether the caller may see, and end, what belongs to `owner`: its own, and with
    /// [`Scope::Admin`] everybody's.
    pub fn may_see(&self, owner: Owner) -> bool {
        self.owner() == owner || self.scopes().grant(Scope::Admin)
    }

    /// Whose submissions the caller may see; the same as [`Self::may_see`], for asking the store.
    pub fn sees(&self) -> Whose {
        if self.scopes().grant(Scope::Admin) {
            Whose::Anyone
        } else {
            Whose::Of(self.owner())
        }
    }

    /// The most that this key's requests may ask for; `None` where there are no keys.
    pub fn maxima(&self) -> Option<&KeyLimits> {
        self.settings().map(|settings| &settings.maxima)
    }

    /// How many of this key's submissions may be without a result, if that is bounded.
    pub fn queue_bound(&self) -> Option<NonZeroU32> {
        self.settings().and_then(|settings| settings.queue)
    }

    /// Fails if `more` submissions beside the `waiting` ones that the caller has without a result
    /// are more than its key may have; `retry_after` is when there can be expected to be room.
    pub fn may_queue(&self, waiting: u64, more: u64, retry_after: Duration) -> Result<(), Denied> {
        match self.queue_bound() {
            Some(limit) if waiting.saturating_add(more) > u64::from(limit.get()) => {
                Err(Denied::Queue {
                    limit,
                    waiting,
                    retry_after,
                })
            }
            _ => Ok(()),
        }
    }

    /// Counts a request against the key's rate.
    pub(super) fn request(&self) -> Result<(), Denied> {
        self.key
            .as_ref()
            .map_or(Ok(()), |key| key.request(Instant::now()))
    }

    /// Counts a run as in progress until what this gives is dropped.
    pub fn begin_run(&self) -> Result<InProgress, Denied> {
        InProgress::begin(self.key.as_ref())
    }

    /// The request, which counted as one against the key's rate, stands for `more` others.
    pub fn charge(&self, more: u32) {
        if let Some(key) = &self.key {
            key.charge(more, Instant::now());
        }
    }
}
