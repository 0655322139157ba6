//! From sources to a [`Program`], by way of the compile cache.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use brig_sandbox::protocol::{Collect, Job};
use brig_sandbox::report::{Outcome, StageReport};
use serde::{Deserialize, Serialize};
use tracing::Instrument;
use tracing::field::Empty;

use super::engine::{Engine, Halt};
use super::files::{self, Artifacts};
use super::program::Program;
use super::stage::{self, Stage};
use super::verdict::{self, Verdict};
use super::{Refused, StageResult};
use crate::api::RunStatus;
use crate::cache::{CacheKey, Hit, KeyParts, Made, PolicyDigest};
use crate::language::{Availability, Language, Plan, StagePlan};
use crate::offload::offload;
use crate::pool::{Archive, Captured, Inputs, Reading, StageOutput, Turn};
use crate::store::Owner;

/// What is to be compiled, and for whom.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Its language.
    pub language: Arc<Language>,
    /// Its files and the commands of its stages.
    pub plan: Arc<Plan>,
    /// Of the policy that the compile stage names.
    pub policy: Option<PolicyDigest>,
    /// Whose it is; owners share no compiled programs.
    pub owner: Owner,
}

/// What became of sources.
#[derive(Debug)]
pub struct Compiled {
    /// The compile stage; `None` if the language does not compile.
    pub stage: Option<StageResult>,
    /// The program, or why there is none.
    pub outcome: Result<Program, Verdict>,
    /// Waiting for a worker.
    pub queued: Duration,
    /// Whether a worker was used for it.
    pub executed: bool,
}

/// How a compile stage ended, as the cache keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    report: StageReport,
    stdout: Captured,
    stderr: Captured,
}

/// A compile that made nothing that can be kept.
enum Unkept {
    Halt(Halt),
    /// Another try may end otherwise.
    Ended(Box<StageOutput>),
}

impl From<io::Error> for Unkept {
    fn from(error: io::Error) -> Self {
        Self::Halt(error.into())
    }
}

impl From<Refused> for Unkept {
    fn from(refused: Refused) -> Self {
        Self::Halt(refused.into())
    }
}

impl Engine {
    /// Makes a program of `sources`. Dropping the future ends its compile stage.
    pub(crate) async fn compile(
        &self,
        sources: &Sources,
        turn: Turn,
        queue_timeout: Option<Duration>,
    ) -> Result<Compiled, Halt> {
        let Sources { language, plan, .. } = sources;
        let Some(compile) = &plan.compile else {
            let program = Program::interpreted(Arc::clone(language), Arc::clone(plan))?;
            return Ok(Compiled {
                stage: None,
                outcome: Ok(program),
                queued: Duration::ZERO,
                executed: false,
            });
        };
        let span = tracing::debug_span!("compile", language = language.id, cached = Empty);
        let compiled = self.compile_with(sources, compile, turn, queue_timeout);
        let compiled = compiled.instrument(span.clone()).await?;
        span.record("cached", !compiled.executed);
        Ok(compiled)
    }

    async fn compile_with(
        &self,
        sources: &Sources,
        compile: &StagePlan,
        turn: Turn,
        queue_timeout: Option<Duration>,
    ) -> Result<Compiled, Halt> {
        let language = &sources.language;
        let begun = Instant::now();
        let mut queued = Duration::ZERO;
        let job = self.compile_stage(sources, compile, turn, queue_timeout, &mut queued);
        let (output, collected, cached) = match &sources.policy {
            Some(policy) => {
                let key = key(sources, compile, *policy).await;
                match self.cache().get_or_compile(key, job).await {
                    Ok((entry, hit)) => {
                        let record: Record = postcard::from_bytes(entry.report())
                            .context("reading a compile stage from the cache")?;
                        (record.into(), entry.archive(), hit != Hit::Miss)
                    }
                    Err(Unkept::Ended(output)) => (*output, None, false),
                    Err(Unkept::Halt(halt)) => return Err(halt),
                }
            }
            None => return Err(Halt::Failed(anyhow::anyhow!("the compile policy is gone"))),
        };
        let outcome = match verdict::of_compile(&output, &compile.limits, language) {
            Some(verdict) => Err(verdict),
            None => link(sources, collected)?,
        };
        let elapsed = begun.elapsed().saturating_sub(queued);
        let stage = StageResult {
            limits: compile.limits,
            elapsed,
            cached,
            output: Some(output),
        };
        Ok(Compiled {
            stage: Some(stage),
            outcome,
            queued,
            executed: !cached,
        })
    }

