//! Configuration of the store.

use serde::{Deserialize, Serialize};

/// The smallest [`StoreConfig::max_bytes`]: below, the fixed parts leave too little room.
const LEAST_MAX_BYTES: u64 = 16 << 20;
/// The largest [`StoreConfig::max_bytes`].
const MOST_MAX_BYTES: u64 = 16 << 40;
/// The largest [`StoreConfig::keep_days`], a hundred years.
const MOST_KEEP_DAYS: u32 = 36_500;

/// The store (`[store]`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Days that a finished submission is kept, counted from its end.
    pub keep_days: u32,
    /// Bytes that submissions, results and permalinks may take on disk. Beyond it finished
    /// submissions go before their time, oldest first. Three quarters of it may be taken by what
    /// must be kept, unfinished submissions above all; beyond that no more are accepted.
    pub max_bytes: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            keep_days: 30,
            max_bytes: 8 << 30,
        }
    }
}

impl StoreConfig {
    /// Whether every value is in its range; the error names the key and the range.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            (1..=MOST_KEEP_DAYS).contains(&self.keep_days),
            "store.keep_days must be 1 to {MOST_KEEP_DAYS}"
        );
        anyhow::ensure!(
            (LEAST_MAX_BYTES..=MOST_MAX_BYTES).contains(&self.max_bytes),
            "store.max_bytes must be {LEAST_MAX_BYTES} to {MOST_MAX_BYTES}"
        );
        Ok(())
    }
}
