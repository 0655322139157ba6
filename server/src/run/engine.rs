//! The way of a run: compile stage, run stage, result.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brig_sandbox::protocol::{Collect, Job};
use brig_sandbox::sys::memfd;
use tracing::Instrument;
use uuid::Uuid;

use super::files;
use super::preparing::Preparing;
use super::program::Program;
use super::stage::{self, Executed, Stage};
use super::verdict::{self, Verdict};
use super::{Prepared, RunResult, StageResult};
use crate::api::RunStatus;
use crate::cache::CompileCache;
use crate::config::{Config, RunsConfig};
use crate::health::Health;
use crate::language::StagePlan;
use crate::metrics::{Metrics, RunGuard};
use crate::pool::{ExecuteError, Inputs, LeaseError, Pool, Reading, StageOutput, Turn};

/// Takes runs through their stages.
#[derive(Clone)]
pub struct Engine {
    pool: Pool,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    cache: CompileCache,
    preparing: Arc<Preparing>,
    config: RunsConfig,
    queue_timeout: Duration,
}

/// Why a run was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The queue is full.
    #[error("all workers are busy and the queue is full")]
    Full {
        /// When to come again.
        retry_after: Duration,
    },
    /// It waited in the queue for as long as it may.
    #[error("no worker became free in time")]
    TooLong {
        /// When to come again.
        retry_after: Duration,
    },
}

impl From<LeaseError> for Refused {
    fn from(error: LeaseError) -> Self {
        let LeaseError::Full { retry_after } = error;
        Self::Full { retry_after }
    }
}

/// Why a run ends before its time: a verdict on it, or Brig's own failure, whose cause is logged.
#[derive(Debug)]
pub(crate) enum Halt {
    Refused(Refused),
    Verdict(Verdict),
    Failed(anyhow::Error),
}

impl From<Refused> for Halt {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<std::io::Error> for Halt {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<anyhow::Error> for Halt {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// A run on its way.
pub(super) struct Progress {
    pub(super) prepared: Prepared,
    pub(super) queued: Duration,
    pub(super) compile: Option<StageResult>,
    run: Option<StageResult>,
    output_files: Vec<(String, Vec<u8>)>,
    id: Uuid,
    begun: Instant,
    guard: RunGuard,
}

/// A program, and how to get a worker for it.
pub(super) struct Ready {
    pub(super) program: Program,
    pub(super) plan: StagePlan,
    pub(super) turn: Turn,
}

impl Engine {
    /// An engine over `pool` that compiles by way of `cache`.
    pub fn new(
        pool: Pool,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
        cache: CompileCache,
        config: &Config,
    ) -> Self {
        let queue_timeout = config.http.queue_timeout();
        let prepared_files = config.prepared_files && cache.keeps_prepared();
        Self {
            preparing: Arc::new(Preparing::new(prepared_files)),
            pool,
            metrics,
            health,
            cache,
            config: config.runs,
            queue_timeout,
        }
    }

    /// Runs `prepared`. Dropping the future cancels the run.
    pub async fn run(&self, id: Uuid, prepared: Prepared) -> Result<RunResult, Refused> {
        let run = async {
            let mut progress = self.begin(id, prepared);
            let outcome = self.stages(&mut progress).await;
            progress.conclude(outcome)
        };
        run.instrument(span(id)).await
    }

    async fn stages(&self, progress: &mut Progress) -> Result<Verdict, Halt> {
        let Ready {
            program,
            plan,
            turn,
        } = self.make_ready(progress).await?;
        let stage = Stage {
            job: self.run_job(&plan, progress),
            inputs: Inputs {
                archives: program.archives(),
                stdin: stdin(&progress.prepared.stdin)?,
                ..Inputs::default()
            },
            turn,
            queue_timeout: Some(self.queue_timeout),
        };
        let executed = stage.execute(&self.pool, Reading::default).await?;
        self.judge(progress, &program, &plan, executed)
    }

    /// A run that begins now.
    pub(super) fn begin(&self, id: Uuid, prepared: Prepared) -> Progress {
        Progress {
            begun: Instant::now(),
            guard: RunGuard::new(Arc::clone(&self.metrics), &prepared.sources.language.id),
            id,
            prepared,
            queued: Duration::ZERO,
            compile: None,
            run: None,
            output_files: Vec::new(),
        }
    }

    /// Compiles the program, if its language does.
    pub(super) async fn make_ready(&self, progress: &mut Progress) -> Result<Ready, Halt> {
        let sources = &progress.prepared.sources;
        let turn = Turn::run(sources.owner);
        let compiled = self
            .compile(sources, turn, Some(self.queue_timeout))
            .await?;
        progress.queued += compiled.queued;
        progress.compile = compiled.stage;
        let program = compiled.outcome.map_err(Halt::Verdict)?;
        Ok(Ready {
            plan: program.stage(),
            program,
            turn: if compiled.executed {
                turn.continuing()
            } else {
                turn
            },
        })
    }

    /// The run stage's job.
    pub(super) fn run_job(&self, plan: &StagePlan, progress: &Progress) -> Job {
        stage::job(plan, self.output_files(&progress.prepared.output_files))
    }

