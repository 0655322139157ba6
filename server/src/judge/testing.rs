//! One test: the program's run, and what the checker says of it.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use brig_sandbox::archive;
use brig_sandbox::limits::Limits;
use brig_sandbox::sys::memfd;
use serde_json::value::RawValue;
use tracing::Instrument;
use uuid::Uuid;

use super::board::Outcome;
use super::borderline::{self, Reruns};
use super::checker::{self, Ended, Judged, Judgement, Setup};
use super::compare::{Comparer, Comparison};
use super::interactive::Pairs;
use super::output::{Comparing, Spool};
use super::patience::Patience;
use super::task::{Data, Task, Test};
use crate::api::{CheckerProtocol, Rerun, RerunReason, RunStatus, Verdict};
use crate::blob::{BlobHash, BlobStore};
use crate::language::{StageKind, StagePlan};
use crate::metrics::Metrics;
use crate::pool::{Archive, ExecuteError, Inputs, Reading, Turn};
use crate::run::{Engine, Halt, Program, StageResult};
use crate::store::{Owner, StoreError};

/// A worker that was lost, or a sandbox that failed, costs a stage nothing but time, this often.
pub(super) const ATTEMPTS: usize = 3;

/// What judging a test takes, beside the test.
pub(super) struct Bench {
    pub(super) engine: Engine,
    pub(super) blobs: BlobStore,
    /// Where outputs wait for a checker.
    pub(super) spool: PathBuf,
    /// How much of each output is shown.
    pub(super) kept_bytes: u64,
    /// The submission.
    pub(super) id: Uuid,
    pub(super) owner: Owner,
    pub(super) turn: Turn,
    pub(super) task: Arc<Task>,
    pub(super) program: Program,
    pub(super) judge: Judge,
    pub(super) reruns: Reruns,
    pub(super) pairs: Arc<Pairs>,
    pub(super) metrics: Arc<Metrics>,
}

/// Who decides whether an output is right.
pub(super) enum Judge {
    Compare(Comparison),
    Checker {
        protocol: CheckerProtocol,
        program: Program,
    },
    Interactor {
        protocol: CheckerProtocol,
        program: Program,
    },
}

/// What became of a test.
pub(super) struct Tested {
    pub(super) outcome: Outcome,
    /// The verdict in words.
    pub(super) message: Option<String>,
    pub(super) checker_message: Option<String>,
    /// What program and interactor said.
    pub(super) transcript: Option<Box<RawValue>>,
    /// Why the program was run once more.
    pub(super) rerun: Option<Rerun>,
    /// The program's run.
    pub(super) stage: Option<StageResult>,
}

impl Tested {
    fn internal_error(message: String) -> Self {
        Self {
            outcome: Outcome {
                verdict: Verdict::InternalError,
                part: 0.0,
            },
            message: Some(message),
            checker_message: None,
            transcript: None,
            rerun: None,
            stage: None,
        }
    }
}

/// A run of the program, before its output is judged.
struct Ran {
    stage: StageResult,
    output: Output,
    rerun: Option<Rerun>,
}

/// What a checker will be shown of the output.
enum Output {
    Comparing(Comparing),
    Spooled(Spool),
}

impl Output {
    fn reading(&self, kept_bytes: u64) -> Reading {
        Reading {
            keep_bytes: Some(kept_bytes),
            tap: Some(match self {
                Self::Comparing(comparing) => comparing.tap(),
                Self::Spooled(spool) => spool.tap(),
            }),
        }
    }
}

impl Bench {
    /// Judges the test of this index. Dropping the future ends what runs for it.
    pub(super) async fn test(&self, index: usize) -> Tested {
        let test = &self.task.tests[index];
        let span = tracing::error_span!("test", test = test.id);
        self.attempts(test).instrument(span).await
    }

