//! A report for people, as lines of text.

use std::fmt::Write as _;

use super::{GroupReport, LoadReport, OperationReport, Report};
use crate::units::{show_mib, show_us, three_digits};

/// `report` as a table.
pub(crate) fn text(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, report);
    text
}

fn write(text: &mut String, report: &Report) -> std::fmt::Result {
    let version = report.service["version"].as_str().unwrap_or("?");
    let workers = &report.service["workers"]["configured"];
    writeln!(text, "{}: {}", report.scenario.name, report.scenario.about)?;
    writeln!(
        text,
        "brig {version}, {workers} workers, at {}; {}",
        report.server,
        report.machine.line()
    )?;
    if report.interrupted {
        writeln!(text, "ended early, by a signal")?;
    }
    for group in &report.groups {
        writeln!(text)?;
        write_group(text, group, report.elapsed_s)?;
    }
    writeln!(text)?;
    if let Some(baseline) = &report.baseline {
        let bare = &baseline.bare;
        writeln!(
            text,
            "bare fork+exec: p50 {}, p99 {}, {} a second; brig takes {}, {} and {} times that",
            show_us(bare.latency.p50_us),
            show_us(bare.latency.p99_us),
            three_digits(bare.per_second),
            three_digits(baseline.ratio_p50),
            three_digits(baseline.ratio_p99),
            three_digits(baseline.ratio_per_second)
        )?;
    }
    write_cpu(text, report)?;
    write_memory(text, report)
}

fn write_group(text: &mut String, group: &GroupReport, elapsed_s: f64) -> std::fmt::Result {
    let load = match &group.load {
        LoadReport::Closed {
            clients,
            think_us: 0,
        } => format!("{clients} clients"),
        LoadReport::Closed { clients, think_us } => {
            #[allow(clippy::cast_precision_loss)]
            let think = show_us(*think_us as f64);
            format!("{clients} clients that pause {think}")
        }
        LoadReport::Open { rate, arrivals, .. } => {
            format!("{} operations/s ({arrivals})", three_digits(*rate))
        }
    };
    writeln!(
        text,
        "{}, {load}: {:.1} right answers/s in {elapsed_s:.1} s; {} right, {} wrong, {} unsent",
        group.name,
        group.per_second,
        group.all.ok,
        group.all.error_count(),
        group.unsent
    )?;
    writeln!(
        text,
        "  {:<22}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "", "p50", "p90", "p99", "p99.9", "max", "count"
    )?;
    write_operation(text, &group.all)?;
    if group.operations.len() > 1 {
        for operation in &group.operations {
            write_operation(text, operation)?;
        }
    }
    for error in &group.all.errors {
        writeln!(
            text,
            "  {} x {}: {}",
            error.count, error.kind, error.example
        )?;
    }
    Ok(())
}

fn write_operation(text: &mut String, operation: &OperationReport) -> std::fmt::Result {
    for phase in &operation.phases {
        let name = match operation.name.as_str() {
            "all" => phase.phase.clone(),
            name => format!("{name} {}", phase.phase),
        };
        let latency = &phase.latency;
        writeln!(
            text,
            "  {name:<22}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
            show_us(latency.p50_us),
            show_us(latency.p90_us),
            show_us(latency.p99_us),
            show_us(latency.p999_us),
            show_us(latency.max_us),
            latency.count
        )?;
    }
    Ok(())
}

fn write_cpu(text: &mut String, report: &Report) -> std::fmt::Result {
    let cpu = &report.cpu;
    let show = |us: Option<f64>| us.map_or("unknown".to_owned(), show_us);
    writeln!(
        text,
        "CPU a run: system {}, service {}, of it the server {}; this program {}; {} CPUs busy",
        show(cpu.system_us_per_operation),
        show(cpu.service_us_per_operation),
        show(cpu.server_us_per_operation),
        show_us(cpu.tool_us_per_operation),
        cpu.system_cpus.map_or("unknown".to_owned(), three_digits)
    )
}

fn write_memory(text: &mut String, report: &Report) -> std::fmt::Result {
    let Some(memory) = &report.memory else {
        return Ok(());
    };
    let all = memory.after.iter().map(|(name, of)| {
        let size = of.pss_bytes.map_or_else(
            || format!("RSS {}", show_mib(of.rss_bytes)),
            |pss| format!("PSS {}", show_mib(pss)),
        );
        format!("{} x {name} {size}", of.processes)
    });
    let all: Vec<String> = all.collect();
    writeln!(
        text,
        "memory: {}; peak RSS of all {}",
        all.join(", "),
        show_mib(memory.peak_rss_bytes)
    )
}
