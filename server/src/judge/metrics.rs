//! What is counted of judging.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge};

use crate::api::Verdict;
use crate::metrics::{Maker, TIME_BUCKETS};
use crate::recent::Recent;
use crate::store::Priority;

/// Metrics of judging.
#[derive(Debug)]
pub(crate) struct JudgingMetrics {
    submissions: IntCounterVec,
    waits: HistogramVec,
    times: HistogramVec,
    tests: IntCounterVec,
    waiting: IntGauge,
    active: IntGauge,
    store_failures: IntCounter,
    recent: Arc<Recent>,
}

impl JudgingMetrics {
    pub(crate) fn new(make: &Maker) -> Self {
        let priority = &["priority"];
        Self {
            submissions: make.counters(
                "brig_submissions_total",
                "Submissions that have a result",
                &["priority", "verdict"],
            ),
            waits: make.histograms(
                "brig_submission_wait_seconds",
                "From a submission's acceptance until it is begun",
                TIME_BUCKETS,
                priority,
            ),
            times: make.histograms(
                "brig_submission_judging_seconds",
                "From a submission's beginning until its result is stored",
                TIME_BUCKETS,
                priority,
            ),
            tests: make.counters(
                "brig_tests_total",
                "Tests of submissions by verdict, skipped ones too",
                &["verdict"],
            ),
            waiting: make.gauge(
                "brig_submissions_waiting",
                "Submissions that wait to be begun",
            ),
            active: make.gauge(
                "brig_submissions_active",
                "Submissions that are being judged",
            ),
            store_failures: make.counter(
                "brig_judging_store_failures_total",
                "Times that judging found the store failing and waited to ask it again",
            ),
            recent: Arc::clone(&make.recent),
        }
    }

    /// A submission was begun this long after its acceptance.
    pub(super) fn begun(&self, priority: Priority, waited: Duration) {
        self.waits
            .with_label_values(&[label(priority)])
            .observe(waited.as_secs_f64());
    }

    /// A submission has its result; judging it took this long, if it was judged.
    pub(super) fn finished(&self, priority: Priority, verdict: Verdict, took: Option<Duration>) {
        let priority = label(priority);
        self.submissions
            .with_label_values(&[priority, verdict.as_str()])
            .inc();
        if let Some(took) = took {
            self.times
                .with_label_values(&[priority])
                .observe(took.as_secs_f64());
        }
    }

    /// A test has its verdict.
    pub(super) fn tested(&self, verdict: Verdict) {
        self.tests.with_label_values(&[verdict.as_str()]).inc();
        self.recent.test(verdict);
    }

    /// The store failed, and is asked again later.
    pub(super) fn store_failed(&self) {
        self.store_failures.inc();
    }

    /// How many submissions wait, and are judged.
    pub(crate) fn size(&self, waiting: usize, active: usize) {
        let gauge = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        self.waiting.set(gauge(waiting));
        self.active.set(gauge(active));
    }
}

fn label(priority: Priority) -> &'static str {
    match priority {
        Priority::Interactive => "interactive",
        Priority::Normal => "normal",
        Priority::Bulk => "bulk",
    }
}
