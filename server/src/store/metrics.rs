//! What is measured of the store.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter};

use crate::metrics::{Maker, TIME_BUCKETS};

/// Metrics of the store.
#[derive(Clone, Debug)]
pub(crate) struct StoreMetrics {
    commits: Histogram,
    together: Histogram,
    failures: IntCounter,
}

/// Changes of one transaction.
const TOGETHER_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
const COMMITS: (&str, &str) = (
    "brig_store_commit_seconds",
    "Transactions that write, from their beginning until they are on the disk",
);
const TOGETHER: (&str, &str) = (
    "brig_store_commit_changes",
    "Changes that went into one transaction together",
);
const FAILURES: (&str, &str) = (
    "brig_store_commit_failures_total",
    "Transactions that could not be committed",
);

impl Default for StoreMetrics {
    /// Nobody will ask for them.
    fn default() -> Self {
        let histogram = |(name, help): (&str, &str), buckets: &[f64]| {
            let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            Histogram::with_opts(options).expect("a valid metric")
        };
        Self {
            commits: histogram(COMMITS, TIME_BUCKETS),
            together: histogram(TOGETHER, TOGETHER_BUCKETS),
            failures: IntCounter::new(FAILURES.0, FAILURES.1).expect("a valid metric"),
        }
    }
}

impl StoreMetrics {
    pub(crate) fn new(make: &Maker) -> Self {
        Self {
            commits: make.histogram(COMMITS.0, COMMITS.1, TIME_BUCKETS),
            together: make.histogram(TOGETHER.0, TOGETHER.1, TOGETHER_BUCKETS),
            failures: make.counter(FAILURES.0, FAILURES.1),
        }
    }

    /// A transaction with so many changes has ended.
    pub(super) fn transaction(&self, changes: usize, took: Duration, committed: bool) {
        if committed {
            self.commits.observe(took.as_secs_f64());
            #[allow(clippy::cast_precision_loss)] // for a bucket
            self.together.observe(changes as f64);
        } else {
            self.failures.inc();
        }
    }
}
