//! `brig-sandbox doctor`.

use clap::Args;

/// Prove on this machine that every layer of isolation holds.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Prints what holds; exit status 1 if something does not.
pub(crate) fn run(args: &DoctorArgs) -> anyhow::Result<u8> {
    let _ = args.json;
    Ok(1)
}
