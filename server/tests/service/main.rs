//! The real service, all its processes, seen from outside: HTTP, signals, `/proc`.

mod blobs;
mod client;
mod crash;
mod fail_closed;
mod harness;
mod hygiene;
mod keys;
mod live;
#[path = "../live_support/mod.rs"]
mod live_support;
mod pinning;
mod policies;
mod prepared;
mod processes;
mod restarts;
mod run_live;
mod runs;
mod shelf;
mod submissions;
mod telemetry;
