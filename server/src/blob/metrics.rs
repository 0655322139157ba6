//! What Prometheus learns of blobs.

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use crate::metrics::Maker;
use crate::store::Usage;

/// Metrics of blobs.
#[derive(Debug)]
pub(crate) struct BlobMetrics {
    bytes: IntGauge,
    count: IntGauge,
    uploads: IntCounterVec,
    uploaded_bytes: IntCounter,
    expired: IntCounter,
}

impl BlobMetrics {
    pub(crate) fn new(make: &Maker) -> Self {
        Self {
            bytes: make.gauge("brig_blob_bytes", "Bytes of all blobs on disk"),
            count: make.gauge("brig_blobs", "Blobs on disk"),
            uploads: make.counters(
                "brig_blob_uploads_total",
                "Uploads by result; known: the owner had the blob already",
                &["result"],
            ),
            uploaded_bytes: make.counter(
                "brig_blob_uploaded_bytes_total",
                "Bytes that came in uploads, whatever became of them",
            ),
            expired: make.counter(
                "brig_blobs_expired_total",
                "Blobs taken from owners for want of use",
            ),
        }
    }

    pub(crate) fn uploaded(&self, result: &str) {
        self.uploads.with_label_values(&[result]).inc();
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.uploaded_bytes.inc_by(bytes as u64);
    }

    pub(super) fn expired(&self) {
        self.expired.inc();
    }

    pub(super) fn size(&self, usage: Usage) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.bytes.set(gauge(usage.bytes));
        self.count.set(gauge(usage.blobs));
    }
}
