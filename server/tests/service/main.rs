//! The real service, all its processes, seen from outside: HTTP, signals, `/proc`.

mod fail_closed;
mod harness;
mod hygiene;
mod processes;
mod runs;
mod submissions;
mod telemetry;
