//! `brig-loadtest compare`: two reports side by side, and which differences mean something.
//!
//! How much a figure wavers is seen in each report's time series: its points are small load tests of
//! their own. A difference is called one only if it is above what both reports' wavering allows.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::report::{GroupReport, Report};
use crate::units::{show_us, three_digits};

/// Below this nothing is called a difference, however steady both reports are.
const SMALLEST_NOISE: f64 = 0.05;
/// What is assumed where a time series is too short to tell.
const UNKNOWN_NOISE: f64 = 0.30;
/// The least points of a series that tell how much it wavers.
const FEWEST_POINTS: usize = 5;
/// How many standard errors apart two figures must be.
const STANDARD_ERRORS: f64 = 3.0;

/// Flags of `compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Report of the first load test, which the second is compared to
    before: PathBuf,
    /// Report of the second
    after: PathBuf,
    /// Write the comparison as JSON
    #[arg(long)]
    json: bool,
}

/// Two reports side by side.
#[derive(Clone, Debug, Serialize)]
struct Comparison {
    /// Differences below this share are noise.
    noise: f64,
    rows: Vec<Row>,
    /// Why the two should perhaps not be compared.
    warnings: Vec<String>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Row {
    name: String,
    unit: Unit,
    before: f64,
    after: f64,
    ratio: f64,
    verdict: Verdict,
}

/// What a figure is, and which direction is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Unit {
    /// Microseconds: less is better.
    Us,
    /// A second: more is better.
    PerSecond,
    /// To bare processes: less is better.
    Times,
}

/// Whether the second report is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Noise,
    Better,
    Worse,
}

/// Carries out `compare`.
pub(crate) fn run(args: &CompareArgs) -> anyhow::Result<()> {
    let comparison = compare(&Report::read(&args.before)?, &Report::read(&args.after)?);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&comparison)?);
    } else {
        print!("{}", text(&comparison));
    }
    Ok(())
}

fn compare(before: &Report, after: &Report) -> Comparison {
    let noise = noise(before).hypot(noise(after)).max(SMALLEST_NOISE);
    let mut comparison = Comparison {
        noise,
        rows: Vec::new(),
        warnings: warnings(before, after),
    };
    for group in &before.groups {
        let Some(other) = after.groups.iter().find(|g| g.name == group.name) else {
            continue;
        };
        compare_groups(&mut comparison, group, other);
    }
    if let (Some(one), Some(other)) = (&before.baseline, &after.baseline) {
        let mut add = |name: &str, unit, before, after| comparison.add(name, unit, before, after);
        let (bare, other_bare) = (&one.bare, &other.bare);
        add(
            "bare p50",
            Unit::Us,
            bare.latency.p50_us,
            other_bare.latency.p50_us,
        );
        add("p50 to bare", Unit::Times, one.ratio_p50, other.ratio_p50);
        add("p99 to bare", Unit::Times, one.ratio_p99, other.ratio_p99);
    }
    let cpu = |report: &Report| report.cpu.server_us_per_operation;
    if let (Some(one), Some(other)) = (cpu(before), cpu(after)) {
        comparison.add("server CPU a run", Unit::Us, one, other);
    }
    let cpu = |report: &Report| report.cpu.service_us_per_operation;
    if let (Some(one), Some(other)) = (cpu(before), cpu(after)) {
        comparison.add("service CPU a run", Unit::Us, one, other);
    }
    comparison
}

fn compare_groups(comparison: &mut Comparison, before: &GroupReport, after: &GroupReport) {
    let group = &before.name;
    comparison.add(
        &format!("{group} rate"),
        Unit::PerSecond,
        before.per_second,
        after.per_second,
    );
    for phase in &before.all.phases {
        let Some(other) = after.all.phase(&phase.phase) else {
            continue;
        };
        for (name, one, other) in [
            ("p50", phase.latency.p50_us, other.p50_us),
            ("p99", phase.latency.p99_us, other.p99_us),
        ] {
            let name = format!("{group} {} {name}", phase.phase);
            comparison.add(&name, Unit::Us, one, other);
        }
    }
}

impl Comparison {
    fn add(&mut self, name: &str, unit: Unit, before: f64, after: f64) {
        let ratio = after / before.max(1e-9);
        // Both directions alike: half as fast is as far off as twice as fast. The tail wavers more than
        // the middle; a figure of a few points cannot say by how much.
        let tail = if name.contains("p99") { 2.0 } else { 1.0 };
        let far = ratio.max(1e-9).ln().abs() > (1.0 + self.noise * tail).ln();
        let less_is_better = unit != Unit::PerSecond;
        let verdict = match (far, (ratio < 1.0) == less_is_better) {
            (false, _) => Verdict::Noise,
            (true, true) => Verdict::Better,
            (true, false) => Verdict::Worse,
        };
        self.rows.push(Row {
            name: name.to_owned(),
            unit,
            before,
            after,
            ratio,
            verdict,
        });
    }
}

