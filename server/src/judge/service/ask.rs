//! What can be asked about a submission that was taken, and its end.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::Judging;
use super::judging::cancelled;
use crate::judge::document;
use crate::judge::live::Live;
use crate::store::{ListQuery, Owner, Page, Pending, StoreError, Stored, StoredState, Whose};

/// What became of a wish to cancel.
#[derive(Debug)]
pub enum Cancelled {
    /// It is cancelled; the submission as it is shown.
    Now(Vec<u8>),
    /// It had its result already.
    TooLate,
    /// There is no such submission.
    Unknown,
}

/// How a submission can be watched.
pub enum Followed {
    /// It waits, is judged, or has just ended.
    Live(Arc<Live>),
    /// It has ended; it as JSON.
    Ended(Vec<u8>),
    /// There is none.
    Unknown,
}

impl Judging {
    /// Cancels a submission that `whose` may see. Resolves when it has ended.
    pub async fn cancel(&self, whose: Whose, id: Uuid) -> Result<Cancelled, StoreError> {
        let Some(stored) = self.0.parts.store.submission(whose, id).await? else {
            return Ok(Cancelled::Unknown);
        };
        if stored.state != StoredState::Queued {
            return Ok(Cancelled::TooLate);
        }
        let pending = pending_of(&stored);
        let (waits, live) = {
            let mut state = self.0.lock();
            let waits = pending.as_ref().is_some_and(|p| state.waiting.remove(p));
            (waits, state.lives.get(&id).cloned())
        };
        if let Some(pending) = pending.filter(|_| waits) {
            let document = self.give_up(&pending, &cancelled()).await;
            let mut state = self.0.lock();
            state.waiting.release(pending.owner, 1);
            state.remember_ended(id);
            return Ok(Cancelled::Now(document));
        }
        if let Some(live) = live {
            live.cancel();
            live.ended().await;
        }
        let stored = self.0.parts.store.submission(whose, id).await?;
        Ok(match stored {
            Some(stored) if stored.state == StoredState::Cancelled => {
                Cancelled::Now(stored.document)
            }
            _ => Cancelled::TooLate,
        })
    }

    /// A submission as it stands, as JSON.
    pub async fn show(&self, whose: Whose, id: Uuid) -> Result<Option<Vec<u8>>, StoreError> {
        let live = self.0.lock().lives.get(&id).cloned();
        let live = live.filter(|live| sees(whose, live.owner()));
        // Once it has ended the store knows more.
        let live = live.filter(|live| !live.has_ended());
        if let Some(document) = live.and_then(|live| live.document()) {
            return Ok(Some(document));
        }
        let Some(stored) = self.0.parts.store.submission(whose, id).await? else {
            return Ok(None);
        };
        self.with_deliveries(stored).await.map(Some)
    }

    /// The document of a stored submission, and how its callback fares.
    async fn with_deliveries(&self, stored: Stored) -> Result<Vec<u8>, StoreError> {
        let url = document::callback(&stored.document);
        let (Some(url), Some(finished_at)) = (url, stored.finished_at) else {
            return Ok(stored.document);
        };
        let records = self.0.parts.store.deliveries(stored.id).await?;
        let report = self.0.parts.webhooks.report(&url, finished_at, &records);
        Ok(document::with_callback(&stored.document, &report))
    }

    /// Somebody to watch a submission with: [`Followed::Live`] until a while after its end.
    pub async fn follow(&self, whose: Whose, id: Uuid) -> Result<Followed, StoreError> {
        if let Some(live) = self.0.lock().lives.get(&id).cloned() {
            return Ok(if sees(whose, live.owner()) {
                Followed::Live(live)
            } else {
                Followed::Unknown
            });
        }
        let Some(stored) = self.0.parts.store.submission(whose, id).await? else {
            return Ok(Followed::Unknown);
        };
        if stored.state != StoredState::Queued {
            return Ok(Followed::Ended(stored.document));
        }
        let live = {
            let mut state = self.0.lock();
            let live = || Arc::new(Live::new(id, stored.owner));
            Arc::clone(state.lives.entry(id).or_insert_with(live))
        };
        // It may have ended between the two looks, with nobody to tell.
        let now = self.0.parts.store.submission(whose, id).await?;
        match now {
            Some(stored) if stored.state != StoredState::Queued => {
                live.end(&stored.document);
                self.0.lock().remember_ended(id);
                Ok(Followed::Ended(stored.document))
            }
            _ => Ok(Followed::Live(live)),
        }
    }

    /// Waits for the result of a submission, at most this long; gives it as it stands then. For one that will not be
    /// begun any more it is no use to wait.
    pub async fn wait(
        &self,
        whose: Whose,
        id: Uuid,
        at_most: Duration,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        if let Followed::Live(live) = self.follow(whose, id).await? {
            let no_use = async {
                self.0.drained().await;
                if live.has_begun() {
                    pending::<()>().await;
                }
            };
            tokio::select! {
                _ = tokio::time::timeout(at_most, live.ended()) => {}
                () = no_use => {}
            }
        }
        self.show(whose, id).await
    }

    /// Submissions, newest first, as they were stored last.
    pub async fn list(&self, query: ListQuery) -> Result<Page, StoreError> {
        self.0.parts.store.list(query).await
    }
}

/// What stands in line for a stored submission, whichever line that is.
fn pending_of(stored: &Stored) -> Option<Pending> {
    let priority = document::priority(&stored.document)?;
    Some(Pending {
        id: stored.id,
        owner: stored.owner,
        priority,
        bytes: 0,
    })
}

fn sees(whose: Whose, owner: Owner) -> bool {
    match whose {
        Whose::Anyone => true,
        Whose::Of(whose) => whose == owner,
    }
}
