//! `brig`: the service. Which process this is, is decided here, before any thread exists.

use std::process::ExitCode;

use brig_server::auth::cli::KeysArgs;
use brig_server::config::ServeArgs;
use brig_server::{auth, server_process, supervisor};
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
}

fn main() -> ExitCode {
    let exit = |code: i32| ExitCode::from(u8::try_from(code).unwrap_or(1));
    if let Some(code) = brig_sandbox::spawn::worker_main() {
        return exit(code);
    }
    if let Some(code) = server_process::main() {
        return exit(code);
    }
    let done = match Cli::parse().command {
        Command::Serve(args) => supervisor::run(&args),
        Command::Keys(args) => auth::cli::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("brig: {error:#}");
            ExitCode::FAILURE
        }
    }
}
