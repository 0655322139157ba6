//! The pool of workers: a bounded queue in front, one task per worker channel behind.
//!
//! Each worker's task (`worker`) waits for the worker's `Ready`, offers the worker to the
//! queue, runs what it is assigned and waits for the next `Ready`. It alone touches the channel, so
//! a caller that goes away at any moment can only make it stop the job, never leave the worker in
//! between. A task ends when its channel does; the supervisor restarts the worker and a new channel
//! comes in.

mod alone;
mod capture;
mod channel;
pub(crate) mod fair;
mod metrics;
mod queue;
mod session;
mod terminal;
mod turn;
mod worker;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use brig_sandbox::attach::MAX_FILES;
use brig_sandbox::protocol::{Job, MAX_ARCHIVES};
use brig_sandbox::report::{SandboxFault, StageReport};
use brig_sandbox::wire::Channel;
use tokio::sync::oneshot;
use tracing::field::Empty;
use tracing::{Instrument, Span, debug_span};

pub use capture::{Captured, Reading, Tap};
pub(crate) use channel::AsyncChannel;
pub(crate) use metrics::PoolMetrics;
use queue::{Entry, Offer, Queue};
pub use queue::{InLine, Stats};
pub use session::{Control, Pace, Running, Session, SessionEnd, Started};
pub use terminal::{Screen, Sizer, Terminal};
pub use turn::{Class, Turn};
use worker::{Assignment, Reply, Worker};

/// The workers and the queue in front of them. Clones are handles to the same pool.
#[derive(Clone)]
pub struct Pool {
    queue: Arc<Queue>,
    next_job: Arc<AtomicU64>,
    metrics: PoolMetrics,
}

/// What one executed stage gave.
#[derive(Debug)]
pub struct StageOutput {
    /// What the program did.
    pub report: StageReport,
    /// What it wrote to stdout.
    pub stdout: Captured,
    /// What it wrote to stderr.
    pub stderr: Captured,
    /// The archive of the files it was asked to leave behind.
    pub collected: Option<OwnedFd>,
}

/// Why there is no worker to be had.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// As many callers wait as may.
    #[error("the queue is full")]
    Full {
        /// When the queue as it is now will have been served.
        retry_after: Duration,
    },
}

/// Why a stage has no output.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The worker went away.
    #[error("the worker was lost {}", if *started { "while the program ran" } else { "before the program started" })]
    WorkerLost {
        /// Whether the program may have been started.
        started: bool,
    },
    /// The sandbox could not do its part.
    #[error("the sandbox failed")]
    Fault(#[from] SandboxFault),
    /// The job cannot be sent to a worker.
    #[error("the job could not be sent")]
    Unsendable(#[source] io::Error),
}

/// A sealed [`brig_sandbox::archive`] for jobs. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Archive {
    fd: Arc<OwnedFd>,
    /// What workers may keep it as.
    number: Option<u64>,
}

impl Archive {
    /// For a single job.
    pub fn once(fd: OwnedFd) -> Self {
        Self {
            fd: Arc::new(fd),
            number: None,
        }
    }

