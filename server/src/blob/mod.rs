//! Blobs: bytes that were uploaded once and are referred to by their SHA-256.
//!
//! A blob is a file below `blobs/` in the data directory and, for each owner who uploaded it, a row
//! in the [`Store`]. An owner sees only the blobs that it has a row for; two owners of the same
//! content share the file, and nothing tells them so: uploading what somebody else has takes the
//! same steps as uploading what nobody has.
//!
//! Invariants: a file with its name is whole and synced; a row is added after its file has its name,
//! and the last row goes before the file does. So what a crash can leave is an unfinished file or
//! a file without a row, and [`BlobStore::repair`] removes both. Adding and removing one blob exclude
//! each other ([`Inner::turns`]).
//!
//! A [`BlobPin`] keeps an owner's blobs from being deleted and from expiring while a submission that
//! needs them is waiting.

mod config;
mod files;
mod hash;
mod ledger;
mod metrics;
mod pins;
mod repair;
mod sweep;
mod upload;
pub(crate) mod view;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use time::{Duration, OffsetDateTime};
use tokio::sync::{Mutex, MutexGuard};

pub use config::BlobsConfig;
use files::Files;
pub use hash::{BlobHash, NotAHash};
use ledger::Ledger;
pub(crate) use metrics::BlobMetrics;
pub use pins::BlobPin;
use pins::Pins;
pub use repair::Repaired;
use upload::{Finished, blocking};
pub use upload::{Upload, Uploaded};

use crate::metrics::Metrics;
use crate::store::{Blob, BlobAdded, BlobRemoved, NewBlob, Owner, Store, StoreError};

/// Additions and removals that can happen at once, as long as their hashes differ in this.
const TURNS: usize = 64;
/// A use is noted at most this often.
const NOTE_USE_EVERY: Duration = Duration::hours(1);

/// All blobs. Clones are handles to the same ones.
#[derive(Clone)]
pub struct BlobStore(Arc<Inner>);

struct Inner {
    config: BlobsConfig,
    files: Files,
    rows: Arc<dyn Store>,
    ledger: Arc<Ledger>,
    pins: Arc<Pins>,
    /// Held while a blob is added or removed; by the first byte of its hash.
    turns: [Mutex<()>; TURNS],
    metrics: Arc<Metrics>,
}

/// Why an upload made no blob.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It is too long.
    #[error("the blob is larger than the maximum of {max_bytes} bytes")]
    TooLarge {
        /// The maximum.
        max_bytes: u64,
    },
    /// Its owner has too much.
    #[error(
        "the blobs of one key can be {max_bytes} bytes together; there is not enough room left"
    )]
    OverQuota {
        /// The quota.
        max_bytes: u64,
    },
    /// All owners together have too much.
    #[error("there is no room for more blobs")]
    Full,
    /// There are too many uploads.
    #[error("too many uploads are in progress")]
    Busy,
    /// The content is not what was announced.
    #[error("the content's hash is {actual}, not {expected}")]
    Mismatch {
        /// As announced.
        expected: BlobHash,
        /// As it is.
        actual: BlobHash,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk failed.
    #[error("the blob could not be stored")]
    Io(#[source] io::Error),
}

impl From<io::Error> for UploadError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(error),
        }
    }
}

/// Why blobs were not pinned.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The owner does not have these.
    #[error("there is no such blob: {}", .0.iter().map(BlobHash::to_string).collect::<Vec<_>>().join(", "))]
    Missing(Vec<BlobHash>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a blob that was to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// The owner does not have it any more.
    Gone,
    /// The owner never had it.
    Unknown,
    /// It is needed.
    Pinned,
}

impl BlobStore {
    /// The blobs in the data directory `data`. In rootless mode `view` is a read-only mount of that
    /// directory ([`view::read_only`]): programs have the same user as the files then, and could
    /// make those writable through a descriptor opened in the usual way.
    pub fn open(
        config: BlobsConfig,
        data: &Path,
        view: Option<OwnedFd>,
        rows: Arc<dyn Store>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        Ok(Self(Arc::new(Inner {
            config,
            files: Files::open(data, view)?,
            rows,
            ledger: Arc::new(Ledger::new(config)),
            pins: Arc::default(),
            turns: std::array::from_fn(|_| Mutex::new(())),
            metrics,
        })))
    }

    /// Begins an upload of what should have the hash `expected`, and be `len` bytes, as far as that
    /// is known.
    pub async fn upload(
        &self,
        owner: Owner,
        expected: Option<BlobHash>,
        len: Option<u64>,
    ) -> Result<Upload, UploadError> {
        Upload::begin(self.clone(), owner, expected, len).await
    }

    /// A blob of `owner`'s, which counts as used by this.
    pub async fn get(&self, owner: Owner, hash: BlobHash) -> io::Result<Option<Blob>> {
        let blob = self.rows().blob_get(owner, hash.0).await;
        let Some(blob) = blob.map_err(io::Error::other)? else {
            return Ok(None);
        };
        let now = OffsetDateTime::now_utc();
        if now - blob.used_at > NOTE_USE_EVERY {
            let noted = self.rows().blob_touch(owner, vec![hash.0], now).await;
            noted.map_err(io::Error::other)?;
        }
        Ok(Some(blob))
    }

