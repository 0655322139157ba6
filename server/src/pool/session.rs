//! A job whose caller does the reading and writing: live runs, and programs that talk to each other.
//!
//! A [`Session`] holds the server's ends of the program's pipes themselves, so a caller that does
//! not read holds the program back by the kernel's pipe buffer, and nothing piles up here. The
//! worker's task has the other half, [`Link`], and passes messages on.

use brig_sandbox::protocol::{StopReason, UserSignal};
use brig_sandbox::report::{Sample, StageReport};
use std::os::fd::OwnedFd;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot, watch};

use super::terminal::Terminal;
use super::{Account, ExecuteError};

/// Requests on their way to a worker; a caller with more waits.
const COMMANDS: usize = 16;

/// What the stage left: what the program did, and the archive of the files asked for.
pub type SessionEnd = Result<(StageReport, Option<OwnedFd>), ExecuteError>;

/// Who decides how long a session takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The programs: its time tells how long those who wait will have to.
    Programs,
    /// People at the other end.
    People,
}

/// A job that was sent to a worker. Dropping it cancels the job.
pub struct Session {
    /// To the program's stdin, unless the job came with an attached one; dropping it is end-of-file.
    pub stdin: Option<pipe::Sender>,
    /// What the program writes to stdout; ends after the program does.
    pub stdout: pipe::Receiver,
    /// What it writes to stderr.
    pub stderr: pipe::Receiver,
    /// The job itself; see [`Running::finished`].
    pub running: Running,
}

/// A session without its pipes.
pub struct Running {
    control: Control,
    started: oneshot::Receiver<Option<Terminal>>,
    finished: oneshot::Receiver<SessionEnd>,
    _account: Account,
}

/// What can be asked of a running job; clones ask the same.
#[derive(Clone)]
pub struct Control {
    stop: watch::Sender<Option<StopReason>>,
    commands: mpsc::Sender<Command>,
}

/// What comes with the start of a program.
pub struct Started {
    /// Its terminal, if the job asked for one; the pipes are of no use then.
    pub terminal: Option<Terminal>,
}

/// The pipes of a session, as the worker's task gives them over.
pub(super) struct Ends {
    pub(super) stdin: Option<pipe::Sender>,
    pub(super) stdout: pipe::Receiver,
    pub(super) stderr: pipe::Receiver,
}

pub(super) enum Command {
    Signal(UserSignal),
    Sample(oneshot::Sender<Sample>),
}

/// The worker's task's half of a session.
pub(super) struct Link {
    pub(super) pace: Pace,
    pub(super) opened: oneshot::Sender<Result<Ends, ExecuteError>>,
    pub(super) follow: Follow,
}

/// What the task follows once the session is open.
pub(super) struct Follow {
    pub(super) started: oneshot::Sender<Option<Terminal>>,
    pub(super) stop: watch::Receiver<Option<StopReason>>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) finished: oneshot::Sender<SessionEnd>,
}

/// What a caller of [`link`] waits for.
pub(super) struct Opening {
    opened: oneshot::Receiver<Result<Ends, ExecuteError>>,
    running: Running,
}

/// The two halves of a session to be.
pub(super) fn link(account: Account, pace: Pace) -> (Link, Opening) {
    let (opened, opening) = oneshot::channel();
    let (tell_started, started) = oneshot::channel();
    let (tell_finished, finished) = oneshot::channel();
    let (stop, stopped) = watch::channel(None);
    let (commands, commanded) = mpsc::channel(COMMANDS);
    let link = Link {
        pace,
        opened,
        follow: Follow {
            started: tell_started,
            stop: stopped,
            commands: commanded,
            finished: tell_finished,
        },
    };
    let opening = Opening {
        opened: opening,
        running: Running {
            control: Control { stop, commands },
            started,
            finished,
            _account: account,
        },
    };
    (link, opening)
}

impl Opening {
    pub(super) async fn opened(self) -> Result<Session, ExecuteError> {
        let Self { opened, running } = self;
        // Without an answer the task itself broke down; whether the program ran is unknown.
        let ends = opened
            .await
            .unwrap_or(Err(ExecuteError::WorkerLost { started: true }))?;
        Ok(Session {
            stdin: ends.stdin,
            stdout: ends.stdout,
            stderr: ends.stderr,
            running,
        })
    }
}

impl Session {
    /// See [`Running::started`].
    pub async fn started(&mut self) -> Option<Started> {
        self.running.started().await
    }

    /// See [`Running::control`].
    pub fn control(&self) -> Control {
        self.running.control()
    }
}

impl Running {
    /// Waits until the program starts. `None`: it did not and will not; [`Running::finished`] says
    /// why. To be called once. Cancel-safe.
    pub async fn started(&mut self) -> Option<Started> {
        let terminal = (&mut self.started).await.ok()?;
        Some(Started { terminal })
    }

    /// What can be asked of the job meanwhile.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Waits for the end of the stage, at which nothing of the program is left alive. Dropping the
    /// future cancels the job. The pipes may still hold what was not read.
    pub async fn finished(self) -> SessionEnd {
        self.finished
            .await
            .unwrap_or(Err(ExecuteError::WorkerLost { started: true }))
    }
}

impl Control {
    /// Ends the job; the first reason given counts. Without effect once it has ended.
    pub fn stop(&self, reason: StopReason) {
        self.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            stop.get_or_insert(reason);
            first
        });
    }

    /// Sends the program's first process group a signal, if the program runs.
    pub async fn signal(&self, signal: UserSignal) {
        // An error means that it has ended.
        let _ = self.commands.send(Command::Signal(signal)).await;
    }

    /// What the job uses now. `None`: it has ended, or not begun.
    pub async fn sample(&self) -> Option<Sample> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Sample(reply)).await.ok()?;
        answer.await.ok()
    }
}
