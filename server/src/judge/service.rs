//! The judging service: takes submissions, judges them in their turn, and knows how they stand.
//!
//! What is promised is in the store: a submission is there before it is acknowledged, and has its
//! result exactly once. Everything here may be lost at any moment; what had no result by then is
//! judged again from its beginning.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use tokio::sync::{Notify, watch};
use tracing::Instrument;
use uuid::Uuid;

use super::board::Board;
use super::config::JudgingConfig;
use super::document::{self, metadata};
use super::drive::{self, Means, Stopped};
use super::interactive::Pairs;
use super::live::Live;
use super::patience::Patience;
use super::task::Task;
use super::validate::{Bounds, validate};
use super::waiting::{NoRoom, Waiting};
use crate::api::parse::parse;
use crate::api::{CallbackRequest, FieldError, Submission, SubmissionRequest, Verdict};
use crate::auth::KeyLimits;
use crate::blob::BlobStore;
use crate::config::RunsConfig;
use crate::metrics::Metrics;
use crate::run::{CurrentCatalog, Engine, Terms};
use crate::store::{
    Accepted, Final, Finished, Idempotency, ListQuery, NewDelivery, NewSubmission, Owner, Page,
    Pending, Store, StoreError, Stored, StoredState, Whose,
};
use crate::telemetry;
use crate::webhook::Webhooks;

/// Submissions that have ended and are still remembered here, for those who follow them.
const REMEMBERED: usize = 256;
/// Bounds of what a refused caller is told to wait.
const RETRY_AFTER: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_mins(10);

/// The judging service. Clones are handles to the same one.
#[derive(Clone)]
pub struct Judging(Arc<Inner>);

/// What the service is made of.
pub struct Parts {
    /// Runs programs.
    pub engine: Engine,
    /// Keeps submissions.
    pub store: Arc<dyn Store>,
    /// Keeps test data.
    pub blobs: BlobStore,
    /// Languages and policies.
    pub catalog: Arc<CurrentCatalog>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where results are sent.
    pub webhooks: Arc<Webhooks>,
    /// Where outputs wait for a checker.
    pub spool: std::path::PathBuf,
    /// How many workers there are to be.
    pub workers: NonZeroU32,
    /// Its configuration.
    pub config: JudgingConfig,
    /// What programs may bring.
    pub runs: RunsConfig,
    /// Layers that this host does not enforce.
    pub degraded: Vec<String>,
}

struct Inner {
    parts: Parts,
    means: Means,
    state: Mutex<State>,
    /// Somebody waits, or there is room again.
    wake: Notify,
    /// None is begun any more.
    draining: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    waiting: Waiting,
    lives: HashMap<Uuid, Arc<Live>>,
    /// Those in `lives` that have ended, oldest first.
    ended: VecDeque<Uuid>,
    /// What judging one takes, from start to end.
    mean: Option<Duration>,
}

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

/// A request as it is stored.
#[derive(Serialize, Deserialize)]
struct Kept {
    maxima: KeyLimits,
    request: Box<RawValue>,
    /// The trace of the request that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
}

/// What the store has of a submission that is next.
enum Found {
    /// Its request, and what is shown of it.
    Whole(Kept, Stored),
    /// It has its result.
    Over,
    /// It was not to be had before the service drained; the next one will judge it.
    Left,
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

impl Judging {
    /// A service that judges nothing yet.
    pub fn new(parts: Parts) -> Self {
        let means = Means {
            engine: parts.engine.clone(),
            blobs: parts.blobs.clone(),
            spool: parts.spool.clone(),
            config: parts.config,
            pairs: Arc::new(Pairs::default()),
            metrics: Arc::clone(&parts.metrics),
            side_by_side: usize::try_from(parts.workers.get()).unwrap_or(usize::MAX),
        };
        Self(Arc::new(Inner {
            parts,
            means,
            state: Mutex::default(),
            wake: Notify::new(),
            draining: watch::Sender::new(false),
        }))
    }

    /// Takes up what an earlier life of the service left without a result. To be called once, before
    /// anything is accepted.
    pub async fn resume(&self) -> Result<usize, StoreError> {
        let pending = self.0.parts.store.pending().await?;
        let count = pending.len();
        let mut state = self.0.lock();
        for pending in pending {
            state.waiting.count_in(pending.owner, 1);
            state.waiting.push(pending);
        }
        drop(state);
        self.0.wake.notify_one();
        Ok(count)
    }

