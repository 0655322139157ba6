//! The judging service: takes submissions, judges them in their turn, and knows how they stand.
//!
//! What is promised is in the store: a submission is there before it is acknowledged, and has its
//! result exactly once. Everything here may be lost at any moment; what had no result by then is
//! judged again from its beginning.
//!
//! Here is what waits and what is known; `accept` takes submissions, `judging` judges one, `ask` answers questions.

mod accept;
mod ask;
mod judging;

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::blob::BlobStore;
use crate::config::RunsConfig;
use crate::judge::config::JudgingConfig;
use crate::judge::drive::Means;
use crate::judge::interactive::Pairs;
use crate::judge::live::Live;
use crate::judge::waiting::Waiting;
use crate::metrics::Metrics;
use crate::run::{CurrentCatalog, Engine};
use crate::store::{Pending, Store, StoreError};
use crate::webhook::Webhooks;

pub use accept::{New, Taken, Untaken};
pub use ask::{Cancelled, Followed};

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
    /// Those that are being judged are left to the next life of the service.
    leaving: watch::Sender<bool>,
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
            leaving: watch::Sender::new(false),
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
                tokio::spawn(async move {
                    tokio::select! {
                        () = this.judge(pending) => {}
                        () = until_set(&this.0.leaving) => {}
                    }
                });
            }
            self.0.wake.notified().await;
        }
    }

    /// From now on none is begun; what waits is judged after the next start.
    pub fn drain(&self) {
        self.0.draining.send_replace(true);
    }

    /// Stops what is being judged where it is; it is judged from its beginning after the next start.
    pub fn leave(&self) {
        self.0.leaving.send_replace(true);
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

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no more are begun.
    async fn drained(&self) {
        until_set(&self.draining).await;
    }
}

/// Waits until `flag` is set.
async fn until_set(flag: &watch::Sender<bool>) {
    // The sender lives as long as it is borrowed.
    let _ = flag.subscribe().wait_for(|set| *set).await;
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
