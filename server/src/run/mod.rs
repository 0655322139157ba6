//! Running one program once: from a request to what became of it. No HTTP in here.
//!
//! [`validate`](fn@validate) makes a [`Prepared`] run of a request, [`Engine::run`] takes it through the compile
//! and the run stage, [`answer`] shows the result.

mod answer;
mod catalog;
mod compile;
mod engine;
mod files;
mod limits;
mod live;
mod preparing;
mod program;
mod stage;
mod validate;
mod verdict;
mod version;
pub(crate) mod words;

use std::sync::Arc;
use std::time::Duration;

use brig_sandbox::limits::Limits;
use brig_sandbox::protocol::WindowSize;
use uuid::Uuid;

use crate::api::RunStatus;
use crate::language::Language;
use crate::pool::StageOutput;

pub use answer::answer;
pub(crate) use answer::{encode, language_used, show_stage};
pub use catalog::{Catalog, CurrentCatalog};
pub use compile::{Compiled, Sources};
pub use engine::{Engine, Refused};
pub(crate) use engine::{Halt, public_cause};
pub(crate) use files::unpack;
pub(crate) use limits::cpu_time_above;
pub use live::{Event, Heard, Line, LiveBounds, LiveConfig, Remote, Stream, line};
pub use program::Program;
pub(crate) use stage::job as stage_job;
pub(crate) use validate::decode;
pub use validate::{MAX_COMMAND_LINE_BYTES, Terms, WallTime, validate};
pub(crate) use verdict::settle;
pub use version::detect_versions;
pub(crate) use words::describe;

/// A validated request.
#[derive(Debug)]
pub struct Prepared {
    /// What is compiled and run.
    pub sources: Sources,
    /// The program's input.
    pub stdin: Vec<u8>,
    /// Patterns of the files to send back.
    pub output_files: Vec<String>,
    /// The size of its terminal, if it is to have one.
    pub terminal: Option<WindowSize>,
}

/// What became of a run.
#[derive(Debug)]
pub struct RunResult {
    /// Its id.
    pub id: Uuid,
    /// What became of it.
    pub status: RunStatus,
    /// The same in words.
    pub message: String,
    /// What ran it.
    pub language: Arc<Language>,
    /// The compile stage, if there was one.
    pub compile: Option<StageResult>,
    /// The run stage, if it was reached.
    pub run: Option<StageResult>,
    /// Path and content of the files that the program left behind.
    pub output_files: Vec<(String, Vec<u8>)>,
    /// Waiting for workers.
    pub queued: Duration,
    /// From the prepared request to this result.
    pub total: Duration,
}

/// What became of one stage.
#[derive(Debug)]
pub struct StageResult {
    /// The limits in force.
    pub limits: Limits,
    /// How long the worker had it, as seen from here.
    pub elapsed: Duration,
    /// Whether this is what an earlier, equal stage gave.
    pub cached: bool,
    /// What it gave; `None` when the sandbox failed.
    pub output: Option<StageOutput>,
}
