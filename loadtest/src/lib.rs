//! `brig-loadtest` puts a running Brig under load, as many clients or at a rate, and tells what that
//! took: latencies by phase, throughput, errors, CPU and memory, beside bare processes of the same
//! programs.
//!
//! It knows nothing of the service but its public API. A scenario ([`scenario`]) says who sends what;
//! [`load`] sends it by way of [`client`]; [`stats`] counts; [`host`] looks at processes; [`report`]
//! writes down. [`capacity`], [`compare`] and [`bench`] are made of these.

mod baseline;
mod bench;
mod capacity;
mod cli;
mod client;
mod compare;
mod host;
mod load;
mod report;
mod scenario;
mod stats;
mod units;
mod view;

use std::process::ExitCode;

/// Carries out the command line.
pub fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("brig-loadtest: {error:#}");
            ExitCode::FAILURE
        }
    }
}
