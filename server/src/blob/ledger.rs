//! Room on the disk: what is stored, and what uploads in progress were promised.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::BlobsConfig;
use crate::store::{Owner, Usage};

/// What a blob counts for beyond its bytes: a directory entry, an inode, a row, rounding to blocks.
const OVERHEAD_BYTES: u64 = 4096;

/// What a blob of `bytes` counts for.
pub(super) fn charge(bytes: u64) -> u64 {
    bytes.saturating_add(OVERHEAD_BYTES)
}

/// The books.
#[derive(Debug)]
pub(super) struct Ledger {
    config: BlobsConfig,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    /// Files on disk and their bytes.
    stored: Usage,
    reserved_bytes: u64,
    uploads: usize,
    owners: HashMap<Owner, InProgress>,
}

#[derive(Debug, Default)]
struct InProgress {
    uploads: usize,
    reserved_bytes: u64,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// The owner's quota is used up.
    Owner,
    /// All room is.
    Disk,
}

/// An upload's place and the room it was promised. Both are given back when it is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    ledger: Arc<Ledger>,
    owner: Owner,
    /// What the owner's other blobs left of the quota.
    owner_left_bytes: u64,
    bytes: u64,
}

impl Ledger {
    pub(super) fn new(config: BlobsConfig) -> Self {
        Self {
            config,
            books: Mutex::default(),
        }
    }

    /// A place for an upload of `owner`, whose blobs are `usage` now. `None`: there are too many.
    pub(super) fn begin(self: &Arc<Self>, owner: Owner, usage: Usage) -> Option<Reservation> {
        let mut books = self.books();
        let in_progress = books.owners.get(&owner).map_or(0, |o| o.uploads);
        // Without keys everybody is one owner.
        let most = match owner {
            Some(_) => self.config.max_uploads_per_key,
            None => self.config.max_uploads,
        };
        if books.uploads >= self.config.max_uploads || in_progress >= most {
            return None;
        }
        books.uploads += 1;
        books.owners.entry(owner).or_default().uploads += 1;
        let used = charged(usage);
        Some(Reservation {
            ledger: Arc::clone(self),
            owner,
            owner_left_bytes: self.config.max_bytes_per_key.saturating_sub(used),
            bytes: 0,
        })
    }

    /// A file was added.
    pub(super) fn stored(&self, bytes: u64) {
        let mut books = self.books();
        books.stored.blobs += 1;
        books.stored.bytes += bytes;
    }

    /// A file was removed.
    pub(super) fn removed(&self, bytes: u64) {
        let mut books = self.books();
        books.stored.blobs = books.stored.blobs.saturating_sub(1);
        books.stored.bytes = books.stored.bytes.saturating_sub(bytes);
    }

    /// The files on disk.
    pub(super) fn usage(&self) -> Usage {
        self.books().stored
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn charged(usage: Usage) -> u64 {
    let overhead = usage.blobs.saturating_mul(OVERHEAD_BYTES);
    usage.bytes.saturating_add(overhead)
}

impl Reservation {
    /// Makes sure that there is room for a blob of `bytes`.
    pub(super) fn grow(&mut self, bytes: u64) -> Result<(), NoRoom> {
        let wanted = charge(bytes);
        let more = wanted.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let mut books = self.ledger.books();
        let disk = charged(books.stored).saturating_add(books.reserved_bytes);
        let owner = books.owners.entry(self.owner).or_default();
        if owner.reserved_bytes.saturating_add(more) > self.owner_left_bytes {
            return Err(NoRoom::Owner);
        }
        if disk.saturating_add(more) > self.ledger.config.max_bytes {
            return Err(NoRoom::Disk);
        }
        owner.reserved_bytes += more;
        books.reserved_bytes += more;
        self.bytes = wanted;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut books = self.ledger.books();
        books.uploads -= 1;
        books.reserved_bytes -= self.bytes;
        if let Some(owner) = books.owners.get_mut(&self.owner) {
            owner.uploads -= 1;
            owner.reserved_bytes -= self.bytes;
            if owner.uploads == 0 {
                books.owners.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn ledger() -> Arc<Ledger> {
        Arc::new(Ledger::new(BlobsConfig {
            max_bytes_per_key: 100_000,
            max_bytes: 150_000,
            max_uploads: 3,
            max_uploads_per_key: 2,
            ..BlobsConfig::default()
        }))
    }

    #[allow(clippy::unnecessary_wraps)] // an owner is an `Option`
    fn key() -> Owner {
        Some(Uuid::now_v7())
    }

    #[test]
    fn uploads_in_progress_share_the_quota() {
        let (ledger, owner) = (ledger(), key());
        let usage = Usage {
            blobs: 1,
            bytes: 20_000,
        };
        let mut first = ledger.begin(owner, usage).unwrap();
        let mut second = ledger.begin(owner, usage).unwrap();
        first.grow(50_000).unwrap();
        assert_eq!(second.grow(30_000), Err(NoRoom::Owner));
        second.grow(10_000).unwrap();
        drop(first);
        second.grow(60_000).unwrap();
        drop(second);
        assert!(ledger.books().owners.is_empty());
        assert_eq!(ledger.books().reserved_bytes, 0);
    }

    #[test]
    fn all_owners_share_the_disk() {
        let ledger = ledger();
        ledger.stored(50_000);
        let mut first = ledger.begin(key(), Usage::default()).unwrap();
        let mut second = ledger.begin(key(), Usage::default()).unwrap();
        first.grow(60_000).unwrap();
        assert_eq!(second.grow(60_000), Err(NoRoom::Disk));
        ledger.removed(50_000);
        second.grow(60_000).unwrap();
    }

    #[test]
    fn growing_asks_for_the_difference_only() {
        let ledger = ledger();
        let mut upload = ledger.begin(None, Usage::default()).unwrap();
        for bytes in [0, 10_000, 50_000, 50_000, 90_000] {
            upload.grow(bytes).unwrap();
        }
        assert_eq!(upload.grow(96_000), Err(NoRoom::Owner));
        assert_eq!(ledger.books().reserved_bytes, charge(90_000));
    }

    #[test]
    fn uploads_are_bounded_per_key_and_in_all() {
        let (ledger, owner) = (ledger(), key());
        let begin = |owner| ledger.begin(owner, Usage::default());
        let held = (begin(owner).unwrap(), begin(owner).unwrap());
        assert!(begin(owner).is_none());
        let other = begin(None).unwrap();
        assert!(begin(key()).is_none());
        drop(held);
        assert!(begin(None).is_some());
        drop(other);
    }
}
