//! What server and worker say to each other, and supervisor to server.
//!
//! Messages are postcard, one to a datagram of a `SOCK_SEQPACKET` socket pair; descriptors travel
//! beside them (`SCM_RIGHTS`, unix(7)). The two ends are always the same build, started by the
//! same supervisor; [`VERSION`] guards against a mix-up during an upgrade.
//!
//! A worker says `Hello` and `Ready` once, then for each job: (`Warm` ->) (`Execute`) -> `Started`, if asked
//! (-> `Sample`, as often as asked) -> `Finished`, by which it is ready for the next one.
//! It takes one job at a time, and only when it is ready. A worker whose socket closes is dead, and so
//! is its job; a worker that sees its socket close ends itself.

use std::os::fd::OwnedFd;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::attach::MAX_FILES;
use crate::layers::Layers;
use crate::limits::Limits;
use crate::probe::Probe;
use crate::report::{Sample, SandboxFault, StageReport};

/// Changes whenever a message changes its form.
pub const VERSION: u32 = 7;

/// The largest encoded message. The default `SO_SNDBUF` of a Unix socket is 212,992 bytes
/// (`net.core.wmem_default`); larger things travel as descriptors.
pub const MAX_MESSAGE_BYTES: usize = 160 * 1024;

/// How many descriptors a worker gives for the pipes of one job.
pub const PIPES: usize = 3;

/// The most archives of one job.
pub const MAX_ARCHIVES: usize = 4;

/// The most descriptors in one message: the standard streams, archives and attached files.
pub const MAX_FDS: usize = 3 + MAX_ARCHIVES + MAX_FILES;

/// From a worker to the server.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromWorker {
    /// First message of a worker. Carries a [`crate::started::LastStarted`].
    Hello {
        /// Its [`VERSION`].
        version: u32,
        /// Its slot, from 0.
        index: u32,
    },
    /// Can take its first job now. Carries the [`PIPES`] of the job to come: the write end of its
    /// stdin pipe, the read ends of its stdout and stderr pipes, in this order, all non-blocking.
    Ready(Prepared),
    /// Has filled its pool, and is idle.
    Warm(Prepared),
    /// The program is about to be handed to its sandbox: from here on it may have run. Only if [`Job::tell_start`].
    Started {
        /// The job's id.
        job: u64,
    },
    /// The program has a terminal, whose master comes along, non-blocking.
    Terminal {
        /// The job's id.
        job: u64,
    },
    /// The answer to [`ToWorker::Sample`].
    Sample {
        /// The job's id.
        job: u64,
        /// What it uses now.
        sample: Sample,
    },
    /// The stage is over and nothing of its program is left alive; the next job may come. Carries the pipes of
    /// that as `Ready` does, and before them, if `collected`, a sealed memfd with an archive.
    Finished {
        /// The job's id.
        job: u64,
        /// What the program did or the sandbox failed to do.
        result: Result<StageReport, SandboxFault>,
        /// Whether an [`crate::archive`] of output files comes along.
        collected: bool,
        /// What the worker has for the next job.
        prepared: Prepared,
    },
}

/// Parts what comes with [`FromWorker::Finished`]: the archive, if `collected`, and the next job's pipes.
pub fn split_finished(collected: bool, mut fds: Vec<OwnedFd>) -> (Option<OwnedFd>, Vec<OwnedFd>) {
    let pipes = fds.split_off(usize::from(collected).min(fds.len()));
    (fds.pop(), pipes)
}

/// What a worker has prepared for jobs to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// Sandboxes prepared and waiting.
    pub warm: u32,
    /// Interpreters among them that are already started.
    pub prestarted: u32,
}

/// From the server to a worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToWorker {
    /// Run this. Carries the descriptors of `job.archives`, then one for each of
    /// `job.files`, then, if `job.stdin_attached`, one for stdin.
    Execute(Box<Job>),
    /// Like `Execute`, but run a probe in the program's place, with layers `off`. Only the
    /// self-check sends it.
    Probe {
        /// Limits and policy.
        job: Box<Job>,
        /// What to try.
        probe: Probe,
        /// Layers to leave out.
        off: Layers,
    },
    /// End the job; ignored when another job (or none) is running.
    Stop {
        /// The job's id.
        job: u64,
        /// Why.
        reason: StopReason,
    },
    /// Send the first process's group a signal. Ignored unless the job's program is running.
    Signal {
        /// The job's id.
        job: u64,
        /// Which.
        signal: UserSignal,
    },
    /// Have an interpreter started and held for jobs like this one, instead of seeing by itself that
    /// there is demand. Carries what stdin will be like. Answered by `Warm` once it is held or cannot
    /// be. Only between jobs.
    Prestart(Box<Job>),
    /// Say what the job uses now. Answered unless the job has not started or is over.
    Sample {
        /// The job's id.
        job: u64,
    },
}