/// How far a figure of `report` may be from what another load test of the same would give, as a share
/// of it: a few standard errors of the mean of its points.
fn noise(report: &Report) -> f64 {
    let points = report.series.iter().filter(|p| p.ok > 0).map(|p| p.p50_us);
    let points: Vec<f64> = points.collect();
    if points.len() < FEWEST_POINTS {
        return UNKNOWN_NOISE;
    }
    #[allow(clippy::cast_precision_loss)]
    let count = points.len() as f64;
    let mean = points.iter().sum::<f64>() / count;
    let variance = points.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / (count - 1.0);
    STANDARD_ERRORS * variance.sqrt() / count.sqrt() / mean.max(1e-9)
}

fn warnings(before: &Report, after: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    if before.machine != after.machine {
        warnings.push(format!(
            "different machines: {}; {}",
            before.machine.line(),
            after.machine.line()
        ));
    }
    if before.scenario.text != after.scenario.text {
        warnings.push(format!(
            "different scenarios: {} and {}",
            before.scenario.name, after.scenario.name
        ));
    }
    let loads = |report: &Report| report.groups.first().map(|g| g.load.clone());
    if loads(before) != loads(after) {
        warnings.push("the load was another one".to_owned());
    }
    let workers = |report: &Report| report.service["workers"]["configured"].clone();
    if workers(before) != workers(after) {
        warnings.push(format!(
            "{} workers, then {}",
            workers(before),
            workers(after)
        ));
    }
    for (report, which) in [(before, "first"), (after, "second")] {
        let errors: u64 = report.groups.iter().map(|g| g.all.error_count()).sum();
        if errors > 0 {
            warnings.push(format!("{errors} wrong answers in the {which}"));
        }
    }
    warnings
}

fn text(comparison: &Comparison) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, comparison);
    text
}

fn write(text: &mut String, comparison: &Comparison) -> std::fmt::Result {
    for warning in &comparison.warnings {
        writeln!(text, "note: {warning}")?;
    }
    writeln!(
        text,
        "{:<30}{:>12}{:>12}{:>9}",
        "", "before", "after", "ratio"
    )?;
    for row in &comparison.rows {
        let show = |value| match row.unit {
            Unit::Us => show_us(value),
            Unit::PerSecond => format!("{}/s", three_digits(value)),
            Unit::Times => format!("{} x", three_digits(value)),
        };
        let verdict = match row.verdict {
            Verdict::Noise => "",
            Verdict::Better => "better",
            Verdict::Worse => "worse",
        };
        let line = format!(
            "{:<30}{:>12}{:>12}{:>9}  {verdict}",
            row.name,
            show(row.before),
            show(row.after),
            format!("{:.2}", row.ratio)
        );
        writeln!(text, "{}", line.trim_end())?;
    }
    writeln!(
        text,
        "Differences of less than {:.0} % (twice that for p99) are noise, by how the two reports waver in themselves.",
        comparison.noise * 100.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{report, with_series};

    fn row<'a>(comparison: &'a Comparison, name: &str) -> &'a Row {
        let found = comparison.rows.iter().find(|row| row.name == name);
        found.unwrap_or_else(|| panic!("{name} in {:?}", comparison.rows))
    }

    #[test]
    fn a_steady_difference_is_one_and_its_direction_is_told() {
        let steady = |p50: f64| with_series(report(p50), &[p50; 10]);
        let comparison = compare(&steady(1000.0), &steady(500.0));
        assert!(comparison.noise < 0.051, "{comparison:?}");
        let p50 = row(&comparison, "clients client p50");
        assert!((p50.ratio - 0.5).abs() < 0.01);
        assert_eq!(p50.verdict, Verdict::Better);
        assert_eq!(row(&comparison, "clients rate").verdict, Verdict::Better);
        let back = compare(&steady(500.0), &steady(1000.0));
        assert_eq!(row(&back, "clients client p50").verdict, Verdict::Worse);
        assert_eq!(row(&back, "clients rate").verdict, Verdict::Worse);
        let same = compare(&steady(500.0), &steady(500.0));
        assert!(same.rows.iter().all(|r| r.verdict == Verdict::Noise));
        assert!(same.warnings.is_empty(), "{:?}", same.warnings);
    }

    #[test]
    fn the_same_difference_between_wavering_reports_is_noise() {
        let points = [300.0, 900.0, 400.0, 1500.0, 200.0, 700.0];
        let wavering = |p50: f64| with_series(report(p50), &points);
        let comparison = compare(&wavering(1000.0), &wavering(800.0));
        assert_eq!(
            row(&comparison, "clients client p50").verdict,
            Verdict::Noise
        );
        assert!(text(&comparison).contains("are noise"));
    }

    #[test]
    fn a_short_series_says_little() {
        let comparison = compare(&report(1000.0), &report(800.0));
        assert_eq!(
            row(&comparison, "clients client p50").verdict,
            Verdict::Noise
        );
        let comparison = compare(&report(1000.0), &report(300.0));
        assert_eq!(
            row(&comparison, "clients client p50").verdict,
            Verdict::Better
        );
    }

    #[test]
    fn what_should_not_be_compared_is_told() {
        let mut other = report(1000.0);
        other.machine.cpus = 64;
        other.scenario.text = "other".to_owned();
        let comparison = compare(&report(1000.0), &other);
        assert_eq!(comparison.warnings.len(), 2, "{:?}", comparison.warnings);
        assert!(text(&comparison).contains("note: different machines"));
    }
}
