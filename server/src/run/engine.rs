//! The way of a run: compile stage, run stage, result.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use brig_sandbox::limits::Limits;
use brig_sandbox::protocol::Collect;
use brig_sandbox::sys::memfd;
use uuid::Uuid;

use super::files::{self, Artifacts, Misfit};
use super::stage::{self, Stage};
use super::verdict::{self, Verdict};
use super::{Prepared, RunResult, StageResult, words};
use crate::api::RunStatus;
use crate::config::{Config, RunsConfig};
use crate::health::Health;
use crate::language::{StageKind, StagePlan};
use crate::metrics::{Metrics, RunGuard};
use crate::pool::{ExecuteError, Inputs, LeaseError, Pool, StageOutput, Turn};

/// Takes runs through their stages.
#[derive(Clone)]
pub struct Engine {
    pool: Pool,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
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
enum Halt {
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
struct Progress {
    prepared: Prepared,
    queued: Duration,
    compile: Option<StageResult>,
    run: Option<StageResult>,
    output_files: Vec<(String, Vec<u8>)>,
}

impl Engine {
    /// An engine over `pool`.
    pub fn new(pool: Pool, metrics: Arc<Metrics>, health: Arc<Health>, config: &Config) -> Self {
        let queue_timeout = config.http.queue_timeout();
        Self {
            pool,
            metrics,
            health,
            config: config.runs,
            queue_timeout,
        }
    }

    /// Runs `prepared`. Dropping the future cancels the run.
    pub async fn run(&self, id: Uuid, prepared: Prepared) -> Result<RunResult, Refused> {
        let begun = Instant::now();
        let guard = RunGuard::new(Arc::clone(&self.metrics), &prepared.language.id);
        let mut progress = Progress {
            prepared,
            queued: Duration::ZERO,
            compile: None,
            run: None,
            output_files: Vec::new(),
        };
        let Verdict { status, message } = match self.stages(&mut progress).await {
            Ok(verdict) | Err(Halt::Verdict(verdict)) => verdict,
            Err(Halt::Refused(refused)) => {
                guard.refused();
                return Err(refused);
            }
            Err(Halt::Failed(cause)) => {
                tracing::error!(run = %id, error = format!("{cause:#}"), "a run failed");
                let cause = public_cause(&cause);
                let message = format!("Brig could not run the program ({cause}); not its fault");
                Verdict {
                    status: RunStatus::InternalError,
                    message,
                }
            }
        };
        let Progress {
            prepared,
            queued,
            compile,
            run,
            output_files,
        } = progress;
        let language = prepared.language;
        let total = begun.elapsed();
        let result = RunResult {
            id,
            status,
            message,
            language,
            compile,
            run,
            output_files,
            queued,
            total,
        };
        guard.finished(&result);
        Ok(result)
    }

    async fn stages(&self, progress: &mut Progress) -> Result<Verdict, Halt> {
        let sources = files::pack(&progress.prepared.plan)?;
        let (plan, archives) = match progress.prepared.plan.compile.clone() {
            None => (progress.prepared.plan.run.clone(), vec![sources]),
            Some(compile) => self.compile(progress, &compile, sources).await?,
        };
        let inputs = Inputs {
            archives,
            stdin: stdin(&progress.prepared.stdin)?,
            ..Inputs::default()
        };
        let collect = self.output_files(&progress.prepared.output_files);
        self.execute(StageKind::Run, progress, &plan, inputs, collect)
            .await?;
        let (output, limits) = ran(&mut progress.run)?;
        let verdict = verdict::of_run(output, &limits, &progress.prepared.language);
        if let Some(collected) = output.collected.take() {
            progress.output_files = files::unpack(collected)?;
        }
        Ok(verdict)
    }

