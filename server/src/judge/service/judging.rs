//! Judging one submission, from what the store has of it to its stored result.

use std::sync::Arc;
use std::time::Instant;

use time::OffsetDateTime;
use tracing::Instrument;
use uuid::Uuid;

use super::Judging;
use super::accept::Kept;
use crate::api::parse::parse;
use crate::api::{FieldError, Submission, SubmissionRequest, Verdict};
use crate::judge::board::Board;
use crate::judge::document::metadata;
use crate::judge::drive::Stopped;
use crate::judge::live::Live;
use crate::judge::patience::Patience;
use crate::judge::task::Task;
use crate::judge::{document, drive};
use crate::store::{Final, Finished, NewDelivery, Pending, StoreError, Stored, Whose};
use crate::telemetry;

/// What the store has of a submission that is next.
enum Found {
    /// Its request, and what is shown of it.
    Whole(Kept, Stored),
    /// It has its result.
    Over,
    /// It was not to be had before the service drained; the next one will judge it.
    Left,
}

impl Judging {
    /// Judges one that is next.
    pub(super) async fn judge(&self, pending: Pending) {
        let begun = Instant::now();
        match self.read(&pending).await {
            Ok(Found::Whole(kept, stored)) => {
                let span = tracing::error_span!("submission", submission = %pending.id);
                telemetry::adopt(&span, kept.trace.as_deref());
                let judged = self.judge_kept(&pending, kept, &stored, begun);
                judged.instrument(span).await;
            }
            Ok(Found::Over) => {}
            Ok(Found::Left) => {
                self.0.lock().waiting.put_back(pending);
                return;
            }
            Err(stopped) => {
                self.give_up(&pending, &stopped).await;
            }
        }
        let mut state = self.0.lock();
        state.waiting.ended(&pending);
        state.note_time(begun.elapsed());
        state.remember_ended(pending.id);
        drop(state);
        self.0.wake.notify_one();
    }

    async fn judge_kept(&self, pending: &Pending, kept: Kept, stored: &Stored, begun: Instant) {
        let waited = (OffsetDateTime::now_utc() - stored.created_at).try_into();
        let metrics = &self.0.parts.metrics.judging;
        metrics.begun(pending.priority, waited.unwrap_or_default());
        telemetry::waited("queue", stored.created_at.into());
        let live = self.live(pending);
        let (task, document) = match self.prepared(pending, kept, stored) {
            Ok(prepared) => prepared,
            Err(stopped) => {
                self.give_up(pending, &stopped).await;
                return;
            }
        };
        live.begin(document);
        let work = self.0.means.judge(&live, pending.owner, &task);
        let result = tokio::select! {
            result = work => result,
            () = live.cancelled() => Err(cancelled()),
        };
        self.conclude(&live, pending, result, &task, begun).await;
    }

    /// The submission as it was accepted, however long the store takes to give it.
    async fn read(&self, pending: &Pending) -> Result<Found, Stopped> {
        let live = self.live(pending);
        let mut patience = self.patience();
        let (request, stored) = loop {
            match self.read_once(pending.id).await {
                Ok(Some(whole)) => break whole,
                Ok(None) => return Ok(Found::Over),
                Err(error) => tokio::select! {
                    biased;
                    () = live.cancelled() => return Err(cancelled()),
                    () = self.0.drained() => return Ok(Found::Left),
                    () = patience.after(pending.id, &error) => {}
                },
            }
        };
        let kept = serde_json::from_slice(&request);
        let kept = kept.map_err(|error| unusable(&error.to_string()))?;
        Ok(Found::Whole(kept, stored))
    }

    /// The request and what is shown; `None` if it has its result.
    async fn read_once(&self, id: Uuid) -> Result<Option<(Vec<u8>, Stored)>, StoreError> {
        let store = &self.0.parts.store;
        let request = store.request(id).await?;
        let stored = store.submission(Whose::Anyone, id).await?;
        Ok(request.zip(stored))
    }

