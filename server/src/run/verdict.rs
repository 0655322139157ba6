//! From how a stage ended to what became of the run.

use brig_sandbox::report::{Outcome, StageReport};

use super::words;
use crate::api::RunStatus;
use crate::language::{Language, StageKind};
use crate::pool::StageOutput;
use brig_sandbox::limits::Limits;

/// What a stage means for its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What became of it.
    pub status: RunStatus,
    /// The same in words, with figures.
    pub message: String,
}

/// A program can write more than it may and exit before it is stopped; whether it does is a matter
/// of scheduling, which must not decide what becomes of it.
pub(crate) fn settle(output: &mut StageOutput) {
    let ended_by_itself = matches!(output.report.outcome, Outcome::Exited | Outcome::Signaled);
    if ended_by_itself && (output.stdout.over_limit || output.stderr.over_limit) {
        output.report.outcome = Outcome::OutputLimit;
    }
}

/// What the run stage says of the run.
pub(super) fn of_run(output: &StageOutput, limits: &Limits, language: &Language) -> Verdict {
    let report = &output.report;
    let oom = language.classify_oom(StageKind::Run, report, &output.stderr.kept);
    let mut message = words::describe(report, limits, oom);
    if let Some(why) = &report.collect_error {
        message.push_str("; the output files were not collected: ");
        message.push_str(why);
    }
    Verdict {
        status: if oom {
            RunStatus::MemoryLimitExceeded
        } else {
            status(report)
        },
        message,
    }
}

fn status(report: &StageReport) -> RunStatus {
    match report.outcome {
        Outcome::Exited if report.exit_code == Some(0) => RunStatus::Ok,
        Outcome::Exited | Outcome::Signaled => RunStatus::RuntimeError,
        Outcome::CpuTimeLimit | Outcome::WallTimeLimit => RunStatus::TimeLimitExceeded,
        Outcome::MemoryLimit => RunStatus::MemoryLimitExceeded,
        Outcome::OutputLimit => RunStatus::OutputLimitExceeded,
        Outcome::PolicyViolation => RunStatus::SecurityViolation,
        Outcome::Cancelled => RunStatus::Cancelled,
    }
}

/// What the compile stage says of the run; `None` when the program can be run.
///
/// A compiler that hits a limit did not compile the program, so that is a compile error too, and
/// the message says which limit.
pub(super) fn of_compile(
    output: &StageOutput,
    limits: &Limits,
    language: &Language,
) -> Option<Verdict> {
    let report = &output.report;
    let status = match status(report) {
        RunStatus::Ok if report.collect_error.is_none() => return None,
        status @ (RunStatus::SecurityViolation | RunStatus::Cancelled) => status,
        _ => RunStatus::CompileError,
    };
    let message = match (&report.collect_error, report.outcome) {
        (Some(why), Outcome::Exited) if report.exit_code == Some(0) => {
            format!("the compiled files cannot be kept: {why}")
        }
        (_, Outcome::Exited) if report.exit_code.is_some() => {
            let oom = language.classify_oom(StageKind::Compile, report, &output.stderr.kept);
            let ending = words::describe(report, limits, oom);
            first_error(output).map_or_else(
                || format!("the compiler {ending}"),
                |line| format!("the compiler {ending}: {line}"),
            )
        }
        _ => format!(
            "the compiler was {}",
            words::describe(report, limits, false)
        ),
    };
    Some(Verdict { status, message })
}

/// A line of compiler output goes into a message up to this many characters.
const MAX_LINE_CHARS: usize = 300;

/// The first line of what the compiler wrote that speaks of an error; else its first line.
fn first_error(output: &StageOutput) -> Option<String> {
    let streams = [&output.stderr.kept, &output.stdout.kept].map(|s| String::from_utf8_lossy(s));
    let lines = || {
        streams
            .iter()
            .flat_map(|s| s.lines())
            .map(str::trim)
            .filter(|l| !l.is_empty())
    };
    let speaks_of_error = |line: &&str| line.to_ascii_lowercase().contains("error");
    let line = lines().find(speaks_of_error).or_else(|| lines().next())?;
    let visible = line.chars().filter(|c| !c.is_control());
    Some(visible.take(MAX_LINE_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Captured;
    use crate::run::words::tests::report;

    fn output(report: StageReport, stderr: &str) -> StageOutput {
        let stderr = Captured {
            kept: stderr.as_bytes().to_vec(),
            total_bytes: stderr.len() as u64,
            over_limit: false,
        };
        StageOutput {
            report,
            stdout: Captured::default(),
            stderr,
            collected: None,
        }
    }

    #[test]
    fn every_outcome_has_its_status() {
        let exited = |code| StageReport {
            exit_code: Some(code),
            ..report(Outcome::Exited)
        };
        assert_eq!(status(&exited(0)), RunStatus::Ok);
        assert_eq!(status(&exited(1)), RunStatus::RuntimeError);
        let pairs = [
            (Outcome::Signaled, RunStatus::RuntimeError),
            (Outcome::CpuTimeLimit, RunStatus::TimeLimitExceeded),
            (Outcome::WallTimeLimit, RunStatus::TimeLimitExceeded),
            (Outcome::MemoryLimit, RunStatus::MemoryLimitExceeded),
            (Outcome::OutputLimit, RunStatus::OutputLimitExceeded),
            (Outcome::PolicyViolation, RunStatus::SecurityViolation),
            (Outcome::Cancelled, RunStatus::Cancelled),
        ];
        for (outcome, expected) in pairs {
            assert_eq!(status(&report(outcome)), expected);
        }
    }

    #[test]
    fn too_much_output_counts_however_the_race_ends() {
        let exited = StageReport {
            exit_code: Some(0),
            ..report(Outcome::Exited)
        };
        let mut output = output(exited, "");
        settle(&mut output);
        assert_eq!(output.report.outcome, Outcome::Exited);
        output.stdout = Captured {
            kept: vec![0; 3],
            total_bytes: 4,
            over_limit: true,
        };
        settle(&mut output);
        assert_eq!(output.report.outcome, Outcome::OutputLimit);
    }

    #[test]
    fn the_first_error_line_is_quoted() {
        let found = |text| first_error(&output(report(Outcome::Exited), text));
        let text =
            "In file included from a.h:1:\n\x1b[1mmain.cpp:3:5: error: no 'x' here\nmore error\n";
        assert_eq!(found(text).unwrap(), "[1mmain.cpp:3:5: error: no 'x' here");
        assert_eq!(found("  \nsyntax problem\n").unwrap(), "syntax problem");
        assert_eq!(found(""), None);
        assert_eq!(
            found(&"é".repeat(1000)).unwrap().chars().count(),
            MAX_LINE_CHARS
        );
    }
}
