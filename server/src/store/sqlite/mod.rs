//! The embedded backend: one SQLite database in the data directory.
//!
//! One thread writes ([`writer`]), several connections read beside it (WAL). Another process may
//! write too, as `brig keys` does; the two wait for each other.

mod blobs;
mod cursor;
mod deliveries;
mod keys;
mod open;
mod purge;
mod readers;
mod rows;
mod schema;
mod shares;
mod submissions;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;

use futures_util::FutureExt;
use rusqlite::{Connection, ErrorCode};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Accepted, Answer, Attempt, AttemptRecord, Blob, BlobAdded, BlobRemoved, Due, Finished, Hash,
    Key, ListQuery, NewBlob, NewShare, NewSubmission, Owner, Page, Pending, Purged, Remover,
    Result, Share, SharePut, Store, StoreConfig, StoreError, StoreMetrics, Stored, Usage, Whose,
};
pub use open::OpenError;
use readers::Readers;
use writer::Writer;

/// A store in an SQLite database.
pub struct SqliteStore {
    config: StoreConfig,
    secret: cursor::Secret,
    writer: Writer,
    readers: Readers,
}

impl SqliteStore {
    /// Opens the database at `path`, makes it, or brings it to the newest schema.
    pub fn open(path: &Path, config: &StoreConfig) -> std::result::Result<Self, OpenError> {
        Self::open_measured(path, config, StoreMetrics::default())
    }

    /// As [`SqliteStore::open`], with what is measured.
    pub(crate) fn open_measured(
        path: &Path,
        config: &StoreConfig,
        metrics: StoreMetrics,
    ) -> std::result::Result<Self, OpenError> {
        let conn = open::writer(path)?;
        let secret = conn.query_row("SELECT cursor_secret FROM facts", [], |row| row.get(0))?;
        Ok(Self {
            config: config.clone(),
            secret,
            readers: Readers::open(path)?,
            writer: Writer::start(conn, metrics)?,
        })
    }

    fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Answer<'_, T> {
        self.writer.write(change).boxed()
    }

    fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Answer<'_, T> {
        self.readers.read(look).boxed()
    }
}

/// What an error of SQLite means for a caller.
#[allow(clippy::needless_pass_by_value)] // for map_err
fn fault(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::TooBig) => StoreError::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::corrupt(error),
        _ => StoreError::unavailable(error),
    }
}

impl Store for SqliteStore {
    fn accept(&self, batch: Vec<NewSubmission>) -> Answer<'_, Vec<Accepted>> {
        let config = self.config.clone();
        self.write(move |conn| submissions::accept(conn, &config, batch))
    }

    fn pending(&self) -> Answer<'_, Vec<Pending>> {
        self.read(submissions::pending)
    }

    fn request(&self, id: Uuid) -> Answer<'_, Option<Vec<u8>>> {
        self.read(move |conn| submissions::request(conn, id))
    }

    fn finish(&self, done: Finished) -> Answer<'_, bool> {
        self.write(move |conn| submissions::finish(conn, &done))
    }

    fn submission(&self, whose: Whose, id: Uuid) -> Answer<'_, Option<Stored>> {
        self.read(move |conn| submissions::one(conn, whose, id))
    }

    fn list(&self, query: ListQuery) -> Answer<'_, Page> {
        let secret = self.secret;
        self.read(move |conn| submissions::list(conn, &secret, &query))
    }

    fn due(&self, now: OffsetDateTime, limit: u32) -> Answer<'_, Due> {
        self.read(move |conn| deliveries::due(conn, now, limit))
    }

    fn owed(&self) -> Answer<'_, u64> {
        self.read(deliveries::owed)
    }

    fn attempted(&self, attempt: Attempt) -> Answer<'_, ()> {
        self.write(move |conn| deliveries::attempted(conn, &attempt))
    }

    fn deliveries(&self, submission: Uuid) -> Answer<'_, Vec<AttemptRecord>> {
        self.read(move |conn| deliveries::of(conn, submission))
    }

    fn add_key(&self, key: Key) -> Answer<'_, ()> {
        self.write(move |conn| keys::add(conn, &key))
    }

    fn keys(&self) -> Answer<'_, Vec<Key>> {
        self.read(keys::all)
    }

    fn key_by_hash(&self, hash: &Hash) -> Answer<'_, Option<Key>> {
        let hash = *hash;
        self.read(move |conn| keys::by_hash(conn, &hash))
    }

    fn revoke_key(&self, id: Uuid, at: OffsetDateTime) -> Answer<'_, bool> {
        self.write(move |conn| keys::revoke(conn, id, at))
    }

    fn blob_add(&self, blob: NewBlob) -> Answer<'_, BlobAdded> {
        self.write(move |conn| blobs::add(conn, &blob))
    }

    fn blob_get(&self, owner: Owner, hash: Hash) -> Answer<'_, Option<Blob>> {
        self.read(move |conn| blobs::get(conn, owner, &hash))
    }

    fn blob_touch(
        &self,
        owner: Owner,
        hashes: Vec<Hash>,
        at: OffsetDateTime,
    ) -> Answer<'_, Vec<bool>> {
        self.write(move |conn| blobs::touch(conn, owner, &hashes, at))
    }

    fn blob_remove(
        &self,
        owner: Owner,
        hash: Hash,
        unused_since: Option<OffsetDateTime>,
    ) -> Answer<'_, BlobRemoved> {
        self.write(move |conn| blobs::remove(conn, owner, &hash, unused_since))
    }

    fn blobs(&self, after: Option<(Hash, Owner)>, limit: u32) -> Answer<'_, Vec<Blob>> {
        self.read(move |conn| blobs::all(conn, after, limit))
    }

    fn blob_known(&self, hash: Hash) -> Answer<'_, bool> {
        self.read(move |conn| blobs::known(conn, &hash))
    }

    fn blob_usage(&self, owner: Owner) -> Answer<'_, Usage> {
        self.read(move |conn| blobs::usage(conn, owner))
    }

    fn blobs_expired(&self, before: OffsetDateTime, limit: u32) -> Answer<'_, Vec<Blob>> {
        self.read(move |conn| blobs::expired(conn, before, limit))
    }

    fn put_share(&self, new: NewShare) -> Answer<'_, SharePut> {
        let config = self.config.clone();
        self.write(move |conn| shares::put(conn, &config, &new))
    }

    fn share(&self, id: String, now: OffsetDateTime) -> Answer<'_, Option<Share>> {
        self.read(move |conn| shares::get(conn, &id, now))
    }

    fn share_used(&self, id: String, at: OffsetDateTime) -> Answer<'_, ()> {
        self.write(move |conn| shares::used(conn, &id, at))
    }

    fn remove_share(&self, id: String, by: Remover) -> Answer<'_, bool> {
        self.write(move |conn| shares::remove(conn, &id, by))
    }

    fn prove(&self) -> Answer<'_, ()> {
        self.write(|conn| {
            // SQLite writes a row that stays as it is like any other.
            let same = "UPDATE facts SET unfinished_bytes = unfinished_bytes";
            conn.execute(same, []).map(drop).map_err(fault)
        })
    }

    fn purge(&self, now: OffsetDateTime) -> Answer<'_, Purged> {
        self.purge_in_steps(now).boxed()
    }
}
