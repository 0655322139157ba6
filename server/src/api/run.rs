//! `POST /v1/runs`.

use std::collections::BTreeMap;

use brig_sandbox::limits::Limits;
use brig_sandbox::protocol::WindowSize;
use brig_sandbox::report::Violation;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Object, number};

/// How bytes are written as a JSON string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// The string is the text.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// The string is base64 (RFC 4648 section 4, padded).
    #[serde(rename = "base64")]
    Base64,
}

/// A program to run once.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// A language's id or alias, optionally `id@version`.
    pub language: String,
    /// One file under the language's own source name. This or `files` is required.
    #[serde(default)]
    pub source: Option<String>,
    /// How `source` is encoded.
    #[serde(default)]
    pub source_encoding: Encoding,
    /// Files to put into `/box`.
    #[serde(default)]
    pub files: Vec<Object<InputFile>>,
    /// The file that starts, if it is not clear.
    #[serde(default)]
    pub entry: Option<String>,
    /// The program's stdin.
    #[serde(default)]
    pub stdin: Option<String>,
    /// How `stdin` is encoded.
    #[serde(default)]
    pub stdin_encoding: Encoding,
    /// The program's arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Added to the program's environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Added to the compiler's arguments.
    #[serde(default)]
    pub compiler_args: Vec<String>,
    /// Limits of the run stage.
    #[serde(default)]
    pub limits: Option<Object<LimitsRequest>>,
    /// Limits of the compile stage.
    #[serde(default)]
    pub compile_limits: Option<Object<LimitsRequest>>,
    /// Name of the run stage's policy, if not the language's own.
    #[serde(default)]
    pub policy: Option<String>,
    /// Patterns, relative to `/box`, of the files to send back.
    #[serde(default)]
    pub output_files: Vec<String>,
    /// The size of the terminal that the program gets instead of pipes; live runs only.
    #[serde(default)]
    pub pty: Option<Object<WindowSize>>,
}

/// One file of a request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputFile {
    /// Relative to `/box`.
    pub path: String,
    /// Its content.
    pub content: String,
    /// How `content` is encoded.
    #[serde(default)]
    pub encoding: Encoding,
}

/// Limits, each of which may be left to its default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // each field is documented at its namesake in `Limits`
pub struct LimitsRequest {
    #[serde(default, deserialize_with = "number::count")]
    pub cpu_time_ms: Option<u64>,
    #[serde(default, deserialize_with = "number::count")]
    pub wall_time_ms: Option<u64>,
    #[serde(default, deserialize_with = "number::count")]
    pub memory_bytes: Option<u64>,
    #[serde(default, deserialize_with = "number::count")]
    pub stack_bytes: Option<u64>,
    #[serde(default, deserialize_with = "number::count")]
    pub processes: Option<u64>,
    #[serde(default, deserialize_with = "number::count")]
    pub open_files: Option<u64>,
    #[serde(default, deserialize_with = "number::count")]
    pub file_size_bytes: Option<u64>,
    #[serde(default, deserialize_with = "number::count")]
    pub disk_bytes: Option<u64>,
    #[serde(default, deserialize_with = "number::count")]
    pub disk_inodes: Option<u64>,
    #[serde(default, deserialize_with = "number::count")]
    pub output_bytes: Option<u64>,
    #[serde(default, deserialize_with = "number::fraction")]
    pub cpus: Option<f64>,
}

