//! What Prometheus learns of the compile cache.

use std::sync::Arc;

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

use crate::metrics::Maker;
use crate::recent::Recent;

/// The label of a lookup that the cache had no answer to.
const MISS: &str = "miss";

/// Metrics of the compile cache.
#[derive(Debug)]
pub(crate) struct CacheMetrics {
    lookups: IntCounterVec,
    evictions: IntCounterVec,
    errors: IntCounterVec,
    bytes: IntGaugeVec,
    entries: IntGauge,
    recent: Arc<Recent>,
}

impl CacheMetrics {
    pub(crate) fn new(make: &Maker) -> Self {
        Self {
            lookups: make.counters(
                "brig_compile_cache_lookups_total",
                "Compiles asked for, by where the result came from; miss: it was compiled",
                &["result"],
            ),
            evictions: make.counters(
                "brig_compile_cache_evictions_total",
                "Entries that had to make room",
                &["tier"],
            ),
            errors: make.counters(
                "brig_compile_cache_errors_total",
                "What the cache could not do; busy: too much was waiting to be written",
                &["kind"],
            ),
            bytes: make.gauges(
                "brig_compile_cache_bytes",
                "Bytes of its entries",
                &["tier"],
            ),
            entries: make.gauge("brig_compile_cache_entries", "Entries on disk"),
            recent: Arc::clone(&make.recent),
        }
    }

    pub(super) fn lookup(&self, result: &str) {
        self.lookups.with_label_values(&[result]).inc();
        self.recent.lookup(result != MISS);
    }

    pub(super) fn evicted(&self, tier: &str, entries: usize) {
        if entries > 0 {
            self.evictions
                .with_label_values(&[tier])
                .inc_by(entries as u64);
        }
    }

    pub(super) fn error(&self, kind: &str) {
        self.errors.with_label_values(&[kind]).inc();
    }

    pub(super) fn size(&self, tier: &str, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.bytes.with_label_values(&[tier]).set(bytes);
    }

    pub(super) fn entries(&self, entries: usize) {
        self.entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }
}
