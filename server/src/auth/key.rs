//! A key in use: its row, what it is good for, and what it has used of that.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::rate::Bucket;
use super::{Denied, Settings};
use crate::store;

/// Bounds of what a key with too many runs in progress is told to wait.
const RETRY_AFTER: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_mins(1);
/// The name in metrics of keys without one of their own.
const OTHER: &str = "other";
/// The name in metrics of callers without a key.
pub(super) const NO_KEY: &str = "none";
/// How much the last run counts in the mean: one part in this many.
const MEAN_OVER: u64 = 8;

/// A key in use.
#[derive(Debug)]
pub(super) struct LiveKey {
    pub(super) row: store::Key,
    /// `None`: they are not readable, and the key is of no use.
    pub(super) settings: Option<Settings>,
    /// Its name in metrics: its id, or one that it shares with others.
    pub(super) label: String,
    bucket: Option<Bucket>,
    running: AtomicU32,
    /// How long its runs take, lately.
    mean_run_us: AtomicU64,
}

impl LiveKey {
    /// `labelled`: it is to have a name of its own in metrics.
    pub(super) fn new(row: store::Key, labelled: bool) -> Self {
        let settings: Option<Settings> = match serde_json::from_slice(&row.settings) {
            Ok(settings) => Some(settings),
            Err(error) => {
                tracing::error!(key = %row.id, "a key is of no use: its settings are not understood: {error}");
                None
            }
        };
        let rate = settings.as_ref().and_then(|settings| settings.rate);
        Self {
            label: if labelled {
                row.id.to_string()
            } else {
                OTHER.to_owned()
            },
            bucket: rate.map(|limit| Bucket::new(limit, Instant::now())),
            row,
            settings,
            running: AtomicU32::new(0),
            mean_run_us: AtomicU64::new(0),
        }
    }

    /// Whether it is still of use.
    pub(super) fn check(&self, now: OffsetDateTime) -> Result<(), Denied> {
        let settings = self.settings.as_ref().ok_or(Denied::Unknown)?;
        if self.row.revoked_at.is_some() {
            return Err(Denied::Revoked);
        }
        if settings.expires_at.is_some_and(|end| end <= now) {
            return Err(Denied::Expired);
        }
        Ok(())
    }

    /// One more request.
    pub(super) fn request(&self, now: Instant) -> Result<(), Denied> {
        let taken = self
            .bucket
            .as_ref()
            .map_or(Ok(()), |bucket| bucket.take(now));
        taken.map_err(|retry_after| Denied::Rate { retry_after })
    }

    /// The last request stands for `more` others.
    pub(super) fn charge(&self, more: u32, now: Instant) {
        if let Some(bucket) = &self.bucket {
            bucket.charge(more, now);
        }
    }

    fn concurrency(&self) -> Option<NonZeroU32> {
        self.settings
            .as_ref()
            .and_then(|settings| settings.concurrency)
    }

    fn expected_wait(&self, limit: NonZeroU32) -> Duration {
        let mean = Duration::from_micros(self.mean_run_us.load(Ordering::Relaxed));
        (mean / limit.get()).clamp(*RETRY_AFTER.start(), *RETRY_AFTER.end())
    }
}

/// A run in progress, counted against its key until this is dropped.
#[derive(Debug)]
pub struct InProgress {
    key: Option<Arc<LiveKey>>,
    since: Instant,
}

impl InProgress {
    pub(super) fn begin(key: Option<&Arc<LiveKey>>) -> Result<Self, Denied> {
        let since = Instant::now();
        let Some(key) = key else {
            return Ok(Self { key: None, since });
        };
        let limit = key.concurrency();
        let most = limit.map_or(u32::MAX, NonZeroU32::get);
        let below = |running: u32| (running < most).then(|| running + 1);
        let counted = key
            .running
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, below);
        match (counted, limit) {
            (Err(_), Some(limit)) => Err(Denied::Concurrency {
                limit,
                retry_after: key.expected_wait(limit),
            }),
            // Without a limit the count ends at 2^32.
            (Err(_), None) => Ok(Self { key: None, since }),
            (Ok(_), _) => Ok(Self {
                key: Some(Arc::clone(key)),
                since,
            }),
        }
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        let Some(key) = &self.key else {
            return;
        };
        key.running.fetch_sub(1, Ordering::Relaxed);
        let took = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        // Two that end at once may lose one of them, which a mean can bear.
        let mean = key.mean_run_us.load(Ordering::Relaxed);
        let mean = match mean {
            0 => took,
            mean => mean - mean / MEAN_OVER + took / MEAN_OVER,
        };
        key.mean_run_us.store(mean, Ordering::Relaxed);
    }
}
