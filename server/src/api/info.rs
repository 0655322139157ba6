//! `GET /v1/info`.

use serde::Serialize;

use crate::config::{Host, Layer};

/// What this service is and what it runs on.
#[derive(Clone, Debug, Serialize)]
pub struct Info {
    /// `brig`.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// How long the server process has been up.
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
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AuthInfo {
    /// Whether a request needs a key.
    pub key_required: bool,
    /// Whether whoever reaches the service can use it without a key, as its operator allowed.
    pub insecure_no_keys: bool,
}

/// The workers' state.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct WorkersInfo {
    /// How many there should be.
    pub configured: usize,
    /// How many there are.
    pub connected: usize,
    /// How many hold a job.
    pub running: usize,
    /// Sandboxes prepared and waiting.
    pub warm_sandboxes: usize,
}

/// The queue's state.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct QueueInfo {
    /// Runs waiting for a worker.
    pub depth: usize,
    /// How many may wait.
    pub capacity: usize,
}

/// Bounds that hold for every request, whatever its language.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RequestLimits {
    /// Length of the body.
    pub body_bytes: u64,
    /// Files in a request.
    pub files: usize,
    /// Arguments, compiler arguments and environment together.
    pub command_line_bytes: usize,
    /// Files that a run can send back.
    pub output_files: u32,
    /// Their bytes together.
    pub output_files_bytes: u64,
}
