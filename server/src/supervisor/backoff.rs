//! Slowing down the restarts of a child that does not live.

use std::time::Duration;

/// The longest wait before the next try.
const LONGEST: Duration = Duration::from_secs(5);
/// A child that lived this long started well.
const HEALTHY: Duration = Duration::from_secs(10);
/// So many early deaths in a row may be chance, and cost no time.
const BY_CHANCE: u32 = 2;
/// After the first that costs time; doubled from one to the next.
const SHORTEST: Duration = Duration::from_millis(20);

/// How often a child died early in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    early_deaths: u32,
}

impl Backoff {
    /// How long to wait before the child is started again that has just ended after `lived`.
    pub(super) fn after_end(&mut self, lived: Duration) -> Duration {
        if lived > HEALTHY {
            self.early_deaths = 0;
            return Duration::ZERO;
        }
        self.early_deaths = self.early_deaths.saturating_add(1);
        match self.early_deaths.checked_sub(BY_CHANCE + 1) {
            None => Duration::ZERO,
            Some(doublings) => SHORTEST
                .saturating_mul(2_u32.saturating_pow(doublings))
                .min(LONGEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_deaths_cost_ever_more_time_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..60).map(|_| backoff.after_end(HEALTHY)).collect();
        let ms: Vec<_> = waits.iter().map(Duration::as_millis).collect();
        assert_eq!(ms[..6], [0, 0, 20, 40, 80, 160]);
        assert_eq!(ms[9..12], [2560, 5000, 5000]);
        assert_eq!(ms[59], 5000);
    }

    #[test]
    fn a_long_life_makes_up_for_all() {
        let mut backoff = Backoff::default();
        for _ in 0..9 {
            backoff.after_end(Duration::ZERO);
        }
        let long = HEALTHY + Duration::from_millis(1);
        assert_eq!(backoff.after_end(long), Duration::ZERO);
        assert_eq!(backoff.after_end(Duration::ZERO), Duration::ZERO);
    }
}
