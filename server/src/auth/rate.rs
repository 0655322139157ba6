//! How many requests a key may make: a token bucket.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The highest rate, per second.
const MAX_PER_SECOND: f64 = 1e6;
/// The lowest rate, per second: one request in about eleven days.
const MIN_PER_SECOND: f64 = 1e-6;

/// Requests per second, on the average.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Rate(f64);

impl Rate {
    /// The burst where none is given: what the rate allows in a second, and at least one request.
    pub fn default_burst(self) -> NonZeroU32 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 1 to 10^6
        let requests = self.0.ceil().max(1.0) as u32;
        NonZeroU32::new(requests).unwrap_or(NonZeroU32::MIN)
    }
}

impl TryFrom<f64> for Rate {
    type Error = String;

    fn try_from(per_second: f64) -> Result<Self, String> {
        // Not a range: what is not a number is in neither.
        if (MIN_PER_SECOND..=MAX_PER_SECOND).contains(&per_second) {
            Ok(Self(per_second))
        } else {
            Err("a rate is between 0.000001 and 1000000 requests per second".to_owned())
        }
    }
}

impl From<Rate> for f64 {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
        let seconds = match unit {
            "s" => 1.0,
            "min" => 60.0,
            "h" => 3600.0,
            _ => {
                return Err(format!(
                    "{unit:?} is no unit of time here; 10/s, 10/min and 10/h are rates"
                ));
            }
        };
        let number: f64 = number.parse().map_err(|_| {
            format!("{number:?} is not a number; 10/s, 0.5/s and 100/min are rates")
        })?;
        Self::try_from(number / seconds)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.0 {
            r if r >= 1.0 => (r, "s"),
            r if r * 60.0 >= 1.0 => (r * 60.0, "min"),
            r => (r * 3600.0, "h"),
        };
        // No more digits than say something.
        write!(f, "{}/{unit}", (number * 1000.0).round() / 1000.0)
    }
}

/// A rate, and how far it may be exceeded for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests per second.
    pub per_second: Rate,
    /// Requests at once after a pause.
    pub burst: NonZeroU32,
}

/// What is left of a [`RateLimit`].
#[derive(Debug)]
pub(super) struct Bucket {
    limit: RateLimit,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// Requests that may be made at `at`; below 0 after one that counted for many.
    left: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(limit: RateLimit, now: Instant) -> Self {
        let left = f64::from(limit.burst.get());
        let state = Mutex::new(State { left, at: now });
        Self { limit, state }
    }

    /// Takes one request out, or says after how long there will be one.
    pub(super) fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.fill(now);
        if state.left >= 1.0 {
            state.left -= 1.0;
            return Ok(());
        }
        let missing = 1.0 - state.left;
        Err(Duration::try_from_secs_f64(missing / self.limit.per_second.0).unwrap_or(Duration::MAX))
    }

    /// Takes `requests` more out, into debt if need be: a request that was let in turned out to
    /// stand for many.
    pub(super) fn charge(&self, requests: u32, now: Instant) {
        self.fill(now).left -= f64::from(requests);
    }

    fn fill(&self, now: Instant) -> std::sync::MutexGuard<'_, State> {
        // Nothing in here panics while it holds the lock.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(state.at).as_secs_f64();
        let burst = f64::from(self.limit.burst.get());
        state.left = (state.left + passed * self.limit.per_second.0).min(burst);
        state.at = state.at.max(now);
        state
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(rate: &str, burst: u32) -> RateLimit {
        RateLimit {
            per_second: rate.parse().unwrap(),
            burst: burst.try_into().unwrap(),
        }
    }

    #[test]
    fn a_burst_then_the_rate() {
        let now = Instant::now();
        let bucket = Bucket::new(limit("2/s", 3), now);
        for _ in 0..3 {
            assert_eq!(bucket.take(now), Ok(()));
        }
        let wait = bucket.take(now).unwrap_err();
        assert_eq!(wait, Duration::from_millis(500));
        assert!(bucket.take(now + wait / 2).is_err());
        assert_eq!(bucket.take(now + wait), Ok(()));
        assert!(bucket.take(now + wait).is_err());
        let later = now + Duration::from_hours(1);
        let taken = (0..10).filter(|_| bucket.take(later).is_ok()).count();
        assert_eq!(taken, 3, "no more than the burst is saved up");
    }

    #[test]
    fn a_request_that_stands_for_many_is_paid_for_later() {
        let now = Instant::now();
        let bucket = Bucket::new(limit("1/s", 1), now);
        assert_eq!(bucket.take(now), Ok(()));
        bucket.charge(99, now);
        assert_eq!(bucket.take(now), Err(Duration::from_secs(100)));
        assert_eq!(bucket.take(now + Duration::from_secs(100)), Ok(()));
    }

    #[test]
    fn rates_as_text() {
        for (text, shown) in [
            ("10/s", "10/s"),
            ("10", "10/s"),
            ("30/min", "30/min"),
            ("0.5/s", "30/min"),
            ("7/h", "7/h"),
        ] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), shown);
        }
        for text in [
            "", "/s", "x/s", "1/d", "0/s", "-1/s", "nan/s", "inf", "1e9/s",
        ] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
        assert_eq!(limit("2.5/s", 1).per_second.default_burst().get(), 3);
        assert_eq!(limit("1/h", 1).per_second.default_burst().get(), 1);
    }

    proptest! {
        /// However requests are spread, no more get through than burst plus rate times time, and
        /// whoever comes back when told to is let in.
        #[test]
        fn never_more_than_allowed(
            per_second in 0.01..1000.0_f64,
            burst in 1..50_u32,
            gaps_ms in proptest::collection::vec(0..500_u64, 1..200),
        ) {
            let begun = Instant::now();
            let limit = RateLimit { per_second: Rate(per_second), burst: burst.try_into().unwrap() };
            let bucket = Bucket::new(limit, begun);
            let (mut now, mut taken) = (begun, 0_u32);
            for gap in gaps_ms {
                now += Duration::from_millis(gap);
                match bucket.take(now) {
                    Ok(()) => taken += 1,
                    Err(wait) => {
                        // A nanosecond for what division rounds away.
                        now += wait + Duration::from_nanos(1);
                        prop_assert_eq!(bucket.take(now), Ok(()));
                        taken += 1;
                    }
                }
            }
            let allowed = f64::from(burst) + per_second * (now - begun).as_secs_f64() + 1e-6;
            prop_assert!(f64::from(taken) <= allowed, "{} > {}", taken, allowed);
        }
    }
}
