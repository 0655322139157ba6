//! What outlives a request: submissions and their results, webhook deliveries, API keys, who may use
//! which blob, permalinks.
//!
//! [`Store`] is the seam between the service and where it keeps things; `sqlite` is the embedded
//! backend. Its contract is tested by `contract.rs`, which runs against any backend.
//!
//! # What is promised
//!
//! - **Durability.** When a method that changes something resolves with `Ok`, the change is
//!   committed and synced to the disk: it is there after `kill -9` of any process, after a crash of
//!   the kernel and after a power loss, as far as the disk keeps what it said it had synced. A
//!   method that fails changed nothing, with one exception: if the process ends or the caller goes
//!   away before the answer, the change is there whole or not at all.
//! - **Atomicity.** Each call is one transaction: a batch of submissions is accepted whole or not
//!   at all; a final result, the removal of the request and the delivery that is owed appear together.
//! - **Exactly once.** Of all calls of [`Store::finish`] for one submission, concurrent or not, in
//!   one life of the service or over several, exactly one answers `true`, and its result stays.
//! - **Order.** [`Store::pending`] and [`Store::list`] know one order of acceptance. Within a batch it
//!   is that of the batch. Whoever calls `accept` after another call of it has resolved comes later.
//! - **Reading one's writes.** A read that begins after a write has resolved sees it.
//! - **Bounds.** What is stored stays below a configured size. What is finished goes when it is old
//!   or when room is needed, oldest first; what is not finished, or finished with a webhook still
//!   owed, never goes. When only such is left, [`Store::accept`] answers [`StoreError::Full`].
//!
//! A future that is dropped does not take back what it asked for.

mod config;
#[cfg(test)]
mod contract;
mod data_dir;
mod error;
mod metrics;
pub mod sqlite;
mod types;

use futures_util::future::BoxFuture;
use time::OffsetDateTime;
use uuid::Uuid;

pub use self::config::StoreConfig;
pub use self::data_dir::{DataDir, Held};
pub use self::error::{Result, StoreError};
pub(crate) use self::metrics::StoreMetrics;
pub use self::types::{
    Accepted, Attempt, AttemptRecord, Blob, BlobAdded, BlobRemoved, Delivery, Due, Final, Finished,
    Hash, Idempotency, Key, ListQuery, NewBlob, NewDelivery, NewShare, NewSubmission, Next, Owner,
    Page, Pending, Priority, Purged, Remover, Share, SharePut, Stored, StoredState, Usage, Whose,
};

/// What a method of [`Store`] returns.
pub type Answer<'a, T> = BoxFuture<'a, Result<T>>;

/// Where the service keeps what must survive it. Shared as `Arc<dyn Store>`.
///
/// The futures need a tokio runtime. See the [module](self) for what all methods promise.
pub trait Store: Send + Sync {
    /// Takes submissions; one answer for each, in order. All are stored or none.
    ///
    /// An idempotency key is its owner's, and lives as long as the submission that came with it.
    fn accept(&self, batch: Vec<NewSubmission>) -> Answer<'_, Vec<Accepted>>;

    /// Every submission without a final result, in order of acceptance.
    fn pending(&self) -> Answer<'_, Vec<Pending>>;

    /// The request of a submission that has no final result.
    fn request(&self, id: Uuid) -> Answer<'_, Option<Vec<u8>>>;

    /// Gives a submission its final result. `false`: it has one already (or is not known), and
    /// nothing changes.
    fn finish(&self, done: Finished) -> Answer<'_, bool>;

    /// A submission, if there is one of this id that is `whose`.
    fn submission(&self, whose: Whose, id: Uuid) -> Answer<'_, Option<Stored>>;

    /// Submissions, newest first. [`StoreError::BadCursor`] for a cursor that was not
    /// [`Page::next`] of the same query. What is accepted between two pages does not appear on
    /// the later one.
    fn list(&self, query: ListQuery) -> Answer<'_, Page>;

    /// At most `limit` deliveries whose time has come, longest due first, and when the next is due.
    fn due(&self, now: OffsetDateTime, limit: u32) -> Answer<'_, Due>;

    /// How many deliveries are owed: neither made nor given up.
    fn owed(&self) -> Answer<'_, u64>;

    /// Notes that a delivery was tried, and what is next. Does nothing if no delivery is owed.
    fn attempted(&self, attempt: Attempt) -> Answer<'_, ()>;

    /// The attempts to deliver a submission's result, oldest first.
    fn deliveries(&self, submission: Uuid) -> Answer<'_, Vec<AttemptRecord>>;

    /// Stores an API key.
    fn add_key(&self, key: Key) -> Answer<'_, ()>;

    /// All API keys, oldest first, revoked ones too.
    fn keys(&self) -> Answer<'_, Vec<Key>>;

    /// The API key with this hash, revoked or not.
    fn key_by_hash(&self, hash: &Hash) -> Answer<'_, Option<Key>>;

    /// Revokes an API key. `false`: there is none of this id that is not revoked.
    fn revoke_key(&self, id: Uuid, at: OffsetDateTime) -> Answer<'_, bool>;

    /// Notes that an owner may use a blob, if the owner's quota has room for it.
    fn blob_add(&self, blob: NewBlob) -> Answer<'_, BlobAdded>;

    /// An owner's blob.
    fn blob_get(&self, owner: Owner, hash: Hash) -> Answer<'_, Option<Blob>>;

    /// Notes that these blobs of an owner are used, so that they do not expire; for each, whether
    /// the owner has it.
    fn blob_touch(
        &self,
        owner: Owner,
        hashes: Vec<Hash>,
        at: OffsetDateTime,
    ) -> Answer<'_, Vec<bool>>;

    /// Takes a blob from an owner; with `unused_since` only if it was not used from then on.
    fn blob_remove(
        &self,
        owner: Owner,
        hash: Hash,
        unused_since: Option<OffsetDateTime>,
    ) -> Answer<'_, BlobRemoved>;

    /// At most `limit` blobs of all owners, in the order of hash and owner, from the first that comes
    /// after `after`.
    fn blobs(&self, after: Option<(Hash, Owner)>, limit: u32) -> Answer<'_, Vec<Blob>>;

    /// Whether any owner has this blob.
    fn blob_known(&self, hash: Hash) -> Answer<'_, bool>;

    /// What an owner's blobs add up to.
    fn blob_usage(&self, owner: Owner) -> Answer<'_, Usage>;

    /// At most `limit` blobs that were last used before `before`, longest unused first.
    fn blobs_expired(&self, before: OffsetDateTime, limit: u32) -> Answer<'_, Vec<Blob>>;

    /// Keeps a small document for those who know its id. An owner has each document once; what
    /// belongs to nobody is new each time. Beyond [`NewShare::max_bytes`] those that would expire
    /// soonest go, the owner's own first.
    fn put_share(&self, new: NewShare) -> Answer<'_, SharePut>;

    /// A document that has not expired at `now`.
    fn share(&self, id: String, now: OffsetDateTime) -> Answer<'_, Option<Share>>;

    /// Notes that a document was used, from when on it is kept anew.
    fn share_used(&self, id: String, at: OffsetDateTime) -> Answer<'_, ()>;

    /// Removes a document. `false`: there is none of this id that `by` may remove.
    fn remove_share(&self, id: String, by: Remover) -> Answer<'_, bool>;

    /// Writes something of no meaning, to show that the store can be written to.
    fn prove(&self) -> Answer<'_, ()>;

    /// Removes what is too old or too much, and gives the disk its room back.
    fn purge(&self, now: OffsetDateTime) -> Answer<'_, Purged>;
}
