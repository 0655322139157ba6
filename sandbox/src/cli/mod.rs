//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod doctor;
mod report;
mod run;
mod size;

/// Exit status for what went wrong in brig-sandbox itself.
pub(crate) const FAILED: u8 = 125;

const ABOUT: &str = "Runs untrusted programs in fresh namespaces under strict limits";

const EXAMPLES: &str = "\
Examples:
  Run a program of the host with two seconds of CPU time and 64 MiB of memory:
      brig-sandbox run --cpu-time 2s --memory 64M -- python3 -c 'print(6*7)'

  Compile in one sandbox, run in another:
      brig-sandbox run --policy compile --file main.c --collect main --output-dir out -- \\
          gcc -O2 -o main main.c
      brig-sandbox run --policy strict --file out/main --stdin input.txt --report report.json -- ./main

  See whether this machine can enforce every layer:
      brig-sandbox doctor";

#[derive(Debug, Parser)]
#[command(name = "brig-sandbox", version, about = ABOUT, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one program in a sandbox of its own
    Run(Box<run::RunArgs>),
    /// Prove on this machine that every layer of isolation holds
    Doctor(doctor::DoctorArgs),
    /// List the policies
    Policies(run::PolicyDir),
}

/// Parses the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        std::process::exit(if error.use_stderr() { FAILED.into() } else { 0 })
    });
    let done = match cli.command {
        Command::Run(args) => run::run(*args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Policies(dir) => run::list_policies(&dir),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("brig-sandbox: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}
