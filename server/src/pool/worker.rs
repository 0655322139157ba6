//! The server's side of one worker: a task that follows the worker's protocol from the first
//! message to the last.
//!
//! `Hello`, then for ever: `Ready` -> offered to the queue -> assigned -> `Execute` -> both output
//! pipes are read while `Started` and `Finished` come in -> answered. Whatever breaks the protocol
//! ends the task and closes the channel, on which the worker ends itself and is restarted by the
//! supervisor with nothing left over.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use brig_sandbox::protocol::{FromWorker, Job, StopReason, ToWorker, VERSION};
use brig_sandbox::report::{SandboxFault, StageReport};
use brig_sandbox::wire::Channel;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::capture::Capture;
use super::channel::AsyncChannel;
use super::queue::Queue;
use super::{ExecuteError, Inputs, StageOutput};

/// A job and where its answer goes. A closed `reply` cancels the job.
#[derive(Debug)]
pub(super) struct Assignment {
    pub(super) job: Job,
    pub(super) inputs: Inputs,
    pub(super) reply: oneshot::Sender<Answer>,
}

type Answer = Result<StageOutput, ExecuteError>;

/// How long a worker may take to become ready, at its start and between two jobs.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How long beyond its wall time limit a job may take, for set-up, clean-up and collecting.
const JOB_GRACE: Duration = Duration::from_secs(30);
/// How long a worker may take to end a job that it was told to stop.
const STOP_WITHIN: Duration = Duration::from_secs(15);
/// How long after a stage's end its pipes may stay open.
const EOF_WITHIN: Duration = Duration::from_secs(2);
/// What is read from a pipe at once: the default capacity of a pipe (pipe(7)).
const BUFFER_BYTES: usize = 64 << 10;

