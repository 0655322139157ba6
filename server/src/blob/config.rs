//! Configuration of blobs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The largest size in this configuration.
const MOST_BYTES: u64 = 16 << 40;
/// The longest [`BlobsConfig::keep_days`], a hundred years.
const MOST_DAYS: u32 = 36_500;
/// The most uploads at once: each may use a thread.
const MOST_UPLOADS: usize = 256;

/// Blobs (`[blobs]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BlobsConfig {
    /// The largest blob.
    pub max_blob_bytes: u64,
    /// What the blobs of one API key may add up to; without keys, those of everybody. Each counts
    /// for 4096 bytes more than it has.
    pub max_bytes_per_key: u64,
    /// What all blobs may add up to, counted in the same way. One that several keys uploaded counts
    /// once.
    pub max_bytes: u64,
    /// Days after its last use that a blob is kept. Uploading it again, reading it and judging with
    /// it are uses.
    pub keep_days: u32,
    /// Uploads in progress; more are refused with 503.
    pub max_uploads: usize,
    /// Uploads in progress of one API key.
    pub max_uploads_per_key: usize,
    /// An upload that is slower than this on average, beyond the first `http.body_timeout_ms`, is cut
    /// off.
    pub min_upload_bytes_per_second: u64,
}

impl Default for BlobsConfig {
    fn default() -> Self {
        Self {
            max_blob_bytes: 1 << 30,
            max_bytes_per_key: 16 << 30,
            max_bytes: 64 << 30,
            keep_days: 60,
            max_uploads: 16,
            max_uploads_per_key: 8,
            min_upload_bytes_per_second: 64 << 10,
        }
    }
}

impl BlobsConfig {
    /// Whether every value is in its range; the error names the key and the range.
    pub fn check(&self) -> anyhow::Result<()> {
        let bytes = [
            ("max_blob_bytes", self.max_blob_bytes),
            ("max_bytes_per_key", self.max_bytes_per_key),
            ("max_bytes", self.max_bytes),
            (
                "min_upload_bytes_per_second",
                self.min_upload_bytes_per_second,
            ),
        ];
        for (key, value) in bytes {
            anyhow::ensure!(
                (1..=MOST_BYTES).contains(&value),
                "blobs.{key} must be 1 to {MOST_BYTES}"
            );
        }
        anyhow::ensure!(
            (1..=MOST_DAYS).contains(&self.keep_days),
            "blobs.keep_days must be 1 to {MOST_DAYS}"
        );
        let uploads = [
            ("max_uploads", self.max_uploads),
            ("max_uploads_per_key", self.max_uploads_per_key),
        ];
        for (key, value) in uploads {
            anyhow::ensure!(
                (1..=MOST_UPLOADS).contains(&value),
                "blobs.{key} must be 1 to {MOST_UPLOADS}"
            );
        }
        Ok(())
    }

    /// [`Self::keep_days`] as a duration.
    pub fn keep(&self) -> Duration {
        Duration::from_hours(24 * u64::from(self.keep_days))
    }
}