    /// What is to be judged, and the document that shows it.
    fn prepared(
        &self,
        pending: &Pending,
        kept: Kept,
        stored: &Stored,
    ) -> Result<(Arc<Task>, Submission), Stopped> {
        let parsed = parse::<SubmissionRequest>(kept.request.get().as_bytes());
        let parsed = parsed.map_err(|error| unusable(&error.to_string()))?;
        let listed = |errors: &[FieldError]| {
            let all = errors
                .iter()
                .map(|e| format!("{}: {}", e.pointer, e.detail));
            all.collect::<Vec<_>>().join("; ")
        };
        let value = parsed
            .value
            .ok_or_else(|| unusable(&listed(&parsed.errors)))?;
        let task = self.check(pending.owner, kept.maxima, value, parsed.errors);
        let task = task.map_err(|errors| unusable(&listed(&errors)))?;
        let metadata = metadata(&kept.request);
        let mut document = self.document(pending.id, &task, metadata, stored.created_at);
        document.started_at = Some(OffsetDateTime::now_utc());
        Ok((Arc::new(task), document))
    }

    /// Stores the result of one that was begun, and tells everybody.
    async fn conclude(
        &self,
        live: &Live,
        pending: &Pending,
        result: Result<Board, Stopped>,
        task: &Task,
        begun: Instant,
    ) {
        let mut verdict = Verdict::InternalError;
        let document = live.conclude(|document| {
            drive::conclude(document, result, task);
            verdict = document.verdict.unwrap_or(verdict);
        });
        let document = document.and_then(|document| serde_json::to_vec(&document).ok());
        let document = document.unwrap_or_default();
        let delivery = task.callback.clone();
        self.finish(pending, verdict, document.clone(), delivery, Some(begun))
            .await;
        live.end(&document);
    }

    /// Stores the result of one that was not begun, and tells everybody who waits.
    pub(super) async fn give_up(&self, pending: &Pending, stopped: &Stopped) -> Vec<u8> {
        let mut patience = self.patience();
        let found = loop {
            match self.read_once(pending.id).await {
                Ok(found) => break found,
                Err(error) => patience.after(pending.id, &error).await,
            }
        };
        let (delivery, before) = match found {
            Some((request, stored)) => (self.owed(&request), stored.document),
            // Somebody else's result stays.
            None => (None, Vec::new()),
        };
        let document = document::given_up(&before, stopped.verdict, &stopped.message);
        self.finish(pending, stopped.verdict, document.clone(), delivery, None)
            .await;
        if let Some(live) = self.0.lock().lives.get(&pending.id) {
            live.end(&document);
        }
        document
    }

    /// The callback that an unjudged submission asked for, if `request` can still be understood.
    fn owed(&self, request: &[u8]) -> Option<NewDelivery> {
        let kept: Kept = serde_json::from_slice(request).ok()?;
        let parsed = parse::<SubmissionRequest>(kept.request.get().as_bytes()).ok()?;
        self.callback(parsed.value?.callback.as_deref()).ok()?
    }

    /// Stores a result, however long that takes: without it all would be judged again. `begun` is when
    /// judging began, if it did.
    async fn finish(
        &self,
        pending: &Pending,
        verdict: Verdict,
        document: Vec<u8>,
        delivery: Option<NewDelivery>,
        begun: Option<Instant>,
    ) {
        let owed = delivery.is_some();
        if owed {
            telemetry::remember(pending.id);
        }
        let done = Finished {
            id: pending.id,
            state: match verdict {
                Verdict::Cancelled => Final::Cancelled,
                _ => Final::Finished,
            },
            verdict: verdict.as_str().to_owned(),
            document,
            at: OffsetDateTime::now_utc(),
            delivery,
        };
        let mut patience = self.patience();
        loop {
            match self.0.parts.store.finish(done.clone()).await {
                Ok(new) => {
                    if owed {
                        self.0.parts.webhooks.wake();
                    }
                    if new {
                        let took = begun.map(|begun| begun.elapsed());
                        let metrics = &self.0.parts.metrics.judging;
                        metrics.finished(pending.priority, verdict, took);
                    }
                    tracing::info!(submission = %pending.id, verdict = verdict.as_str(), "submission finished");
                    return;
                }
                Err(error) => patience.after(pending.id, &error).await,
            }
        }
    }

    fn patience(&self) -> Patience<'_> {
        Patience::new(&self.0.parts.metrics.judging)
    }

    fn live(&self, pending: &Pending) -> Arc<Live> {
        let live = || Arc::new(Live::new(pending.id, pending.owner));
        let mut state = self.0.lock();
        Arc::clone(state.lives.entry(pending.id).or_insert_with(live))
    }
}

fn unusable(why: &str) -> Stopped {
    Stopped {
        verdict: Verdict::InternalError,
        message: format!("the submission cannot be judged any more: {why}"),
    }
}

pub(super) fn cancelled() -> Stopped {
    Stopped {
        verdict: Verdict::Cancelled,
        message: "cancelled".to_owned(),
    }
}
