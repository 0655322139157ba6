//! One phase's times.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Digits of a value that are kept: a thousandth.
const DIGITS: u8 = 3;
/// The longest time that is told apart, an hour; longer ones count as this.
const LONGEST_NS: u64 = 3_600_000_000_000;
/// Points of a curve for each halving of what is left above.
const CURVE_STEPS: u32 = 4;

/// A histogram of times.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u32>);

impl Default for Latencies {
    fn default() -> Self {
        // Grows with its largest value. Only a number of digits above 5 is refused.
        Self(Histogram::new(DIGITS).expect("a histogram of so many digits"))
    }
}

impl Latencies {
    pub(crate) fn record(&mut self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(LONGEST_NS);
        // It grows by itself, and a counter that is full stays full.
        let _ = self.0.record(ns.clamp(1, LONGEST_NS));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        // Only different precisions can be refused.
        let _ = self.0.add(&other.0);
    }

    pub(crate) fn clear(&mut self) {
        self.0.reset();
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time that the share `q` of all was not above, in microseconds; 0 if there are none.
    pub(crate) fn at(&self, q: f64) -> f64 {
        if self.0.is_empty() {
            return 0.0;
        }
        micros(self.0.value_at_quantile(q))
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let last = |ns| if self.0.is_empty() { 0.0 } else { micros(ns) };
        Percentiles {
            count: self.0.len(),
            mean_us: rounded(self.0.mean() / 1e3),
            min_us: last(self.0.min()),
            p50_us: self.at(0.5),
            p75_us: self.at(0.75),
            p90_us: self.at(0.9),
            p95_us: self.at(0.95),
            p99_us: self.at(0.99),
            p999_us: self.at(0.999),
            max_us: last(self.0.max()),
            curve: self.curve(),
        }
    }

    fn curve(&self) -> Vec<(f64, f64)> {
        if self.0.is_empty() {
            return Vec::new();
        }
        self.0
            .iter_quantiles(CURVE_STEPS)
            .map(|point| (point.quantile(), micros(point.value_iterated_to())))
            .collect()
    }
}

#[allow(clippy::cast_precision_loss)]
fn micros(ns: u64) -> f64 {
    rounded(ns as f64 / 1e3)
}

/// To a tenth, which is below what can be measured.
fn rounded(us: f64) -> f64 {
    (us * 10.0).round() / 10.0
}

/// [`Latencies`] as reports have them, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    /// How many times there are.
    pub(crate) count: u64,
    pub(crate) mean_us: f64,
    pub(crate) min_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p75_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p95_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
    /// Quantiles and their times, closer to each other towards the end.
    #[serde(default)]
    pub(crate) curve: Vec<(f64, f64)>,
}

impl Percentiles {
    /// The time called `name`: `p50`, `p99`, `p99.9`, `max`, ...
    pub(crate) fn named(&self, name: &str) -> Option<f64> {
        Some(match name {
            "mean" => self.mean_us,
            "min" => self.min_us,
            "p50" => self.p50_us,
            "p75" => self.p75_us,
            "p90" => self.p90_us,
            "p95" => self.p95_us,
            "p99" => self.p99_us,
            "p99.9" | "p999" => self.p999_us,
            "max" => self.max_us,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times_us: impl Iterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::default();
        for time in times_us {
            latencies.record(Duration::from_micros(time));
        }
        latencies
    }

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() <= right * 0.002
    }

    #[test]
    fn percentiles_are_within_a_thousandth() {
        let percentiles = of(1..=1000).percentiles();
        assert_eq!(percentiles.count, 1000);
        assert!(near(percentiles.p50_us, 500.0), "{percentiles:?}");
        assert!(near(percentiles.p99_us, 990.0), "{percentiles:?}");
        assert!(near(percentiles.max_us, 1000.0), "{percentiles:?}");
        assert!(near(percentiles.min_us, 1.0), "{percentiles:?}");
        let curve = &percentiles.curve;
        assert!(
            curve
                .windows(2)
                .all(|w| w[0].0 <= w[1].0 && w[0].1 <= w[1].1)
        );
        assert!(near(curve.last().unwrap().0, 1.0));
    }

    #[test]
    fn halves_merged_are_the_whole() {
        let mut merged = of((1..=1000).step_by(2));
        merged.add(&of((2..=1000).step_by(2)));
        assert_eq!(merged.percentiles(), of(1..=1000).percentiles());
        // The larger one added to the smaller: it has to grow.
        let mut small = of(1..2);
        small.add(&of(1_000_000..1_000_001));
        assert!(near(small.percentiles().max_us, 1e6));
    }

    #[test]
    fn nothing_is_zero_and_too_long_is_an_hour() {
        assert_eq!(Latencies::default().percentiles(), Percentiles::default());
        let mut latencies = Latencies::default();
        latencies.record(Duration::from_hours(30));
        latencies.record(Duration::ZERO);
        assert!(near(latencies.percentiles().max_us, 3.6e9));
        latencies.clear();
        assert_eq!(latencies.count(), 0);
    }
}