/// What became of a run.
#[derive(Clone, Debug, Serialize)]
pub struct RunResponse {
    /// The run's id.
    pub id: Uuid,
    /// What became of it.
    pub status: RunStatus,
    /// The same in words, with figures.
    pub message: String,
    /// What ran it.
    pub language: LanguageUsed,
    /// The compile stage; null when nothing is compiled.
    pub compile: Option<Stage>,
    /// The run stage; null when it was not reached.
    pub run: Option<Stage>,
    /// The files that `output_files` asked for.
    pub output_files: Vec<OutputFile>,
    /// Layers that this host does not enforce, as its operator allowed.
    pub degraded: Vec<String>,
    /// Where the time went.
    pub timings: Timings,
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names say it; the API page has the details
pub enum RunStatus {
    Ok,
    CompileError,
    RuntimeError,
    TimeLimitExceeded,
    MemoryLimitExceeded,
    OutputLimitExceeded,
    SecurityViolation,
    Cancelled,
    InternalError,
}

impl RunStatus {
    /// Its name in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::CompileError => "compile_error",
            Self::RuntimeError => "runtime_error",
            Self::TimeLimitExceeded => "time_limit_exceeded",
            Self::MemoryLimitExceeded => "memory_limit_exceeded",
            Self::OutputLimitExceeded => "output_limit_exceeded",
            Self::SecurityViolation => "security_violation",
            Self::Cancelled => "cancelled",
            Self::InternalError => "internal_error",
        }
    }
}

/// The language that ran a program.
#[derive(Clone, Debug, Serialize)]
pub struct LanguageUsed {
    /// Its id.
    pub id: String,
    /// What its tools say; null until that is known.
    pub version: Option<String>,
}

/// One sandboxed execution.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    /// How it ended.
    pub outcome: StageOutcome,
    /// The exit code, when it exited.
    pub exit_code: Option<i32>,
    /// The name of the signal that ended it.
    pub signal: Option<String>,
    /// The beginning of its stdout.
    pub stdout: String,
    /// How `stdout` is encoded.
    pub stdout_encoding: Encoding,
    /// How much it wrote to stdout.
    pub stdout_bytes: u64,
    /// Whether `stdout` is less than that.
    pub stdout_truncated: bool,
    /// The beginning of its stderr.
    pub stderr: String,
    /// How `stderr` is encoded.
    pub stderr_encoding: Encoding,
    /// How much it wrote to stderr.
    pub stderr_bytes: u64,
    /// Whether `stderr` is less than that.
    pub stderr_truncated: bool,
    /// The system call that the policy ended it for.
    pub violation: Option<Violation>,
    /// Whether the result was taken from an earlier stage.
    pub cached: bool,
    /// The limits that were in force.
    pub limits: Limits,
    /// What it cost.
    pub usage: StageUsage,
}

/// How a stage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // as in `brig_sandbox::report::Outcome`
pub enum StageOutcome {
    Exited,
    Signaled,
    CpuTimeLimit,
    WallTimeLimit,
    MemoryLimit,
    OutputLimit,
    PolicyViolation,
    Cancelled,
    /// The sandbox failed; says nothing about the program.
    SandboxError,
}

/// What a stage cost. Null is a figure that the host cannot give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // each field is documented at its namesake in `brig_sandbox::report::Usage`
pub struct StageUsage {
    pub cpu_user_us: Option<u64>,
    pub cpu_system_us: Option<u64>,
    pub wall_us: Option<u64>,
    pub memory_peak_bytes: Option<u64>,
    pub processes_peak: Option<u64>,
    pub page_faults_minor: Option<u64>,
    pub page_faults_major: Option<u64>,
    pub context_switches_voluntary: Option<u64>,
    pub context_switches_involuntary: Option<u64>,
    pub read_bytes: Option<u64>,
    pub written_bytes: Option<u64>,
    pub cpu_throttled_us: Option<u64>,
    pub cpu_throttled_periods: Option<u64>,
    pub oom_kills: Option<u64>,
}

/// One file that the program left behind.
#[derive(Clone, Debug, Serialize)]
pub struct OutputFile {
    /// Relative to `/box`.
    pub path: String,
    /// Its content.
    pub content: String,
    /// How `content` is encoded.
    pub encoding: Encoding,
    /// Its size.
    pub bytes: u64,
}

/// Where a run's time went, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timings {
    /// Waiting for workers.
    pub queued_us: u64,
    /// The whole compile stage; null when nothing was compiled.
    pub compile_us: Option<u64>,
    /// Setting the run stage's sandbox up; null when it was not reached.
    pub setup_us: Option<u64>,
    /// The run stage's program, from its start to its end; null when it was not reached.
    pub run_us: Option<u64>,
    /// From the validated request to this answer.
    pub total_us: u64,
}
