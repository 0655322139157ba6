//! The server's side of one worker: a task that follows the worker's protocol from the first
//! message to the last.
//!
//! `Hello`, then for ever: `Ready` -> offered to the queue -> assigned -> `Execute` -> both output
//! pipes are read while `Started` and `Finished` come in -> answered. Or, for a session: the pipes
//! are given to the caller, and messages are passed on until `Finished`. Whatever breaks the protocol
//! ends the task and closes the channel, on which the worker ends itself and is restarted by the
//! supervisor with nothing left over.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use brig_sandbox::protocol::{FromWorker, Job, StopReason, ToWorker, VERSION};
use brig_sandbox::report::{Sample, SandboxFault, StageReport};
use brig_sandbox::wire::Channel;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::Span;

use super::capture::{Capture, Reading};
use super::channel::AsyncChannel;
use super::queue::Queue;
use super::session::{Command, Ends, Follow, Link, Pace, SessionEnd};
use super::terminal::Terminal;
use super::{ExecuteError, Inputs, StageOutput};

/// A job and where its answer goes. A closed `reply` cancels the job.
pub(super) struct Assignment {
    pub(super) job: Job,
    pub(super) inputs: Inputs,
    pub(super) reply: Reply,
    /// What the job belongs to.
    pub(super) span: Span,
}

/// Who reads what the program writes.
pub(super) enum Reply {
    /// This task, and the whole answer goes here.
    Output(oneshot::Sender<Answer>, Reading),
    /// The caller.
    Session(Link),
}

impl Reply {
    /// Whether the job's time says something about that of others.
    fn is_typical(&self) -> bool {
        match self {
            Self::Output(..) => true,
            Self::Session(link) => link.pace == Pace::Programs,
        }
    }

