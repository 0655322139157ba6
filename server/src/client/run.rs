//! `brig run`: run a program once, as if it ran here.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::failure::Failure;
use super::limits::{self, CompileLimitFlags, LimitFlags};
use super::service::{Ask, RUN_TIMEOUT, Sent, Service, ServiceFlags};
use super::sources::{self, Program};
use super::ui::{Tone, Ui, printable};
use super::wire::{RunAnswer, Stage};
use crate::run::words;

/// Exit codes where the program itself has none to give.
const EXIT_CODES: [(&str, i32); 8] = [
    ("compile_error", 121),
    ("output_limit_exceeded", 122),
    ("security_violation", 123),
    ("time_limit_exceeded", 124),
    ("memory_limit_exceeded", 125),
    ("cancelled", 126),
    ("internal_error", EXIT_INTERNAL),
    ("runtime_error", 1),
];
const EXIT_INTERNAL: i32 = 127;
/// The service cannot be reached or did not take the run.
const EXIT_SERVICE: i32 = 120;
/// A program that a signal ended has this plus the signal's number, as in shells.
const EXIT_SIGNAL: i32 = 128;

const AFTER_HELP: &str = "\
Exit code: the program's own; 128+N if signal N ended it; else 121 compile error, 122 output limit,
123 security violation, 124 time limit, 125 memory limit, 126 cancelled, 127 internal error;
2 wrong usage, 120 no answer from the service.";

/// Run a program once: its stdin, stdout, stderr and exit code become this command's
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct RunArgs {
    /// The program's files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Language, such as cpp or python@3.11 [default: by the extension of the first FILE that tells]
    #[arg(short, long, value_name = "ID")]
    language: Option<String>,
    /// The file that starts, if it is not clear
    #[arg(long, value_name = "PATH")]
    entry: Option<String>,
    /// File that is the program's stdin [default: this command's stdin]
    #[arg(long, value_name = "FILE")]
    stdin: Option<PathBuf>,
    /// Argument of the program; may be repeated, or given after --
    #[arg(
        long = "args",
        visible_alias = "arg",
        value_name = "ARG",
        allow_hyphen_values = true
    )]
    args: Vec<String>,
    /// More arguments of the program
    #[arg(last = true, value_name = "ARGS")]
    rest: Vec<String>,
    /// Variable of the program's environment; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Argument of the compiler; may be repeated
    #[arg(long = "compiler-arg", value_name = "ARG", allow_hyphen_values = true)]
    compiler_args: Vec<String>,
    /// Policy of the sandbox, if not the language's own
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Print the service's answer as JSON instead of the program's output
    #[arg(long)]
    json: bool,
    /// Say nothing but what the program says
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    limits: LimitFlags,
    #[command(flatten)]
    compile_limits: CompileLimitFlags,
    #[command(flatten)]
    service: ServiceFlags,
}

/// `NAME=VALUE`.
pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("NAME=VALUE is wanted".to_owned()),
    }
}

/// `POST /v1/runs`.
#[derive(Debug, Serialize)]
struct Request<'a> {
    language: String,
    #[serde(flatten)]
    program: Program,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<&'a str>,
    stdin: String,
    stdin_encoding: &'static str,
    args: Vec<&'a str>,
    env: BTreeMap<&'a str, &'a str>,
    compiler_args: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<&'a LimitFlags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compile_limits: Option<&'a CompileLimitFlags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
}

/// Runs; gives the exit code.
pub(super) fn run(args: &RunArgs, ui: &Arc<Ui>) -> Result<i32, Failure> {
    let service = Service::new(&args.service, Arc::clone(ui))?;
    let program = sources::read_program(&args.files)?;
    let stdin = stdin(args.stdin.as_deref(), ui)?;
    let language = match &args.language {
        Some(language) => language.clone(),
        None => sources::language_of(&args.files, &sources::languages(&service)?, "--language")?,
    };
    let (stdin, stdin_encoding) = sources::text_or_base64(stdin);
    let request = Request {
        language,
        program,
        entry: args.entry.as_deref(),
        stdin,
        stdin_encoding,
        args: args
            .args
            .iter()
            .chain(&args.rest)
            .map(String::as_str)
            .collect(),
        env: args
            .env
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect(),
        compiler_args: &args.compiler_args,
        limits: args.limits.given(),
        compile_limits: args.compile_limits.given(),
        policy: args.policy.as_deref(),
    };
    let body = serde_json::to_vec(&request)
        .map_err(|e| Failure::Service(format!("the request cannot be written: {e}")))?;
    let ask = Ask {
        method: ureq::http::Method::POST,
        body: Sent::Json(&body),
        timeout: RUN_TIMEOUT,
        repeatable: false,
        ..Ask::get("/v1/runs")
    };
    let answer = service.expect(&ask, &|pointer| flag(pointer, &args.files))?;
    let run: RunAnswer = answer.json()?;
    if args.json {
        ui.emit(&answer.body)?;
        ui.emit(b"\n")?;
    } else {
        show(&run, ui, args.quiet)?;
    }
    Ok(exit_code(&run))
}

