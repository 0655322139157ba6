//! `brig` as a client: `brig run`, `brig submit`, `brig status`; and `brig config check`.
//!
//! It is blocking and knows nothing of the server but its public HTTP API: [`service`] sends
//! requests, [`wire`] is what it reads of the answers. Results go to stdout, everything else to
//! stderr ([`ui`]); what others wrote (checker messages, names, errors) is shown without what a
//! terminal would obey, except for a program's own output, which passes as it is. One thread does
//! the work; a second waits for Ctrl-C while a submission is judged ([`interrupt`]). Only a live run, which listens
//! and talks at the same time, is asynchronous ([`live`]).

mod cases;
mod checker;
mod config_check;
mod failure;
mod follow;
mod interrupt;
mod limits;
mod live;
mod outcome;
mod problem;
mod program;
mod run;
mod service;
mod sources;
mod sse;
mod status;
mod submit;
mod table;
mod ui;
mod units;
mod uploads;
mod wire;

use std::sync::Arc;

use failure::Failure;
use ui::Ui;

pub use config_check::ConfigArgs;
pub use run::RunArgs;
pub use status::StatusArgs;
pub use submit::SubmitArgs;

/// What the caller must change; as clap has it.
const EXIT_USAGE: i32 = 2;
/// The service cannot be reached, is busy for too long, or failed.
const EXIT_SERVICE: i32 = 3;
/// Ended by Ctrl-C, as shells count it.
const EXIT_INTERRUPTED: i32 = 130;
/// Whoever read the output has gone, as shells count SIGPIPE.
const EXIT_OUTPUT_CLOSED: i32 = 141;

/// A subcommand of the client.
#[derive(Clone, Debug)]
pub enum Command {
    /// `brig run`.
    Run(Box<RunArgs>),
    /// `brig submit`.
    Submit(Box<SubmitArgs>),
    /// `brig status`.
    Status(StatusArgs),
    /// `brig config`.
    Config(ConfigArgs),
}

/// Carries out `command`; gives the exit code. To be called before other threads are started.
pub fn main(command: &Command) -> i32 {
    let ui = Arc::new(Ui::new());
    let result = match command {
        Command::Run(args) => run::run(args, &ui),
        Command::Submit(args) => submit::run(args, &ui),
        Command::Status(args) => status::run(args, &ui),
        Command::Config(args) => config_check::run(args, &ui),
    };
    let failure = match result {
        Ok(code) => return code,
        Err(failure) => failure,
    };
    for line in failure.lines() {
        ui.note(&line);
    }
    let code = match &failure {
        Failure::Usage(_) => EXIT_USAGE,
        Failure::Service(_) => EXIT_SERVICE,
        Failure::OutputClosed => EXIT_OUTPUT_CLOSED,
        Failure::Interrupted => EXIT_INTERRUPTED,
    };
    match command {
        Command::Run(_) => run::failure_code(&failure, code),
        _ => code,
    }
}