    async fn attempts(&self, test: &Test) -> Tested {
        let mut attempt = 1;
        loop {
            match self.attempt(test).await {
                Ok(tested) => return tested,
                Err(error) if attempt < ATTEMPTS && is_transient(&error) => {
                    tracing::warn!("a test is tried again: {error:#}");
                    attempt += 1;
                }
                Err(error) => {
                    tracing::error!("a test failed: {error:#}");
                    let what = crate::run::public_cause(&error);
                    let message =
                        format!("Brig could not run the test ({what}); not the program's fault");
                    return Tested::internal_error(message);
                }
            }
        }
    }

    async fn attempt(&self, test: &Test) -> anyhow::Result<Tested> {
        if let Judge::Interactor { protocol, program } = &self.judge {
            return self.talk(test, *protocol, program).await;
        }
        let plan = self.program.stage_with(test.args.as_deref(), test.limits);
        let Ran {
            stage,
            output,
            rerun,
        } = self.run(test, &plan).await?;
        let ran = stage.output.as_ref().context("the stage has no output")?;
        let ended = self.program.verdict(ran, &plan.limits);
        if ended.status != RunStatus::Ok {
            return Ok(Tested {
                outcome: Outcome {
                    verdict: of_run(ended.status),
                    part: 0.0,
                },
                message: Some(ended.message),
                checker_message: None,
                transcript: None,
                rerun,
                stage: Some(stage),
            });
        }
        let judged = self.judge(test, output).await?;
        Ok(Tested {
            rerun,
            ..Tested::judged(judged, Some(stage))
        })
    }

    /// Runs the program, and once more if it ended about when its time was up.
    async fn run(&self, test: &Test, plan: &StagePlan) -> anyhow::Result<Ran> {
        let first = StagePlan {
            limits: self.reruns.stretched(plan.limits),
            ..plan.clone()
        };
        let ran = self.run_once(test, &first, false).await?;
        let mut ran = ran.context("the test was not run")?;
        ran.stage.limits = plan.limits;
        let Some(first) = &mut ran.stage.output else {
            return Ok(ran);
        };
        let Some(first_cpu_time_us) = borderline::late(&first.report, &plan.limits) else {
            return Ok(ran);
        };
        borderline::time_out(&mut first.report);
        if !self.reruns.take() {
            return Ok(ran);
        }
        let Some(again) = self.run_once(test, plan, true).await? else {
            tracing::warn!("a borderline test is not run again: others took too long to end");
            return Ok(ran);
        };
        Ok(Ran {
            rerun: Some(Rerun {
                reason: RerunReason::Borderline,
                first_cpu_time_us,
            }),
            ..again
        })
    }

    /// `None`: it cannot be run alone.
    async fn run_once(
        &self,
        test: &Test,
        plan: &StagePlan,
        alone: bool,
    ) -> anyhow::Result<Option<Ran>> {
        let output = self.output(test).await?;
        let inputs = Inputs {
            archives: self.program.archives(),
            stdin: self.stdin(&test.stdin).await?,
            ..Inputs::default()
        };
        let read = || output.reading(self.kept_bytes);
        let engine = &self.engine;
        let stage = if alone {
            engine
                .execute_alone(plan, inputs, self.turn, read())
                .await?
        } else {
            let stage = engine.execute(plan, None, inputs, self.turn, read);
            Some(stage.await?)
        };
        let Some(stage) = stage else { return Ok(None) };
        if let Some(ran) = &stage.output {
            self.metrics.stage(&self.program.language.id, "test", ran);
        }
        Ok(Some(Ran {
            stage,
            output,
            rerun: None,
        }))
    }

    async fn output(&self, test: &Test) -> anyhow::Result<Output> {
        Ok(match &self.judge {
            Judge::Compare(comparison) => {
                let expected = self.reader(&test.expected).await?;
                Output::Comparing(Comparing::new(Comparer::new(*comparison, expected)))
            }
            _ => Output::Spooled(Spool::create(&self.spool)?),
        })
    }

