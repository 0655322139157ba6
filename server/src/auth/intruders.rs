//! The log of failed attempts to get in: never a secret, and no faster than can be read.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::Denied;

/// Between two lines; what fails in between is only counted.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Logs failed attempts.
#[derive(Debug, Default)]
pub struct Intruders(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    unsaid: u64,
}

impl Intruders {
    /// Notes that a request was turned away, which is logged if it may have been an attempt to get
    /// in. `key` is the id that it named, `peer` the other end of its connection.
    pub fn note(&self, denied: &Denied, key: Option<Uuid>, peer: Option<IpAddr>) {
        if matches!(denied, Denied::Rate { .. } | Denied::Unreadable) {
            return;
        }
        let Some(others) = self.turn(Instant::now()) else {
            return;
        };
        let (key, peer) = (
            key.map(tracing::field::display),
            peer.map(tracing::field::display),
        );
        tracing::warn!(
            reason = denied.label(),
            key,
            peer,
            others,
            "a request was not let in"
        );
    }

    /// If it is time for a line: how many came since the last one without a line of their own.
    fn turn(&self, now: Instant) -> Option<u64> {
        // Nothing in here panics while it holds the lock.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < LINE_EVERY)
        {
            state.unsaid += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_says_how_many_there_were() {
        let (log, now) = (Intruders::default(), Instant::now());
        assert_eq!(log.turn(now), Some(0));
        for _ in 0..1000 {
            assert_eq!(log.turn(now + LINE_EVERY / 2), None);
        }
        assert_eq!(log.turn(now + LINE_EVERY), Some(1000));
        assert_eq!(log.turn(now + LINE_EVERY), None);
        assert_eq!(log.turn(now + 2 * LINE_EVERY), Some(1));
    }
}