    async fn compile_stage(
        &self,
        sources: &Sources,
        compile: &StagePlan,
        turn: Turn,
        queue_timeout: Option<Duration>,
        queued: &mut Duration,
    ) -> Result<Made, Unkept> {
        let plan = &sources.plan;
        let run_limits = plan.run.limits;
        let collect = compile.collect.clone().map(|globs| Collect {
            globs,
            max_bytes: run_limits.disk_bytes,
            max_files: u32::try_from(run_limits.disk_inodes).unwrap_or(u32::MAX),
            only_on_success: true,
        });
        let job = stage::job(compile, collect);
        let inputs = Inputs {
            archives: vec![files::pack(plan)?],
            ..Inputs::default()
        };
        let mut execute = async |job: Job, turn: Turn| {
            let stage = Stage {
                job,
                inputs: inputs.clone(),
                turn,
                queue_timeout,
            };
            let executed = stage.execute(self.pool(), Reading::default).await?;
            *queued += executed.queued;
            self.observe(executed.result).map_err(Unkept::Halt)
        };
        let lent = self.lend(sources, compile);
        let is_lent = lent.is_some();
        let argv = lent.unwrap_or_else(|| job.argv.clone());
        let mut output = execute(
            Job {
                argv,
                ..job.clone()
            },
            turn,
        )
        .await?;
        if is_lent && self.must_redo(sources, compile, &output) {
            output = execute(job, turn.continuing()).await?;
        }
        let ended = verdict::of_compile(&output, &compile.limits, &sources.language);
        match (ended, output.collected.take()) {
            (None, Some(archive)) => Ok(Made::Program {
                archive,
                report: record(output)?,
            }),
            (Some(_), _) if is_final(&output.report) => Ok(Made::Failure {
                report: record(output)?,
            }),
            _ => Err(Unkept::Ended(Box::new(output))),
        }
    }
}

/// The program that `collected` holds, or why it cannot be run.
fn link(sources: &Sources, collected: Option<Archive>) -> Result<Result<Program, Verdict>, Halt> {
    let collected = collected.context("the compiled files did not come along")?;
    let artifacts = Artifacts::open(collected)?;
    let (language, plan) = (Arc::clone(&sources.language), Arc::clone(&sources.plan));
    let program = Program::compiled(language, plan, artifacts)?;
    Ok(program.map_err(|message| Verdict {
        status: RunStatus::CompileError,
        message,
    }))
}

/// Whether the same sources would end the same way again: the compiler has said no. What hit a limit may
/// fit in another time.
fn is_final(report: &StageReport) -> bool {
    report.outcome == Outcome::Exited && report.exit_code != Some(0)
}

fn record(output: StageOutput) -> io::Result<Vec<u8>> {
    let record = Record {
        report: output.report,
        stdout: output.stdout,
        stderr: output.stderr,
    };
    postcard::to_stdvec(&record).map_err(io::Error::other)
}

impl From<Record> for StageOutput {
    fn from(record: Record) -> Self {
        Self {
            report: record.report,
            stdout: record.stdout,
            stderr: record.stderr,
            collected: None,
        }
    }
}

async fn key(sources: &Sources, compile: &StagePlan, policy: PolicyDigest) -> CacheKey {
    let bytes: usize = sources.plan.files.iter().map(|f| f.content.len()).sum();
    let (sources, compile) = (sources.clone(), compile.clone());
    let hash = move || {
        let version = match sources.language.availability() {
            Availability::Available { version } => Some(version),
            _ => None,
        };
        CacheKey::new(&KeyParts {
            owner: sources.owner,
            language: &sources.language.id,
            version: version.as_deref(),
            stage: &compile,
            policy: &policy,
            files: &sources.plan.files,
            executable: sources.plan.executable,
        })
    };
    offload(bytes, hash).await
}
