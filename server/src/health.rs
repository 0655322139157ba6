//! Whether code can be run now: proved by running some.
//!
//! Every job that a worker ends properly is a proof. When there was none for a while, a probe asks
//! for one: a job through the same queue, the same workers and the same sandboxes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use brig_sandbox::limits::Limits;
use brig_sandbox::protocol::Job;
use tokio::sync::Notify;

use crate::pool::{Inputs, Pool, Reading, Turn};
use crate::store::Store;

/// Without a proof for this long a probe is run.
const PROBE_AFTER: Duration = Duration::from_secs(10);
/// After a failure the next probe comes this soon.
const PROBE_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// A proof counts for this long, unless all workers are busy.
const PROOF_LASTS: Duration = Duration::from_secs(30);
/// A probe that takes longer has failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);

/// The store is written to this often, and after a failure, to see that it can be.
const STORE_PROBE_EVERY: Duration = Duration::from_secs(5);
const STORE_PROBE_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// A store that takes longer to write a little cannot be written to.
const STORE_PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// What is known of the service's fitness.
#[derive(Debug)]
pub struct Health {
    last: Mutex<Last>,
    /// Why the store cannot be written to, if so.
    store: Mutex<Option<String>>,
    failed: Notify,
}

#[derive(Clone, Debug)]
struct Last {
    proof: Option<Instant>,
    failure: Option<String>,
}

impl Default for Health {
    fn default() -> Self {
        let failure = Some("nothing was run yet".to_owned());
        Self {
            last: Mutex::new(Last {
                proof: None,
                failure,
            }),
            store: Mutex::default(),
            failed: Notify::new(),
        }
    }
}

impl Health {
    // Nothing panics while it holds the lock, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stage was run.
    pub fn proved(&self) {
        let mut last = self.lock();
        if last.failure.is_some() {
            tracing::info!("ready");
        }
        *last = Last {
            proof: Some(Instant::now()),
            failure: None,
        };
    }

    /// A stage could not be run.
    pub fn failed(&self, why: impl Into<String>) {
        let why = why.into();
        let mut last = self.lock();
        if last.failure.as_ref() != Some(&why) {
            tracing::warn!("not ready: {why}");
        }
        last.failure = Some(why);
        self.failed.notify_one();
    }

    /// Why the service cannot run code now, if so.
    pub fn problem(&self, pool: &Pool) -> Option<String> {
        let last = self.lock().clone();
        let stats = pool.stats();
        if stats.workers == 0 {
            return Some("no worker is connected".to_owned());
        }
        if last.failure.is_some() {
            return last.failure;
        }
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if store.is_some() {
            return store.clone();
        }
        let age = last.proof.map_or(Duration::MAX, |proof| proof.elapsed());
        let all_busy = stats.running == stats.workers;
        (age > PROOF_LASTS && !all_busy)
            .then(|| format!("the last run that worked was {} s ago", age.as_secs()))
    }

    /// Sees to it that there is always a recent proof. Runs until dropped.
    pub async fn keep_proving(&self, pool: &Pool) {
        loop {
            let wait = self.until_next_probe();
            if wait.is_zero() {
                self.probe(pool).await;
            } else {
                let failed = self.failed.notified();
                let _ = tokio::time::timeout(wait, failed).await;
            }
        }
    }

    /// Sees to it that it is known whether the store can be written to: what cannot be accepted, or
    /// whose result cannot be kept, should go elsewhere. Runs until dropped.
    pub async fn keep_proving_store(&self, store: &dyn Store) {
        loop {
            let written = tokio::time::timeout(STORE_PROBE_TIMEOUT, store.prove()).await;
            let problem = match written {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("the store cannot be written to: {error}")),
                Err(_) => Some("the store takes no writes in time".to_owned()),
            };
            let pause = match problem {
                None => STORE_PROBE_EVERY,
                Some(_) => STORE_PROBE_AFTER_FAILURE,
            };
            self.store_is(problem);
            tokio::time::sleep(pause).await;
        }
    }

    fn store_is(&self, problem: Option<String>) {
        let mut known = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*known, &problem) {
            (None, Some(why)) => tracing::warn!("not ready: {why}"),
            (Some(_), None) => tracing::info!("the store can be written to again"),
            _ => {}
        }
        *known = problem;
    }

    fn until_next_probe(&self) -> Duration {
        let last = self.lock();
        match (&last.failure, last.proof) {
            (None, Some(proof)) => PROBE_AFTER.saturating_sub(proof.elapsed()),
            _ => Duration::ZERO,
        }
    }

    async fn probe(&self, pool: &Pool) {
        let attempt = async {
            // Where the queue is full, runs give the proof.
            let lease = pool
                .lease(Turn::UPKEEP.continuing())
                .await
                .map_err(|e| e.to_string())?;
            let output = lease
                .execute(probe_job(), Inputs::default(), Reading::default())
                .await;
            output.map_err(|e| format!("{:#}", anyhow::Error::from(e)))
        };
        let result = tokio::time::timeout(PROBE_TIMEOUT, attempt).await;
        let why = match result {
            Ok(Ok(output)) if output.report.exit_code == Some(0) => return self.proved(),
            Ok(Ok(output)) => format!("the probe ended with {:?}", output.report),
            Ok(Err(why)) => why,
            // All workers busy with long runs: no news, neither good nor bad.
            Err(_) if pool.stats().running == pool.stats().workers && pool.stats().workers > 0 => {
                return;
            }
            Err(_) => "the probe took too long".to_owned(),
        };
        self.failed(why);
        tokio::time::sleep(PROBE_AFTER_FAILURE).await;
    }
}

fn probe_job() -> Job {
    Job {
        policy: "default".to_owned(),
        argv: vec!["/usr/bin/true".to_owned()],
        limits: Limits {
            wall_time_ms: 5_000,
            ..Limits::DEFAULT
        },
        ..Job::default()
    }
}
