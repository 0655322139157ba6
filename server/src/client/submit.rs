//! `brig submit`: judge a program against a folder of tests.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use ureq::http::Method;
use uuid::Uuid;

use super::cases;
use super::checker::{self, Checker, CheckerFlag, Judge, Protocol};
use super::failure::Failure;
use super::follow::{Final, follow};
use super::limits::{CompileLimitFlags, LimitFlags};
use super::program::{ProgramFlags, ProgramRequest};
use super::service::{Ask, Sent, Service, ServiceFlags, to_json};
use super::sources::{self, Known};
use super::status;
use super::ui::Ui;
use super::uploads::{self, TestRequest};

/// Judge a program against the tests of a folder
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = status::AFTER_HELP)]
pub struct SubmitArgs {
    #[command(flatten)]
    program: ProgramFlags,
    /// Folder of tests: *.in with *.ans or *.out beside it; sub-folders are groups
    #[arg(short, long, value_name = "DIR")]
    tests: PathBuf,
    #[command(flatten)]
    judge: JudgeFlags,
    /// When to stop: at the first test that fails, in a group at its first, or never
    #[arg(long, value_enum, value_name = "WHEN")]
    stop: Option<Stop>,
    /// What goes first when the service is busy
    #[arg(long, value_enum, value_name = "CLASS")]
    priority: Option<Priority>,
    /// Print the submission as JSON, as the service answers it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: LimitFlags,
    #[command(flatten)]
    compile_limits: CompileLimitFlags,
    #[command(flatten)]
    service: ServiceFlags,
}

/// Who judges the outputs.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Judging")]
struct JudgeFlags {
    /// exact, lines, tokens, tokens_ci, sorted_lines, float:1e-6, float:abs=1e-6,rel=1e-9 or
    /// program:FILE [default: lines]
    #[arg(long, value_name = "CHECKER")]
    checker: Option<CheckerFlag>,
    /// Program that talks with the submitted one
    #[arg(long, value_name = "FILE", conflicts_with = "checker")]
    interactor: Option<PathBuf>,
    /// More files of the checker or interactor, such as testlib.h; may be repeated
    #[arg(long = "judge-file", value_name = "FILE")]
    judge_files: Vec<PathBuf>,
    /// Language of the checker or interactor [default: by its extension]
    #[arg(long, value_name = "ID")]
    judge_language: Option<String>,
    /// Argument of the checker or interactor; may be repeated
    #[arg(long = "judge-arg", value_name = "ARG", allow_hyphen_values = true)]
    judge_args: Vec<String>,
    /// How the checker or interactor is called and answers
    #[arg(long, value_enum, value_name = "PROTOCOL", default_value = "testlib")]
    protocol: Protocol,
}

/// `stop` of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
enum Stop {
    FirstFailure,
    GroupFailure,
    Never,
}

/// `priority` of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Priority {
    Interactive,
    Normal,
    Bulk,
}

/// `POST /v1/submissions`.
#[derive(Debug, Serialize)]
struct Request<'a> {
    #[serde(flatten)]
    program: ProgramRequest<'a>,
    tests: Vec<TestRequest>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<Group>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checker: Option<Checker>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interactor: Option<Judge>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<Stop>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<Priority>,
}

/// One group of a request.
#[derive(Debug, Serialize)]
struct Group {
    id: String,
}

/// What the service says when it has taken a submission.
#[derive(Debug, Deserialize)]
struct Taken {
    id: Uuid,
}

/// Submits and waits for the result; gives the exit code.
pub(super) fn run(args: &SubmitArgs, ui: &Arc<Ui>) -> Result<i32, Failure> {
    let service = Arc::new(Service::new(&args.service, Arc::clone(ui))?);
    let canceller = Arc::clone(&service);
    service
        .interrupt()
        .arm(Arc::clone(ui), move |id| cancel(&canceller, id))?;
    let found = cases::find(&args.tests)?;
    for remark in &found.remarks {
        ui.note(remark);
    }
    answers_present(args, &found.cases)?;
    let mut request = request(args, &service)?;
    let (tests, blobs) = uploads::prepare(&found.cases)?;
    if !blobs.is_empty() {
        uploads::upload(&service, &blobs)?;
    }
    let count = tests.len();
    request.groups = groups(&tests);
    request.tests = tests;
    let id = post(args, &service, &request)?;
    ui.note(&format!("submission {id}, {count} tests"));
    if service.interrupt().judging(id) {
        cancel(&service, id);
    }
    let last = follow(&service, id, count)?;
    end(&last, ui, args.json, service.interrupt().came())
}

/// Shows a final result; gives the exit code.
fn end(last: &Final, ui: &Ui, json: bool, interrupted: bool) -> Result<i32, Failure> {
    status::show(last, ui, json)?;
    if interrupted && last.submission.state == "cancelled" {
        return Err(Failure::Interrupted);
    }
    Ok(status::exit_code(&last.submission))
}

