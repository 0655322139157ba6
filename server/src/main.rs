//! `brig`: the service. Which process this is, is decided here, before any thread exists.

use std::io::Write;
use std::process::ExitCode;

use brig_server::auth::cli::KeysArgs;
use brig_server::client::{self, ConfigArgs, RunArgs, StatusArgs, SubmitArgs};
use brig_server::config::ServeArgs;
use brig_server::{auth, http, server_process, supervisor};
use clap::{Parser, Subcommand};

const ABOUT: &str = "Runs untrusted programs over HTTP, contained and fully accounted";

#[derive(Debug, Parser)]
#[command(name = "brig", version, about = ABOUT)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the service: supervisor, server and workers
    Serve(ServeArgs),
    /// Make, list and revoke API keys
    Keys(KeysArgs),
    Run(Box<RunArgs>),
    Submit(Box<SubmitArgs>),
    Status(StatusArgs),
    Config(ConfigArgs),
    /// Print the API's description (OpenAPI 3.1), as GET /openapi.json has it
    Openapi,
}

fn main() -> ExitCode {
    let exit = |code: i32| ExitCode::from(u8::try_from(code).unwrap_or(1));
    if let Some(code) = brig_sandbox::spawn::worker_main() {
        return exit(code);
    }
    if let Some(code) = server_process::main() {
        return exit(code);
    }
    let as_client = |command| exit(client::main(&command));
    match Cli::parse().command {
        Command::Serve(args) => report(supervisor::run(&args)),
        Command::Keys(args) => report(auth::cli::run(&args)),
        Command::Run(args) => as_client(client::Command::Run(args)),
        Command::Submit(args) => as_client(client::Command::Submit(args)),
        Command::Status(args) => as_client(client::Command::Status(args)),
        Command::Config(args) => as_client(client::Command::Config(args)),
        Command::Openapi => report(print(&http::document())),
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn report(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("brig: {error:#}");
            ExitCode::FAILURE
        }
    }
}
