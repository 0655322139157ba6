//! Equal compiles at the same time run once.
//!
//! The first to ask for a key leads; the others follow it. A leader that lands gives its entry to
//! all of them. One that goes away before, because its caller did or because its compile could not
//! be run, wakes them, and the first to look leads anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::{CacheKey, Entry};

type Landed = Option<Arc<Entry>>;

/// The compiles in progress.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<CacheKey, watch::Receiver<Landed>>>);

/// What there is to do for a key.
pub(super) enum Part<'a> {
    Lead(Leader<'a>),
    Follow(Follower),
}

/// Compiles for all. Dropping it hands over.
pub(super) struct Leader<'a> {
    flights: &'a Flights,
    key: CacheKey,
    landed: watch::Sender<Landed>,
}

/// Waits for the leader.
pub(super) struct Follower(watch::Receiver<Landed>);

impl Flights {
    pub(super) fn join(&self, key: CacheKey) -> Part<'_> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(landed) = flights.get(&key) {
            return Part::Follow(Follower(landed.clone()));
        }
        let (sender, receiver) = watch::channel(None);
        flights.insert(key, receiver);
        Part::Lead(Leader {
            flights: self,
            key,
            landed: sender,
        })
    }
}

impl Leader<'_> {
    /// Gives `entry` to all followers. From here on newcomers must find it elsewhere.
    pub(super) fn land(self, entry: &Arc<Entry>) {
        self.landed.send_replace(Some(Arc::clone(entry)));
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        // Before the sender goes, which wakes followers: they must not meet this flight again.
        let mut flights = self
            .flights
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        flights.remove(&self.key);
    }
}

impl Follower {
    /// What the leader made; `None` if it went away before.
    pub(super) async fn landed(mut self) -> Landed {
        // An error means that the sender is gone; what it sent last is still there.
        let _ = self.0.wait_for(Option::is_some).await;
        self.0.borrow().clone()
    }
}
