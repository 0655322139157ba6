//! From measurements to a report.

use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use super::{
    BaselineReport, CpuReport, ErrorReport, GroupReport, LoadReport, OperationReport, PhaseReport,
    Report, SCHEMA, ScenarioReport,
};
use crate::host::Machine;
use crate::load::Measured;
use crate::scenario::{Arrivals, Load, Plan, PlannedGroup};
use crate::stats::{Errors, GroupStats, JobStats, Phase};

/// What a load test was about.
pub(crate) struct About<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) server: &'a str,
    pub(crate) info: &'a Value,
    pub(crate) started: OffsetDateTime,
}

/// The report of `measured`.
pub(crate) fn make(about: &About<'_>, measured: Measured) -> Report {
    let plan = about.plan;
    let format = &time::format_description::well_known::Rfc3339;
    let groups: Vec<GroupReport> = plan
        .groups
        .iter()
        .zip(&measured.recorder.groups)
        .map(|(group, stats)| group_report(group, stats, measured.elapsed))
        .collect();
    Report {
        schema: SCHEMA.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: about.started.format(format).unwrap_or_default(),
        machine: Machine::here(),
        server: about.server.to_owned(),
        service: about.info.clone(),
        scenario: ScenarioReport {
            name: plan.name.clone(),
            about: plan.about.clone(),
            text: plan.text.clone(),
        },
        elapsed_s: measured.elapsed.as_secs_f64(),
        interrupted: measured.interrupted,
        baseline: baseline(&groups, &measured),
        cpu: cpu(&groups, &measured),
        groups,
        memory: measured.memory,
        series: measured.series,
    }
}

fn group_report(group: &PlannedGroup, stats: &GroupStats, elapsed: Duration) -> GroupReport {
    let all = stats.all();
    let names = group.jobs.iter().map(|job| job.name.as_str());
    GroupReport {
        name: group.name.clone(),
        load: load(group.load),
        per_second: all.in_window / elapsed.as_secs_f64().max(1e-9),
        unsent: stats.unsent,
        all: operation("all", &all),
        operations: names
            .zip(&stats.jobs)
            .map(|(name, stats)| operation(name, stats))
            .collect(),
    }
}

fn load(load: Load) -> LoadReport {
    match load {
        Load::Closed { clients, think } => LoadReport::Closed {
            clients,
            think_us: u64::try_from(think.as_micros()).unwrap_or(u64::MAX),
        },
        Load::Open {
            rate,
            arrivals,
            connections,
        } => LoadReport::Open {
            rate,
            arrivals: match arrivals {
                Arrivals::Constant => "constant".to_owned(),
                Arrivals::Poisson => "poisson".to_owned(),
            },
            connections,
        },
    }
}

fn operation(name: &str, stats: &JobStats) -> OperationReport {
    let phases = Phase::ALL.iter().filter_map(|phase| {
        let latencies = stats.phase(*phase);
        (latencies.count() > 0).then(|| PhaseReport {
            phase: phase.name().to_owned(),
            latency: latencies.percentiles(),
        })
    });
    OperationReport {
        name: name.to_owned(),
        ok: stats.ok,
        cached: stats.cached,
        errors: errors(&stats.errors),
        phases: phases.collect(),
    }
}

fn errors(errors: &Errors) -> Vec<ErrorReport> {
    let report = |(kind, (count, example)): (&String, &(u64, String))| ErrorReport {
        kind: kind.clone(),
        count: *count,
        example: example.clone(),
    };
    errors.0.iter().map(report).collect()
}

fn baseline(groups: &[GroupReport], measured: &Measured) -> Option<BaselineReport> {
    let bare = measured.bare.as_ref()?.report();
    let main = groups.first()?;
    let client = main.all.phase("client")?;
    Some(BaselineReport {
        ratio_p50: client.p50_us / bare.latency.p50_us.max(0.1),
        ratio_p99: client.p99_us / bare.latency.p99_us.max(0.1),
        ratio_per_second: main.per_second / bare.per_second.max(1e-9),
        bare,
    })
}

#[allow(clippy::cast_precision_loss)]
fn cpu(groups: &[GroupReport], measured: &Measured) -> CpuReport {
    let of = |group: &GroupReport| group.all.ok + group.all.error_count();
    let operations: u64 = groups.iter().map(of).sum();
    let each = |time: Duration| time.as_secs_f64() * 1e6 / (operations.max(1) as f64);
    let used = &measured.cpu;
    CpuReport {
        operations,
        system_us_per_operation: used.system.map(each),
        service_us_per_operation: used.service.map(each),
        server_us_per_operation: used.server.map(each),
        tool_us_per_operation: each(used.tool),
        system_cpus: used
            .system
            .map(|time| time.as_secs_f64() / measured.elapsed.as_secs_f64().max(1e-9)),
    }
}