    /// Answers that the job never began.
    fn refuse(self, error: ExecuteError) {
        // Whoever has gone needs no answer.
        let _ = match self {
            Self::Output(reply, _) => reply.send(Err(error)).err().map(drop),
            Self::Session(link) => link.opened.send(Err(error)).err().map(drop),
        };
    }
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
    /// What its present job belongs to.
    span: Span,
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
            span: Span::none(),
        })
    }

    /// Serves until the worker is gone.
    pub(super) async fn tend(mut self) {
        let Err(gone) = self.serve().await;
        let span = std::mem::replace(&mut self.span, Span::none());
        span.in_scope(|| self.tell(&gone));
    }

    fn tell(&self, gone: &Gone) {
        match gone {
            Gone::Closed => tracing::warn!(worker = self.index, "worker gone: {gone}"),
            Gone::Io(cause) => {
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
            self.span = std::mem::replace(&mut assignment.span, Span::none());
            self.span.record("worker", self.index);
            match self.send(&mut assignment).await {
                Ok(()) => {}
                // Nothing was sent: the worker is as ready as before.
                Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
                    assignment.reply.refuse(ExecuteError::Unsendable(e));
                    continue;
                }
                Err(e) => {
                    let lost = ExecuteError::WorkerLost { started: false };
                    assignment.reply.refuse(lost);
                    return Err(e.into());
                }
            }
            self.queue.update(self.connection, |w| w.running = true);
            let is_typical = assignment.reply.is_typical();
            self.follow(pipes, assignment).await?;
            self.span = Span::none();
            pipes = self.ready().await?;
            if is_typical {
                self.queue.served(begun.elapsed());
            }
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
        let FromWorker::Ready { warm, prestarted } = message else {
            return Err(unexpected(&message, "instead of Ready"));
        };
        let [stdin, stdout, stderr] = <[OwnedFd; 3]>::try_from(fds)
            .map_err(|fds| Gone::Protocol(format!("Ready came with {} descriptors", fds.len())))?;
        self.queue.update(self.connection, |w| {
            w.running = false;
            (w.warm, w.prestarted) = (warm, prestarted);
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
                    if let Ok((FromWorker::Warm { warm, prestarted }, _)) = message {
                        self.queue.update(self.connection, |w| {
                            (w.warm, w.prestarted) = (warm, prestarted);
                        });
                        continue;
                    }
                    if let Ok(Assignment { reply, .. }) = assignment.try_recv() {
                        reply.refuse(ExecuteError::WorkerLost { started: false });
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
        let Inputs {
            archives,
            files,
            stdin,
        } = &assignment.inputs;
        let files = files.iter().map(|(_, file)| file);
        let all = archives.iter().chain(files).chain(stdin);
        let fds: Vec<_> = all.map(|fd| fd.as_fd()).collect();
        let execute = ToWorker::Execute(Box::new(assignment.job.clone()));
        self.channel.send(&execute, &fds).await
    }

    /// Follows the job to its end and answers for it.
    async fn follow(&mut self, pipes: Pipes, assignment: Assignment) -> Result<(), Gone> {
        let Assignment {
            job, inputs, reply, ..
        } = assignment;
        drop(inputs);
        let mut progress = Progress::new(&job);
        match reply {
            Reply::Output(reply, stdout) => {
                // With nobody at the other end the program reads end-of-file.
                drop(pipes.stdin);
                let streams = Streams::new(&job, pipes.stdout, stdout, pipes.stderr)?;
                self.capture(&mut progress, streams, reply).await
            }
            Reply::Session(link) => {
                let opened = link.opened.send(Ok(ends(pipes, &job)?));
                // A caller that is gone is noticed like one that goes later.
                drop(opened);
                self.accompany(&mut progress, link.follow).await
            }
        }
    }

    /// Reads what the program writes until all is over.
    async fn capture(
        &mut self,
        progress: &mut Progress,
        mut streams: Streams,
        mut reply: oneshot::Sender<Answer>,
    ) -> Result<(), Gone> {
        match self.drive(progress, &mut streams, &mut reply).await {
            Ok(()) => {
                let end = progress.conclude();
                let _ = reply.send(end.and_then(|end| streams.into_output(end)));
                Ok(())
            }
            Err(gone) => {
                let _ = reply.send(Err(progress.lost()));
                Err(gone)
            }
        }
    }

    async fn drive(
        &mut self,
        progress: &mut Progress,
        streams: &mut Streams,
        reply: &mut oneshot::Sender<Answer>,
    ) -> Result<(), Gone> {
        while progress.end.is_none() || !streams.ended() {
            tokio::select! {
                message = self.channel.recv(), if progress.end.is_none() => {
                    let (message, fds) = message?.ok_or(Gone::Closed)?;
                    progress.take(message, fds)?;
                }
                ready = streams.stdout.readable(), if !streams.stdout.ended() => {
                    ready?;
                    streams.stdout.drain(&mut self.buffer)?;
                }
                ready = streams.stderr.readable(), if !streams.stderr.ended() => {
                    ready?;
                    streams.stderr.drain(&mut self.buffer)?;
                }
                () = reply.closed(), if progress.stoppable() => {
                    self.stop(progress, StopReason::Cancelled).await?;
                }
                () = sleep_until(progress.deadline) => {
                    progress.time_out()?;
                    streams.abandon();
                }
            }
            if progress.stoppable() && streams.over_limit() {
                self.stop(progress, StopReason::OutputLimit).await?;
            }
        }
        Ok(())
    }

    /// Passes messages between the worker and a session until the stage ends.
    async fn accompany(&mut self, progress: &mut Progress, follow: Follow) -> Result<(), Gone> {
        let Follow {
            started,
            stop,
            commands,
            mut finished,
        } = follow;
        let mut relay = Relay {
            started: Some(started),
            stop,
            commands: Some(commands),
            samples: Vec::new(),
        };
        match self.relay(progress, &mut relay, &mut finished).await {
            Ok(()) => {
                let end = progress.conclude();
                let _ = finished.send(end.and_then(|end| Ok((end.result?, end.collected))));
                Ok(())
            }
            Err(gone) => {
                let _ = finished.send(Err(progress.lost()));
                Err(gone)
            }
        }
    }

    async fn relay(
        &mut self,
        progress: &mut Progress,
        relay: &mut Relay,
        finished: &mut oneshot::Sender<SessionEnd>,
    ) -> Result<(), Gone> {
        while progress.end.is_none() {
            tokio::select! {
                message = self.channel.recv() => match message?.ok_or(Gone::Closed)? {
                    (FromWorker::Sample { job, sample }, _) if job == progress.job => {
                        relay.answer(sample);
                    }
                    (message, fds) => progress.take(message, fds)?,
                },
                reason = stopped(&mut relay.stop), if progress.stoppable() => {
                    self.stop(progress, reason).await?;
                }
                command = next(&mut relay.commands) => self.pass_on(progress, relay, command).await?,
                () = finished.closed(), if progress.stoppable() => {
                    self.stop(progress, StopReason::Cancelled).await?;
                }
                () = sleep_until(progress.deadline) => progress.time_out()?,
            }
            if progress.started
                && !progress.awaits_terminal
                && let Some(started) = relay.started.take()
            {
                let terminal = progress.terminal.take();
                let _ = started.send(terminal.map(Terminal::new).transpose()?);
            }
        }
        Ok(())
    }

    async fn pass_on(
        &self,
        progress: &Progress,
        relay: &mut Relay,
        command: Command,
    ) -> Result<(), Gone> {
        // Neither has a meaning before the start: the sandbox would not answer.
        if !progress.started {
            return Ok(());
        }
        let job = progress.job;
        let message = match command {
            Command::Signal(signal) => ToWorker::Signal { job, signal },
            Command::Sample(reply) => {
                relay.samples.retain(|waiting| !waiting.is_closed());
                relay.samples.push(reply);
                if relay.samples.len() > 1 {
                    return Ok(());
                }
                ToWorker::Sample { job }
            }
        };
        Ok(self.channel.send(&message, &[]).await?)
    }

    async fn stop(&self, progress: &mut Progress, reason: StopReason) -> Result<(), Gone> {
        progress.stopped = true;
        progress.deadline = Instant::now() + STOP_WITHIN;
        self.channel
            .send(
                &ToWorker::Stop {
                    job: progress.job,
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
        FromWorker::Terminal { .. } => "Terminal",
        FromWorker::Sample { .. } => "Sample",
        FromWorker::Finished { .. } => "Finished",
    };
    Gone::Protocol(format!("{name} {when}"))
}

/// The session's ends of `pipes`.
fn ends(pipes: Pipes, job: &Job) -> io::Result<Ends> {
    let stdin = pipe::Sender::from_owned_fd(pipes.stdin)?;
    Ok(Ends {
        stdin: Some(stdin).filter(|_| !job.stdin_attached),
        stdout: pipe::Receiver::from_owned_fd(pipes.stdout)?,
        stderr: pipe::Receiver::from_owned_fd(pipes.stderr)?,
    })
}

/// What goes between a worker and a session.
struct Relay {
    /// Until the program has started.
    started: Option<oneshot::Sender<Option<Terminal>>>,
    stop: watch::Receiver<Option<StopReason>>,
    /// Until nobody can command any more.
    commands: Option<mpsc::Receiver<Command>>,
    /// Who waits for a sample; the worker is asked once for all.
    samples: Vec<oneshot::Sender<Sample>>,
}

impl Relay {
    fn answer(&mut self, sample: Sample) {
        for reply in self.samples.drain(..) {
            let _ = reply.send(sample);
        }
    }
}

/// Waits until the job is to be stopped; forever when nobody can say so any more.
async fn stopped(stop: &mut watch::Receiver<Option<StopReason>>) -> StopReason {
    match stop.wait_for(Option::is_some).await.map(|stop| *stop) {
        Ok(Some(reason)) => reason,
        _ => std::future::pending().await,
    }
}

/// The next command; none for ever when nobody can give one any more.
async fn next(commands: &mut Option<mpsc::Receiver<Command>>) -> Command {
    if let Some(receiver) = commands {
        if let Some(command) = receiver.recv().await {
            return command;
        }
        *commands = None;
    }
    std::future::pending().await
}

/// How far a job is.
struct Progress {
    job: u64,
    started: bool,
    stopped: bool,
    deadline: Instant,
    /// The job asked for a terminal, and it has not come yet.
    awaits_terminal: bool,
    /// The master of the program's terminal, until the session has it.
    terminal: Option<OwnedFd>,
    end: Option<End>,
}

struct End {
    result: Result<StageReport, SandboxFault>,
    collected: Option<OwnedFd>,
}

impl Progress {
    fn new(job: &Job) -> Self {
        let wall_time = Duration::from_millis(job.limits.wall_time_ms);
        Self {
            job: job.id,
            started: false,
            stopped: false,
            deadline: Instant::now() + wall_time + JOB_GRACE,
            awaits_terminal: job.pty.is_some(),
            terminal: None,
            end: None,
        }
    }

    fn stoppable(&self) -> bool {
        !self.stopped && self.end.is_none()
    }

    fn take(&mut self, message: FromWorker, mut fds: Vec<OwnedFd>) -> Result<(), Gone> {
        match message {
            // Sent before the job had reached the worker.
            FromWorker::Warm { .. } => {}
            FromWorker::Started { job } if job == self.job => self.started = true,
            FromWorker::Terminal { job } if job == self.job && self.awaits_terminal => {
                self.awaits_terminal = false;
                self.terminal = fds.pop();
            }
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
        Ok(())
    }

    fn conclude(&mut self) -> Result<End, ExecuteError> {
        self.end.take().ok_or_else(|| self.lost())
    }

    fn lost(&self) -> ExecuteError {
        ExecuteError::WorkerLost {
            started: self.started,
        }
    }
}

/// What a program writes, while it is being read here.
struct Streams {
    stdout: Capture,
    stderr: Capture,
}

impl Streams {
    fn new(job: &Job, stdout: OwnedFd, stream: Reading, stderr: OwnedFd) -> io::Result<Self> {
        let limit_bytes = job.limits.output_bytes;
        let keep_bytes = stream.keep_bytes;
        let errors = Reading {
            keep_bytes,
            tap: None,
        };
        Ok(Self {
            stdout: Capture::new(stdout, limit_bytes, stream)?,
            stderr: Capture::new(stderr, limit_bytes, errors)?,
        })
    }

    fn ended(&self) -> bool {
        self.stdout.ended() && self.stderr.ended()
    }

    fn over_limit(&self) -> bool {
        self.stdout.over_limit() || self.stderr.over_limit()
    }

    fn abandon(&mut self) {
        self.stdout.abandon();
        self.stderr.abandon();
    }

    fn into_output(self, end: End) -> Answer {
        Ok(StageOutput {
            report: end.result?,
            stdout: self.stdout.into_captured(),
            stderr: self.stderr.into_captured(),
            collected: end.collected,
        })
    }
}
