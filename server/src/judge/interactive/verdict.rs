//! What a conversation means for the test: who broke it off first decides.

use brig_sandbox::limits::Limits;
use brig_sandbox::report::{Outcome, StageReport};

use super::{Deadlock, Played, Role, What};
use crate::api::CheckerProtocol;
use crate::judge::checker::{Ended, Judged, Judgement, interpret};
use crate::pool::StageOutput;

/// What decides a test.
#[derive(Clone, Debug, PartialEq)]
pub enum Ruling {
    /// What the interactor says, or that it failed.
    Interactor(Judged),
    /// How the program ended, as in a test without interactor: it did not end well.
    Program,
    /// Neither could go on: `time_limit_exceeded`, with [`Deadlock::message`].
    Deadlock(Deadlock),
    /// Nothing: this side's stage has no report.
    Fault(Role),
}

/// What it takes to understand an interactor, besides its stage.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// The protocol it should have kept to.
    pub protocol: CheckerProtocol,
    /// The limits it had.
    pub limits: &'a Limits,
    /// Whether its runtime ran out of memory and gave up by itself.
    pub out_of_memory: bool,
    /// Path and content of the files brought back.
    pub feedback: &'a [(String, Vec<u8>)],
    /// What an interactor that gives points may give at most.
    pub max_points: f64,
}

/// What decides the test.
pub fn verdict(played: &Played, words: &Words<'_>) -> Ruling {
    if let Some(deadlock) = played.deadlock {
        return Ruling::Deadlock(deadlock);
    }
    let Ok(program) = &played.program else {
        return Ruling::Fault(Role::Program);
    };
    if played.held_up {
        return Ruling::Interactor(Judged::judge_error(
            "the interactor failed: the program waited for it until its wall time was used up, \
             and the interactor did not wait for the program"
                .to_owned(),
        ));
    }
    let program = &program.report;
    let interactor_first = played.ended_first() == Some(Role::Interactor);
    // Only a crash can come of the end of the input; a limit is the program's own.
    let cut_off = played.happened(Role::Program, What::EndOfInput) && crashed(program);
    if failed(program) && !interactor_first && !cut_off {
        return Ruling::Program;
    }
    let Ok(interactor) = &played.interactor else {
        return Ruling::Fault(Role::Interactor);
    };
    let judged = interpreted(interactor, words);
    let stopped = played.happened(Role::Program, What::Stopped);
    if failed(program) && !stopped && judged.judgement == Judgement::Accepted {
        return Ruling::Program;
    }
    Ruling::Interactor(judged)
}

/// The wall time that an interactor needs so that it is never the first to be out of time because
/// the program is slow.
pub fn wall_time_ms(program: &Limits, interactor: &Limits) -> u64 {
    program.wall_time_ms.saturating_add(interactor.wall_time_ms)
}

fn interpreted(interactor: &StageOutput, words: &Words<'_>) -> Judged {
    interpret(&Ended {
        protocol: words.protocol,
        role: Role::Interactor.as_str(),
        report: &interactor.report,
        limits: words.limits,
        out_of_memory: words.out_of_memory,
        stderr: &interactor.stderr.kept,
        feedback: words.feedback,
        max_points: words.max_points,
    })
}

/// Whether a program did not end well.
pub(super) fn failed(report: &StageReport) -> bool {
    report.outcome != Outcome::Exited || report.exit_code != Some(0)
}

/// Whether it failed by itself, and not by a limit or the policy.
pub(super) fn crashed(report: &StageReport) -> bool {
    failed(report) && matches!(report.outcome, Outcome::Exited | Outcome::Signaled)
}

impl Played {
    /// Which side ended first.
    pub fn ended_first(&self) -> Option<Role> {
        let mut events = self.events.iter();
        events
            .find(|event| event.what == What::Ended)
            .map(|event| event.role)
    }

    /// Whether `what` happened to `role`.
    pub fn happened(&self, role: Role, what: What) -> bool {
        let mut events = self.events.iter();
        events.any(|event| (event.role, event.what) == (role, what))
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