/// Without an expected output only a program can judge.
fn answers_present(args: &SubmitArgs, cases: &[cases::Case]) -> Result<(), Failure> {
    let by_program = args
        .judge
        .checker
        .as_ref()
        .is_some_and(|c| c.file().is_some());
    if by_program || args.judge.interactor.is_some() {
        return Ok(());
    }
    let missing = cases.iter().filter(|case| case.answer.is_none());
    let lines: Vec<String> = missing
        .map(|case| {
            format!(
                "{} has neither .ans nor .out beside it",
                case.input.display()
            )
        })
        .collect();
    if lines.is_empty() {
        Ok(())
    } else {
        Err(Failure::Usage(lines))
    }
}

/// The request without its tests.
fn request<'a>(args: &'a SubmitArgs, service: &Service) -> Result<Request<'a>, Failure> {
    let flags = &args.judge;
    let judged = flags
        .checker
        .as_ref()
        .and_then(CheckerFlag::file)
        .or(flags.interactor.as_ref());
    let known = if args.program.language.is_none()
        || (judged.is_some() && flags.judge_language.is_none())
    {
        sources::languages(service)?
    } else {
        Vec::new()
    };
    let limits = (&args.limits, &args.compile_limits);
    Ok(Request {
        program: args.program.request(&[], limits, &known)?,
        tests: Vec::new(),
        groups: Vec::new(),
        checker: match &flags.checker {
            Some(checker) => Some(checker.request(|file| judge(flags, file, &known))?),
            None => None,
        },
        interactor: match &flags.interactor {
            Some(file) => Some(judge(flags, file, &known)?),
            None => None,
        },
        stop: args.stop,
        priority: args.priority,
    })
}

fn judge(flags: &JudgeFlags, file: &PathBuf, known: &[Known]) -> Result<Judge, Failure> {
    checker::judge(
        file,
        &flags.judge_files,
        flags.judge_language.as_ref(),
        flags.protocol,
        &flags.judge_args,
        known,
    )
}

/// The groups of `tests` in the order in which they appear.
fn groups(tests: &[TestRequest]) -> Vec<Group> {
    let mut seen = BTreeSet::new();
    let ids = tests.iter().filter_map(|test| test.group.as_ref());
    ids.filter(|id| seen.insert(id.as_str()))
        .map(|id| Group { id: id.clone() })
        .collect()
}

fn post(args: &SubmitArgs, service: &Service, request: &Request<'_>) -> Result<Uuid, Failure> {
    let body = to_json(request)?;
    let ask = Ask {
        method: Method::POST,
        // With the key, sending it again after a broken connection makes no second submission.
        headers: vec![("idempotency-key", Uuid::now_v7().to_string())],
        body: Sent::Json(&body),
        ..Ask::get("/v1/submissions")
    };
    service.interrupt().posting();
    let answer = service.expect(&ask, &|pointer| flag(pointer, args, request))?;
    Ok(answer.json::<Taken>()?.id)
}

/// What the caller wrote for `pointer` of the request.
fn flag(pointer: &str, args: &SubmitArgs, request: &Request<'_>) -> Option<String> {
    let parts: Vec<&str> = pointer.split('/').skip(1).collect();
    Some(match parts.as_slice() {
        ["tests", index, rest @ ..] => {
            let test = request.tests.get(index.parse::<usize>().ok()?)?;
            [&["test", &test.id], rest].concat().join(" ")
        }
        ["tests"] => "--tests".to_owned(),
        ["checker" | "interactor", "language"] => "--judge-language".to_owned(),
        ["checker" | "interactor", "args", ..] => "--judge-arg".to_owned(),
        ["checker" | "interactor", "protocol"] => "--protocol".to_owned(),
        ["checker", ..] => "--checker".to_owned(),
        ["interactor", ..] => "--interactor".to_owned(),
        [name @ ("stop" | "priority")] => format!("--{name}"),
        parts => return args.program.flag(parts),
    })
}

/// Asks the service to cancel a submission, and says what came of it.
fn cancel(service: &Service, id: Uuid) {
    let ui = service.ui();
    ui.note("interrupted; cancelling the submission");
    let ask = Ask {
        method: Method::DELETE,
        ..Ask::get(format!("/v1/submissions/{id}"))
    };
    match service.send(&ask) {
        Ok(answer) if answer.ok() => ui.note(&format!("submission {id} is cancelled")),
        Ok(answer) if answer.status == 409 => ui.note("too late: the submission has its result"),
        Ok(answer) => {
            let lines = service.refusal(&answer, &|_| None).lines();
            ui.note(&format!(
                "the submission is not cancelled: {}",
                lines.join("; ")
            ));
        }
        Err(failure) => {
            let lines = failure.lines().join("; ");
            ui.note(&format!("the submission may not be cancelled: {lines}"));
        }
    }
}