/// The signals that a caller may send to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // named as in signal(7)
pub enum UserSignal {
    #[serde(rename = "SIGHUP")]
    Hangup,
    #[serde(rename = "SIGINT")]
    Interrupt,
    #[serde(rename = "SIGQUIT")]
    Quit,
    #[serde(rename = "SIGKILL")]
    Kill,
    #[serde(rename = "SIGUSR1")]
    User1,
    #[serde(rename = "SIGUSR2")]
    User2,
    #[serde(rename = "SIGTERM")]
    Terminate,
    #[serde(rename = "SIGCONT")]
    Continue,
    #[serde(rename = "SIGSTOP")]
    Stop,
    #[serde(rename = "SIGTSTP")]
    TerminalStop,
    #[serde(rename = "SIGWINCH")]
    WindowChange,
}

impl UserSignal {
    /// As the kernel knows it.
    pub fn as_signal(self) -> Signal {
        match self {
            Self::Hangup => Signal::SIGHUP,
            Self::Interrupt => Signal::SIGINT,
            Self::Quit => Signal::SIGQUIT,
            Self::Kill => Signal::SIGKILL,
            Self::User1 => Signal::SIGUSR1,
            Self::User2 => Signal::SIGUSR2,
            Self::Terminate => Signal::SIGTERM,
            Self::Continue => Signal::SIGCONT,
            Self::Stop => Signal::SIGSTOP,
            Self::TerminalStop => Signal::SIGTSTP,
            Self::WindowChange => Signal::SIGWINCH,
        }
    }
}

/// Why a caller ends a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopReason {
    /// Nobody wants the answer any more: [`crate::report::Outcome::Cancelled`].
    Cancelled,
    /// More output than allowed: [`crate::report::Outcome::OutputLimit`].
    OutputLimit,
}

/// The size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WindowSize {
    /// Lines.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 65535))]
    pub rows: u16,
    /// Characters of a line.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 65535))]
    pub cols: u16,
}

/// One stage to execute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Chosen by the caller, unique among its jobs.
    pub id: u64,
    /// Name of the policy.
    pub policy: String,
    /// Program and arguments. The first is a path (absolute, or relative to `/box`), or a name
    /// looked up in `PATH`. No NUL bytes.
    pub argv: Vec<String>,
    /// The whole environment, as `KEY=value`. No NUL bytes.
    pub env: Vec<String>,
    /// What it may use.
    pub limits: Limits,
    /// The sealed archives of files for `/box` that come along, in order; at most [`MAX_ARCHIVES`]. If one has a
    /// number, it may come again, and the worker may keep it under that ([`crate::shelf`]): no other archive must
    /// ever have the same.
    pub archives: Vec<Option<u64>>,
    /// Paths below `/box` of files that come along as descriptors, at most [`MAX_FILES`]: the
    /// sandbox copies them there, read-only, after unpacking the archives ([`crate::attach`]).
    pub files: Vec<String>,
    /// Whether stdin is an attached descriptor instead of the pipe.
    pub stdin_attached: bool,
    /// Whether stdin, stdout and stderr are a terminal of this size, which controls the program's
    /// session, instead of the pipes.
    pub pty: Option<WindowSize>,
    /// What to bring back from `/box` afterwards.
    pub collect: Option<Collect>,
    /// The file that the command's interpreter reads first of all that is in `/box`, if workers may
    /// have such an interpreter started before its job is known ([`crate::prestart`]). Relative to
    /// `/box`, or absolute.
    pub script: Option<String>,
    /// Whether to say `Started`. The note of [`crate::started`] is made in any case.
    pub tell_start: bool,
}

/// Which files to bring back once every process of the program is dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collect {
    /// Patterns relative to `/box`; `*` stays within a directory, `**` crosses them.
    pub globs: Vec<String>,
    /// The most bytes of all files together.
    pub max_bytes: u64,
    /// The most files.
    pub max_files: u32,
    /// Only after exit code 0.
    pub only_on_success: bool,
}

/// From the supervisor to the server.
#[derive(Debug, Serialize, Deserialize)]
pub enum Control {
    /// A worker (re)started. Carries one descriptor, the server's end of its socket.
    Worker {
        /// Its slot, from 0.
        index: u32,
    },
}