    /// Compiles; gives the run stage and its files.
    async fn compile(
        &self,
        progress: &mut Progress,
        plan: &StagePlan,
        sources: Arc<OwnedFd>,
    ) -> Result<(StagePlan, Vec<Arc<OwnedFd>>), Halt> {
        let run_limits = progress.prepared.plan.run.limits;
        let collect = plan.collect.clone().map(|globs| Collect {
            globs,
            max_bytes: run_limits.disk_bytes,
            max_files: u32::try_from(run_limits.disk_inodes).unwrap_or(u32::MAX),
            only_on_success: true,
        });
        let inputs = Inputs {
            archives: vec![sources],
            ..Inputs::default()
        };
        self.execute(StageKind::Compile, progress, plan, inputs, collect)
            .await?;
        let Prepared { language, plan, .. } = &progress.prepared;
        let (output, limits) = ran(&mut progress.compile)?;
        if let Some(verdict) = verdict::of_compile(output, &limits, language) {
            return Err(Halt::Verdict(verdict));
        }
        let collected = output
            .collected
            .take()
            .context("the compiled files did not come along")?;
        let artifacts = Artifacts::open(collected)?;
        let missing = artifacts.missing(plan);
        if let Some(misfit) = artifacts.misfit(&missing, &run_limits) {
            return Err(Halt::Verdict(too_large(misfit, &run_limits)));
        }
        let run = if plan.needs_artifacts() {
            language.resolve_run(plan, &artifacts.files()?)
        } else {
            plan.run.clone()
        };
        Ok((run, artifacts.archives(&missing, plan.executable)?))
    }

    async fn execute(
        &self,
        kind: StageKind,
        progress: &mut Progress,
        plan: &StagePlan,
        inputs: Inputs,
        collect: Option<Collect>,
    ) -> Result<(), Halt> {
        let first = progress.compile.is_none();
        let stage = Stage {
            job: stage::job(plan, collect),
            inputs,
            turn: if first {
                Turn::run(None)
            } else {
                Turn::run(None).continuing()
            },
            queue_timeout: self.queue_timeout,
        };
        let executed = stage.execute(&self.pool).await?;
        progress.queued += executed.queued;
        let (output, failure) = match executed.result {
            Ok(mut output) => {
                self.health.proved();
                verdict::settle(&mut output);
                (Some(output), None)
            }
            Err(failure) => {
                self.health.failed(failure.to_string());
                (None, Some(failure))
            }
        };
        let result = StageResult {
            limits: plan.limits,
            elapsed: executed.elapsed,
            output,
        };
        match kind {
            StageKind::Compile => progress.compile = Some(result),
            StageKind::Run => progress.run = Some(result),
        }
        failure.map_or(Ok(()), |failure| Err(Halt::Failed(failure.into())))
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

/// What a stage gave that was just executed.
fn ran(stage: &mut Option<StageResult>) -> anyhow::Result<(&mut StageOutput, Limits)> {
    let stage = stage.as_mut().context("the stage was not executed")?;
    let limits = stage.limits;
    let output = stage.output.as_mut().context("the stage has no output")?;
    Ok((output, limits))
}

/// Without content the program reads end-of-file from an empty pipe.
fn stdin(content: &[u8]) -> std::io::Result<Option<Arc<OwnedFd>>> {
    if content.is_empty() {
        return Ok(None);
    }
    memfd::read_only(c"stdin", content).map(|fd| Some(Arc::new(fd)))
}

fn too_large(misfit: Misfit, limits: &Limits) -> Verdict {
    let message = match misfit {
        Misfit::Bytes(bytes) => format!(
            "the compiled files need {} of disk, the run's limit is {}",
            words::bytes(bytes),
            words::bytes(limits.disk_bytes)
        ),
        Misfit::Inodes(inodes) => format!(
            "the compiled files and directories are {inodes}, the run's limit is {}",
            limits.disk_inodes
        ),
    };
    Verdict {
        status: RunStatus::CompileError,
        message,
    }
}

/// What a client is told of a failure whose details are the operator's.
fn public_cause(cause: &anyhow::Error) -> String {
    match cause.downcast_ref::<ExecuteError>() {
        Some(ExecuteError::Fault(fault)) => format!("the sandbox failed at: {}", fault.step),
        Some(lost @ ExecuteError::WorkerLost { .. }) => lost.to_string(),
        _ => "an internal failure".to_owned(),
    }
}
