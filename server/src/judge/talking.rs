//! One test of an interactive problem: program and interactor side by side.

use anyhow::Context;
use brig_sandbox::protocol::Job;
use serde_json::value::RawValue;

use super::board::Outcome;
use super::checker::Setup;
use super::interactive::{
    Deadlock, PlayOptions, Played, Role, Ruling, Said, Transcript, Words, play, verdict,
    wall_time_ms,
};
use super::task::Test;
use super::testing::{Bench, Tested, archives, make_room, of_judged, of_run};
use crate::api::{self, CheckerProtocol, TranscriptLine, Verdict};
use crate::language::{StageKind, StagePlan};
use crate::pool::{ExecuteError, Inputs, Lease, Pace};
use crate::run::{Program, StageResult, encode, settle, stage_job};

/// What is shown of a conversation's beginning, and of its end.
const TRANSCRIPT_BYTES: usize = 4096;

impl Bench {
    /// Judges a test of an interactive problem.
    pub(super) async fn talk(
        &self,
        test: &Test,
        protocol: CheckerProtocol,
        interactor: &Program,
    ) -> anyhow::Result<Tested> {
        let setup = Setup::of_interactor(protocol);
        let plan = self.program.stage_with(test.args.as_deref(), test.limits);
        let mut judges = interactor.stage();
        judges.limits.wall_time_ms = wall_time_ms(&plan.limits, &judges.limits);
        let inputs = self.interactors_files(test, setup, interactor).await?;
        if let Err(why) = make_room(&mut judges, interactor, &inputs.files) {
            return Ok(Tested::judged(super::checker::failed(&why), None));
        }
        let played = self.play(&plan, &judges, protocol, setup, inputs).await?;
        for (language, stage, output) in [
            (&self.program.language, "test", &played.program),
            (&interactor.language, "interactor", &played.interactor),
        ] {
            if let Ok(output) = output {
                self.metrics.stage(&language.id, stage, output);
            }
        }
        let interactors = played.interactor.as_ref().ok();
        let feedback = interactors.and_then(|output| output.collected.as_ref());
        let feedback = match feedback {
            Some(archive) => crate::run::unpack(archive.try_clone()?)?,
            None => Vec::new(),
        };
        let language = &interactor.language;
        let out_of_memory = interactors.is_some_and(|output| {
            language.classify_oom(StageKind::Run, &output.report, &output.stderr.kept)
        });
        let ruling = verdict(
            &played,
            &Words {
                protocol,
                limits: &judges.limits,
                out_of_memory,
                feedback: &feedback,
                max_points: test.place.points,
            },
        );
        self.rule(played, ruling, &plan)
    }

    async fn interactors_files(
        &self,
        test: &Test,
        setup: &Setup,
        interactor: &Program,
    ) -> anyhow::Result<Inputs> {
        let mut files = Vec::new();
        for (path, data) in setup.files {
            // There is no output beforehand.
            let file = match data {
                super::checker::Data::Input => self.file(&test.stdin).await?,
                _ => self.file(&test.expected).await?,
            };
            files.push(((*path).to_owned(), file));
        }
        let archives = archives(interactor, setup)?;
        Ok(Inputs {
            archives,
            files,
            stdin: None,
        })
    }

    async fn play(
        &self,
        plan: &StagePlan,
        judges: &StagePlan,
        protocol: CheckerProtocol,
        setup: &Setup,
        inputs: Inputs,
    ) -> anyhow::Result<Played> {
        let pool = self.engine.pool();
        let (first, second) = self.pairs.lease(pool, self.turn).await?;
        let job = stage_job(judges, setup.collect());
        let mut interactor = open(first, job, inputs).await?;
        // The program does not pay for the interactor's start.
        interactor.started().await;
        let inputs = Inputs {
            archives: self.program.archives(),
            ..Inputs::default()
        };
        let program = open(second, stage_job(plan, None), inputs).await?;
        let options = PlayOptions {
            protocol,
            program_output_bytes: plan.limits.output_bytes,
            interactor_output_bytes: judges.limits.output_bytes,
            transcript_bytes: TRANSCRIPT_BYTES,
        };
        Ok(play(program, interactor, &options).await)
    }

    fn rule(&self, played: Played, ruling: Ruling, plan: &StagePlan) -> anyhow::Result<Tested> {
        let transcript = shown(&played.transcript);
        let (program, interactor) = (played.program, played.interactor);
        let mut tested = match ruling {
            Ruling::Fault(role) => {
                let fault = match role {
                    Role::Program => program.err(),
                    Role::Interactor => interactor.err(),
                };
                return Err(fault.context("a side without a report")?.into());
            }
            Ruling::Interactor(judged) => Tested::judged(judged, None),
            Ruling::Deadlock(deadlock) => Tested::deadlocked(deadlock),
            Ruling::Program => {
                let output = program.as_ref().map_err(|e| anyhow::anyhow!("{e}"))?;
                let ended = self.program.verdict(output, &plan.limits);
                Tested::ended(of_run(ended.status), ended.message)
            }
        };
        tested.transcript = transcript;
        tested.stage = program.ok().map(|mut output| {
            settle(&mut output);
            let keep = usize::try_from(self.kept_bytes).unwrap_or(usize::MAX);
            output.stdout.kept.truncate(keep);
            output.stderr.kept.truncate(keep);
            StageResult {
                limits: plan.limits,
                elapsed: std::time::Duration::from_micros(output.report.usage.wall_us),
                cached: false,
                output: Some(output),
            }
        });
        Ok(tested)
    }
}

async fn open(
    lease: Lease,
    job: Job,
    inputs: Inputs,
) -> Result<crate::pool::Session, ExecuteError> {
    lease.open(job, inputs, Pace::Programs).await
}

impl Tested {
    fn deadlocked(deadlock: Deadlock) -> Self {
        Self::ended(Verdict::TimeLimitExceeded, deadlock.message().to_owned())
    }

    fn ended(verdict: Verdict, message: String) -> Self {
        Self {
            outcome: Outcome { verdict, part: 0.0 },
            message: Some(message),
            checker_message: None,
            transcript: None,
            rerun: None,
            stage: None,
        }
    }

    /// What the interactor says decides.
    pub(super) fn judged(judged: super::checker::Judged, stage: Option<StageResult>) -> Self {
        let outcome = of_judged(&judged);
        let fails = outcome.verdict != Verdict::Accepted;
        Self {
            outcome,
            message: judged.message.clone().filter(|_| fails),
            checker_message: judged.message,
            transcript: None,
            rerun: None,
            stage,
        }
    }
}

fn shown(transcript: &Transcript) -> Option<Box<RawValue>> {
    let lines = |said: &[Said]| said.iter().map(line).collect();
    let shown = api::Transcript {
        head: lines(&transcript.head),
        omitted_bytes: transcript.omitted_bytes,
        tail: lines(&transcript.tail),
    };
    serde_json::value::to_raw_value(&shown).ok()
}

fn line(said: &Said) -> TranscriptLine {
    let (text, encoding) = encode(said.bytes.clone(), true, None);
    TranscriptLine {
        by: said.by.as_str(),
        text,
        encoding,
    }
}
