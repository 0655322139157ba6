//! Files that compile stages can start from: having them made, and lending them.
//!
//! A file is made in a sandbox like any other stage, from what the profile says and nothing else, kept on the
//! compile cache's disk ([`crate::cache`]) and seen by every sandbox ([`brig_sandbox::prepared`]). It is
//! found by a hash of all that it is made from, so that one from before an upgrade is another one.
//!
//! A compile never waits for it, nor fails for want of it. One task makes what is wanted, one file after the
//! other, while the workers have nothing else to do; whoever comes meanwhile gets the worker.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use brig_sandbox::prepared;
use brig_sandbox::protocol::Collect;
use brig_sandbox::report::Outcome;
use tokio::sync::Notify;

use super::catalog::Catalog;
use super::compile::Sources;
use super::engine::Engine;
use super::files;
use super::stage::{self, Stage};
use super::words;
use crate::cache::{CacheKey, KeyParts, PolicyDigest};
use crate::language::{Availability, Language, Preparation, StagePlan};
use crate::pool::{Class, Inputs, Reading, StageOutput, Turn};

/// Workers are idle when they have been for this long.
const IDLE_FOR: Duration = Duration::from_secs(2);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Where workers are never idle, a file is made all the same after this long.
const PATIENCE: Duration = Duration::from_mins(2);
/// So often is making a file given up for somebody who waits; the next time it goes on.
const GIVE_WAY_AT_MOST: u32 = 5;
/// What could not be made is tried again after this long.
const TRY_AGAIN: Duration = Duration::from_mins(10);
/// How much of the tools' complaint is logged.
const COMPLAINT_BYTES: usize = 500;

/// What is to be made.
#[derive(Debug)]
pub(super) struct Preparing {
    /// Whether anything is made or lent.
    on: bool,
    orders: Mutex<Orders>,
    ordered: Notify,
}

/// Bounded by the number of files that profiles name.
#[derive(Debug, Default)]
struct Orders {
    waiting: BTreeMap<CacheKey, Order>,
    failed: BTreeMap<CacheKey, Instant>,
}

#[derive(Clone, Debug)]
struct Order {
    language: Arc<Language>,
    preparation: Arc<Preparation>,
}

impl Preparing {
    pub(super) fn new(on: bool) -> Self {
        Self {
            on,
            orders: Mutex::default(),
            ordered: Notify::new(),
        }
    }

    fn order(&self, key: CacheKey, language: &Arc<Language>, preparation: &Arc<Preparation>) {
        let mut orders = self.orders();
        let failed = orders.failed.get(&key);
        if failed.is_some_and(|at| at.elapsed() < TRY_AGAIN) {
            return;
        }
        orders.waiting.entry(key).or_insert_with(|| Order {
            language: Arc::clone(language),
            preparation: Arc::clone(preparation),
        });
        self.ordered.notify_one();
    }

    /// The next order, which stays until it is [done](Self::done).
    async fn next(&self) -> (CacheKey, Order) {
        loop {
            let first = self
                .orders()
                .waiting
                .first_key_value()
                .map(|(key, order)| (*key, order.clone()));
            match first {
                Some(first) => return first,
                None => self.ordered.notified().await,
            }
        }
    }

