//! How far a job is.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use brig_sandbox::protocol::{FromWorker, Job, Prepared, split_finished};
use brig_sandbox::report::{SandboxFault, StageReport};
use brig_sandbox::started::LastStarted;
use tokio::time::Instant;

use super::{Gone, Pipes, unexpected};
use crate::pool::ExecuteError;

/// How long beyond its wall time limit a job may take, for set-up, clean-up and collecting.
const JOB_GRACE: Duration = Duration::from_secs(30);

/// How long after a stage's end its pipes may stay open.
const EOF_WITHIN: Duration = Duration::from_secs(2);

/// How far a job is.
pub(super) struct Progress {
    pub(super) job: u64,
    /// The worker has said so.
    pub(super) started: bool,
    /// What the worker notes.
    note: Arc<LastStarted>,
    pub(super) stopped: bool,
    pub(super) deadline: Instant,
    /// The job asked for a terminal, and it has not come yet.
    pub(super) awaits_terminal: bool,
    /// The master of the program's terminal, until the session has it.
    pub(super) terminal: Option<OwnedFd>,
    pub(super) end: Option<End>,
    /// What the worker has for the next job, once this one has ended.
    pub(super) next: Option<(Pipes, Prepared)>,
}

pub(super) struct End {
    pub(super) result: Result<StageReport, SandboxFault>,
    pub(super) collected: Option<OwnedFd>,
}

impl Progress {
    pub(super) fn new(job: &Job, note: Arc<LastStarted>) -> Self {
        let wall_time = Duration::from_millis(job.limits.wall_time_ms);
        Self {
            job: job.id,
            started: false,
            note,
            stopped: false,
            deadline: Instant::now() + wall_time + JOB_GRACE,
            awaits_terminal: job.pty.is_some(),
            terminal: None,
            end: None,
            next: None,
        }
    }

    pub(super) fn stoppable(&self) -> bool {
        !self.stopped && self.end.is_none()
    }

    pub(super) fn take(&mut self, message: FromWorker, mut fds: Vec<OwnedFd>) -> Result<(), Gone> {
        match message {
            // Sent before the job had reached the worker.
            FromWorker::Warm(_) => {}
            FromWorker::Started { job } if job == self.job => self.started = true,
            FromWorker::Terminal { job } if job == self.job && self.awaits_terminal => {
                self.awaits_terminal = false;
                self.terminal = fds.pop();
            }
            FromWorker::Finished {
                job,
                result,
                collected,
                prepared,
            } if job == self.job => {
                let (collected, pipes) = split_finished(collected, fds);
                self.next = Some((pipes.try_into()?, prepared));
                self.end = Some(End { result, collected });
                self.deadline = Instant::now() + EOF_WITHIN;
            }
            other => return Err(unexpected(&other, "out of order")),
        }
        Ok(())
    }

    /// What happens at the deadline: a worker that does not finish its job is stuck; pipes that
    /// somebody holds open after the end mean that the sandbox leaked a process.
    pub(super) fn time_out(&mut self) -> Result<(), Gone> {
        let Some(end) = &mut self.end else {
            return Err(Gone::Stuck("finish its job"));
        };
        end.result = Err(SandboxFault {
            step: "close the output pipes".to_owned(),
            detail: "somebody still holds them open after the end of the stage".to_owned(),
            errno: None,
            started: true,
        });
        Ok(())
    }

    pub(super) fn conclude(&mut self) -> Result<End, ExecuteError> {
        self.end.take().ok_or_else(|| self.lost())
    }

    pub(super) fn lost(&self) -> ExecuteError {
        ExecuteError::WorkerLost {
            started: self.started || self.note.is(self.job),
        }
    }
}