    /// Judges what waits, for ever.
    pub async fn keep_judging(&self) {
        loop {
            while let Some(pending) = self.next() {
                let this = self.clone();
                tokio::spawn(async move { this.judge(pending).await });
            }
            self.0.wake.notified().await;
        }
    }

    /// From now on none is begun; what waits is judged after the next start.
    pub fn drain(&self) {
        self.0.draining.send_replace(true);
    }

    fn next(&self) -> Option<Pending> {
        let parts = &self.0.parts;
        let workers = usize::try_from(parts.workers.get()).unwrap_or(usize::MAX);
        let limit = match parts.config.active {
            0 => workers.saturating_mul(2),
            active => active,
        };
        if *self.0.draining.borrow() {
            return None;
        }
        let mut state = self.0.lock();
        let next = state.waiting.next(limit)?;
        let live = || Arc::new(Live::new(next.id, next.owner));
        state.lives.entry(next.id).or_insert_with(live);
        Some(next)
    }

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

    fn callback(
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

    fn document(
        &self,
        id: Uuid,
        task: &Task,
        metadata: Option<Box<RawValue>>,
        created_at: OffsetDateTime,
    ) -> Submission {
        document::queued(id, task, metadata, &self.0.parts.degraded, created_at)
    }

    /// Judges one that is next.
    async fn judge(&self, pending: Pending) {
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
    async fn give_up(&self, pending: &Pending, stopped: &Stopped) -> Vec<u8> {
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
                live.end_late(&stored.document);
                self.0.lock().remember_ended(id);
                Ok(Followed::Ended(stored.document))
            }
            _ => Ok(Followed::Live(live)),
        }
    }

    /// Waits for the result of a submission, at most this long; gives it as it stands then.
    pub async fn wait(
        &self,
        whose: Whose,
        id: Uuid,
        at_most: Duration,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        if let Followed::Live(live) = self.follow(whose, id).await? {
            let _ = tokio::time::timeout(at_most, live.ended()).await;
        }
        self.show(whose, id).await
    }

    /// Submissions, newest first, as they were stored last.
    pub async fn list(&self, query: ListQuery) -> Result<Page, StoreError> {
        self.0.parts.store.list(query).await
    }

    /// What tests and batches may have.
    pub fn config(&self) -> &JudgingConfig {
        &self.0.parts.config
    }

    /// Submissions that wait, and that are judged.
    pub fn stats(&self) -> (usize, usize) {
        let state = self.0.lock();
        let active = state.waiting.active();
        (state.waiting.unfinished().saturating_sub(active), active)
    }
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

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no more are begun.
    async fn drained(&self) {
        // The sender lives as long as `self`.
        let _ = self
            .draining
            .subscribe()
            .wait_for(|draining| *draining)
            .await;
    }
}

impl State {
    fn note_time(&mut self, spent: Duration) {
        self.mean = Some(match self.mean {
            Some(mean) => (mean * 7 + spent) / 8,
            None => spent,
        });
    }

    /// When about half of those that wait now will have been judged.
    fn retry_after(&self, workers: NonZeroU32) -> Duration {
        let waiting = u32::try_from(self.waiting.unfinished()).unwrap_or(u32::MAX);
        let mean = self.mean.unwrap_or(*RETRY_AFTER.start());
        let wait = mean.saturating_mul(waiting / 2) / workers.get();
        wait.clamp(*RETRY_AFTER.start(), *RETRY_AFTER.end())
    }

    fn remember_ended(&mut self, id: Uuid) {
        if !self.lives.contains_key(&id) {
            return;
        }
        self.ended.push_back(id);
        while self.ended.len() > REMEMBERED {
            if let Some(oldest) = self.ended.pop_front() {
                self.lives.remove(&oldest);
            }
        }
    }
}

fn unusable(why: &str) -> Stopped {
    Stopped {
        verdict: Verdict::InternalError,
        message: format!("the submission cannot be judged any more: {why}"),
    }
}

fn cancelled() -> Stopped {
    Stopped {
        verdict: Verdict::Cancelled,
        message: "cancelled".to_owned(),
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
