//! What is measured of the queue for workers.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec};

use crate::metrics::{Maker, TIME_BUCKETS};
use crate::recent::Recent;

/// Metrics of the queue.
#[derive(Clone, Debug)]
pub(crate) struct PoolMetrics {
    waits: HistogramVec,
    recent: Arc<Recent>,
}

const NAME: &str = "brig_queue_wait_seconds";
const HELP: &str = "Waits for a worker, of each stage, by class of the line";
const LABELS: &[&str] = &["class"];

impl Default for PoolMetrics {
    /// Nobody will ask for them.
    fn default() -> Self {
        let options = HistogramOpts::new(NAME, HELP).buckets(TIME_BUCKETS.to_vec());
        let waits = HistogramVec::new(options, LABELS).expect("a valid metric");
        let recent = Arc::default();
        Self { waits, recent }
    }
}

impl PoolMetrics {
    pub(crate) fn new(make: &Maker) -> Self {
        Self {
            waits: make.histograms(NAME, HELP, TIME_BUCKETS, LABELS),
            recent: Arc::clone(&make.recent),
        }
    }

    pub(super) fn waited(&self, class: &'static str, time: Duration) {
        self.waits
            .with_label_values(&[class])
            .observe(time.as_secs_f64());
        self.recent.waited(time);
    }
}
