//! What is written down of a load test: JSON with everything, a table for people.

mod make;
mod text;

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use make::{About, make};
pub(crate) use text::text;

use crate::baseline::BareReport;
use crate::host::{Machine, MemoryReport};
use crate::load::SeriesPoint;
use crate::stats::Percentiles;

/// The form of reports. The number changes when a field changes its meaning or goes away.
pub(crate) const SCHEMA: &str = "brig-loadtest/1";

/// A load test.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// [`SCHEMA`].
    pub(crate) schema: String,
    /// Version of this program.
    pub(crate) tool_version: String,
    /// When it began (RFC 3339).
    pub(crate) started_at: String,
    /// Where the load came from.
    pub(crate) machine: Machine,
    /// Where it went to.
    pub(crate) server: String,
    /// What the service said of itself (`GET /v1/info`).
    pub(crate) service: Value,
    pub(crate) scenario: ScenarioReport,
    /// How long the load lasted, without warm-up and baseline.
    pub(crate) elapsed_s: f64,
    /// Whether it was ended by a signal.
    pub(crate) interrupted: bool,
    /// The first is the one that is measured.
    pub(crate) groups: Vec<GroupReport>,
    /// Bare processes of the first group's programs.
    pub(crate) baseline: Option<BaselineReport>,
    pub(crate) cpu: CpuReport,
    pub(crate) memory: Option<MemoryReport>,
    /// The first group's results over time.
    pub(crate) series: Vec<SeriesPoint>,
}

/// What was done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ScenarioReport {
    pub(crate) name: String,
    pub(crate) about: String,
    /// Its file.
    pub(crate) text: String,
}

/// One group of clients.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GroupReport {
    pub(crate) name: String,
    pub(crate) load: LoadReport,
    /// Right answers a second.
    pub(crate) per_second: f64,
    /// Open loop: operations that were due and not sent before the end.
    pub(crate) unsent: u64,
    /// All operations together.
    pub(crate) all: OperationReport,
    pub(crate) operations: Vec<OperationReport>,
}

/// How a group sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub(crate) enum LoadReport {
    /// Each client waits for its answer.
    Closed {
        /// How many.
        clients: u32,
        /// Pause after an answer.
        think_us: u64,
    },
    /// At a rate.
    Open {
        /// Operations a second.
        rate: f64,
        /// `constant` or `poisson`.
        arrivals: String,
        /// The most connections.
        connections: u32,
    },
}

/// One operation of a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OperationReport {
    pub(crate) name: String,
    /// Right answers.
    pub(crate) ok: u64,
    /// Of these, how many compiles the cache spared.
    pub(crate) cached: u64,
    pub(crate) errors: Vec<ErrorReport>,
    /// Times of right answers.
    pub(crate) phases: Vec<PhaseReport>,
}

/// One kind of error.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ErrorReport {
    pub(crate) kind: String,
    pub(crate) count: u64,
    /// What one of them said.
    pub(crate) example: String,
}

/// Times of one phase.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PhaseReport {
    pub(crate) phase: String,
    pub(crate) latency: Percentiles,
}

/// Bare processes, and what the service takes beside them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BaselineReport {
    /// Latency and rate of `posix_spawn` and waiting.
    pub(crate) bare: BareReport,
    /// The service's latency and rate divided by those.
    pub(crate) ratio_p50: f64,
    pub(crate) ratio_p99: f64,
    pub(crate) ratio_per_second: f64,
}

/// CPU time while the load lasted. Null where it cannot be seen: on another machine, or without the right
/// to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CpuReport {
    /// Operations of all groups that it is divided by.
    pub(crate) operations: u64,
    /// Of everything on this machine.
    pub(crate) system_us_per_operation: Option<f64>,
    /// Of the service, with workers, sandboxes and programs.
    pub(crate) service_us_per_operation: Option<f64>,
    /// Of the process that reads requests.
    pub(crate) server_us_per_operation: Option<f64>,
    /// Of this program.
    pub(crate) tool_us_per_operation: f64,
    /// CPUs that were busy on average.
    pub(crate) system_cpus: Option<f64>,
}

impl OperationReport {
    pub(crate) fn error_count(&self) -> u64 {
        self.errors.iter().map(|e| e.count).sum()
    }

    pub(crate) fn phase(&self, name: &str) -> Option<&Percentiles> {
        let found = self.phases.iter().find(|p| p.phase == name);
        found.map(|p| &p.latency)
    }
}

impl Report {
    /// Writes it to `path`.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        write_file(path, &(text + "\n"))
    }
}

/// Writes `text` to `path`.
pub(crate) fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
