//! `brig run -i`: a live run, over a WebSocket.
//!
//! Theory of operation. One thread listens and talks at the same time (`talk`): what the service says is
//! shown as it comes, and what is typed, signals and changes of the window's size are passed on. A second
//! thread only reads the input, which is taken from it one piece at a time, so that a program that does not
//! read holds its writer back. With `--tty` this terminal is in raw mode while the program runs (`terminal`):
//! every key goes to the program's own terminal, which makes echo, line editing and signals of them.
//! Closing the socket, however that happens, ends the run.

mod message;
mod socket;
mod talk;
mod terminal;

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use self::message::Say;
use self::talk::{End, Input, Talk};
use self::terminal::Size;
use super::failure::Failure;
use super::problem::sentence;
use super::program::ProgramRequest;
use super::service::{Retries, Service, busy, is_busy};
use super::{outcome, wire::RunAnswer};

/// What is to be run, and how.
pub(super) struct Plan<'a> {
    pub(super) program: ProgramRequest<'a>,
    /// Whether the program gets a terminal.
    pub(super) tty: bool,
    /// The file that is its input; this command's stdin without it.
    pub(super) stdin: Option<&'a Path>,
    /// Whether to say nothing but what the program says.
    pub(super) quiet: bool,
}

/// The fields of a run.
#[derive(Serialize)]
struct Run<'a> {
    #[serde(flatten)]
    program: ProgramRequest<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pty: Option<Size>,
}

/// Runs until the program ends; gives the exit code. `flag` names what the caller wrote for a JSON pointer of
/// the run.
pub(super) fn run(
    service: &Service,
    plan: Plan<'_>,
    flag: &dyn Fn(&str) -> Option<String>,
) -> Result<i32, Failure> {
    let Plan {
        program,
        tty,
        stdin,
        quiet,
    } = plan;
    let input = Input::open(stdin, tty)?;
    let pty = tty.then(Size::of_this_terminal);
    let start = Say::Start {
        run: &Run { program, pty },
    };
    let talk = Talk {
        start: start.text()?,
        input,
        tty,
        quiet,
        ui: service.ui(),
    };
    let answer = until_taken(service, &talk, flag)?;
    if !quiet {
        outcome::show_end(&answer, service.ui());
    }
    Ok(outcome::exit_code(&answer))
}

/// Tries until the service is not too busy.
fn until_taken(
    service: &Service,
    talk: &Talk<'_>,
    flag: &dyn Fn(&str) -> Option<String>,
) -> Result<RunAnswer, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::Service(format!("a live run cannot be begun: {e}")))?;
    let mut retries = Retries::default();
    loop {
        let ended = runtime.block_on(async {
            match socket::open(service).await? {
                Ok(socket) => talk.until_end(socket).await,
                Err(refused) => Ok(End::Refused(refused)),
            }
        });
        match ended? {
            End::Finished(answer) => return Ok(*answer),
            End::Refused(Refused {
                status,
                body,
                retry_after,
            }) if is_busy(status) => {
                service.pause(&mut retries, busy(status, &body), retry_after)?;
            }
            End::Refused(Refused { status, body, .. }) => {
                return Err(service.refused(status, &body, flag));
            }
        }
    }
}

/// The service did not take the run, or could not finish it.
struct Refused {
    status: u16,
    /// A problem document.
    body: Vec<u8>,
    retry_after: Option<Duration>,
}

impl Refused {
    /// Of a run that had begun.
    fn failure(&self) -> Failure {
        let why = sentence(self.status, &self.body);
        Failure::Service(format!("the run broke off: {why}"))
    }
}
