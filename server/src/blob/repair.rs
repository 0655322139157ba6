//! Rows and files are brought into agreement at the start.

use std::collections::{BTreeMap, VecDeque};

use super::upload::blocking;
use super::{BlobHash, BlobStore};
use crate::store::{Blob, Hash, Owner, Store};

/// Rows read at once.
const BATCH: u32 = 1024;

/// What was not in agreement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Rows whose file was missing or had another length; they are gone.
    pub rows: u64,
    /// Files without a row; they are gone.
    pub files: u64,
}

impl BlobStore {
    /// Removes rows without their file and files without a row, and counts what is there. To be
    /// called once, before anything else is done with the blobs.
    pub async fn repair(&self) -> anyhow::Result<Repaired> {
        let mut repaired = Repaired::default();
        let mut rows = Rows::new(self.rows());
        for first in 0..=u8::MAX {
            let this = self.clone();
            let mut unclaimed = blocking(move || this.files().list(first)).await?;
            let mut claimed = BTreeMap::new();
            while let Some(row) = rows.next_with(first).await? {
                let hash = BlobHash(row.hash);
                if let Some(bytes) = unclaimed.remove(&hash) {
                    claimed.insert(hash, bytes);
                }
                if claimed.get(&hash) != Some(&row.bytes) {
                    self.rows().blob_remove(row.owner, row.hash, None).await?;
                    tracing::error!(%hash, "a blob's file is missing or damaged; it is gone");
                    repaired.rows += 1;
                    claimed
                        .remove(&hash)
                        .map(|bytes| unclaimed.insert(hash, bytes));
                }
            }
            for bytes in claimed.into_values() {
                self.ledger().stored(bytes);
            }
            repaired.files += unclaimed.len() as u64;
            let this = self.clone();
            let remove = move || {
                unclaimed
                    .into_keys()
                    .try_for_each(|hash| this.files().remove(hash).map(|_| ()))
            };
            blocking(remove).await?;
        }
        self.show_size();
        Ok(repaired)
    }
}

/// All rows, in the order of their hashes.
struct Rows<'a> {
    store: &'a dyn Store,
    batch: VecDeque<Blob>,
    last: Option<(Hash, Owner)>,
    over: bool,
}

impl<'a> Rows<'a> {
    fn new(store: &'a dyn Store) -> Self {
        Self {
            store,
            batch: VecDeque::new(),
            last: None,
            over: false,
        }
    }

    /// The next one, if its hash begins with `first`.
    async fn next_with(&mut self, first: u8) -> crate::store::Result<Option<Blob>> {
        if self.batch.is_empty() && !self.over {
            self.batch = self.store.blobs(self.last, BATCH).await?.into();
            self.last = self.batch.back().map(|blob| (blob.hash, blob.owner));
            self.over = self.batch.is_empty();
        }
        let fits = self.batch.front().is_some_and(|blob| blob.hash[0] == first);
        Ok(if fits { self.batch.pop_front() } else { None })
    }
}
