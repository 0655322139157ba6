//! Times in buckets that grow with the time: sixteen to each doubling, so a bucket is at most a
//! sixteenth of its time wide.

use std::time::Duration;

use crate::api::Percentiles;

/// Bits of a time that tell buckets of a doubling apart.
const BITS: u32 = 4;
/// Buckets of a doubling.
const PER_DOUBLING: usize = 1 << BITS;
/// Times from 2^36 µs on, 19 hours, share the last bucket.
const MOST_BITS: u32 = 36;
const BUCKETS: usize = (MOST_BITS - BITS + 1) as usize * PER_DOUBLING;

/// Times that were counted.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    buckets: Box<[u32; BUCKETS]>,
    count: u64,
    max_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: Box::new([0; BUCKETS]),
            count: 0,
            max_us: 0,
        }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = &mut self.buckets[bucket(us)];
        *bucket = bucket.saturating_add(1);
        self.count += 1;
        self.max_us = self.max_us.max(us);
    }

    pub(super) fn clear(&mut self) {
        if self.count > 0 {
            self.buckets.fill(0);
            (self.count, self.max_us) = (0, 0);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        for (sum, more) in self.buckets.iter_mut().zip(other.buckets.iter()) {
            *sum = sum.saturating_add(*more);
        }
        self.count += other.count;
        self.max_us = self.max_us.max(other.max_us);
    }

    /// `None` of no times.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        (self.count > 0).then(|| Percentiles {
            count: self.count,
            p50_us: self.percentile(50),
            p90_us: self.percentile(90),
            p99_us: self.percentile(99),
            max_us: self.max_us,
        })
    }

    /// The time that `percent` of all times do not exceed, as exact as the buckets are.
    fn percentile(&self, percent: u64) -> u64 {
        let rank = (self.count * percent).div_ceil(100);
        let mut seen = 0;
        let reached = self.buckets.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        });
        reached.map_or(self.max_us, |bucket| middle(bucket).min(self.max_us))
    }
}

fn bucket(us: u64) -> usize {
    let us = us.min((1 << MOST_BITS) - 1);
    let doublings = us.checked_ilog2().unwrap_or(0).saturating_sub(BITS);
    #[allow(clippy::cast_possible_truncation)] // below 2 * PER_DOUBLING
    let within = (us >> doublings) as usize;
    doublings as usize * PER_DOUBLING + within
}

/// The time in the middle of a bucket.
fn middle(bucket: usize) -> u64 {
    let doublings = (bucket / PER_DOUBLING).saturating_sub(1);
    let within = (bucket - doublings * PER_DOUBLING) as u64;
    (within << doublings) + ((1 << doublings) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_near_the_middle_of_its_bucket() {
        let mut before = 0;
        for us in (0..2000)
            .chain((11..36).flat_map(|n| [(1 << n) - 1, 1 << n, (1 << n) + (1 << (n - 3))]))
        {
            let bucket = bucket(us);
            assert!(bucket >= before && bucket < BUCKETS, "{us}: {bucket}");
            before = bucket;
            let error = middle(bucket).abs_diff(us);
            assert!(error <= us / 16, "{us}: {}", middle(bucket));
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles() {
        let mut times = Histogram::default();
        assert!(times.percentiles().is_none());
        for ms in 1..=100 {
            times.add(Duration::from_millis(ms));
        }
        let mut twice = Histogram::default();
        twice.merge(&times);
        twice.merge(&times);
        for (times, count) in [(times, 100), (twice, 200)] {
            let found = times.percentiles().unwrap();
            assert_eq!((found.count, found.max_us), (count, 100_000));
            for (found, ms) in [(found.p50_us, 50), (found.p90_us, 90), (found.p99_us, 99)] {
                assert!(
                    found.abs_diff(ms * 1000) <= ms * 1000 / 16,
                    "{found} for {ms} ms"
                );
            }
        }
    }
}
