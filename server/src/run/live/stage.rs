//! The run stage of a live run, with the one retry that a lost worker is worth.

use std::time::{Duration, Instant};

use brig_sandbox::protocol::{Job, StopReason};

use super::line::{Event, Line};
use super::not_started;
use super::talk::{Bounds, Talked, talk};
use crate::pool::{Archive, Captured, ExecuteError, Inputs, Lease, Pace, Pool, StageOutput, Turn};
use crate::run::engine::Halt;
use crate::run::stage::{Executed, lease};

/// What tells programs what their terminal can do, where nothing else is said: what all terminals that
/// people use today understand (terminfo(5)).
const TERM: &str = "TERM=xterm-256color";

/// A stage to run.
pub(super) struct LiveStage<'a> {
    pub(super) job: Job,
    pub(super) archives: Vec<Archive>,
    pub(super) turn: Turn,
    pub(super) queue_timeout: Duration,
    pub(super) bounds: Bounds,
    pub(super) line: &'a mut Line,
}

impl LiveStage<'_> {
    /// Waits for a worker and runs the stage on it. Says how it went, and whether it was ended because nothing was said.
    pub(super) async fn execute(&mut self, pool: &Pool) -> Result<(Executed, bool), Halt> {
        self.job.pty = self.line.terminal;
        if self.job.pty.is_some() && !self.job.env.iter().any(|v| v.starts_with("TERM=")) {
            self.job.env.push(TERM.to_owned());
        }
        let mut turn = self.turn;
        let mut queued = Duration::ZERO;
        let mut retried = false;
        loop {
            let entered = Instant::now();
            let lease = tokio::select! {
                biased;
                () = Line::cancelled(self.line.cancel.clone()) => {
                    return Err(Halt::Verdict(not_started()));
                }
                lease = lease(pool, turn, Some(self.queue_timeout)) => lease?,
            };
            queued += entered.elapsed();
            let begun = Instant::now();
            let Talked { output, idle } = self.attempt(lease).await;
            if !retried && matches!(output, Err(ExecuteError::WorkerLost { started: false })) {
                tracing::warn!("a worker was lost before it started the program; trying another");
                retried = true;
                turn = turn.continuing();
                continue;
            }
            let executed = Executed {
                queued,
                elapsed: begun.elapsed(),
                result: output,
            };
            return Ok((executed, idle));
        }
    }

    async fn attempt(&mut self, lease: Lease) -> Talked {
        let inputs = Inputs {
            archives: self.archives.clone(),
            ..Inputs::default()
        };
        let mut session = match lease.open(self.job.clone(), inputs, Pace::People).await {
            Ok(session) => session,
            Err(error) => return unheard(Err(error)),
        };
        let started = tokio::select! {
            started = session.started() => started,
            () = Line::cancelled(self.line.cancel.clone()) => {
                session.control().stop(StopReason::Cancelled);
                session.started().await
            }
        };
        let Some(started) = started else {
            let end = session.running.finished().await;
            return unheard(end.map(|(report, collected)| StageOutput {
                report,
                stdout: Captured::default(),
                stderr: Captured::default(),
                collected,
            }));
        };
        self.line.tell(Event::Started).await;
        talk(session, started, self.line, self.bounds).await
    }
}

/// The program did not come to say anything.
fn unheard(output: Result<StageOutput, ExecuteError>) -> Talked {
    Talked {
        output,
        idle: false,
    }
}
