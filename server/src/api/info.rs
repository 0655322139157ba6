//! `GET /v1/info`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::config::{Host, Layer};
use crate::run::LiveConfig;

/// What this service is and what it runs on.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Info {
    /// `brig`.
    #[schema(example = "brig")]
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// How long the server process has been up, in milliseconds.
    pub uptime_ms: u64,
    /// The host.
    pub host: Host,
    /// Every layer of the sandbox and whether this host enforces it.
    pub layers: Vec<Layer>,
    /// Layers that are not enforced, as the operator allowed.
    pub degraded: Vec<String>,
    /// Who may use it.
    pub auth: AuthInfo,
    /// The workers.
    pub workers: WorkersInfo,
    /// The queue.
    pub queue: QueueInfo,
    /// Bounds of a request.
    pub limits: RequestLimits,
}

/// Who may use the service.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct AuthInfo {
    /// Whether a request needs a key.
    pub key_required: bool,
    /// Whether whoever reaches the service can use it without a key, as its operator allowed.
    pub insecure_no_keys: bool,
}

/// The workers' state.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct WorkersInfo {
    /// How many there should be.
    pub configured: usize,
    /// How many there are.
    pub connected: usize,
    /// How many hold a job.
    pub running: usize,
    /// Sandboxes prepared and waiting.
    pub warm_sandboxes: usize,
    /// Interpreters started ahead of their jobs and waiting.
    pub prestarted_interpreters: usize,
}

/// The queue's state.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct QueueInfo {
    /// Runs waiting for a worker.
    pub depth: usize,
    /// How many may wait.
    pub capacity: usize,
}

/// Bounds that hold for every request, whatever its language.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct RequestLimits {
    /// The largest body, in bytes; blobs have a bound of their own.
    pub body_bytes: u64,
    /// Files in a request.
    pub files: usize,
    /// Arguments and environment of one command together, with 8 bytes for each, in bytes.
    pub command_line_bytes: usize,
    /// Files that a run can send back.
    pub output_files: u32,
    /// These files together, in bytes.
    pub output_files_bytes: u64,
    /// Of live runs.
    pub live: LiveLimits,
}

/// Bounds of live runs.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct LiveLimits {
    /// Sockets open at once, of everybody.
    pub sockets: usize,
    /// Sockets of one key, or of all callers without one.
    pub sockets_per_key: usize,
    /// Length of a message, in bytes.
    pub message_bytes: usize,
    /// Input that waits for the program to read it, in bytes.
    pub stdin_buffer_bytes: usize,
    /// What `finished` repeats of each stream, in bytes.
    pub kept_output_bytes: u64,
    /// From the opening of a socket to its `start`, in milliseconds.
    pub start_timeout_ms: u64,
    /// How long a run may go without input and output, in milliseconds.
    pub idle_timeout_ms: u64,
    /// The wall time limit of a run that names none, in milliseconds.
    pub default_wall_time_ms: u64,
    /// The most that it may be, in milliseconds.
    pub max_wall_time_ms: u64,
}

impl From<LiveConfig> for LiveLimits {
    fn from(config: LiveConfig) -> Self {
        Self {
            sockets: config.max_sockets,
            sockets_per_key: config.max_sockets_per_key,
            message_bytes: config.max_message_bytes,
            stdin_buffer_bytes: config.stdin_buffer_bytes,
            kept_output_bytes: config.kept_output_bytes,
            start_timeout_ms: config.start_timeout_ms,
            idle_timeout_ms: config.idle_timeout_ms,
            default_wall_time_ms: config.default_wall_time_ms,
            max_wall_time_ms: config.max_wall_time_ms,
        }
    }
}
