//! A report as one page that needs nothing else: no script, nothing from elsewhere.

use std::fmt::Write as _;

use super::plot::{Axis, Line, plot};
use super::{OperationReport, Report, text};
use crate::units::{show_us, three_digits};

const STYLE: &str = "\
:root { color-scheme: light dark; --line: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
pre { overflow-x: auto; padding: .8rem; border: 1px solid var(--line); border-radius: 4px; font-size: 12.5px; }
figure { margin: 1.5rem 0; } figcaption { font-weight: 600; }
svg { width: 100%; height: auto; } svg text { font-size: 11px; fill: currentColor; }
svg text.y { text-anchor: end; } svg text.x { text-anchor: middle; }
.grid { stroke: var(--line); } .line { fill: none; stroke: currentColor; stroke-width: 1.6; }
.legend { margin: .2rem 0 0 70px; } .legend span { margin-right: 1rem; }
.c0 { color: #2b7bd9; } .c1 { color: #d9822b; } .c2 { color: #c23030; } .c3 { color: #3a9a5b; }
.c4 { color: #9060c0; } .c5 { color: #808080; }
";
/// The last quantile of the curves: 99.999 %.
const LAST_NINES: f64 = 5.0;

/// `report` as a page.
pub(crate) fn html(report: &Report) -> String {
    let title = escaped(&format!(
        "{}: {}",
        report.scenario.name, report.scenario.about
    ));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<p>{}</p>\n<pre>{}</pre>\n",
        escaped(&report.started_at),
        escaped(&text(report))
    );
    page.push_str(&over_time(report));
    for group in &report.groups {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "<h2>{}</h2>", escaped(&group.name));
        page.push_str(&curves("Latency by quantile", &group.all));
        if group.operations.len() > 1 {
            page.push_str(&by_operation(&group.operations));
        }
    }
    let _ = write!(
        page,
        "<h2>Scenario</h2>\n<pre>{}</pre>\n</body></html>\n",
        escaped(&report.scenario.text)
    );
    page
}

fn over_time(report: &Report) -> String {
    let line = |name, pick: &dyn Fn(&super::SeriesPoint) -> Option<f64>| Line {
        name,
        points: report
            .series
            .iter()
            .filter_map(|p| Some((p.at_s, pick(p)?)))
            .collect(),
    };
    let seconds = |v: f64| format!("{v:.0} s");
    let plain = |v: f64| three_digits(v);
    let x = Axis::linear(&seconds);
    #[allow(clippy::cast_precision_loss)]
    let rate = |count: u64, seconds: f64| Some(count as f64 / seconds.max(1e-9));
    let answers = [
        line("right answers/s", &|p| rate(p.ok, p.seconds)),
        line("wrong/s", &|p| rate(p.errors, p.seconds)),
    ];
    let seen = |us: f64, ok: u64| (ok > 0).then_some(us);
    let latencies = [
        line("p50", &|p| seen(p.p50_us, p.ok)),
        line("p99", &|p| seen(p.p99_us, p.ok)),
        line("max", &|p| seen(p.max_us, p.ok)),
    ];
    let cpus = [
        line("system", &|p| p.system_cpus),
        line("service", &|p| p.service_cpus),
    ];
    let logarithmic = Axis {
        logarithmic: true,
        ..Axis::linear(&show_us)
    };
    plot("Answers", &x, &Axis::linear(&plain), &answers)
        + &plot("Latency at the client", &x, &logarithmic, &latencies)
        + &plot("CPUs busy", &x, &Axis::linear(&plain), &cpus)
}

/// A quantile's place: how many nines it has.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).max(10f64.powf(-LAST_NINES)).log10()
}

fn curves(title: &str, operation: &OperationReport) -> String {
    let lines: Vec<Line<'_>> = operation
        .phases
        .iter()
        .map(|phase| Line {
            name: &phase.phase,
            points: nines_of(&phase.latency.curve),
        })
        .collect();
    nines_plot(title, &lines)
}

fn by_operation(operations: &[OperationReport]) -> String {
    let names: Vec<String> = operations.iter().map(|o| escaped(&o.name)).collect();
    let lines: Vec<Line<'_>> = operations
        .iter()
        .zip(&names)
        .filter_map(|(operation, name)| {
            Some(Line {
                name,
                points: nines_of(&operation.phase("client")?.curve),
            })
        })
        .collect();
    nines_plot("Latency at the client by operation", &lines)
}

fn nines_of(curve: &[(f64, f64)]) -> Vec<(f64, f64)> {
    curve.iter().map(|(q, us)| (nines(*q), *us)).collect()
}

fn nines_plot(title: &str, lines: &[Line<'_>]) -> String {
    let show = |nines: f64| {
        let quantile = 100.0 * (1.0 - 10f64.powf(-nines));
        format!("{} %", (quantile * 1000.0).round() / 1000.0)
    };
    let x = Axis {
        marks: vec![nines(0.5), 1.0, 2.0, 3.0, 4.0, 5.0],
        ..Axis::linear(&show)
    };
    let y = Axis {
        logarithmic: true,
        ..Axis::linear(&show_us)
    };
    // All of these plots reach as far, so that they can be laid side by side.
    plot(title, &x, &y, lines)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{report, with_series};
    use super::*;

    #[test]
    fn a_page_holds_everything_and_needs_nothing() {
        let page = html(&with_series(report(1000.0), &[1000.0, 1200.0, 900.0]));
        assert!(page.contains("y &lt;z&gt;") && !page.contains("<z>"));
        assert!(page.matches("<svg").count() >= 3, "{page}");
        for elsewhere in ["<script", "src=", "http-equiv", "url(", "@import"] {
            assert!(!page.contains(elsewhere), "{elsewhere}");
        }
        assert_eq!(
            page.matches("<figure>").count(),
            page.matches("</figure>").count()
        );
    }

    #[test]
    fn quantiles_are_placed_by_their_nines() {
        assert!((nines(0.9) - 1.0).abs() < 1e-9 && (nines(0.999) - 3.0).abs() < 1e-9);
        assert!((nines(1.0) - LAST_NINES).abs() < 1e-9);
    }
}
