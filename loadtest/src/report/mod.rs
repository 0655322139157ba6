//! What is written down of a load test: JSON with everything, a table and a page for people.

mod html;
mod make;
mod plot;
mod text;

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use html::html;
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
    /// Reads one from `path`.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = || path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(shown)?;
        let value: Value = serde_json::from_str(&text).with_context(shown)?;
        let schema = value["schema"].as_str().unwrap_or_default().to_owned();
        anyhow::ensure!(
            schema == SCHEMA,
            "{} is a report of the form {schema:?}; this program reads {SCHEMA:?}",
            path.display()
        );
        serde_json::from_value(value).with_context(shown)
    }

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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::stats::Latencies;

    /// A report of one client, whose runs all took `p50_us`.
    pub(crate) fn report(p50_us: f64) -> Report {
        let mut latencies = Latencies::default();
        for _ in 0..100 {
            latencies.record(std::time::Duration::from_secs_f64(p50_us / 1e6));
        }
        let all = OperationReport {
            name: "all".to_owned(),
            ok: 100,
            cached: 0,
            errors: Vec::new(),
            phases: vec![PhaseReport {
                phase: "client".to_owned(),
                latency: latencies.percentiles(),
            }],
        };
        Report {
            schema: SCHEMA.to_owned(),
            tool_version: "0".to_owned(),
            started_at: "2026-01-01T00:00:00Z".to_owned(),
            machine: Machine::default(),
            server: "http://127.0.0.1:1".to_owned(),
            service: serde_json::json!({"version": "0.1.0", "workers": {"configured": 2}}),
            scenario: ScenarioReport {
                name: "x".to_owned(),
                about: "y <z>".to_owned(),
                text: "about = \"y\"".to_owned(),
            },
            elapsed_s: 10.0,
            interrupted: false,
            groups: vec![GroupReport {
                name: "clients".to_owned(),
                load: LoadReport::Closed {
                    clients: 1,
                    think_us: 0,
                },
                per_second: 1e6 / p50_us,
                unsent: 0,
                operations: vec![all.clone()],
                all,
            }],
            baseline: None,
            cpu: CpuReport {
                operations: 100,
                system_us_per_operation: None,
                service_us_per_operation: None,
                server_us_per_operation: None,
                tool_us_per_operation: 10.0,
                system_cpus: None,
            },
            memory: None,
            series: Vec::new(),
        }
    }

    /// `report` with these points in its time series.
    pub(crate) fn with_series(mut report: Report, p50_us: &[f64]) -> Report {
        report.series = p50_us
            .iter()
            .zip(1u32..)
            .map(|(p50_us, at)| SeriesPoint {
                at_s: f64::from(at),
                seconds: 1.0,
                ok: 10,
                p50_us: *p50_us,
                p99_us: p50_us * 2.0,
                ..SeriesPoint::default()
            })
            .collect();
        report
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        let written = with_series(report(1000.0), &[1.0, 2.0]);
        written.write(&path).unwrap();
        let read = Report::read(&path).unwrap();
        assert_eq!(
            serde_json::to_value(&read).unwrap(),
            serde_json::to_value(&written).unwrap()
        );
    }

    #[test]
    fn another_form_is_refused_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        std::fs::write(&path, r#"{"schema": "brig-loadtest/9"}"#).unwrap();
        let error = Report::read(&path).unwrap_err().to_string();
        assert!(error.contains("brig-loadtest/9"), "{error}");
        assert!(Report::read(&dir.path().join("none")).is_err());
    }

    #[test]
    fn the_table_names_what_matters() {
        let text = text(&report(1000.0));
        for part in ["brig 0.1.0, 2 workers", "1 clients", "client", "1.00 ms"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
