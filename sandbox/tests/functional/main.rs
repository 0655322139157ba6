//! What the engine promises, seen from outside through `brig-sandbox run`.

mod accounting;
mod cleanup;
mod files;
mod harness;
mod host;
mod limits;
mod prestart;
mod pty;
mod reuse;
mod world;