    /// Opens a blob of `owner`'s for a program to read: nobody can write through the descriptor or
    /// reopen it for writing. [`io::ErrorKind::NotFound`] if the owner does not have it.
    pub async fn open_for(&self, owner: Owner, hash: BlobHash) -> io::Result<OwnedFd> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("there is no {hash}"));
        self.get(owner, hash).await?.ok_or_else(missing)?;
        let this = self.clone();
        let opened = blocking(move || this.0.files.read(hash)).await;
        if opened
            .as_ref()
            .is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
        {
            tracing::error!(%hash, "the file of a blob is gone; a restart repairs the rest");
        }
        opened
    }

    /// Keeps blobs of `owner`'s until the pin is dropped.
    pub async fn pin(&self, owner: Owner, hashes: Vec<BlobHash>) -> Result<BlobPin, PinError> {
        let pin = self.0.pins.add(owner, hashes.clone());
        // Whoever is removing one of them did not see the pin: once it had its turn, it is gone.
        let mut turns: Vec<_> = hashes.iter().map(|hash| turn(*hash)).collect();
        turns.sort_unstable();
        turns.dedup();
        for turn in turns {
            drop(self.0.turns[turn].lock().await);
        }
        let names = hashes.iter().map(|hash| hash.0).collect();
        let now = OffsetDateTime::now_utc();
        let had = self.rows().blob_touch(owner, names, now).await?;
        let missing = hashes.iter().zip(had).filter(|(_, had)| !had);
        let missing: Vec<_> = missing.map(|(hash, _)| *hash).collect();
        if missing.is_empty() {
            Ok(pin)
        } else {
            Err(PinError::Missing(missing))
        }
    }

    /// A pin on a blob that `owner` has, in the store and on disk.
    async fn pin_if_whole(
        &self,
        owner: Owner,
        hash: BlobHash,
    ) -> Result<Option<BlobPin>, UploadError> {
        let pin = match self.pin(owner, vec![hash]).await {
            Ok(pin) => pin,
            Err(PinError::Missing(_)) => return Ok(None),
            Err(PinError::Store(error)) => return Err(error.into()),
        };
        let Some(blob) = self.rows().blob_get(owner, hash.0).await? else {
            return Ok(None);
        };
        let this = self.clone();
        let len = blocking(move || this.0.files.len(hash)).await?;
        Ok((len == Some(blob.bytes)).then_some(pin))
    }

    /// Takes a blob from `owner`. Goes on even if nobody waits for it.
    pub async fn delete(&self, owner: Owner, hash: BlobHash) -> io::Result<Deleted> {
        let this = self.clone();
        let deleted = tokio::spawn(async move { this.remove(owner, hash, None).await });
        deleted.await.map_err(io::Error::other)?
    }

    /// Makes a blob of what was uploaded; `true`: its owner did not have it.
    async fn commit(&self, finished: Finished) -> Result<bool, UploadError> {
        let this = self.clone();
        let committed = tokio::spawn(async move {
            let finished = finished.synced().await?;
            this.commit_synced(finished).await
        });
        committed.await.map_err(io::Error::other)?
    }

    async fn commit_synced(&self, mut finished: Finished) -> Result<bool, UploadError> {
        let Finished {
            owner, hash, bytes, ..
        } = finished;
        let _turn = self.turn(hash).await;
        if let Some(unfinished) = finished.file.take() {
            let this = self.clone();
            if blocking(move || this.0.files.commit(&unfinished, hash)).await? {
                self.0.ledger.stored(bytes);
            }
        }
        let row = NewBlob {
            hash: hash.0,
            owner,
            bytes,
            at: OffsetDateTime::now_utc(),
            quota_bytes: self.0.config.max_bytes_per_key,
        };
        let added = match self.rows().blob_add(row).await {
            Ok(BlobAdded::New) => Ok(true),
            Ok(BlobAdded::Had) => Ok(false),
            Ok(BlobAdded::OverQuota(_)) => Err(UploadError::OverQuota {
                max_bytes: self.0.config.max_bytes_per_key,
            }),
            Err(error) => Err(error.into()),
        };
        if added.is_err() && !self.rows().blob_known(hash.0).await? {
            self.remove_file(hash).await?;
        }
        self.show_size();
        added
    }

    /// Removes a blob of `owner`'s; with `unused_since` only if it was not used from then on.
    async fn remove(
        &self,
        owner: Owner,
        hash: BlobHash,
        unused_since: Option<OffsetDateTime>,
    ) -> io::Result<Deleted> {
        let _turn = self.turn(hash).await;
        if self.0.pins.holds(owner, hash) {
            return Ok(Deleted::Pinned);
        }
        let removed = self.rows().blob_remove(owner, hash.0, unused_since).await;
        match removed.map_err(io::Error::other)? {
            BlobRemoved::Kept => return Ok(Deleted::Unknown),
            BlobRemoved::Shared => {}
            BlobRemoved::Last => self.remove_file(hash).await?,
        }
        Ok(Deleted::Gone)
    }

    async fn remove_file(&self, hash: BlobHash) -> io::Result<()> {
        let this = self.clone();
        if let Some(bytes) = blocking(move || this.0.files.remove(hash)).await? {
            self.0.ledger.removed(bytes);
        }
        self.show_size();
        Ok(())
    }

    async fn turn(&self, hash: BlobHash) -> MutexGuard<'_, ()> {
        self.0.turns[turn(hash)].lock().await
    }

    fn show_size(&self) {
        self.0.metrics.blobs.size(self.0.ledger.usage());
    }

    fn config(&self) -> &BlobsConfig {
        &self.0.config
    }

    fn rows(&self) -> &dyn Store {
        &*self.0.rows
    }

    fn files(&self) -> &Files {
        &self.0.files
    }

    fn ledger(&self) -> &Arc<Ledger> {
        &self.0.ledger
    }
}

impl std::fmt::Debug for BlobStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobStore").finish_non_exhaustive()
    }
}

fn turn(hash: BlobHash) -> usize {
    usize::from(hash.0[0]) % TURNS
}
