//! Live runs: a run whose input comes and whose output goes while it runs.
//!
//! [`Engine::run_live`] takes the same way as [`Engine::run`]: the same queue, compile cache, limits,
//! metrics and verdict. Only the run stage is a session ([`crate::pool::Session`]), whose program talks to
//! a [`Line`]; at the other end of it is a [`Remote`].

mod config;
mod keys;
mod line;
mod stage;
mod talk;
mod text;

use std::time::Duration;

use tracing::Instrument;
use uuid::Uuid;

use super::engine::{Engine, Halt, Progress, Ready, span};
use super::verdict::Verdict;
use super::{Prepared, Refused, RunResult, StageResult};
use crate::api::RunStatus;
use crate::pool::StageOutput;

pub use config::LiveConfig;
pub use line::{Event, Heard, Line, Remote, Stream, line};
use stage::LiveStage;
pub use talk::Bounds as LiveBounds;

impl Engine {
    /// Runs `prepared`, and lets whoever is at the other end of `line` take part. What `finished` repeats of the
    /// output, and how long there may be silence, is in `config`. Dropping the future cancels the run.
    pub async fn run_live(
        &self,
        id: Uuid,
        prepared: Prepared,
        mut line: Line,
        config: &LiveConfig,
    ) -> Result<RunResult, Refused> {
        let run = async {
            let mut progress = self.begin(id, prepared);
            let outcome = self.live_stages(&mut progress, &mut line, config).await;
            progress.conclude(outcome)
        };
        run.instrument(span(id)).await
    }

    async fn live_stages(
        &self,
        progress: &mut Progress,
        line: &mut Line,
        config: &LiveConfig,
    ) -> Result<Verdict, Halt> {
        let Ready {
            program,
            plan,
            turn,
        } = self.compile_live(progress, line).await?;
        line.shared
            .keys
            .push(std::mem::take(&mut progress.prepared.stdin));
        let mut stage = LiveStage {
            job: self.run_job(&plan, progress),
            archives: program.archives(),
            turn,
            queue_timeout: self.queue_timeout(),
            bounds: LiveBounds {
                output_bytes: plan.limits.output_bytes,
                kept_bytes: config.kept_output_bytes,
                idle: config.idle_timeout(),
            },
            line,
        };
        let (executed, idle) = stage.execute(self.pool()).await?;
        let mut verdict = self.judge(progress, &program, &plan, executed)?;
        if idle && verdict.status == RunStatus::Cancelled {
            verdict.message = format!(
                "ended because there was neither input nor output for {} s",
                seconds(config.idle_timeout())
            );
        }
        Ok(verdict)
    }

    async fn compile_live(&self, progress: &mut Progress, line: &Line) -> Result<Ready, Halt> {
        let compiles = progress.prepared.sources.plan.compile.is_some();
        if compiles {
            line.tell(Event::Compiling).await;
        }
        let ready = tokio::select! {
            biased;
            () = Line::cancelled(line.cancel.clone()) => return Err(Halt::Verdict(not_started())),
            ready = self.make_ready(progress) => ready,
        };
        if let Some(compile) = &progress.compile {
            line.tell(Event::Compiled(Box::new(copy(compile)))).await;
        }
        ready
    }
}

/// The end of a run that was cancelled before its program ran.
fn not_started() -> Verdict {
    Verdict {
        status: RunStatus::Cancelled,
        message: "cancelled before the program was started".to_owned(),
    }
}

/// `stage`, without the files that it left behind.
fn copy(stage: &StageResult) -> StageResult {
    let output = stage.output.as_ref().map(|output| StageOutput {
        report: output.report.clone(),
        stdout: output.stdout.clone(),
        stderr: output.stderr.clone(),
        collected: None,
    });
    StageResult { output, ..*stage }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
