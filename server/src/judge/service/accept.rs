//! Taking submissions: what was checked is stored, and then stands in line.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use tracing::Instrument;
use uuid::Uuid;

use super::Judging;
use crate::api::{CallbackRequest, FieldError, Submission, SubmissionRequest};
use crate::auth::KeyLimits;
use crate::judge::document;
use crate::judge::document::metadata;
use crate::judge::task::Task;
use crate::judge::validate::{Bounds, validate};
use crate::judge::waiting::NoRoom;
use crate::run::Terms;
use crate::store::{Accepted, Idempotency, NewDelivery, NewSubmission, Owner, Pending, StoreError};
use crate::telemetry;

/// A submission that was checked.
#[derive(Debug)]
pub struct New {
    /// As it came.
    pub request: Box<RawValue>,
    /// How far it may go, beside the maxima of its language.
    pub maxima: KeyLimits,
    /// What it asks for.
    pub task: Task,
    /// What makes a repetition known as one.
    pub idempotency: Option<Idempotency>,
}

/// What became of a new submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is, or was before, accepted under this id.
    Accepted(Uuid),
    /// Its idempotency key belongs to another one.
    Conflict,
}

/// Why submissions were not taken.
#[derive(Debug, thiserror::Error)]
pub enum Untaken {
    /// Too many wait.
    #[error("the queue of submissions is full")]
    Full {
        /// When to come again.
        retry_after: Duration,
    },
    /// Too many of the same key wait.
    #[error("this key has as many submissions without a result as it may")]
    OwnerFull {
        /// When to come again.
        retry_after: Duration,
    },
    /// The store did not take them.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A request as it is stored.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) maxima: KeyLimits,
    pub(super) request: Box<RawValue>,
    /// The trace of the request that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trace: Option<String>,
}

impl Judging {
    /// Checks a request of `owner`'s, which may go as far as `maxima`. What is wrong is in the errors.
    pub fn check(
        &self,
        owner: Owner,
        maxima: KeyLimits,
        request: SubmissionRequest,
        errors: Vec<FieldError>,
    ) -> Result<Task, Vec<FieldError>> {
        let parts = &self.0.parts;
        let catalog = parts.catalog.get();
        let terms = Terms {
            owner,
            catalog: &catalog,
            config: &parts.runs,
            maxima,
            max_output_bytes: parts.config.max_output_bytes,
            live: None,
        };
        let bounds = Bounds {
            max_tests: parts.config.max_tests,
            max_groups: parts.config.max_groups,
            workers: parts.workers,
        };
        let callback = self.callback(request.callback.as_deref());
        let mut task = validate(request, &terms, bounds, errors)?;
        task.callback = callback.map_err(|error| vec![error])?;
        Ok(task)
    }

    pub(super) fn callback(
        &self,
        request: Option<&CallbackRequest>,
    ) -> Result<Option<NewDelivery>, FieldError> {
        let Some(CallbackRequest { url, secret_id }) = request else {
            return Ok(None);
        };
        let webhooks = &self.0.parts.webhooks;
        webhooks
            .check("/callback", url, secret_id.as_deref())
            .map(Some)
    }

    /// Takes submissions, all or none; they are safe when this resolves.
    pub async fn accept(
        &self,
        owner: Owner,
        max_of_owner: Option<NonZeroU32>,
        batch: Vec<New>,
    ) -> Result<Vec<Taken>, Untaken> {
        let count = batch.len();
        self.reserve(owner, max_of_owner, count)?;
        let (this, trace) = (self.clone(), telemetry::current());
        let accepting = async move { this.store_all(owner, batch, trace).await };
        // Goes on if the caller goes away: what the store has taken must also be judged.
        let accepting = tokio::spawn(accepting.in_current_span());
        accepting
            .await
            .map_err(|error| Untaken::Store(StoreError::unavailable(error)))?
    }

    fn reserve(
        &self,
        owner: Owner,
        max_of_owner: Option<NonZeroU32>,
        count: usize,
    ) -> Result<(), Untaken> {
        let max = self.0.parts.config.max_queued;
        let max_of_owner = max_of_owner.map(|n| usize::try_from(n.get()).unwrap_or(usize::MAX));
        let mut state = self.0.lock();
        let reserved = state.waiting.reserve(owner, count, max, max_of_owner);
        reserved.map_err(|full| {
            let retry_after = state.retry_after(self.0.parts.workers);
            match full {
                NoRoom::All => Untaken::Full { retry_after },
                NoRoom::Owner => Untaken::OwnerFull { retry_after },
            }
        })
    }

    async fn store_all(
        &self,
        owner: Owner,
        batch: Vec<New>,
        trace: Option<String>,
    ) -> Result<Vec<Taken>, Untaken> {
        let parts = &self.0.parts;
        let count = batch.len();
        let batch = batch.into_iter();
        let batch: Vec<_> = batch
            .map(|new| self.row(owner, new, trace.clone()))
            .collect();
        let pending: Vec<_> = batch.iter().map(pending).collect();
        let accepted = match parts.store.accept(batch).await {
            Ok(accepted) => accepted,
            Err(error) => {
                self.0.lock().waiting.release(owner, count);
                return Err(error.into());
            }
        };
        let mut state = self.0.lock();
        let mut taken = Vec::with_capacity(count);
        for (pending, accepted) in pending.into_iter().zip(accepted) {
            taken.push(match accepted {
                Accepted::New => {
                    let id = pending.id;
                    state.waiting.push(pending);
                    Taken::Accepted(id)
                }
                Accepted::Same(earlier) => {
                    state.waiting.release(owner, 1);
                    Taken::Accepted(earlier)
                }
                Accepted::Conflict => {
                    state.waiting.release(owner, 1);
                    Taken::Conflict
                }
            });
        }
        drop(state);
        self.0.wake.notify_one();
        Ok(taken)
    }

    fn row(&self, owner: Owner, new: New, trace: Option<String>) -> NewSubmission {
        let id = Uuid::now_v7();
        let created_at = OffsetDateTime::now_utc();
        let document = self.document(id, &new.task, metadata(&new.request), created_at);
        let request = Kept {
            maxima: new.maxima,
            request: new.request,
            trace,
        };
        NewSubmission {
            id,
            owner,
            priority: new.task.priority,
            // Nothing of it can fail to be JSON.
            document: serde_json::to_vec(&document).unwrap_or_default(),
            request: serde_json::to_vec(&request).unwrap_or_default(),
            idempotency: new.idempotency,
            created_at,
        }
    }

    pub(super) fn document(
        &self,
        id: Uuid,
        task: &Task,
        metadata: Option<Box<RawValue>>,
        created_at: OffsetDateTime,
    ) -> Submission {
        document::queued(id, task, metadata, &self.0.parts.degraded, created_at)
    }
}

fn pending(new: &NewSubmission) -> Pending {
    Pending {
        id: new.id,
        owner: new.owner,
        priority: new.priority,
        bytes: new.request.len() as u64,
    }
}
