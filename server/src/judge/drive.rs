//! One submission from its request to its result.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;
use time::OffsetDateTime;
use uuid::Uuid;

use super::board::Board;
use super::borderline::Reruns;
use super::config::JudgingConfig;
use super::document;
use super::interactive::Pairs;
use super::live::Live;
use super::patience::Patience;
use super::task::{Checker, Helper, Task};
use super::testing::{ATTEMPTS, Bench, Judge, is_transient, of_run};
use crate::api::{Submission, SubmissionState, Verdict};
use crate::blob::{BlobPin, BlobStore, PinError};
use crate::metrics::Metrics;
use crate::pool::{Class, Turn};
use crate::run::{Compiled, Engine, Program, Sources, show_stage};
use crate::store::{Owner, Priority};

/// What judging takes.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) engine: Engine,
    pub(super) blobs: BlobStore,
    pub(super) spool: std::path::PathBuf,
    pub(super) config: JudgingConfig,
    pub(super) pairs: Arc<Pairs>,
    /// Tests of one submission at the same time.
    pub(super) side_by_side: usize,
    pub(super) metrics: Arc<Metrics>,
}

/// Why there is no result of the tests.
pub(super) struct Stopped {
    pub(super) verdict: Verdict,
    pub(super) message: String,
}

impl Stopped {
    fn failed(error: &anyhow::Error) -> Self {
        tracing::error!("judging failed: {error:#}");
        let cause = crate::run::public_cause(error);
        Self {
            verdict: Verdict::InternalError,
            message: format!("Brig could not judge the submission ({cause})"),
        }
    }
}

impl Means {
    /// Judges `task`, telling `live` how it goes. Dropping the future ends all that runs for it.
    pub(super) async fn judge(
        &self,
        live: &Live,
        owner: Owner,
        task: &Arc<Task>,
    ) -> Result<Board, Stopped> {
        let turn = Turn::judging(class(task.priority), owner);
        let _pin = self.pin(live.id(), owner, task).await?;
        live.stand(SubmissionState::Compiling);
        let program = self.compile(live, task, turn).await?;
        let judge = self.judges(task, turn).await?;
        live.stand(SubmissionState::Judging);
        let bench = Bench {
            engine: self.engine.clone(),
            blobs: self.blobs.clone(),
            spool: self.spool.clone(),
            id: live.id(),
            kept_bytes: self.config.kept_output_bytes,
            reruns: Reruns::new(&self.config),
            owner,
            turn,
            task: Arc::clone(task),
            program,
            judge,
            pairs: Arc::clone(&self.pairs),
            metrics: Arc::clone(&self.metrics),
        };
        Ok(self.tests(live, &bench).await)
    }

    /// Keeps the test data for as long as they are needed.
    async fn pin(&self, id: Uuid, owner: Owner, task: &Task) -> Result<BlobPin, Stopped> {
        let mut patience = Patience::new(&self.metrics.judging);
        loop {
            match self.blobs.pin(owner, task.blobs()).await {
                Ok(pin) => return Ok(pin),
                Err(PinError::Store(error)) => patience.after(id, &error).await,
                Err(error @ PinError::Missing(_)) => {
                    return Err(Stopped {
                        verdict: Verdict::JudgeError,
                        message: format!("test data are gone: {error}"),
                    });
                }
            }
        }
    }

    async fn compile(&self, live: &Live, task: &Task, turn: Turn) -> Result<Program, Stopped> {
        let compiled = self.make(&task.sources, turn).await?;
        if let Some(stage) = compiled.stage {
            live.compiled(show_stage(stage, None));
        }
        compiled.outcome.map_err(|verdict| Stopped {
            verdict: of_run(verdict.status),
            message: verdict.message,
        })
    }

