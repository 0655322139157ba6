//! Brig's service: HTTP in front, a pool of sandbox workers behind.
//!
//! A request's path: [`http`] (route, middleware, translation) -> [`run`] (validation, compile
//! stage, run stage) -> [`pool`] (queue, worker channels) -> a worker process, and back as one
//! [`run::RunResult`]. Only [`http`] and [`api`] know what HTTP is; only [`pool`] knows the
//! protocol of workers.

pub mod api;
pub mod auth;
pub mod blob;
pub mod cache;
pub mod client;
pub mod config;
pub mod health;
pub mod http;
pub mod judge;
pub mod language;
pub mod logging;
pub mod metrics;
pub(crate) mod offload;
pub mod pool;
pub(crate) mod recent;
pub mod run;
mod serve;
pub mod server_process;
pub mod share;
pub mod store;
pub mod supervisor;
pub mod telemetry;
pub mod web;
pub mod webhook;

pub use config::{ServeArgs, ServerConfig};
pub use serve::serve;
