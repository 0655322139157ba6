//! `POST /v1/runs`.

use std::collections::BTreeMap;

use brig_sandbox::limits::Limits;
use brig_sandbox::protocol::WindowSize;
use brig_sandbox::report::Violation;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Object, number};

/// How bytes are written as a JSON string: `utf-8`, the string is the text; `base64`, it is the bytes in
/// base64 (RFC 4648 section 4, padded).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Encoding {
    /// The string is the text.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// The string is base64 (RFC 4648 section 4, padded).
    #[serde(rename = "base64")]
    Base64,
}

/// A program to run once. Unknown fields are refused.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "language": "python",
    "source": "a, b = map(int, input().split())\nprint(a + b)\n",
    "stdin": "1 2\n"
}))]
pub struct RunRequest {
    /// A language's id or alias, optionally `id@version`; `GET /v1/languages` lists them.
    #[schema(min_length = 1, example = "python")]
    pub language: String,
    /// One file under the language's own source name. This or `files` is required; both may be given.
    #[serde(default)]
    #[schema(example = "print(6 * 7)\n")]
    pub source: Option<String>,
    /// How `source` is encoded.
    #[serde(default)]
    pub source_encoding: Encoding,
    /// Files to put into `/box`, the program's working directory. How many there may be is in
    /// `limits.files` of `GET /v1/info`; together they must fit the limits `disk_bytes` and `disk_inodes`.
    #[serde(default)]
    #[schema(value_type = Vec<InputFile>)]
    pub files: Vec<Object<InputFile>>,
    /// The file that starts, if it is not clear: a path as in `files`.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 1024, pattern = r"^[^/\x00]")]
    pub entry: Option<String>,
    /// The program's stdin; empty without it.
    #[serde(default)]
    #[schema(example = "1 2\n")]
    pub stdin: Option<String>,
    /// How `stdin` is encoded.
    #[serde(default)]
    pub stdin_encoding: Encoding,
    /// The program's arguments, without NUL bytes. Each has at most 131071 bytes; with the environment and what the
    /// language adds they have at most `limits.command_line_bytes` of `GET /v1/info`.
    #[serde(default)]
    #[schema(example = json!(["--fast"]))]
    pub args: Vec<String>,
    /// Added to the program's environment. A name is not empty and has neither `=` nor a NUL byte; a value has at
    /// most 131071 bytes, none of them NUL.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Added to the compiler's arguments; the same rules as for `args`.
    #[serde(default)]
    pub compiler_args: Vec<String>,
    /// Limits of the run stage; what is left out has the language's default.
    #[serde(default)]
    #[schema(value_type = Option<LimitsRequest>)]
    pub limits: Option<Object<LimitsRequest>>,
    /// Limits of the compile stage; what is left out has the language's default.
    #[serde(default)]
    #[schema(value_type = Option<LimitsRequest>)]
    pub compile_limits: Option<Object<LimitsRequest>>,
    /// Name of the run stage's policy, if not the language's own; `GET /v1/policies` lists them.
    #[serde(default)]
    #[schema(example = "default")]
    pub policy: Option<String>,
    /// Patterns, relative to `/box`, of the files to send back: `*`, `?`, `[...]`, `{a,b}`, and `**` for any depth. How
    /// many files that can be, and how large together, is in `limits` of `GET /v1/info`.
    #[serde(default)]
    #[schema(max_items = 64, example = json!(["out/*.png"]))]
    pub output_files: Vec<String>,
    /// The size of the terminal that the program gets instead of pipes; live runs (`GET /v1/runs/ws`) only.
    #[serde(default)]
    #[schema(value_type = Option<WindowSize>)]
    pub pty: Option<Object<WindowSize>>,
}

/// One file of a request.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"path": "lib/util.py", "content": "def double(x): return 2 * x\n"}))]
pub struct InputFile {
    /// Where it is put, relative to `/box`: at most 1024 bytes in at most 32 parts of at most 255 bytes, none of
    /// which is empty, `.` or `..`.
    #[schema(
        min_length = 1,
        max_length = 1024,
        pattern = r"^[^/\x00]",
        example = "lib/util.py"
    )]
    pub path: String,
    /// Its content.
    pub content: String,
    /// How `content` is encoded.
    #[serde(default)]
    pub encoding: Encoding,
}

/// Limits, each of which may be left to its default. The defaults and maxima of each language are in
/// `GET /v1/languages`; a key may have lower maxima. A value above its maximum is refused, not lowered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"cpu_time_ms": 1000, "memory_bytes": 134_217_728}))]
pub struct LimitsRequest {
    /// CPU time of the whole process tree, user plus system, in milliseconds.
    #[serde(default, deserialize_with = "number::count")]
    #[schema(minimum = 1)]
    pub cpu_time_ms: Option<u64>,
    /// Time from the program's start to its end, in milliseconds. Without it the default, raised in proportion if
    /// more CPU time is asked for.
    #[serde(default, deserialize_with = "number::count")]
    #[schema(minimum = 1)]
    pub wall_time_ms: Option<u64>,
    /// Memory of the whole process tree and of the files it writes, in bytes.
    #[serde(default, deserialize_with = "number::count")]
    #[schema(minimum = 1)]
    pub memory_bytes: Option<u64>,
    /// The stack of the main thread, in bytes.
    #[serde(default, deserialize_with = "number::count")]
    #[schema(minimum = 1)]
    pub stack_bytes: Option<u64>,
    /// Processes and threads alive at once.
    #[serde(default, deserialize_with = "number::count")]
    #[schema(minimum = 1)]
    pub processes: Option<u64>,
    /// Open files of each process.
    #[serde(default, deserialize_with = "number::count")]
    #[schema(minimum = 1, maximum = 1000)]
    pub open_files: Option<u64>,
    /// The largest file that the program can write, in bytes.
    #[serde(default, deserialize_with = "number::count")]
    #[schema(minimum = 1)]
    pub file_size_bytes: Option<u64>,
    /// What `/box` and `/tmp` can hold together, in bytes.
    #[serde(default, deserialize_with = "number::count")]
    #[schema(minimum = 1)]
    pub disk_bytes: Option<u64>,
    /// Files, directories and links that `/box` and `/tmp` can hold together.
    #[serde(default, deserialize_with = "number::count")]
    #[schema(minimum = 1)]
    pub disk_inodes: Option<u64>,
    /// Bytes that the program may write to each of stdout and stderr.
    #[serde(default, deserialize_with = "number::count")]
    #[schema(minimum = 1)]
    pub output_bytes: Option<u64>,
    /// CPUs that the process tree can keep busy at once; fractions are allowed.
    #[serde(default, deserialize_with = "number::fraction")]
    #[schema(minimum = 0.01)]
    pub cpus: Option<f64>,
}

