//! What goes into a store and comes out of it. Times are UTC with the precision of a microsecond.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

/// The id of the API key that something belongs to; `None` when keys are not in use.
pub type Owner = Option<Uuid>;

/// A SHA-256.
pub type Hash = [u8; 32];

/// Whose submissions are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Everybody's.
    Anyone,
    /// One owner's.
    Of(Owner),
}

/// How soon a submission is to be judged.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Somebody waits for it.
    Interactive,
    /// As usual.
    #[default]
    Normal,
    /// When nothing else is to be done: rejudging.
    Bulk,
}

/// A submission to be accepted.
#[derive(Clone, Debug)]
pub struct NewSubmission {
    /// Its id, new.
    pub id: Uuid,
    /// Whose it is.
    pub owner: Owner,
    /// How soon it is to be judged.
    pub priority: Priority,
    /// What judging it needs. Kept until it is finished.
    pub request: Vec<u8>,
    /// The submission as it is shown, queued.
    pub document: Vec<u8>,
    /// What makes a repetition known as one.
    pub idempotency: Option<Idempotency>,
    /// When it came.
    pub created_at: OffsetDateTime,
}

/// What makes a repeated request known as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The client's key.
    pub key: String,
    /// Hash of the request's body.
    pub body_sha256: Hash,
}

/// What became of a new submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is stored.
    New,
    /// Its key came before with the same body: this is the submission of that time.
    Same(Uuid),
    /// Its key came before with another body.
    Conflict,
}

/// A submission without a final result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub owner: Owner,
    /// How soon it is to be judged.
    pub priority: Priority,
    /// Length of its request.
    pub bytes: u64,
}

/// How a submission ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Final {
    /// It was judged.
    Finished,
    /// It was cancelled.
    Cancelled,
}

/// A submission's final result.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The submission.
    pub id: Uuid,
    /// How it ended.
    pub state: Final,
    /// Its verdict.
    pub verdict: String,
    /// The submission as it is shown from now on.
    pub document: Vec<u8>,
    /// When it ended.
    pub at: OffsetDateTime,
    /// Who is to be told.
    pub delivery: Option<NewDelivery>,
}

/// A webhook to be called, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// Where.
    pub url: String,
    /// Which secret signs it.
    pub secret_id: Option<String>,
}

/// Where a stored submission stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredState {
    /// It has no final result.
    Queued,
    /// It was judged.
    Finished,
    /// It was cancelled.
    Cancelled,
}

/// A stored submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub owner: Owner,
    /// Where it stands.
    pub state: StoredState,
    /// The submission as it is shown.
    pub document: Vec<u8>,
    /// When it came.
    pub created_at: OffsetDateTime,
    /// When it ended.
    pub finished_at: Option<OffsetDateTime>,
}

/// Which submissions to list.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// Whose.
    pub whose: Whose,
    /// Only those that stand here.
    pub state: Option<StoredState>,
    /// [`Page::next`] of the page before.
    pub cursor: Option<String>,
    /// At most so many. A page may have fewer although there are more: it is also bounded in
    /// bytes.
    pub limit: u32,
}

/// A part of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// The submissions, newest first.
    pub items: Vec<Stored>,
    /// What to ask for the next page with; `None`: this is the last.
    pub next: Option<String>,
}

/// A webhook that is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The finished submission.
    pub submission: Uuid,
    /// Whose it is.
    pub owner: Owner,
    /// Where to.
    pub url: String,
    /// Which secret signs it.
    pub secret_id: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// Since when it is owed.
    pub since: OffsetDateTime,
    /// When it was or is due.
    pub due: OffsetDateTime,
}

/// Deliveries whose time has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// They, longest due first.
    pub deliveries: Vec<Delivery>,
    /// When the first of all others is due; it may have passed.
    pub next: Option<OffsetDateTime>,
}

/// What is next for a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it has arrived.
    Delivered,
    /// Another attempt at this time.
    Again(OffsetDateTime),
    /// Nothing: it is given up.
    GivenUp,
}

/// An attempt to deliver.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The submission whose result was to be delivered.
    pub submission: Uuid,
    /// The attempt.
    pub record: AttemptRecord,
    /// What is next.
    pub next: Next,
}

/// An attempt to deliver, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// When it began.
    pub at: OffsetDateTime,
    /// How long it took.
    pub duration_ms: u64,
    /// The answer's HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What went wrong, if there was none.
    pub error: Option<String>,
}

/// An API key. The key itself is not stored, only its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its id, by which it owns things.
    pub id: Uuid,
    /// Hash of its secret.
    pub hash: Hash,
    /// What people call it.
    pub name: String,
    /// What it may do, as a document that the store does not read.
    pub settings: Vec<u8>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was revoked.
    pub revoked_at: Option<OffsetDateTime>,
}

/// A blob that an owner is to have.
#[derive(Clone, Debug)]
pub struct NewBlob {
    /// Hash of its bytes.
    pub hash: Hash,
    /// The owner.
    pub owner: Owner,
    /// Its length.
    pub bytes: u64,
    /// When it came.
    pub at: OffsetDateTime,
    /// What the owner's blobs may add up to.
    pub quota_bytes: u64,
}

/// What became of a new blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobAdded {
    /// The owner has it now.
    New,
    /// The owner had it; it counts as used.
    Had,
    /// It does not fit into the owner's quota.
    OverQuota(Usage),
}

/// A blob that an owner has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Hash of its bytes.
    pub hash: Hash,
    /// The owner.
    pub owner: Owner,
    /// Its length.
    pub bytes: u64,
    /// Since when the owner has it.
    pub created_at: OffsetDateTime,
    /// When it was last used.
    pub used_at: OffsetDateTime,
}

/// What became of a blob that was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobRemoved {
    /// Nothing: the owner does not have it, or has used it.
    Kept,
    /// It is gone for this owner; others have it.
    Shared,
    /// It is gone, and nobody has it now.
    Last,
}

/// What an owner's blobs add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many they are.
    pub blobs: u64,
    /// Their lengths together.
    pub bytes: u64,
}

/// A document to be kept for those who know its id.
#[derive(Clone, Debug)]
pub struct NewShare {
    /// Its id, new and not to be guessed.
    pub id: String,
    /// Whose it is.
    pub owner: Owner,
    /// Hash of the document.
    pub hash: Hash,
    /// The document.
    pub document: Vec<u8>,
    /// When it came.
    pub at: OffsetDateTime,
    /// How long it is kept after its last use.
    pub keep: Duration,
    /// Hash of the word that lets its holder remove it.
    pub deletion: Option<Hash>,
    /// What all of them may add up to.
    pub max_bytes: u64,
}

/// Where a document is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharePut {
    /// Its id: the new one, or that of the same document of the same owner.
    pub id: String,
    /// When it goes, if nobody uses it.
    pub expires: OffsetDateTime,
    /// Whether it was not there.
    pub new: bool,
}

/// A document that is kept for those who know its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The document.
    pub document: Vec<u8>,
    /// How long it is kept after its last use.
    pub keep: Duration,
    /// When it goes, if nobody uses it.
    pub expires: OffsetDateTime,
}

/// Who wants to remove a document.
#[derive(Clone, Copy, Debug)]
pub enum Remover {
    /// Who may do so with these.
    Caller(Whose),
    /// Who knows the word with this hash.
    Holder(Hash),
}

/// What a purge removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Finished submissions that were too old.
    pub aged: u64,
    /// Finished submissions that had to make room.
    pub crowded: u64,
    /// Permalinks that had expired.
    pub shares: u64,
}
