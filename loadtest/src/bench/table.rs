//! `bench`'s figures as Markdown.

use std::fmt::Write as _;

use super::CLIENTS;
use super::figures::{Figures, Program, Reading, Subject, median, spread};
use crate::units::{show_mib, show_us, three_digits};

/// `figures`, ready for a page of documentation.
pub(super) fn markdown(figures: &Figures) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, figures);
    text
}

fn write(text: &mut String, figures: &Figures) -> std::fmt::Result {
    let passes = match figures.passes {
        1 => "One pass".to_owned(),
        passes => format!("Medians of {passes} passes"),
    };
    writeln!(
        text,
        "Machine: {}. Service with {} workers. {passes}; each reading took {} s.\n",
        figures.machine.line(),
        figures.workers,
        figures.reading_s
    )?;
    for program in &figures.programs {
        write_program(text, program)?;
    }
    let memory = figures.idle_memory.iter().map(|(name, of)| {
        let size = of.pss_bytes.unwrap_or(of.rss_bytes);
        format!("{} x {name} {}", of.processes, show_mib(size))
    });
    let memory: Vec<String> = memory.collect();
    let sum: Option<u64> = figures.idle_memory.values().map(|of| of.pss_bytes).sum();
    writeln!(
        text,
        "Memory of the idle service (PSS): {}; together {}.",
        memory.join(", "),
        sum.map_or("unknown".to_owned(), show_mib)
    )
}

fn write_program(text: &mut String, program: &Program) -> std::fmt::Result {
    writeln!(text, "**{}**: {}\n", program.name, program.about)?;
    write!(text, "| | p50 | p99 | p50 to bare | p99 to bare |")?;
    for clients in CLIENTS {
        write!(text, " runs/s, {clients} |")?;
    }
    writeln!(text, " isolation |")?;
    writeln!(text, "| --- |{}", " --- |".repeat(5 + CLIENTS.len()))?;
    let bare = program
        .subjects
        .first()
        .map(|s| s.with(1))
        .unwrap_or_default();
    for subject in &program.subjects {
        write_subject(text, subject, &bare)?;
    }
    let calm = [
        ("bare, 3 ms between runs", &program.calm_bare),
        ("Brig, 3 ms between runs", &program.calm_brig),
    ];
    for (name, readings) in calm {
        write_latency(text, name, readings, &program.calm_bare)?;
        writeln!(text, "{} |", " |".repeat(CLIENTS.len()))?;
    }
    writeln!(text)?;
    write_notes(text, program)
}

fn write_subject(text: &mut String, subject: &Subject, bare: &[Reading]) -> std::fmt::Result {
    write_latency(text, &subject.name, &subject.with(1), bare)?;
    for clients in CLIENTS {
        let rate = median(&subject.with(clients), |r| Some(r.per_second));
        write!(text, " {} |", rate.map_or("-".to_owned(), three_digits))?;
    }
    writeln!(text, " {} |", subject.isolation)
}

fn write_latency(
    text: &mut String,
    name: &str,
    readings: &[Reading],
    bare: &[Reading],
) -> std::fmt::Result {
    let p50 = |of: &[Reading]| median(of, |r| Some(r.p50_us)).unwrap_or_default();
    let p99 = |of: &[Reading]| median(of, |r| Some(r.p99_us)).unwrap_or_default();
    write!(
        text,
        "| {name} | {} | {} | {} | {} |",
        show_us(p50(readings)),
        show_us(p99(readings)),
        three_digits(p50(readings) / p50(bare).max(0.1)),
        three_digits(p99(readings) / p99(bare).max(0.1))
    )
}

fn write_notes(text: &mut String, program: &Program) -> std::fmt::Result {
    let brig = program
        .subjects
        .get(1)
        .map(|s| s.with(2))
        .unwrap_or_default();
    let cpu = |pick: fn(&Reading) -> Option<f64>| {
        median(&brig, pick).map_or("unknown".to_owned(), show_us)
    };
    writeln!(
        text,
        "CPU a run with 2 clients: service {}, of it the process that reads requests {}; load tester {}.",
        cpu(|r| r.service_cpu_us),
        cpu(|r| r.server_cpu_us),
        cpu(|r| r.tool_cpu_us)
    )?;
    let widest = program.subjects.iter().flat_map(|subject| {
        let rates = CLIENTS.map(|clients| spread(&subject.with(clients), |r| Some(r.per_second)));
        let p50 = spread(&subject.with(1), |r| Some(r.p50_us));
        rates.into_iter().chain([p50]).flatten()
    });
    let widest = widest.fold(0.0, f64::max);
    if widest > 0.0 {
        let percent = widest * 100.0;
        writeln!(
            text,
            "Single readings differ from their median by up to {percent:.0} %."
        )?;
    }
    for (name, why) in &program.skipped {
        writeln!(text, "Not measured: {name}: {why}.")?;
    }
    writeln!(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subject_has_a_line_with_its_ratio_to_bare() {
        let reading = |clients, p50_us, per_second| Reading {
            clients,
            p50_us,
            p99_us: p50_us * 2.0,
            per_second,
            server_cpu_us: Some(100.0),
            ..Reading::default()
        };
        let subject = |name: &str, p50_us: f64| Subject {
            readings: CLIENTS.map(|c| reading(c, p50_us, 1e6 / p50_us)).to_vec(),
            ..Subject::new(name, "some")
        };
        let figures = Figures {
            passes: 1,
            programs: vec![Program {
                name: "x".to_owned(),
                subjects: vec![subject("bare", 100.0), subject("Brig", 250.0)],
                skipped: vec![("crun".to_owned(), "not installed".to_owned())],
                ..Program::default()
            }],
            ..Figures::default()
        };
        let text = markdown(&figures);
        let brig = "| Brig | 250 µs | 500 µs | 2.50 | 2.50 | 4000 | 4000 | 4000 | 4000 | some |";
        assert!(text.contains(brig), "{text}");
        assert!(text.contains("Not measured: crun: not installed."));
        assert!(text.contains("process that reads requests 100 µs"));
    }
}