/// Why a worker is of no more use.
#[derive(Debug, thiserror::Error)]
enum Gone {
    #[error("it closed its channel")]
    Closed,
    #[error("its channel failed")]
    Io(#[from] io::Error),
    #[error("it broke the protocol: {0}")]
    Protocol(String),
    #[error("it did not {0} in time")]
    Stuck(&'static str),
}

/// The descriptors of the job to come, as `Ready` brought them.
struct Pipes {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

pub(super) struct Worker {
    queue: Arc<Queue>,
    connection: u64,
    index: u32,
    channel: AsyncChannel,
    buffer: Vec<u8>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.queue.disconnect(self.connection);
    }
}

impl Worker {
    pub(super) fn new(queue: Arc<Queue>, index: u32, channel: Channel) -> io::Result<Self> {
        let channel = AsyncChannel::new(channel)?;
        let connection = queue.connect();
        Ok(Self {
            queue,
            connection,
            index,
            channel,
            buffer: vec![0; BUFFER_BYTES],
        })
    }

    /// Serves until the worker is gone.
    pub(super) async fn tend(mut self) {
        let Err(gone) = self.serve().await;
        match gone {
            Gone::Closed => tracing::warn!(worker = self.index, "worker gone: {gone}"),
            Gone::Io(ref cause) => {
                tracing::error!(worker = self.index, error = %cause, "worker dropped: {gone}");
            }
            _ => tracing::error!(worker = self.index, "worker dropped: {gone}"),
        }
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, Gone> {
        self.greet().await?;
        let mut pipes = self.ready().await?;
        loop {
            let mut assignment = self.assigned().await?;
            let begun = Instant::now();
            match self.send(&mut assignment).await {
                Ok(()) => {}
                // Nothing was sent: the worker is as ready as before.
                Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
                    let _ = assignment.reply.send(Err(ExecuteError::Unsendable(e)));
                    continue;
                }
                Err(e) => {
                    let lost = ExecuteError::WorkerLost { started: false };
                    let _ = assignment.reply.send(Err(lost));
                    return Err(e.into());
                }
            }
            self.queue.update(self.connection, |w| w.running = true);
            self.follow(pipes, assignment).await?;
            pipes = self.ready().await?;
            self.queue.served(begun.elapsed());
        }
    }

    async fn greet(&mut self) -> Result<(), Gone> {
        match timeout(READY_WITHIN, self.message()).await {
            Err(_) => Err(Gone::Stuck("say hello")),
            Ok(Ok((
                FromWorker::Hello {
                    version: VERSION, ..
                },
                _,
            ))) => Ok(()),
            Ok(Ok((FromWorker::Hello { version, .. }, _))) => Err(Gone::Protocol(format!(
                "it speaks version {version}, not {VERSION}"
            ))),
            Ok(Ok((other, _))) => Err(unexpected(&other, "before Hello")),
            Ok(Err(gone)) => Err(gone),
        }
    }

    async fn ready(&mut self) -> Result<Pipes, Gone> {
        let (message, fds) = timeout(READY_WITHIN, self.message())
            .await
            .map_err(|_| Gone::Stuck("become ready"))??;
        let FromWorker::Ready { warm } = message else {
            return Err(unexpected(&message, "instead of Ready"));
        };
        let [stdin, stdout, stderr] = <[OwnedFd; 3]>::try_from(fds)
            .map_err(|fds| Gone::Protocol(format!("Ready came with {} descriptors", fds.len())))?;
        self.queue.update(self.connection, |w| {
            w.running = false;
            w.warm = warm;
        });
        Ok(Pipes {
            stdin,
            stdout,
            stderr,
        })
    }

    /// Offers the worker until somebody uses it.
    async fn assigned(&mut self) -> Result<Assignment, Gone> {
        loop {
            let (offer, mut assignment) = oneshot::channel();
            self.queue.offer(offer);
            if let Some(assignment) = self.offered(&mut assignment).await? {
                return Ok(assignment);
            }
        }
    }

    /// Waits for what becomes of an offer. `None`: the lease was given back unused.
    async fn offered(
        &mut self,
        assignment: &mut oneshot::Receiver<Assignment>,
    ) -> Result<Option<Assignment>, Gone> {
        loop {
            tokio::select! {
                biased;
                message = self.message() => {
                    if let Ok((FromWorker::Warm { warm }, _)) = message {
                        self.queue.update(self.connection, |w| w.warm = warm);
                        continue;
                    }
                    if let Ok(Assignment { reply, .. }) = assignment.try_recv() {
                        let _ = reply.send(Err(ExecuteError::WorkerLost { started: false }));
                    }
                    return Err(match message {
                        Ok((message, _)) => unexpected(&message, "without a job"),
                        Err(gone) => gone,
                    });
                }
                assigned = &mut *assignment => return Ok(assigned.ok()),
            }
        }
    }

    async fn send(&self, assignment: &mut Assignment) -> io::Result<()> {
        let Inputs { archives, stdin } = &assignment.inputs;
        let fds: Vec<_> = archives.iter().chain(stdin).map(|fd| fd.as_fd()).collect();
        let execute = ToWorker::Execute(Box::new(assignment.job.clone()));
        self.channel.send(&execute, &fds).await
    }

    /// Follows the job to its end and answers for it.
    async fn follow(&mut self, pipes: Pipes, assignment: Assignment) -> Result<(), Gone> {
        let Assignment {
            job,
            inputs,
            mut reply,
        } = assignment;
        drop(inputs);
        // With nobody at the other end the program reads end-of-file.
        drop(pipes.stdin);
        let mut running = Running::new(&job, pipes.stdout, pipes.stderr)?;
        match self.drive(&mut running, &mut reply).await {
            Ok(()) => {
                let _ = reply.send(running.into_answer());
                Ok(())
            }
            Err(gone) => {
                let _ = reply.send(Err(ExecuteError::WorkerLost {
                    started: running.started,
                }));
                Err(gone)
            }
        }
    }

    async fn drive(
        &mut self,
        running: &mut Running,
        reply: &mut oneshot::Sender<Answer>,
    ) -> Result<(), Gone> {
        while !running.over() {
            tokio::select! {
                message = self.channel.recv(), if running.end.is_none() => {
                    let (message, fds) = message?.ok_or(Gone::Closed)?;
                    running.take(message, fds)?;
                }
                ready = running.stdout.readable(), if !running.stdout.ended() => {
                    ready?;
                    running.stdout.drain(&mut self.buffer)?;
                }
                ready = running.stderr.readable(), if !running.stderr.ended() => {
                    ready?;
                    running.stderr.drain(&mut self.buffer)?;
                }
                () = reply.closed(), if running.stoppable() => {
                    self.stop(running, StopReason::Cancelled).await?;
                }
                () = sleep_until(running.deadline) => running.time_out()?,
            }
            if running.stoppable() && (running.stdout.over_limit() || running.stderr.over_limit()) {
                self.stop(running, StopReason::OutputLimit).await?;
            }
        }
        Ok(())
    }

    async fn stop(&self, running: &mut Running, reason: StopReason) -> Result<(), Gone> {
        running.stopped = true;
        running.deadline = Instant::now() + STOP_WITHIN;
        self.channel
            .send(
                &ToWorker::Stop {
                    job: running.job,
                    reason,
                },
                &[],
            )
            .await?;
        Ok(())
    }

    async fn message(&self) -> Result<(FromWorker, Vec<OwnedFd>), Gone> {
        self.channel.recv().await?.ok_or(Gone::Closed)
    }
}

fn unexpected(message: &FromWorker, when: &str) -> Gone {
    let name = match message {
        FromWorker::Hello { .. } => "Hello",
        FromWorker::Ready { .. } => "Ready",
        FromWorker::Warm { .. } => "Warm",
        FromWorker::Started { .. } => "Started",
        FromWorker::Finished { .. } => "Finished",
    };
    Gone::Protocol(format!("{name} {when}"))
}

/// A job on its way.
struct Running {
    job: u64,
    started: bool,
    stopped: bool,
    stdout: Capture,
    stderr: Capture,
    deadline: Instant,
    end: Option<End>,
}

struct End {
    result: Result<StageReport, SandboxFault>,
    collected: Option<OwnedFd>,
}

impl Running {
    fn new(job: &Job, stdout: OwnedFd, stderr: OwnedFd) -> io::Result<Self> {
        let wall_time = Duration::from_millis(job.limits.wall_time_ms);
        Ok(Self {
            job: job.id,
            started: false,
            stopped: false,
            stdout: Capture::new(stdout, job.limits.output_bytes)?,
            stderr: Capture::new(stderr, job.limits.output_bytes)?,
            deadline: Instant::now() + wall_time + JOB_GRACE,
            end: None,
        })
    }

    fn over(&self) -> bool {
        self.end.is_some() && self.stdout.ended() && self.stderr.ended()
    }

    fn stoppable(&self) -> bool {
        !self.stopped && self.end.is_none()
    }

    fn take(&mut self, message: FromWorker, mut fds: Vec<OwnedFd>) -> Result<(), Gone> {
        match message {
            // Sent before the job had reached the worker.
            FromWorker::Warm { .. } => {}
            FromWorker::Started { job } if job == self.job => self.started = true,
            FromWorker::Finished {
                job,
                result,
                collected,
            } if job == self.job => {
                let collected = if collected { fds.pop() } else { None };
                self.end = Some(End { result, collected });
                self.deadline = Instant::now() + EOF_WITHIN;
            }
            other => return Err(unexpected(&other, "out of order")),
        }
        Ok(())
    }

    /// What happens at the deadline: a worker that does not finish its job is stuck; pipes that
    /// somebody holds open after the end mean that the sandbox leaked a process.
    fn time_out(&mut self) -> Result<(), Gone> {
        let Some(end) = &mut self.end else {
            return Err(Gone::Stuck("finish its job"));
        };
        end.result = Err(SandboxFault {
            step: "close the output pipes".to_owned(),
            detail: "somebody still holds them open after the end of the stage".to_owned(),
            errno: None,
            started: true,
        });
        self.stdout.abandon();
        self.stderr.abandon();
        Ok(())
    }

    fn into_answer(self) -> Answer {
        let end = self.end.ok_or(ExecuteError::WorkerLost { started: true })?;
        Ok(StageOutput {
            report: end.result?,
            stdout: self.stdout.into_captured(),
            stderr: self.stderr.into_captured(),
            collected: end.collected,
        })
    }
}