    async fn judge(&self, test: &Test, output: Output) -> anyhow::Result<Judged> {
        match (&self.judge, output) {
            (Judge::Checker { protocol, program }, Output::Spooled(spool)) => {
                self.check(test, *protocol, program, spool.finish()?).await
            }
            (_, Output::Comparing(comparing)) => {
                let compared = comparing.finish();
                Ok(compared.context("reading the expected output")?.into())
            }
            (_, Output::Spooled(_)) => anyhow::bail!("nothing compares this output"),
        }
    }

    /// Asks a checker program.
    async fn check(
        &self,
        test: &Test,
        protocol: CheckerProtocol,
        program: &Program,
        output: OwnedFd,
    ) -> anyhow::Result<Judged> {
        let setup = Setup::of(protocol);
        let output = Arc::new(output);
        let mut files = Vec::new();
        for (path, data) in setup.files {
            files.push(((*path).to_owned(), self.shown(*data, test, &output).await?));
        }
        let stdin = match setup.stdin {
            Some(data) => Some(self.shown(data, test, &output).await?),
            None => None,
        };
        let archives = archives(program, setup)?;
        let mut plan = program.stage();
        if let Err(why) = make_room(&mut plan, program, &files) {
            return Ok(checker::failed(&why));
        }
        let inputs = Inputs {
            archives,
            files,
            stdin,
        };
        let stage = self.engine.execute(
            &plan,
            setup.collect(),
            inputs,
            self.turn.continuing(),
            Reading::default,
        );
        let stage = stage.instrument(tracing::debug_span!("checker"));
        let mut ran = stage.await?.output.context("the stage has no output")?;
        self.metrics.stage(&program.language.id, "checker", &ran);
        let feedback = match ran.collected.take() {
            Some(archive) => crate::run::unpack(archive)?,
            None => Vec::new(),
        };
        let language = &program.language;
        Ok(checker::interpret(&Ended {
            protocol,
            role: "checker",
            report: &ran.report,
            limits: &plan.limits,
            out_of_memory: language.classify_oom(StageKind::Run, &ran.report, &ran.stderr.kept),
            stderr: &ran.stderr.kept,
            feedback: &feedback,
            max_points: test.place.points,
        }))
    }

    async fn shown(
        &self,
        data: checker::Data,
        test: &Test,
        output: &Arc<OwnedFd>,
    ) -> anyhow::Result<Arc<OwnedFd>> {
        Ok(match data {
            checker::Data::Input => self.file(&test.stdin).await?,
            checker::Data::Answer => self.file(&test.expected).await?,
            checker::Data::Output => Arc::clone(output),
        })
    }

    /// Without content the program reads end-of-file from an empty pipe.
    async fn stdin(&self, data: &Data) -> anyhow::Result<Option<Arc<OwnedFd>>> {
        match data {
            Data::Inline(bytes) if bytes.is_empty() => Ok(None),
            data => Ok(Some(self.file(data).await?)),
        }
    }

    /// Test data as a descriptor of its own, at its beginning.
    pub(super) async fn file(&self, data: &Data) -> anyhow::Result<Arc<OwnedFd>> {
        let fd = match data {
            Data::Inline(bytes) => memfd::read_only(c"data", bytes)?,
            Data::Blob(hash) => self.blob(*hash).await?,
        };
        Ok(Arc::new(fd))
    }

    /// A pinned blob, however long the store takes to say that it is there.
    async fn blob(&self, hash: BlobHash) -> io::Result<OwnedFd> {
        let mut patience = Patience::new(&self.metrics.judging);
        loop {
            let opened = self.blobs.open_for(self.owner, hash).await;
            let failed = opened.as_ref().err().and_then(io::Error::get_ref);
            match failed.and_then(|cause| cause.downcast_ref::<StoreError>()) {
                Some(error) => patience.after(self.id, error).await,
                None => return opened,
            }
        }
    }