/// What a failure of this command exits with.
pub(super) fn failure_code(failure: &Failure, code: i32) -> i32 {
    match failure {
        Failure::Service(_) => EXIT_SERVICE,
        _ => code,
    }
}

/// All of the program's input.
fn stdin(file: Option<&Path>, ui: &Ui) -> Result<Vec<u8>, Failure> {
    match file {
        Some(path) if path != Path::new("-") => sources::read_file(path),
        _ => {
            let stdin = std::io::stdin();
            if stdin.is_terminal() {
                ui.note("the program's input comes from here; Ctrl-D ends it");
            }
            sources::read_bounded(Path::new("stdin"), stdin.lock())
        }
    }
}

/// What the caller wrote for `pointer` of the request.
fn flag(pointer: &str, files: &[PathBuf]) -> Option<String> {
    let parts: Vec<&str> = pointer.split('/').skip(1).collect();
    Some(match parts.as_slice() {
        ["limits", field] => limits::flag(field)?.to_owned(),
        ["compile_limits", field] => limits::compile_flag(field)?.to_owned(),
        ["source", ..] => files.first()?.display().to_string(),
        ["files", index, ..] => files
            .get(index.parse::<usize>().ok()?)?
            .display()
            .to_string(),
        ["env", name] => format!("--env {name}"),
        ["compiler_args", ..] => "--compiler-arg".to_owned(),
        ["args", ..] => "--args".to_owned(),
        [name @ ("language" | "entry" | "stdin" | "policy" | "env")] => format!("--{name}"),
        _ => return None,
    })
}

fn show(run: &RunAnswer, ui: &Ui, quiet: bool) -> Result<(), Failure> {
    use std::io::Write as _;
    let to_stderr = |bytes: &[u8]| {
        // Whoever closed stderr does not want it.
        let _ = std::io::stderr().lock().write_all(bytes);
    };
    if let Some(compile) = run.compile.as_ref().filter(|_| !quiet || run.run.is_none()) {
        to_stderr(&compile.stdout());
        to_stderr(&compile.stderr());
    }
    if let Some(stage) = &run.run {
        ui.emit(&stage.stdout())?;
        to_stderr(&stage.stderr());
    }
    if !quiet {
        for line in remarks(run) {
            ui.note(&line);
        }
        ui.say(&format!("brig: {}", verdict(run, ui)));
    }
    Ok(())
}

/// What the output does not show.
fn remarks(run: &RunAnswer) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(stage) = &run.run {
        for (name, truncated, bytes, kept) in [
            (
                "stdout",
                stage.stdout_truncated,
                stage.stdout_bytes,
                stage.stdout().len(),
            ),
            (
                "stderr",
                stage.stderr_truncated,
                stage.stderr_bytes,
                stage.stderr().len(),
            ),
        ] {
            if truncated {
                remarks.push(format!("{name} was cut: these are {kept} of {bytes} bytes"));
            }
        }
    }
    if !run.degraded.is_empty() {
        remarks.push(format!(
            "this host does not enforce: {}",
            run.degraded.join(", ")
        ));
    }
    remarks
}

/// One line: what became of it, and what it cost.
fn verdict(run: &RunAnswer, ui: &Ui) -> String {
    let mut line = ui
        .err
        .paint(tone(&run.status), &printable(&run.status.replace('_', " ")));
    if !run.message.is_empty() {
        line.push_str(": ");
        line.push_str(&printable(&run.message));
    }
    for cost in costs(run) {
        line.push_str(", ");
        line.push_str(&cost);
    }
    line
}

