//! When operations of an open loop are due.
//!
//! A thread of its own, because the runtime's timers are exact to a millisecond only, which is
//! longer than a run may take.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;

use super::Window;
use crate::scenario::Arrivals;

/// The moments at which operations are due.
#[derive(Debug)]
pub(super) struct Schedule {
    rate: f64,
    arrivals: Arrivals,
    window: Window,
    /// Since the window's begin.
    at_seconds: f64,
    count: u64,
    random: u64,
}

impl Schedule {
    pub(super) fn new(rate: f64, arrivals: Arrivals, window: Window) -> Self {
        Self {
            rate,
            arrivals,
            window,
            at_seconds: 0.0,
            count: 0,
            random: 0x5eed_b216,
        }
    }

    /// A number between 0 and 1 (splitmix64, of Steele, Lea and Flood's "Fast splittable
    /// pseudorandom number generators"). Always the same ones: two load tests are to be compared.
    fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        #[allow(clippy::cast_precision_loss)]
        let share = (z >> 11) as f64 / (1u64 << 53) as f64;
        share
    }
}

impl Iterator for Schedule {
    type Item = Instant;

    fn next(&mut self) -> Option<Instant> {
        #[allow(clippy::cast_precision_loss)]
        let at = match self.arrivals {
            Arrivals::Constant => self.count as f64 / self.rate,
            Arrivals::Poisson => {
                self.at_seconds += -(1.0 - self.random()).ln() / self.rate;
                self.at_seconds
            }
        };
        self.count += 1;
        let due = self.window.begin + Duration::from_secs_f64(at);
        (due < self.window.end).then_some(due)
    }
}

/// Sends each moment of `schedule` when it has come, until nobody listens any more. Gives how many
/// were not sent.
pub(super) fn pace(schedule: Schedule, due: &Sender<Instant>) -> u64 {
    // Only for this thread; without it timers may be 50 µs late.
    let _ = nix::sys::prctl::set_timerslack(1);
    let mut schedule = schedule.into_iter();
    let mut unsent = 0;
    for moment in schedule.by_ref() {
        let left = moment.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            std::thread::sleep(left);
        }
        // The wait for a place changes nothing about when the operation was due.
        if due.blocking_send(moment).is_err() {
            unsent = 1;
            break;
        }
    }
    unsent + schedule.count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(rate: f64, arrivals: Arrivals, time: Duration) -> (Window, Vec<Instant>) {
        let window = Window::of(time);
        (window, Schedule::new(rate, arrivals, window).collect())
    }

    #[test]
    fn a_constant_rate_is_met_to_the_operation() {
        let (window, moments) = moments(250.0, Arrivals::Constant, Duration::from_secs(4));
        assert_eq!(moments.len(), 1000);
        assert_eq!(moments[0], window.begin);
        assert_eq!(moments[250], window.begin + Duration::from_secs(1));
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_its_spread() {
        let (window, moments) = moments(1000.0, Arrivals::Poisson, Duration::from_secs(20));
        // 20,000 are expected, with a standard deviation of 141.
        assert!(
            (19_300..20_700).contains(&moments.len()),
            "{}",
            moments.len()
        );
        assert!(
            moments
                .iter()
                .all(|m| *m >= window.begin && *m < window.end)
        );
        let gaps = moments.windows(2).map(|w| (w[1] - w[0]).as_secs_f64());
        let short = gaps.filter(|gap| *gap < 0.001).count();
        // 1 - 1/e of the gaps are shorter than the mean.
        let expected = moments.len() * 632 / 1000;
        assert!(short.abs_diff(expected) < 400, "{short} {expected}");
    }

    #[test]
    fn what_nobody_waits_for_is_counted() {
        let window = Window::of(Duration::from_mins(1));
        let schedule = Schedule::new(10.0, Arrivals::Constant, window);
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        drop(receiver);
        assert_eq!(pace(schedule, &sender), 600);
    }
}