    /// What the run stage, which is over, says of the run.
    pub(super) fn judge(
        &self,
        progress: &mut Progress,
        program: &Program,
        plan: &StagePlan,
        executed: Executed,
    ) -> Result<Verdict, Halt> {
        progress.queued += executed.queued;
        let (output, failure) = match self.observe(executed.result) {
            Ok(output) => (Some(output), None),
            Err(failure) => (None, Some(failure)),
        };
        let run = progress.run.insert(StageResult {
            limits: plan.limits,
            elapsed: executed.elapsed,
            cached: false,
            output,
        });
        let Some(output) = &mut run.output else {
            let unknown = || Halt::Failed(anyhow::anyhow!("the stage has no output"));
            return Err(failure.unwrap_or_else(unknown));
        };
        let verdict = verdict::of_run(output, &plan.limits, &program.language);
        if let Some(collected) = output.collected.take() {
            progress.output_files = files::unpack(collected)?;
        }
        Ok(verdict)
    }

    /// Runs one stage of a submission, however long it waits for a worker. What the program writes is
    /// read as `reading` says. Dropping the future cancels it.
    pub(crate) async fn execute(
        &self,
        plan: &StagePlan,
        collect: Option<Collect>,
        inputs: Inputs,
        turn: Turn,
        reading: impl Fn() -> Reading,
    ) -> Result<StageResult, Halt> {
        let stage = Stage {
            job: stage::job(plan, collect),
            inputs,
            turn,
            queue_timeout: None,
        };
        let executed = stage.execute(&self.pool, reading).await?;
        Ok(StageResult {
            limits: plan.limits,
            elapsed: executed.elapsed,
            cached: false,
            output: Some(self.observe(executed.result)?),
        })
    }

    /// As [`Engine::execute`], while no other stage runs on this machine. `None`: that is not to be had soon
    /// enough.
    pub(crate) async fn execute_alone(
        &self,
        plan: &StagePlan,
        inputs: Inputs,
        turn: Turn,
        reading: Reading,
    ) -> Result<Option<StageResult>, Halt> {
        let Some(lease) = self.pool.lease_alone(turn).await else {
            return Ok(None);
        };
        let begun = Instant::now();
        let result = lease.execute(stage::job(plan, None), inputs, reading).await;
        Ok(Some(StageResult {
            limits: plan.limits,
            elapsed: begun.elapsed(),
            cached: false,
            output: Some(self.observe(result)?),
        }))
    }

    /// Tells health how a stage went, and settles what its outcome is.
    pub(super) fn observe(
        &self,
        result: Result<StageOutput, ExecuteError>,
    ) -> Result<StageOutput, Halt> {
        match result {
            Ok(mut output) => {
                self.health.proved();
                self.metrics.started(&output.report);
                verdict::settle(&mut output);
                Ok(output)
            }
            Err(failure) => {
                self.health.failed(failure.to_string());
                Err(Halt::Failed(failure.into()))
            }
        }
    }

    /// The workers.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(super) fn queue_timeout(&self) -> Duration {
        self.queue_timeout
    }

    pub(super) fn cache(&self) -> &CompileCache {
        &self.cache
    }

    pub(super) fn preparing(&self) -> &Preparing {
        &self.preparing
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn output_files(&self, globs: &[String]) -> Option<Collect> {
        (!globs.is_empty()).then(|| Collect {
            globs: globs.to_vec(),
            max_bytes: self.config.max_output_files_bytes,
            max_files: self.config.max_output_files,
            only_on_success: false,
        })
    }
}

impl Progress {
    /// The run is over, like this.
    pub(super) fn conclude(self, outcome: Result<Verdict, Halt>) -> Result<RunResult, Refused> {
        let Verdict { status, message } = match outcome {
            Ok(verdict) | Err(Halt::Verdict(verdict)) => verdict,
            Err(Halt::Refused(refused)) => {
                self.guard.refused();
                return Err(refused);
            }
            Err(Halt::Failed(cause)) => {
                tracing::error!(error = format!("{cause:#}"), "a run failed");
                let cause = public_cause(&cause);
                let message = format!("Brig could not run the program ({cause}); not its fault");
                Verdict {
                    status: RunStatus::InternalError,
                    message,
                }
            }
        };
        let result = RunResult {
            id: self.id,
            status,
            message,
            language: self.prepared.sources.language,
            compile: self.compile,
            run: self.run,
            output_files: self.output_files,
            queued: self.queued,
            total: self.begun.elapsed(),
        };
        self.guard.finished(&result);
        Ok(result)
    }
}

/// What is logged of a run, and its stages as traces have them, belongs to this.
pub(super) fn span(id: Uuid) -> tracing::Span {
    tracing::error_span!("run", run = %id)
}

/// Without content the program reads end-of-file from an empty pipe.
fn stdin(content: &[u8]) -> std::io::Result<Option<Arc<OwnedFd>>> {
    if content.is_empty() {
        return Ok(None);
    }
    memfd::read_only(c"stdin", content).map(|fd| Some(Arc::new(fd)))
}

/// What a client is told of a failure whose details are the operator's.
pub(crate) fn public_cause(cause: &anyhow::Error) -> String {
    match cause.downcast_ref::<ExecuteError>() {
        Some(ExecuteError::Fault(fault)) => format!("the sandbox failed at: {}", fault.step),
        Some(lost @ ExecuteError::WorkerLost { .. }) => lost.to_string(),
        _ => "an internal failure".to_owned(),
    }
}