fn costs(run: &RunAnswer) -> Vec<String> {
    let mut costs = Vec::new();
    if let Some(usage) = run.run.as_ref().map(|stage| &stage.usage) {
        costs.extend(
            usage
                .wall_us
                .map(|us| format!("{} on the clock", words::time(us))),
        );
        costs.extend(
            usage
                .memory_peak_bytes
                .map(|b| format!("peak memory {}", words::bytes(b))),
        );
    }
    match &run.compile {
        Some(Stage { cached: true, .. }) => costs.push("compiled earlier".to_owned()),
        Some(stage) => {
            let took = stage
                .usage
                .wall_us
                .map(|us| format!("compiler {}", words::time(us)));
            costs.extend(took);
        }
        None => {}
    }
    costs
}

fn tone(status: &str) -> Tone {
    match status {
        "ok" => Tone::Good,
        "runtime_error" | "compile_error" | "security_violation" => Tone::Bad,
        "time_limit_exceeded" | "memory_limit_exceeded" | "output_limit_exceeded" => Tone::Limit,
        _ => Tone::Odd,
    }
}

fn exit_code(run: &RunAnswer) -> i32 {
    let stage = run.run.as_ref();
    if matches!(run.status.as_str(), "ok" | "runtime_error") {
        if let Some(code) = stage.and_then(|s| s.exit_code) {
            return code;
        }
        let signal = stage.and_then(|s| s.signal.as_deref());
        let number = signal.and_then(|name| name.parse::<nix::sys::signal::Signal>().ok());
        if let Some(number) = number {
            return EXIT_SIGNAL + number as i32;
        }
    }
    let known = EXIT_CODES.iter().find(|(status, _)| *status == run.status);
    known.map_or(EXIT_INTERNAL, |(_, code)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(json: &str) -> RunAnswer {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn exit_codes() {
        for (json, code) in [
            (r#"{"status": "ok", "run": {"exit_code": 0}}"#, 0),
            (
                r#"{"status": "runtime_error", "run": {"exit_code": 42}}"#,
                42,
            ),
            (
                r#"{"status": "runtime_error", "run": {"signal": "SIGSEGV"}}"#,
                139,
            ),
            (
                r#"{"status": "runtime_error", "run": {"signal": "SIGRTMIN"}}"#,
                1,
            ),
            (r#"{"status": "compile_error"}"#, 121),
            (
                r#"{"status": "time_limit_exceeded", "run": {"signal": "SIGKILL"}}"#,
                124,
            ),
            (
                r#"{"status": "memory_limit_exceeded", "run": {"exit_code": 1}}"#,
                125,
            ),
            (r#"{"status": "of a later version"}"#, 127),
        ] {
            assert_eq!(exit_code(&run(json)), code, "{json}");
        }
    }

    #[test]
    fn pointers_are_flags_and_files() {
        let files = [PathBuf::from("a.py"), PathBuf::from("b.py")];
        let flag = |pointer| flag(pointer, &files).unwrap_or_default();
        assert_eq!(flag("/limits/memory_bytes"), "--memory");
        assert_eq!(flag("/compile_limits/cpu_time_ms"), "--compile-cpu-time");
        assert_eq!(flag("/files/1/path"), "b.py");
        assert_eq!(flag("/source"), "a.py");
        assert_eq!(flag("/env/X"), "--env X");
        assert_eq!(flag("/language"), "--language");
        assert_eq!(
            (
                flag("/files/9").as_str(),
                flag("").as_str(),
                flag("/new").as_str()
            ),
            ("", "", "")
        );
    }

    #[test]
    fn the_verdict_is_one_line_with_the_cost() {
        let run = run(
            r#"{"status": "time_limit_exceeded", "message": "killed after 1.00 s of CPU time,\nlimit 1.00 s", "degraded": ["landlock"],
                "compile": {"usage": {"wall_us": 210000}},
                "run": {"stdout": "abc", "stdout_bytes": 9, "stdout_truncated": true,
                        "usage": {"wall_us": 1200000, "memory_peak_bytes": 1048576}}}"#,
        );
        assert_eq!(
            verdict(&run, &Ui::plain()),
            "time limit exceeded: killed after 1.00 s of CPU time, limit 1.00 s, 1.20 s on the clock, peak memory 1 MiB, compiler 210 ms"
        );
        assert_eq!(
            remarks(&run),
            [
                "stdout was cut: these are 3 of 9 bytes",
                "this host does not enforce: landlock"
            ]
        );
    }

    #[test]
    fn variables() {
        assert_eq!(
            variable("A=b=c").unwrap(),
            ("A".to_owned(), "b=c".to_owned())
        );
        assert!(variable("A").is_err() && variable("=x").is_err());
    }
}
