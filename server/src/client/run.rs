//! `brig run`: run a program once, as if it ran here.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::failure::Failure;
use super::limits::{CompileLimitFlags, LimitFlags};
use super::program::{ProgramFlags, ProgramRequest};
use super::service::{Ask, RUN_TIMEOUT, Sent, Service, ServiceFlags, to_json};
use super::sources;
use super::ui::Ui;
use super::wire::RunAnswer;
use super::{live, outcome};

/// The service cannot be reached or did not take the run.
const EXIT_SERVICE: i32 = 120;
const AFTER_HELP: &str = "\
Exit code: the program's own; 128+N if signal N ended it; else 121 compile error, 122 output limit,
123 security violation, 124 time limit, 125 memory limit, 126 cancelled, 127 internal error;
2 wrong usage, 120 no answer from the service.";

/// Run a program once: its stdin, stdout, stderr and exit code become this command's
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct RunArgs {
    #[command(flatten)]
    program: ProgramFlags,
    /// File that is the program's stdin [default: this command's stdin]
    #[arg(long, value_name = "FILE")]
    stdin: Option<PathBuf>,
    /// Arguments of the program, after those of --args
    #[arg(last = true, value_name = "ARGS")]
    rest: Vec<String>,
    #[command(flatten)]
    live: LiveFlags,
    /// Print the service's answer as JSON instead of the program's output
    #[arg(long, conflicts_with_all = ["interactive", "tty"])]
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

/// Whether it is a live run.
#[derive(Clone, Copy, Debug, clap::Args)]
struct LiveFlags {
    /// Run it live: input goes to the program, and output comes from it, while it runs
    #[arg(short, long)]
    interactive: bool,
    /// Give the program a terminal, as large as this one; live too. Ctrl-] ends the run
    #[arg(short, long)]
    tty: bool,
}

/// `POST /v1/runs`.
#[derive(Debug, Serialize)]
struct Request<'a> {
    #[serde(flatten)]
    program: ProgramRequest<'a>,
    stdin: String,
    stdin_encoding: &'static str,
}

/// Runs; gives the exit code.
pub(super) fn run(args: &RunArgs, ui: &Arc<Ui>) -> Result<i32, Failure> {
    let service = Service::new(&args.service, Arc::clone(ui))?;
    let known = match &args.program.language {
        Some(_) => Vec::new(),
        None => sources::languages(&service)?,
    };
    let limits = (&args.limits, &args.compile_limits);
    let program = args.program.request(&args.rest, limits, &known)?;
    let LiveFlags { interactive, tty } = args.live;
    if interactive || tty {
        let plan = live::Plan {
            program,
            tty,
            stdin: args.stdin.as_deref().filter(|path| *path != Path::new("-")),
            quiet: args.quiet,
        };
        return live::run(&service, plan, &|pointer| flag(pointer, args));
    }
    let (stdin, stdin_encoding) = sources::text_or_base64(stdin(args.stdin.as_deref(), ui)?);
    let request = Request {
        program,
        stdin,
        stdin_encoding,
    };
    let ask = Ask {
        method: ureq::http::Method::POST,
        body: Sent::Json(&to_json(&request)?),
        timeout: RUN_TIMEOUT,
        repeatable: false,
        ..Ask::get("/v1/runs")
    };
    let answer = service.expect(&ask, &|pointer| flag(pointer, args))?;
    let run: RunAnswer = answer.json()?;
    if args.json {
        ui.emit(&answer.body)?;
        ui.emit(b"\n")?;
    } else {
        outcome::show(&run, ui, args.quiet)?;
    }
    Ok(outcome::exit_code(&run))
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
fn flag(pointer: &str, args: &RunArgs) -> Option<String> {
    let parts: Vec<&str> = pointer.split('/').skip(1).collect();
    match parts.as_slice() {
        ["stdin"] => Some("--stdin".to_owned()),
        parts => args.program.flag(parts),
    }
}
