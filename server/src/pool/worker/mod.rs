//! The server's side of one worker: a task that follows the worker's protocol from the first
//! message to the last.
//!
//! `Hello` and `Ready`, then for ever: offered to the queue -> assigned -> `Execute` -> both output
//! pipes are read until `Finished` comes in -> answered. Or, for a session: the pipes
//! are given to the caller, and messages are passed on until `Finished`. Whatever breaks the protocol
//! ends the task and closes the channel, on which the worker ends itself and is restarted by the
//! supervisor with nothing left over.
//!
//! Here is the life of a worker from job to job; how far one job is, `progress`; whose output is read here,
//! `output`; and whose messages are passed on, `relay`.

mod output;
mod progress;
mod relay;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use brig_sandbox::protocol::{FromWorker, Job, PIPES, Prepared, StopReason, ToWorker, VERSION};
use brig_sandbox::started::LastStarted;
use brig_sandbox::wire::Channel;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tracing::Span;

use self::output::Streams;
use self::progress::Progress;
use self::relay::ends;
use crate::pool::capture::Reading;
use crate::pool::channel::AsyncChannel;
use crate::pool::queue::Queue;
use crate::pool::session::{Link, Pace};
use crate::pool::{ExecuteError, Inputs, StageOutput};

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

/// How long a worker may take to become ready at its start.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// How long a worker may take to end a job that it was told to stop.
const STOP_WITHIN: Duration = Duration::from_secs(15);

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

/// The descriptors of the job to come, as the worker sent them.
struct Pipes {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl TryFrom<Vec<OwnedFd>> for Pipes {
    type Error = Gone;

    fn try_from(fds: Vec<OwnedFd>) -> Result<Self, Gone> {
        let [stdin, stdout, stderr] = <[OwnedFd; PIPES]>::try_from(fds).map_err(|fds| {
            Gone::Protocol(format!("{} descriptors for {PIPES} pipes", fds.len()))
        })?;
        Ok(Self {
            stdin,
            stdout,
            stderr,
        })
    }
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
        let started = Arc::new(self.greet().await?);
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
            pipes = self.follow(pipes, assignment, &started).await?;
            self.span = Span::none();
            if is_typical {
                self.queue.served(begun.elapsed());
            }
        }
    }

    async fn greet(&mut self) -> Result<LastStarted, Gone> {
        match timeout(READY_WITHIN, self.message()).await {
            Err(_) => Err(Gone::Stuck("say hello")),
            Ok(Ok((
                FromWorker::Hello {
                    version: VERSION, ..
                },
                mut fds,
            ))) => fds
                .pop()
                .map(LastStarted::from)
                .ok_or_else(|| Gone::Protocol("Hello without a note of starts".to_owned())),
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
        let FromWorker::Ready(prepared) = message else {
            return Err(unexpected(&message, "instead of Ready"));
        };
        self.free(prepared);
        fds.try_into()
    }

    /// Notes that the worker runs nothing.
    fn free(&self, prepared: Prepared) {
        self.queue.update(self.connection, |w| {
            w.running = false;
            w.prepared = prepared;
        });
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
                    if let Ok((FromWorker::Warm(prepared), _)) = message {
                        self.queue.update(self.connection, |w| w.prepared = prepared);
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
        let archives = archives.iter().map(AsFd::as_fd);
        let files = files.iter().map(|(_, file)| file);
        let fds = archives.chain(files.chain(stdin).map(AsFd::as_fd));
        let fds: Vec<_> = fds.collect();
        let execute = ToWorker::Execute(Box::new(assignment.job.clone()));
        self.channel.send(&execute, &fds).await
    }

    /// Follows the job to its end and answers for it. Returns the pipes of the next one.
    async fn follow(
        &mut self,
        pipes: Pipes,
        assignment: Assignment,
        started: &Arc<LastStarted>,
    ) -> Result<Pipes, Gone> {
        let Assignment {
            job, inputs, reply, ..
        } = assignment;
        drop(inputs);
        let mut progress = Progress::new(&job, Arc::clone(started));
        match reply {
            Reply::Output(reply, stdout) => {
                // With nobody at the other end the program reads end-of-file.
                drop(pipes.stdin);
                let streams = Streams::new(&job, pipes.stdout, stdout, pipes.stderr)?;
                self.capture(&mut progress, streams, reply).await?;
            }
            Reply::Session(link) => {
                let opened = link.opened.send(Ok(ends(pipes, &job)?));
                // A caller that is gone is noticed like one that goes later.
                drop(opened);
                self.accompany(&mut progress, link.follow).await?;
            }
        }
        let (pipes, prepared) = progress
            .next
            .ok_or_else(|| Gone::Protocol("no pipes for the next job".to_owned()))?;
        self.free(prepared);
        Ok(pipes)
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
        FromWorker::Ready(_) => "Ready",
        FromWorker::Warm(_) => "Warm",
        FromWorker::Started { .. } => "Started",
        FromWorker::Terminal { .. } => "Terminal",
        FromWorker::Sample { .. } => "Sample",
        FromWorker::Finished { .. } => "Finished",
    };
    Gone::Protocol(format!("{name} {when}"))
}