    fn done(&self, key: &CacheKey, made: bool) {
        let mut orders = self.orders();
        orders.waiting.remove(key);
        if made {
            orders.failed.remove(key);
        } else {
            orders.failed.insert(*key, Instant::now());
        }
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a file is found by; `None` while the tools' version is not known.
fn key(
    language: &Language,
    preparation: &Preparation,
    policy: Option<PolicyDigest>,
) -> Option<CacheKey> {
    let Availability::Available { version } = language.availability() else {
        return None;
    };
    Some(CacheKey::of_prepared(&KeyParts {
        owner: None,
        language: &language.id,
        version: Some(&version),
        stage: &preparation.stage,
        policy: &policy?,
        files: preparation.files(),
        executable: false,
    }))
}

impl Engine {
    /// The command of `compile` when it starts from a file, if it can and the file is there. If it is not,
    /// it is made for others.
    pub(super) fn lend(&self, sources: &Sources, compile: &StagePlan) -> Option<Vec<String>> {
        let start = compile.start.as_ref().filter(|_| self.preparing().on)?;
        let language = &sources.language;
        let key = key(language, &start.preparation, sources.policy)?;
        if !self.cache().has_prepared(&key) {
            self.metrics().prepared(&language.id, "missing");
            self.preparing().order(key, language, &start.preparation);
            return None;
        }
        self.metrics().prepared(&language.id, "lent");
        Some(start.command(compile, &format!("{}/{key}", prepared::PATH)))
    }

    /// Whether a stage that started from a file has to be done again without, as its answer might not be
    /// the same.
    pub(super) fn must_redo(
        &self,
        sources: &Sources,
        compile: &StagePlan,
        output: &StageOutput,
    ) -> bool {
        let stderr = &output.stderr.kept;
        let silent = stderr.is_empty() && output.stdout.kept.is_empty();
        let failed = match output.report.outcome {
            Outcome::Exited => output.report.exit_code != Some(0),
            Outcome::Signaled => true,
            // A limit was hit: without it, all the sooner.
            _ => return false,
        };
        let start = compile.start.as_ref();
        let redo = output.report.outcome == Outcome::Signaled
            || (failed && silent)
            || start.is_some_and(|start| start.preparation.must_redo(stderr));
        if redo {
            self.metrics().prepared(&sources.language.id, "redone");
        }
        redo
    }

    /// Orders what most programs of these languages can start from, and removes what none can any more.
    pub async fn order_prepared(&self, catalog: &Catalog) {
        let mut useful = BTreeSet::new();
        let languages = catalog.languages.all();
        for language in languages.iter().filter(|_| self.preparing().on) {
            for (number, preparation) in language.preparations().iter().enumerate() {
                let policy = catalog.digest(&preparation.stage.policy);
                let Some(key) = key(language, preparation, policy) else {
                    continue;
                };
                useful.insert(key);
                if self.cache().has_prepared(&key) {
                    self.cache().read_ahead(key).await;
                } else if number == 0 {
                    self.preparing().order(key, language, preparation);
                }
            }
        }
        let known = |language: &Arc<Language>| language.availability() != Availability::Unknown;
        if languages.iter().all(known) {
            self.cache().keep_only_prepared(useful).await;
        }
    }

    /// Makes what is ordered, for ever.
    pub async fn keep_preparing(&self) {
        loop {
            let (key, order) = self.preparing().next().await;
            let language = &order.language.id;
            let begun = Instant::now();
            let made = self.make(key, &order.preparation).await;
            self.preparing().done(&key, made.is_ok());
            let event = if made.is_ok() { "made" } else { "failed" };
            self.metrics().prepared(language, event);
            match made {
                Ok(()) => {
                    let took_ms = begun.elapsed().as_millis();
                    tracing::info!(
                        language,
                        took_ms,
                        "a file for compiles to start from is made"
                    );
                }
                Err(why) => {
                    let command = order.preparation.stage.argv.join(" ");
                    tracing::warn!(
                        language,
                        command,
                        "a file for compiles to start from is not made, they go on without: {why:#}"
                    );
                }
            }
        }
    }

    /// Makes a file when there is time for it.
    async fn make(&self, key: CacheKey, preparation: &Preparation) -> anyhow::Result<()> {
        let mut given_way = 0;
        loop {
            self.idle().await;
            tokio::select! {
                made = self.make_now(key, preparation) => return made,
                () = self.pool().pressed(), if given_way < GIVE_WAY_AT_MOST => given_way += 1,
            }
        }
    }

    /// Waits until workers have had nothing to do for a while.
    async fn idle(&self) {
        let end = Instant::now() + PATIENCE;
        let mut since = Instant::now();
        // A look costs next to nothing, and what waits for it can wait.
        while since.elapsed() < IDLE_FOR && Instant::now() < end {
            tokio::time::sleep(LOOK_EVERY).await;
            let stats = self.pool().stats();
            if stats.workers == 0 || stats.running + stats.queued > 0 {
                since = Instant::now();
            }
        }
    }

    async fn make_now(&self, key: CacheKey, preparation: &Preparation) -> anyhow::Result<()> {
        let plan = &preparation.stage;
        let collect = plan.collect.clone().map(|globs| Collect {
            globs,
            max_bytes: plan.limits.disk_bytes,
            max_files: 1,
            only_on_success: true,
        });
        let stage = Stage {
            job: stage::job(plan, collect),
            inputs: Inputs {
                archives: vec![files::pack_files(preparation.files().iter(), false)?],
                ..Inputs::default()
            },
            turn: Turn::judging(Class::Bulk, None),
            queue_timeout: None,
        };
        let executed = stage.execute(self.pool(), Reading::default).await?;
        let output = executed.result?;
        let Some(archive) = output.collected else {
            let ended = words::describe(&output.report, &plan.limits, false);
            let complaint = String::from_utf8_lossy(&output.stderr.kept);
            let complaint: String = complaint.trim().chars().take(COMPLAINT_BYTES).collect();
            anyhow::bail!("{ended} {complaint}");
        };
        let kept = self.cache().keep_prepared(key, archive).await;
        kept.map_err(|error: io::Error| anyhow::anyhow!("it cannot be kept: {error}"))?;
        anyhow::ensure!(self.cache().has_prepared(&key), "the file was not there");
        Ok(())
    }
}
