//! Interactive problems: a program and an interactor that talk to each other.
//!
//! Each runs in a sandbox of its own. Their pipes are crossed here, by a pump, not in the kernel, so what is
//! said can be counted and recorded, and it is known who waits for whom:
//!
//! ```text
//! program                                                interactor
//!   stdout --> pipe --> relay: one buffer, transcript --> pipe --> stdin
//!   stdin  <-- pipe <-- relay: one buffer, transcript <-- pipe <-- stdout
//! ```
//!
//! - A relay reads only when it has passed on what it read before, so a side that floods is held
//!   back by the kernel's pipes, and memory does not grow.
//! - The end of a stream is passed on only when it is known how its writer ended (`relay`). So a side
//!   that breaks down over the other's end is never taken for the one that broke down first.
//! - When neither side can go on, that is seen within a second ([`watch`]).
//! - Once the conversation cannot change the verdict any more, the other side is stopped.
//!
//! [`play`] follows a conversation to its end and says what happened in [`Played`]; [`verdict`], which is a
//! pure function, says what it means. docs/checkers.md has the rules as problem setters need them.

mod conversation;
mod lease;
mod relay;
mod transcript;
mod verdict;
mod watch;

use std::time::Duration;

use crate::api::CheckerProtocol;
use crate::pool::{ExecuteError, Session, StageOutput};

use conversation::Conversation;
pub use lease::Pairs;
pub use transcript::{Said, Transcript};
pub use verdict::{Ruling, Words, verdict, wall_time_ms};
pub use watch::Deadlock;

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The contestant's.
    Program,
    /// The judge's.
    Interactor,
}

impl Role {
    /// Its name in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Interactor => "interactor",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Program => Self::Interactor,
            Self::Interactor => Self::Program,
        }
    }

    /// Its place in arrays that have one of each.
    fn index(self) -> usize {
        match self {
            Self::Program => 0,
            Self::Interactor => 1,
        }
    }
}

/// What a conversation has to keep to.
#[derive(Clone, Copy, Debug)]
pub struct PlayOptions {
    /// The interactor's.
    pub protocol: CheckerProtocol,
    /// What the program may write to stdout, and to stderr.
    pub program_output_bytes: u64,
    /// The same of the interactor.
    pub interactor_output_bytes: u64,
    /// What is kept of the conversation's beginning, and of its end.
    pub transcript_bytes: usize,
}

/// What happened in a conversation.
#[derive(Debug)]
pub struct Played {
    /// The program's stage. Its stdout is what it said to the interactor.
    pub program: Result<StageOutput, ExecuteError>,
    /// The interactor's stage.
    pub interactor: Result<StageOutput, ExecuteError>,
    /// Who closed, was stopped and ended when, in order. At most one of each kind for each side.
    pub events: Vec<Event>,
    /// Neither side could go on, so both were stopped.
    pub deadlock: Option<Deadlock>,
    /// The program used up its wall time waiting for an interactor that did not wait for it.
    pub held_up: bool,
    /// What was said.
    pub transcript: Transcript,
}

/// Something that happened to one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Since the beginning of the conversation.
    pub at: Duration,
    /// To whom.
    pub role: Role,
    /// What.
    pub what: What,
}

/// What can happen to a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It was given the end of its input, because the other side closed its stdout or ended.
    EndOfInput,
    /// It closed its stdin: what the other side says further is thrown away.
    ClosedInput,
    /// It was stopped, because nothing that it could do would count.
    Stopped,
    /// It ended.
    Ended,
}

/// Follows a conversation to its end. Best started with the interactor running ([`Session::started`])
/// before the program is opened, so that the program does not pay for its start. Dropping the future stops
/// both.
pub async fn play(program: Session, interactor: Session, options: &PlayOptions) -> Played {
    let controls = [program.control(), interactor.control()];
    let conversation = Conversation::new(options, controls);
    let (to_program, to_interactor) = (program.stdin, interactor.stdin);
    let talk = async {
        tokio::join!(
            conversation.follow(Role::Program, program.running),
            conversation.follow(Role::Interactor, interactor.running),
            conversation.relay(Role::Program, program.stdout, to_interactor),
            conversation.relay(Role::Interactor, interactor.stdout, to_program),
            conversation.collect(Role::Program, program.stderr),
            conversation.collect(Role::Interactor, interactor.stderr),
        )
    };
    let (program, interactor, ..) = tokio::select! {
        ends = talk => ends,
        never = conversation.watch() => match never {},
    };
    conversation.finish(program, interactor)
}
