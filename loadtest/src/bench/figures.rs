//! What `bench` measured.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::host::{Machine, MemoryOf};

/// All of it; bench.json.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Figures {
    pub(super) started_at: String,
    pub(super) machine: Machine,
    /// Of the service.
    pub(super) workers: u32,
    pub(super) passes: u32,
    /// How long each reading took.
    pub(super) reading_s: f64,
    /// Of the service before its first run.
    pub(super) idle_memory: BTreeMap<String, MemoryOf>,
    pub(super) programs: Vec<Program>,
}

/// One program.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Program {
    pub(super) name: String,
    pub(super) about: String,
    /// Bare processes first, then Brig, then others.
    pub(super) subjects: Vec<Subject>,
    /// One client that pauses, bare and through Brig.
    pub(super) calm_bare: Vec<Reading>,
    pub(super) calm_brig: Vec<Reading>,
    /// What was not measured, and why.
    pub(super) skipped: Vec<(String, String)>,
}

/// One way to run it.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) isolation: String,
    pub(super) readings: Vec<Reading>,
}

impl Subject {
    pub(super) fn new(name: &str, isolation: &str) -> Self {
        Self {
            name: name.to_owned(),
            isolation: isolation.to_owned(),
            readings: Vec::new(),
        }
    }

    /// The readings with so many clients.
    pub(super) fn with(&self, clients: u32) -> Vec<Reading> {
        let of = self.readings.iter().filter(|r| r.clients == clients);
        of.copied().collect()
    }
}

/// One reading.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Reading {
    pub(super) clients: u32,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) per_second: f64,
    /// CPU time a run, of the process that reads requests.
    pub(super) server_cpu_us: Option<f64>,
    /// Of the whole service.
    pub(super) service_cpu_us: Option<f64>,
    /// Of the load tester.
    pub(super) tool_cpu_us: Option<f64>,
}

/// The median of what `pick` gives of `readings`; of an even number the mean of the middle two.
pub(super) fn median(readings: &[Reading], pick: impl Fn(&Reading) -> Option<f64>) -> Option<f64> {
    let mut values: Vec<f64> = readings.iter().filter_map(pick).collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[half]),
        _ => Some(f64::midpoint(values[half - 1], values[half])),
    }
}

/// How far the furthest reading is from the median, as a share of it.
pub(super) fn spread(readings: &[Reading], pick: impl Fn(&Reading) -> Option<f64>) -> Option<f64> {
    let median = median(readings, &pick)?;
    let far = readings.iter().filter_map(pick).map(|v| (v - median).abs());
    Some(far.fold(0.0, f64::max) / median.max(1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_spreads() {
        let readings = |values: &[f64]| -> Vec<Reading> {
            let reading = |p50_us: &f64| Reading {
                p50_us: *p50_us,
                ..Reading::default()
            };
            values.iter().map(reading).collect()
        };
        let p50 = |r: &Reading| Some(r.p50_us);
        assert_eq!(median(&readings(&[3.0, 1.0, 2.0]), p50), Some(2.0));
        assert_eq!(median(&readings(&[3.0, 1.0, 2.0, 10.0]), p50), Some(2.5));
        assert_eq!(median(&[], p50), None);
        assert_eq!(median(&readings(&[1.0]), |r| r.server_cpu_us), None);
        assert_eq!(spread(&readings(&[3.0, 1.0, 2.0]), p50), Some(0.5));
    }
}
