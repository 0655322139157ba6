//! Configuration of permalinks.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The largest size in this configuration.
const MOST_BYTES: u64 = 1 << 40;
/// The longest [`SharesConfig::keep_days`], a hundred years.
const MOST_DAYS: u32 = 36_500;
const DAY: Duration = Duration::from_hours(24);

/// Permalinks (`[shares]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SharesConfig {
    /// Whether new ones are made.
    pub enabled: bool,
    /// The largest document.
    pub max_share_bytes: u64,
    /// What all may add up to, and no more than a quarter of `store.max_bytes`. Beyond it the longest
    /// unread go, of the key that adds one before those of others.
    pub max_bytes: u64,
    /// Days after it was last read that a document is kept, if it does not ask for less.
    pub keep_days: u32,
}

impl Default for SharesConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            max_share_bytes: 256 << 10,
            max_bytes: 1 << 30,
            keep_days: 90,
        }
    }
}

impl SharesConfig {
    /// Whether every value is in its range; the error names the key and the range.
    pub fn check(&self) -> anyhow::Result<()> {
        for (key, bytes) in [
            ("max_share_bytes", self.max_share_bytes),
            ("max_bytes", self.max_bytes),
        ] {
            anyhow::ensure!(
                (1..=MOST_BYTES).contains(&bytes),
                "shares.{key} must be 1 to {MOST_BYTES}"
            );
        }
        anyhow::ensure!(
            (1..=MOST_DAYS).contains(&self.keep_days),
            "shares.keep_days must be 1 to {MOST_DAYS}"
        );
        Ok(())
    }

    /// [`Self::keep_days`] as a duration.
    pub fn keep(&self) -> Duration {
        DAY * self.keep_days
    }
}
