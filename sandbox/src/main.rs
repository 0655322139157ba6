//! `brig-sandbox`: the isolation engine from the command line.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    if let Some(code) = brig_sandbox::spawn::worker_main() {
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    cli::main()
}
