//! What is counted of judging.

use prometheus::IntCounterVec;

use crate::api::Verdict;
use crate::metrics::Maker;
use crate::store::Priority;

/// Metrics of judging.
#[derive(Debug)]
pub(crate) struct JudgingMetrics {
    submissions: IntCounterVec,
}

impl JudgingMetrics {
    pub(crate) fn new(make: &Maker) -> Self {
        Self {
            submissions: make.counters(
                "brig_submissions_total",
                "Submissions that have a result",
                &["priority", "verdict"],
            ),
        }
    }

    pub(crate) fn finished(&self, priority: Priority, verdict: Verdict) {
        let priority = match priority {
            Priority::Interactive => "interactive",
            Priority::Normal => "normal",
            Priority::Bulk => "bulk",
        };
        self.submissions
            .with_label_values(&[priority, verdict.as_str()])
            .inc();
    }
}