    /// For any number of jobs. Workers may keep it ([`brig_sandbox::shelf`]).
    pub fn reusable(fd: OwnedFd) -> Self {
        /// Workers do not outlive this process: a new server gets new ones.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            fd: Arc::new(fd),
            number: Some(NEXT.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// A copy of its descriptor.
    pub fn try_clone(&self) -> io::Result<OwnedFd> {
        self.fd.try_clone()
    }
}

impl AsFd for Archive {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Files and input of a job; [`Job::archives`], [`Job::files`] and [`Job::stdin_attached`] are set
/// from it.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Sealed archives to unpack into `/box`, in order.
    pub archives: Vec<Archive>,
    /// Regular files, open for reading, that the sandbox itself copies to these paths below `/box`,
    /// read-only; at most [`brig_sandbox::attach::MAX_FILES`]. What does not fit the stage's disk is
    /// a sandbox fault, so callers compare sizes beforehand.
    pub files: Vec<(String, Arc<OwnedFd>)>,
    /// A read-only descriptor to be the program's stdin; without it stdin is empty.
    pub stdin: Option<Arc<OwnedFd>>,
}

impl Pool {
    /// A pool without workers whose queue holds up to `queue_length` new runs.
    pub fn new(queue_length: usize) -> Self {
        Self::measured(queue_length, PoolMetrics::default())
    }

    /// As [`Pool::new`], with what is measured.
    pub(crate) fn measured(queue_length: usize, metrics: PoolMetrics) -> Self {
        Self {
            queue: Arc::new(Queue::new(queue_length)),
            next_job: Arc::new(AtomicU64::new(1)),
            metrics,
        }
    }

    /// Takes over the server's end of worker `index`'s channel. Needs a tokio runtime.
    pub fn add_worker(&self, index: u32, channel: Channel) -> io::Result<()> {
        let worker = Worker::new(Arc::clone(&self.queue), index, channel)?;
        tokio::spawn(worker.tend());
        Ok(())
    }

    /// Waits for a worker. Dropping the future leaves the queue.
    pub async fn lease(&self, turn: Turn) -> Result<Lease, LeaseError> {
        let class = turn.class.as_str();
        let entered = Instant::now();
        let lease = self.wait(turn).instrument(debug_span!("queue", class));
        let lease = lease.await?;
        self.metrics.waited(class, entered.elapsed());
        Ok(lease)
    }

    async fn wait(&self, turn: Turn) -> Result<Lease, LeaseError> {
        loop {
            let place = match self.queue.enter(turn) {
                Entry::Served(offer) => return Ok(self.grant(turn, offer)),
                Entry::Full { retry_after } => return Err(LeaseError::Full { retry_after }),
                Entry::Waiting(place) => place,
            };
            if let Some(offer) = place.served().await {
                return Ok(self.grant(turn, offer));
            }
        }
    }

    /// Waits for a worker while no other one works, and keeps the others from working until the
    /// lease ends. `None`: it does not come to that soon enough. Dropping the future gives it up.
    pub async fn lease_alone(&self, turn: Turn) -> Option<Lease> {
        let entered = Instant::now();
        let (place, offer) = alone::Place::wait(&self.queue, turn, alone::WAIT_AT_MOST).await?;
        self.metrics.waited("alone", entered.elapsed());
        let mut lease = self.grant(turn, offer);
        lease.account.alone = Some(place);
        Some(lease)
    }

    fn grant(&self, turn: Turn, offer: Offer) -> Lease {
        Lease {
            offer,
            account: Account {
                queue: Arc::clone(&self.queue),
                turn,
                expected: self.queue.mean_service(),
                begun: Instant::now(),
                alone: None,
            },
            job: self.next_job.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// When the queue as it is now will have been served.
    pub fn expected_wait(&self) -> Duration {
        self.queue.expected_wait()
    }

    /// Everybody who waits, by class.
    pub fn line_up(&self) -> impl IntoIterator<Item = InLine> {
        self.queue.line_up()
    }

    /// Returns once somebody waits for a worker, who could have one that does something of less weight.
    pub(crate) async fn pressed(&self) {
        self.queue.pressed().await;
    }

    /// What the pool is doing now.
    pub fn stats(&self) -> Stats {
        self.queue.stats()
    }
}

/// The right to run one job on one worker. Dropping it gives the worker back.
pub struct Lease {
    offer: Offer,
    account: Account,
    job: u64,
}

/// Whose time a lease is; settled when it ends, however it ends.
struct Account {
    queue: Arc<Queue>,
    turn: Turn,
    expected: Duration,
    begun: Instant,
    /// All workers are its, as none other works.
    alone: Option<alone::Place>,
}

impl Drop for Account {
    fn drop(&mut self) {
        let mut spent = self.begun.elapsed();
        if self.alone.is_some() {
            let workers = u32::try_from(self.queue.stats().workers).unwrap_or(u32::MAX);
            spent = spent.saturating_mul(workers);
        }
        self.queue.settle(self.turn, self.expected, spent);
    }
}

impl Lease {
    /// Runs `job` (its id and what `inputs` says are set here) to its end and keeps what it writes,
    /// up to its limit, or as much of each stream as `stdout` says. Dropping the future cancels the job; the worker is offered to others once it
    /// is ready again.
    pub async fn execute(
        self,
        job: Job,
        inputs: Inputs,
        stdout: Reading,
    ) -> Result<StageOutput, ExecuteError> {
        let span = stage_span(&job);
        let executed = self.execute_in_span(job, inputs, stdout);
        let executed = executed.instrument(span.clone()).await;
        if let Ok(output) = &executed {
            let report = &output.report;
            span.record("outcome", tracing::field::debug(report.outcome));
            span.record("warm", report.warm);
            span.record("setup_us", report.setup_us);
            span.record("wall_us", report.usage.wall_us);
            span.record("cpu_us", report.usage.cpu_us());
        }
        executed
    }

    async fn execute_in_span(
        self,
        job: Job,
        inputs: Inputs,
        stdout: Reading,
    ) -> Result<StageOutput, ExecuteError> {
        let job = inputs.announce(self.job, job)?;
        let (reply, answer) = oneshot::channel();
        let Self { offer, account, .. } = self;
        let assignment = Assignment {
            job,
            inputs,
            reply: Reply::Output(reply, stdout),
            span: Span::current(),
        };
        if offer.send(assignment).is_err() {
            return Err(ExecuteError::WorkerLost { started: false });
        }
        // Without an answer the task itself broke down; whether the program ran is unknown.
        let answer = answer.await;
        drop(account);
        answer.unwrap_or(Err(ExecuteError::WorkerLost { started: true }))
    }

    /// Starts `job` (as with [`Lease::execute`]) and leaves its pipes to the caller.
    pub async fn open(self, job: Job, inputs: Inputs, pace: Pace) -> Result<Session, ExecuteError> {
        let mut job = inputs.announce(self.job, job)?;
        // Its caller waits for that.
        job.tell_start = true;
        let Self { offer, account, .. } = self;
        let (link, opening) = session::link(account, pace);
        let span = stage_span(&job);
        let assignment = Assignment {
            job,
            inputs,
            reply: Reply::Session(link),
            // Where the stage has no span of its own, its lines belong to who asked for it.
            span: if span.is_disabled() {
                Span::current()
            } else {
                span
            },
        };
        if offer.send(assignment).is_err() {
            return Err(ExecuteError::WorkerLost { started: false });
        }
        opening.opened().await
    }
}

/// The span of one stage on one worker.
fn stage_span(job: &Job) -> Span {
    debug_span!(
        "stage",
        policy = job.policy,
        worker = Empty,
        outcome = Empty,
        warm = Empty,
        setup_us = Empty,
        wall_us = Empty,
        cpu_us = Empty,
    )
}

impl Inputs {
    /// `job` with id `id`, saying what comes along.
    fn announce(&self, id: u64, mut job: Job) -> Result<Job, ExecuteError> {
        if self.archives.len() > MAX_ARCHIVES || self.files.len() > MAX_FILES {
            return Err(ExecuteError::Unsendable(io::ErrorKind::InvalidInput.into()));
        }
        job.id = id;
        job.archives = self.archives.iter().map(|a| a.number).collect();
        job.files = self.files.iter().map(|(path, _)| path.clone()).collect();
        job.stdin_attached = self.stdin.is_some();
        Ok(job)
    }
}