    async fn reader(&self, data: &Data) -> anyhow::Result<Box<dyn Read + Send>> {
        Ok(match data {
            Data::Inline(bytes) => Box::new(Cursor::new(Arc::clone(bytes))),
            Data::Blob(hash) => Box::new(File::from(self.blob(*hash).await?)),
        })
    }
}

/// The files of a checker or an interactor, and empty ones for what it is to write.
pub(super) fn archives(program: &Program, setup: &Setup) -> io::Result<Vec<Archive>> {
    let mut archives = program.archives();
    if !setup.placeholders.is_empty() {
        let empty = setup.placeholders.iter();
        let empty = empty.map(|path| (*path, &[][..], false));
        archives.push(Archive::once(archive::pack(empty)?));
    }
    Ok(archives)
}

/// Test data are the judges', and take nothing from what their checker may use.
pub(super) fn make_room(
    plan: &mut StagePlan,
    program: &Program,
    files: &[(String, Arc<OwnedFd>)],
) -> Result<(), String> {
    let len = |fd: &Arc<OwnedFd>| -> io::Result<u64> {
        Ok(File::from(fd.try_clone()?).metadata()?.len())
    };
    let mut bytes = 0;
    for (_, fd) in files {
        let len = len(fd).map_err(|e| format!("test data cannot be read: {e}"))?;
        bytes += len.next_multiple_of(4096);
    }
    let maxima = program.language.run_maxima();
    let limits: &mut Limits = &mut plan.limits;
    let disk_bytes = limits.disk_bytes.saturating_add(bytes);
    let memory_bytes = limits.memory_bytes.saturating_add(bytes);
    if disk_bytes > maxima.disk_bytes.max(limits.disk_bytes) || memory_bytes > maxima.memory_bytes {
        return Err(format!(
            "input, output and answer are {bytes} bytes together, more than a checker in {} can be given",
            program.language.name
        ));
    }
    *limits = Limits {
        disk_bytes,
        memory_bytes,
        disk_inodes: limits.disk_inodes + files.len() as u64,
        ..*limits
    };
    Ok(())
}

/// Whether another try may go better: the worker was lost, or its sandbox failed.
pub(super) fn is_transient(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<ExecuteError>(),
        Some(ExecuteError::WorkerLost { .. } | ExecuteError::Fault(_))
    )
}

/// What a checker's or an interactor's words are worth.
pub(super) fn of_judged(judged: &Judged) -> Outcome {
    let verdict = match judged.judgement {
        Judgement::Accepted => Verdict::Accepted,
        Judgement::WrongAnswer => Verdict::WrongAnswer,
        Judgement::PresentationError => Verdict::PresentationError,
        Judgement::JudgeError => Verdict::JudgeError,
    };
    let all_or_nothing = if verdict == Verdict::Accepted {
        1.0
    } else {
        0.0
    };
    Outcome {
        verdict,
        part: judged.score.unwrap_or(all_or_nothing),
    }
}

/// The verdict on a program that did not end well.
pub(super) fn of_run(status: RunStatus) -> Verdict {
    match status {
        RunStatus::Ok => Verdict::Accepted,
        RunStatus::CompileError => Verdict::CompileError,
        RunStatus::RuntimeError => Verdict::RuntimeError,
        RunStatus::TimeLimitExceeded => Verdict::TimeLimitExceeded,
        RunStatus::MemoryLimitExceeded => Verdict::MemoryLimitExceeded,
        RunStatus::OutputLimitExceeded => Verdict::OutputLimitExceeded,
        RunStatus::SecurityViolation => Verdict::SecurityViolation,
        RunStatus::Cancelled => Verdict::Cancelled,
        RunStatus::InternalError => Verdict::InternalError,
    }
}

impl From<Halt> for anyhow::Error {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Failed(cause) => cause,
            Halt::Refused(refused) => refused.into(),
            Halt::Verdict(verdict) => anyhow::anyhow!(verdict.message),
        }
    }
}
