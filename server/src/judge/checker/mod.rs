//! Programs as checkers: how they are called, and what their ending means.
//!
//! A checker is judged as any program is: in a sandbox, under limits. [`Setup`] says what it finds there,
//! [`interpret`] makes a verdict of how it ended. The verdict on the contestant is taken only from
//! what the protocol defines; whatever else a checker does is [`Judgement::JudgeError`]. What it
//! writes is as untrusted as any program's output, since it may repeat the contestant's.

mod icpc;
mod request;
mod testlib;
mod text;

use brig_sandbox::limits::Limits;
use brig_sandbox::protocol::Collect;
use brig_sandbox::report::{Outcome, StageReport};

use super::compare::{Compared, Match};
use crate::api::CheckerProtocol;
use crate::run::describe;
pub use request::{Checker, ProgramChecker, interactor};

/// What a checker says of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is right, or worth a part of the points.
    Accepted,
    /// It is wrong.
    WrongAnswer,
    /// It is not in the form that the task asks for.
    PresentationError,
    /// The checker did not do its part. Says nothing about the output.
    JudgeError,
}

/// What a checker says of an output, in full.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The verdict.
    pub judgement: Judgement,
    /// The part of the test's points, 0 to 1, if the checker gave one. Without it an accepted output
    /// has all points, any other none.
    pub score: Option<f64>,
    /// For the judges: one line of printable text.
    pub message: Option<String>,
    /// The same for the contestant, where the protocol tells them apart.
    pub team_message: Option<String>,
}

impl Judged {
    fn new(judgement: Judgement, message: Option<String>) -> Self {
        Self {
            judgement,
            score: None,
            message,
            team_message: None,
        }
    }

    pub(in crate::judge) fn judge_error(message: String) -> Self {
        Self::new(Judgement::JudgeError, Some(message))
    }
}

impl From<Compared> for Judged {
    fn from(compared: Compared) -> Self {
        let judgement = match compared.verdict {
            Match::Same => Judgement::Accepted,
            Match::PresentationOnly => Judgement::PresentationError,
            Match::Different => Judgement::WrongAnswer,
        };
        Self::new(judgement, compared.message)
    }
}

/// Data of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// The program's input.
    Input,
    /// What the program wrote to stdout.
    Output,
    /// The expected output.
    Answer,
}

/// How a checker is called.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Its first arguments.
    pub args: &'static [&'static str],
    /// What it finds in `/box`.
    pub files: &'static [(&'static str, Data)],
    /// What its stdin is; empty if nothing, and an interactor's is a pipe.
    pub stdin: Option<Data>,
    /// Empty files to put into `/box`, because their directories have to exist.
    pub placeholders: &'static [&'static str],
    /// Directories and files of `/box` that are the protocol's.
    pub reserved: &'static [&'static str],
    /// Files to bring back, relative to `/box`.
    pub feedback: &'static [&'static str],
}

/// All feedback files together. A validator's output may have 8 MiB in all in Kattis's problem format.
const MAX_FEEDBACK_BYTES: u64 = 8 << 20;

impl Setup {
    /// How checkers of `protocol` are called.
    pub fn of(protocol: CheckerProtocol) -> &'static Self {
        match protocol {
            CheckerProtocol::Testlib => &testlib::SETUP,
            CheckerProtocol::Icpc => &icpc::SETUP,
        }
    }

    /// How interactors of `protocol` are called. Their stdin is what the program writes.
    pub fn of_interactor(protocol: CheckerProtocol) -> &'static Self {
        match protocol {
            CheckerProtocol::Testlib => &testlib::INTERACTOR,
            CheckerProtocol::Icpc => &icpc::INTERACTOR,
        }
    }

    /// What to bring back, whatever its exit code.
    pub fn collect(&self) -> Option<Collect> {
        (!self.feedback.is_empty()).then(|| Collect {
            globs: self.feedback.iter().map(|f| (*f).to_owned()).collect(),
            max_bytes: MAX_FEEDBACK_BYTES,
            max_files: u32::try_from(self.feedback.len()).unwrap_or(u32::MAX),
            only_on_success: false,
        })
    }
}

