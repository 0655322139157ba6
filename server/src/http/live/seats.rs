//! How many sockets are open, and when they have to close.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::IntGauge;
use tokio::sync::watch;

use crate::http::error::Error;
use crate::run::LiveConfig;
use crate::store::Owner;

/// How soon to come again when all seats are taken.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The seats for sockets, in all and for each key.
#[derive(Debug)]
pub(crate) struct Seats {
    max: usize,
    max_per_owner: usize,
    taken: Mutex<Taken>,
    /// How many are taken.
    count: watch::Sender<usize>,
    phase: watch::Sender<Phase>,
    gauge: IntGauge,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_owner: HashMap<Owner, usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    /// No run begins any more.
    Draining,
    /// Those in progress end.
    Ending,
}

/// A place for one socket, given back when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    owner: Owner,
}

impl Seats {
    pub(in crate::http) fn new(config: &LiveConfig, gauge: IntGauge) -> Self {
        Self {
            max: config.max_sockets,
            max_per_owner: config.max_sockets_per_key,
            taken: Mutex::default(),
            count: watch::Sender::new(0),
            phase: watch::Sender::new(Phase::Open),
            gauge,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat for a socket of `owner`'s.
    pub(super) fn take(self: &Arc<Self>, owner: Owner) -> Result<Seat, Error> {
        let mut taken = self.lock();
        if taken.all >= self.max {
            let detail = format!("{} sockets are open, and no more may be", self.max);
            return Err(Error::unavailable(detail, RETRY_AFTER));
        }
        let own = taken.by_owner.entry(owner).or_default();
        if *own >= self.max_per_owner {
            let detail = format!(
                "{} sockets of this key are open, and no more may be",
                self.max_per_owner
            );
            return Err(Error::too_many(detail, RETRY_AFTER));
        }
        *own += 1;
        taken.all += 1;
        self.tell(&taken);
        Ok(Seat {
            seats: Arc::clone(self),
            owner,
        })
    }

    fn tell(&self, taken: &Taken) {
        self.gauge.set(i64::try_from(taken.all).unwrap_or(i64::MAX));
        self.count.send_replace(taken.all);
    }

    /// No run begins any more.
    pub(in crate::http) fn drain(&self) {
        self.reach(Phase::Draining);
    }

    /// Runs in progress end.
    pub(in crate::http) fn end(&self) {
        self.reach(Phase::Ending);
    }

    fn reach(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let later = phase > *now;
            *now = phase.max(*now);
            later
        });
    }

    /// How many are taken.
    pub(in crate::http) fn taken(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until all are free.
    pub(in crate::http) async fn free(&self) {
        // The sender lives as long as `self`.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Waits until no run begins any more.
    pub(in crate::http) async fn draining(&self) {
        self.reached(Phase::Draining).await;
    }

    async fn reached(&self, phase: Phase) {
        let mut now = self.phase.subscribe();
        // The sender lives as long as `self`.
        let _ = now.wait_for(|now| *now >= phase).await;
    }
}

impl Seat {
    /// Waits until no run begins any more.
    pub(super) async fn draining(&self) {
        self.seats.draining().await;
    }

    /// Waits until runs in progress are to end.
    pub(super) async fn ending(&self) {
        self.seats.reached(Phase::Ending).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        taken.all = taken.all.saturating_sub(1);
        if let Some(own) = taken.by_owner.get_mut(&self.owner) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.by_owner.remove(&self.owner);
            }
        }
        self.seats.tell(&taken);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn seats() -> Arc<Seats> {
        let config = LiveConfig {
            max_sockets: 3,
            max_sockets_per_key: 2,
            ..LiveConfig::default()
        };
        let gauge = IntGauge::new("sockets", "sockets").unwrap();
        Arc::new(Seats::new(&config, gauge))
    }

    #[test]
    fn seats_are_bounded_in_all_and_for_each_key() {
        let (seats, key) = (seats(), Some(Uuid::now_v7()));
        let first = seats.take(None).unwrap();
        let _second = seats.take(None).unwrap();
        assert!(!seats.take(None).unwrap_err().is_internal());
        let third = seats.take(key).unwrap();
        assert!(seats.take(key).unwrap_err().is_internal());
        assert_eq!((seats.taken(), seats.gauge.get()), (3, 3));
        drop((first, third));
        assert_eq!(seats.lock().by_owner.len(), 1);
        seats.take(key).unwrap();
        seats.take(None).unwrap();
    }

    #[tokio::test]
    async fn the_end_comes_after_the_drain_and_does_not_go_back() {
        let seats = seats();
        let seat = seats.take(None).unwrap();
        seats.end();
        seats.drain();
        seat.draining().await;
        seat.ending().await;
        drop(seat);
        seats.free().await;
    }
}