/// What became of a run. Whatever the program did, it is an answer, not an error.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RunResponse {
    /// The run's id (UUIDv7).
    pub id: Uuid,
    /// What became of it.
    pub status: RunStatus,
    /// The same in words, with figures.
    #[schema(example = "exited with code 0 after 3 ms of CPU time")]
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

/// What became of a run: `ok`, it exited with 0; `compile_error`; `runtime_error`, it exited with another code or was
/// ended by a signal; `time_limit_exceeded`, of CPU or wall time; `memory_limit_exceeded`; `output_limit_exceeded`;
/// `security_violation`, the policy ended it; `cancelled`; `internal_error`, the service failed, which says nothing
/// about the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // all are explained above
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
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LanguageUsed {
    /// Its id.
    #[schema(example = "python")]
    pub id: String,
    /// What its tools say of their version; null until that is known.
    #[schema(example = "Python 3.11.2")]
    pub version: Option<String>,
}

/// One sandboxed execution.
#[allow(clippy::struct_excessive_bools)] // each is a field of the answer
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Stage {
    /// How it ended.
    pub outcome: StageOutcome,
    /// The exit code, when it exited.
    #[schema(minimum = 0, maximum = 255)]
    pub exit_code: Option<i32>,
    /// The name of the signal that ended it.
    #[schema(example = "SIGSEGV")]
    pub signal: Option<String>,
    /// The beginning of its stdout.
    pub stdout: String,
    /// How `stdout` is encoded.
    pub stdout_encoding: Encoding,
    /// How much it wrote to stdout, in bytes.
    pub stdout_bytes: u64,
    /// Whether `stdout` is less than that.
    pub stdout_truncated: bool,
    /// The beginning of its stderr.
    pub stderr: String,
    /// How `stderr` is encoded.
    pub stderr_encoding: Encoding,
    /// How much it wrote to stderr, in bytes.
    pub stderr_bytes: u64,
    /// Whether `stderr` is less than that.
    pub stderr_truncated: bool,
    /// The system call that the policy ended it for.
    pub violation: Option<Violation>,
    /// Whether the result was taken from an earlier stage.
    pub cached: bool,
    /// Whether the program's interpreter had been started before the job was known.
    pub prestarted: bool,
    /// The limits that were in force.
    pub limits: Limits,
    /// What it cost.
    pub usage: StageUsage,
}

/// How a stage ended: `exited`, by itself; `signaled`, by a signal; `cpu_time_limit`, `wall_time_limit`,
/// `memory_limit`, `output_limit`, at that limit; `policy_violation`, by its policy; `cancelled`, by whoever asked for it;
/// `sandbox_error`, because the sandbox failed, which says nothing about the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // all are explained above
pub enum StageOutcome {
    Exited,
    Signaled,
    CpuTimeLimit,
    WallTimeLimit,
    MemoryLimit,
    OutputLimit,
    PolicyViolation,
    Cancelled,
    SandboxError,
}

/// What a stage cost, from the program's start to its end. Null is a figure that the host cannot give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct StageUsage {
    /// CPU time of the process tree in user mode, in microseconds.
    pub cpu_user_us: Option<u64>,
    /// CPU time of the process tree in kernel mode, in microseconds.
    pub cpu_system_us: Option<u64>,
    /// Time that passed, in microseconds.
    pub wall_us: Option<u64>,
    /// The most memory at once, in bytes.
    pub memory_peak_bytes: Option<u64>,
    /// The most processes and threads alive at once.
    pub processes_peak: Option<u64>,
    /// Page faults served without I/O.
    pub page_faults_minor: Option<u64>,
    /// Page faults that needed I/O.
    pub page_faults_major: Option<u64>,
    /// Times a process gave up the CPU by itself.
    pub context_switches_voluntary: Option<u64>,
    /// Times a process was made to give up the CPU.
    pub context_switches_involuntary: Option<u64>,
    /// Bytes read from block devices.
    pub read_bytes: Option<u64>,
    /// Bytes written to block devices.
    pub written_bytes: Option<u64>,
    /// Time the process tree was held back by the `cpus` limit, in microseconds.
    pub cpu_throttled_us: Option<u64>,
    /// Periods in which it was held back.
    pub cpu_throttled_periods: Option<u64>,
    /// Processes killed by the kernel for want of memory.
    pub oom_kills: Option<u64>,
}

/// One file that the program left behind.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OutputFile {
    /// Relative to `/box`.
    pub path: String,
    /// Its content.
    pub content: String,
    /// How `content` is encoded.
    pub encoding: Encoding,
    /// Its size, in bytes.
    pub bytes: u64,
}

/// Where a run's time went, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
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