/// A checker that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// The protocol it should have kept to.
    pub protocol: CheckerProtocol,
    /// What messages call it: `checker`, or `interactor`.
    pub role: &'static str,
    /// How it ended.
    pub report: &'a StageReport,
    /// The limits it had.
    pub limits: &'a Limits,
    /// Whether its runtime ran out of memory and gave up by itself.
    pub out_of_memory: bool,
    /// The beginning of its stderr.
    pub stderr: &'a [u8],
    /// Path and content of the files brought back.
    pub feedback: &'a [(String, Vec<u8>)],
    /// What a checker that gives points may give at most.
    pub max_points: f64,
}

/// What the checker says, if it says anything that its protocol knows.
pub fn interpret(ended: &Ended<'_>) -> Judged {
    let exit_code = match ended.exit_code() {
        Ok(exit_code) => exit_code,
        Err(why) => return ended.judge_error(&why),
    };
    let judged = match ended.protocol {
        CheckerProtocol::Testlib => testlib::interpret(ended, exit_code),
        CheckerProtocol::Icpc => icpc::interpret(ended, exit_code),
    };
    judged.unwrap_or_else(|why| ended.judge_error(&why))
}

/// Whether an ending may turn out to accept the output, as far as that is known without its words.
pub fn may_accept(protocol: CheckerProtocol, report: &StageReport) -> bool {
    let exited = report
        .exit_code
        .filter(|_| report.outcome == Outcome::Exited);
    exited.is_some_and(|exit_code| match protocol {
        CheckerProtocol::Testlib => testlib::may_accept(exit_code),
        CheckerProtocol::Icpc => icpc::may_accept(exit_code),
    })
}

impl Ended<'_> {
    /// The exit code, if it exited; why that means nothing, if so.
    fn exit_code(&self) -> Result<i32, String> {
        let report = self.report;
        let exited = report
            .exit_code
            .filter(|_| report.outcome == Outcome::Exited);
        // Codes that no runtime gives by itself are meant.
        let meant = self.protocol == CheckerProtocol::Icpc && exited.is_some_and(icpc::is_verdict);
        match exited {
            Some(exit_code) if meant || !self.out_of_memory => match &report.collect_error {
                None => Ok(exit_code),
                Some(why) => Err(format!("its feedback files cannot be read: {why}")),
            },
            _ => Err(describe(report, self.limits, self.out_of_memory)),
        }
    }

    /// It failed, and what it wrote to stderr may tell the judges why.
    fn judge_error(&self, why: &str) -> Judged {
        let Self { role, .. } = self;
        Judged::judge_error(match text::one_line(self.stderr) {
            None => format!("the {role} failed: {why}"),
            Some(stderr) => format!("the {role} failed: {why}; its stderr: {stderr}"),
        })
    }
}

/// A checker that could not even be started, and why.
pub fn failed(why: &str) -> Judged {
    Judged::judge_error(format!("the checker failed: {why}"))
}

/// A number of points as a part of `max_points`; why it is none, if so.
fn score(text: &str, max_points: f64) -> Result<f64, String> {
    /// Points are printed with so many digits that a whole may come out a little larger.
    const ROUNDING: f64 = 1e-9;
    let number = |text: &str| {
        let decimal = |b: u8| b.is_ascii_digit() || b"+-.eE".contains(&b);
        let value = text.parse::<f64>().ok().filter(|v| v.is_finite());
        value.filter(|_| text.bytes().all(decimal))
    };
    let quoted = || text::one_line(text.as_bytes()).unwrap_or_default();
    let Some(points) = number(text) else {
        return Err(format!("{:?} is not a number of points", quoted()));
    };
    if points < 0.0 || points > max_points * (1.0 + ROUNDING) {
        return Err(format!(
            "{} points are not within 0 and {max_points}",
            quoted()
        ));
    }
    Ok(if max_points > 0.0 {
        (points / max_points).min(1.0)
    } else {
        1.0
    })
}

#[cfg(test)]
mod tests;
