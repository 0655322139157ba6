//! Brig's service: HTTP in front, a pool of sandbox workers behind.
//!
//! A request's path: [`http`] (route, middleware, translation) -> [`run`] (validation, compile
//! stage, run stage) -> [`pool`] (queue, worker channels) -> a worker process, and back as one
//! [`run::RunResult`]. Only [`http`] and [`api`] know what HTTP is; only [`pool`] knows what a
//! worker's protocol is.

pub mod language;