    /// Compiles `sources`; again, if the worker was lost.
    async fn make(&self, sources: &Sources, turn: Turn) -> Result<Compiled, Stopped> {
        let mut attempt = 1;
        loop {
            let error = match self.engine.compile(sources, turn, None).await {
                Ok(compiled) => {
                    let stage = compiled.stage.as_ref().filter(|stage| !stage.cached);
                    if let Some(output) = stage.and_then(|stage| stage.output.as_ref()) {
                        self.metrics.stage(&sources.language.id, "compile", output);
                    }
                    return Ok(compiled);
                }
                Err(halt) => anyhow::Error::from(halt),
            };
            if attempt == ATTEMPTS || !is_transient(&error) {
                return Err(Stopped::failed(&error));
            }
            tracing::warn!("a compile stage is tried again: {error:#}");
            attempt += 1;
        }
    }

    /// Makes the checker or the interactor, if there is one.
    async fn judges(&self, task: &Task, turn: Turn) -> Result<Judge, Stopped> {
        if let Some(Helper { protocol, sources }) = &task.interactor {
            let program = self.helper("interactor", sources, turn).await?;
            let protocol = *protocol;
            return Ok(Judge::Interactor { protocol, program });
        }
        match &task.checker {
            Checker::Compare(comparison) => Ok(Judge::Compare(*comparison)),
            Checker::Program(Helper { protocol, sources }) => {
                let program = self.helper("checker", sources, turn).await?;
                let protocol = *protocol;
                Ok(Judge::Checker { protocol, program })
            }
        }
    }

    async fn helper(&self, role: &str, sources: &Sources, turn: Turn) -> Result<Program, Stopped> {
        let compiled = self.make(sources, turn).await?;
        compiled.outcome.map_err(|verdict| Stopped {
            verdict: Verdict::JudgeError,
            message: format!("the {role} cannot be used: {}", verdict.message),
        })
    }

    async fn tests(&self, live: &Live, bench: &Bench) -> Board {
        let task = &*bench.task;
        let mut board = task.board();
        let mut running = FuturesUnordered::new();
        let mut handles: HashMap<usize, AbortHandle> = HashMap::new();
        loop {
            while running.len() < self.side_by_side
                && let Some(index) = board.start()
            {
                let (handle, registration) = AbortHandle::new_pair();
                handles.insert(index, handle);
                let test = Abortable::new(bench.test(index), registration);
                running.push(async move { (index, test.await) });
            }
            let Some((index, tested)) = running.next().await else {
                return board;
            };
            handles.remove(&index);
            // A test that was taken back has no result.
            let Ok(tested) = tested else { continue };
            if board.outcome(index).is_some() {
                continue;
            }
            self.metrics.judging.tested(tested.outcome.verdict);
            for skipped in board.end(index, tested.outcome) {
                self.metrics.judging.tested(Verdict::Skipped);
                if let Some(handle) = handles.remove(&skipped) {
                    handle.abort();
                }
                live.tested(skipped, document::tested(&board, task, skipped, None));
            }
            live.tested(index, document::tested(&board, task, index, Some(tested)));
        }
    }
}

/// Writes the end of judging into `document`.
pub(super) fn conclude(document: &mut Submission, result: Result<Board, Stopped>, task: &Task) {
    document.finished_at = Some(OffsetDateTime::now_utc());
    document.state = SubmissionState::Finished;
    let Stopped { verdict, message } = match result {
        Ok(board) => return document::conclude(document, &board),
        Err(stopped) => stopped,
    };
    let cancelled = verdict == Verdict::Cancelled;
    if cancelled {
        document.state = SubmissionState::Cancelled;
    }
    let mut board = task.board();
    board.abandon(if cancelled {
        Verdict::Cancelled
    } else {
        Verdict::Skipped
    });
    for (index, test) in document.tests.iter_mut().enumerate() {
        *test = document::tested(&board, task, index, None);
    }
    document::conclude(document, &board);
    document.verdict = Some(verdict);
    document.message = Some(message);
}

/// The line in which a submission's stages wait.
pub(super) fn class(priority: Priority) -> Class {
    match priority {
        Priority::Interactive => Class::Interactive,
        Priority::Normal => Class::Normal,
        Priority::Bulk => Class::Bulk,
    }
}
