//! `GET /v1/stats`.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::WorkersInfo;

/// What the service is doing, and did in the last minutes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ServiceStats {
    /// How long the server process has been up, in milliseconds.
    pub uptime_ms: u64,
    /// Memory of the server process (resident set), in bytes; null where it is not to be known.
    pub memory_bytes: Option<u64>,
    /// Why code cannot be run now; null when it can.
    pub problem: Option<String>,
    /// The workers.
    pub workers: WorkersInfo,
    /// Who waits for a worker.
    pub queue: QueueStats,
    /// Submissions without a result.
    pub submissions: SubmissionStats,
    /// How much was done, over 10, 60 and 300 seconds.
    pub rates: Vec<Rate>,
    /// How long it took, over 60 and 300 seconds.
    pub latency: Vec<Latency>,
    /// Seconds that `statuses`, `verdicts` and `compile_cache` count.
    pub window_s: u64,
    /// Runs by status.
    pub statuses: BTreeMap<&'static str, u64>,
    /// Tests of submissions by verdict.
    pub verdicts: BTreeMap<&'static str, u64>,
    /// The compile cache.
    pub compile_cache: CacheStats,
    /// How much was done when.
    pub history: History,
}

/// Who waits for a worker.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct QueueStats {
    /// Runs that may wait.
    pub capacity: usize,
    /// Each class, in order of precedence.
    pub classes: Vec<ClassStats>,
}

/// A class of the queue.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct ClassStats {
    /// Its name; `continuing` is the next stage of what had a worker before.
    pub class: &'static str,
    /// Stages that wait.
    pub waiting: usize,
    /// How long the first of them has waited, in milliseconds; null when none waits.
    pub oldest_ms: Option<u64>,
}

/// Submissions without a result.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct SubmissionStats {
    /// Those that wait to be begun.
    pub waiting: usize,
    /// Those that are being judged.
    pub active: usize,
}

/// How much was done in a time.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Rate {
    /// The last so many seconds, or all since the start if these are fewer.
    pub window_s: u64,
    /// Runs that ended, a second.
    pub runs_per_s: f64,
    /// Tests of submissions that ended, a second.
    pub tests_per_s: f64,
}

/// How long things took; null where there were none.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Latency {
    /// In the last so many seconds.
    pub window_s: u64,
    /// A whole run.
    pub total: Option<Percentiles>,
    /// A stage's wait for a worker.
    pub queued: Option<Percentiles>,
    /// From a worker's receipt of a job to its program's start.
    pub setup: Option<Percentiles>,
}

/// Times, of which so many percent are not longer; exact to a sixteenth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Percentiles {
    /// How many there were.
    pub count: u64,
    /// Half of them were not longer, in microseconds.
    pub p50_us: u64,
    /// 90 % of them were not longer, in microseconds.
    pub p90_us: u64,
    /// 99 % of them were not longer, in microseconds.
    pub p99_us: u64,
    /// The longest, in microseconds.
    pub max_us: u64,
}

/// What the compile cache was asked.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct CacheStats {
    /// How often.
    pub lookups: u64,
    /// How often it had the answer.
    pub hits: u64,
}

/// How much was done when: counts of equal steps, the last of which is that of the present.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct History {
    /// Length of a step, in milliseconds.
    pub step_ms: u64,
    /// Runs that ended in each.
    pub runs: Vec<u64>,
    /// Tests that ended in each.
    pub tests: Vec<u64>,
}
