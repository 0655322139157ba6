//! When a delivery is tried again, and when no more: pure computation.

use std::time::Duration;

use rand::Rng;
use time::OffsetDateTime;

use super::config::WebhooksConfig;
use crate::store::Next;

/// Attempts of one delivery, however short the times between them are configured: so long is its
/// log at most.
pub(super) const MOST_ATTEMPTS: u32 = 200;
/// Two attempts are at least this far apart.
const LEAST_DELAY: Duration = Duration::from_millis(1);

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver has it.
    Delivered,
    /// The receiver wants no more of it.
    Gone,
    /// The receiver asks for this much time.
    Wait(Duration),
    /// Anything else.
    Failed,
}

/// The rules.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    first: Duration,
    most: Duration,
    give_up_after: Duration,
}

impl Schedule {
    pub(super) fn new(config: &WebhooksConfig) -> Self {
        Self {
            first: Duration::from_millis(config.first_retry_ms),
            most: Duration::from_millis(config.max_retry_ms),
            give_up_after: Duration::from_secs(config.give_up_after_s),
        }
    }

    /// What is next for a delivery that is owed since `since`, after its `attempt`th (from 1) ended
    /// at `now`.
    ///
    /// The time to the next is random between nothing and a bound that doubles ("full jitter"): those
    /// that failed together come back spread out. The last attempt is when the time is up.
    pub(super) fn next(
        &self,
        outcome: Outcome,
        attempt: u32,
        since: OffsetDateTime,
        now: OffsetDateTime,
        rng: &mut impl Rng,
    ) -> Next {
        let asked = match outcome {
            Outcome::Delivered => return Next::Delivered,
            Outcome::Gone => return Next::GivenUp,
            Outcome::Wait(asked) => asked.min(self.most),
            Outcome::Failed => Duration::ZERO,
        };
        let end = since + self.give_up_after;
        if self.is_over(attempt, since, now) {
            return Next::GivenUp;
        }
        let delay = rng
            .random_range(LEAST_DELAY..=self.bound(attempt))
            .max(asked);
        Next::Again((now + delay).min(end))
    }

    /// Whether a delivery that is owed since `since`, and of which the `attempt`th failed at `now`, is
    /// given up.
    pub(super) fn is_over(&self, attempt: u32, since: OffsetDateTime, now: OffsetDateTime) -> bool {
        now >= since + self.give_up_after || attempt >= MOST_ATTEMPTS
    }

    /// The longest time from the `attempt`th to the next.
    fn bound(&self, attempt: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        self.first
            .saturating_mul(doubled)
            .clamp(LEAST_DELAY, self.most.max(LEAST_DELAY))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn schedule() -> Schedule {
        Schedule::new(&WebhooksConfig::default())
    }

    fn delay(next: Next, now: OffsetDateTime) -> Duration {
        match next {
            Next::Again(at) => (at - now).try_into().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn delays_are_spread_over_a_bound_that_doubles_up_to_an_hour() {
        let mut rng = StdRng::seed_from_u64(1);
        for (attempt, bound_s) in [(1, 5), (2, 10), (3, 20), (10, 2560), (11, 3600), (60, 3600)] {
            let mut sample = || {
                let next = schedule().next(Outcome::Failed, attempt, NOW, NOW, &mut rng);
                delay(next, NOW)
            };
            let mut delays: Vec<_> = (0..1000).map(|_| sample()).collect();
            delays.sort();
            let bound = Duration::from_secs(bound_s);
            assert!(
                delays[999] <= bound && delays[999] > bound.mul_f64(0.98),
                "{attempt}"
            );
            let middle = delays[500].as_secs_f64() / bound.as_secs_f64();
            assert!((0.45..0.55).contains(&middle), "{attempt}: {middle}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule() {
        let run = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut now = NOW;
            let mut attempt = 1;
            let mut at = Vec::new();
            while let Next::Again(next) =
                schedule().next(Outcome::Failed, attempt, NOW, now, &mut rng)
            {
                at.push(next);
                (now, attempt) = (next, attempt + 1);
            }
            at
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        for seed in 0..50 {
            let at = run(seed);
            assert_eq!(
                *at.last().unwrap(),
                NOW + time::Duration::days(1),
                "the last is at the end"
            );
            assert!(
                (30..100).contains(&at.len()),
                "{} attempts in a day",
                at.len()
            );
        }
    }

    #[test]
    fn what_is_delivered_or_unwanted_ends() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut next = |outcome| schedule().next(outcome, 1, NOW, NOW, &mut rng);
        assert_eq!(next(Outcome::Delivered), Next::Delivered);
        assert_eq!(next(Outcome::Gone), Next::GivenUp);
    }

    #[test]
    fn a_receivers_wish_is_obeyed_within_bounds() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut wait = |seconds| {
            let outcome = Outcome::Wait(Duration::from_secs(seconds));
            delay(schedule().next(outcome, 1, NOW, NOW, &mut rng), NOW)
        };
        assert_eq!(wait(600), Duration::from_mins(10));
        assert_eq!(wait(u64::MAX), Duration::from_hours(1));
        assert!(wait(0) <= Duration::from_secs(5));
    }

    #[test]
    fn it_ends_after_a_day_or_very_many_attempts() {
        let mut rng = StdRng::seed_from_u64(1);
        let day = NOW + time::Duration::days(1);
        let late = Outcome::Wait(Duration::from_hours(1));
        let just_before = day - time::Duration::seconds(1);
        assert_eq!(
            schedule().next(late, 20, NOW, just_before, &mut rng),
            Next::Again(day)
        );
        assert_eq!(schedule().next(late, 21, NOW, day, &mut rng), Next::GivenUp);
        let first = schedule().next(Outcome::Failed, 1, NOW, day, &mut rng);
        assert_eq!(
            first,
            Next::GivenUp,
            "a service that was away for a day tries once"
        );
        let much = schedule().next(Outcome::Failed, MOST_ATTEMPTS, NOW, NOW, &mut rng);
        assert_eq!(much, Next::GivenUp);
    }
}
