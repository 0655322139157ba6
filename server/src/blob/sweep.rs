//! Blobs that nobody used for long go.

use std::time::Duration;

use time::OffsetDateTime;

use super::{BlobHash, BlobStore, Deleted};

/// How often expired blobs are looked for.
const SWEEP_EVERY: Duration = Duration::from_mins(10);
/// How many are taken at once.
const BATCH: u32 = 256;

impl BlobStore {
    /// Removes what expires, from time to time, for ever.
    pub async fn keep_swept(&self) {
        loop {
            match self.sweep(OffsetDateTime::now_utc()).await {
                Ok(0) => {}
                Ok(blobs) => tracing::info!(blobs, "unused blobs removed"),
                Err(error) => tracing::error!("unused blobs cannot be removed: {error}"),
            }
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    }

    /// Removes what has expired at `now`, except what is pinned: that counts as used. Gives how many.
    pub(super) async fn sweep(&self, now: OffsetDateTime) -> anyhow::Result<u64> {
        let before = now - self.config().keep();
        let mut removed = 0;
        loop {
            let expired = self.rows().blobs_expired(before, BATCH).await?;
            if expired.is_empty() {
                return Ok(removed);
            }
            for blob in expired {
                let hash = BlobHash(blob.hash);
                match self.remove(blob.owner, hash, Some(before)).await? {
                    Deleted::Gone => {
                        removed += 1;
                        self.0.metrics.blobs.expired();
                    }
                    // Somebody used it since.
                    Deleted::Unknown => {}
                    Deleted::Pinned => {
                        self.rows()
                            .blob_touch(blob.owner, vec![blob.hash], now)
                            .await?;
                    }
                }
            }
        }
    }
}
