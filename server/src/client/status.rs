//! `brig status`: how far a submission is, and showing results.

use std::sync::Arc;

use uuid::Uuid;

use super::EXIT_SERVICE;
use super::failure::Failure;
use super::follow::{Final, follow, look};
use super::service::{Service, ServiceFlags};
use super::table;
use super::ui::Ui;
use super::wire::Submission;

/// Not what was asked for, by the judge's word.
const EXIT_NOT_ACCEPTED: i32 = 1;
/// It has no result yet.
const EXIT_UNFINISHED: i32 = 4;

pub(super) const AFTER_HELP: &str = "\
Exit code: 0 accepted, 1 not accepted, 2 wrong usage, 3 trouble with the service, 4 no result yet
(`brig status` without --follow), 130 interrupted and cancelled.";

/// Show a submission
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct StatusArgs {
    /// The submission
    #[arg(value_name = "ID")]
    id: Uuid,
    /// Wait for its result
    #[arg(short, long)]
    follow: bool,
    /// Print the submission as JSON, as the service answers it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    service: ServiceFlags,
}

/// Shows a submission; gives the exit code.
pub(super) fn run(args: &StatusArgs, ui: &Arc<Ui>) -> Result<i32, Failure> {
    let service = Service::new(&args.service, Arc::clone(ui))?;
    let mut seen = look(&service, args.id)?;
    if args.follow && !seen.submission.is_final() {
        seen = follow(&service, args.id, seen.submission.tests.len())?;
    }
    show(&seen, ui, args.json)?;
    Ok(exit_code(&seen.submission))
}

/// Prints a submission to stdout.
pub(super) fn show(seen: &Final, ui: &Ui, json: bool) -> Result<(), Failure> {
    if json {
        let mut text = seen.answer.body.clone();
        text.push(b'\n');
        return ui.emit(&text);
    }
    ui.emit(table::submission(&seen.submission, ui.out).as_bytes())
}

/// What a submission's verdict exits with.
pub(super) fn exit_code(submission: &Submission) -> i32 {
    match submission.verdict.as_deref() {
        _ if !submission.is_final() => EXIT_UNFINISHED,
        Some("accepted") => 0,
        Some("internal_error") => EXIT_SERVICE,
        _ => EXIT_NOT_ACCEPTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes() {
        for (state, verdict, code) in [
            ("finished", "accepted", 0),
            ("finished", "wrong_answer", 1),
            ("finished", "internal_error", 3),
            ("cancelled", "cancelled", 1),
            ("judging", "accepted", 4),
        ] {
            let json = format!(r#"{{"id": "x", "state": "{state}", "verdict": "{verdict}"}}"#);
            assert_eq!(
                exit_code(&serde_json::from_str(&json).unwrap()),
                code,
                "{json}"
            );
        }
    }
}
