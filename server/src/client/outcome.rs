//! What became of a run, for the person who waits for it and for the shell.

use super::failure::Failure;
use super::ui::{Tone, Ui, printable};
use super::wire::{RunAnswer, Stage};
use crate::run::words;

/// Exit codes where the program itself has none to give.
const EXIT_CODES: [(&str, i32); 8] = [
    ("compile_error", 121),
    ("output_limit_exceeded", 122),
    ("security_violation", 123),
    ("time_limit_exceeded", 124),
    ("memory_limit_exceeded", 125),
    ("cancelled", 126),
    ("internal_error", EXIT_INTERNAL),
    ("runtime_error", 1),
];
const EXIT_INTERNAL: i32 = 127;
/// A program that a signal ended has this plus the signal's number, as in shells.
const EXIT_SIGNAL: i32 = 128;

/// Shows all of a run that is over.
pub(super) fn show(run: &RunAnswer, ui: &Ui, quiet: bool) -> Result<(), Failure> {
    if let Some(compile) = run.compile.as_ref().filter(|_| !quiet || run.run.is_none()) {
        show_compiler(compile, ui);
    }
    if let Some(stage) = &run.run {
        ui.emit(&stage.stdout())?;
        ui.emit_error(&stage.stderr());
    }
    if !quiet {
        for line in cuts(run) {
            ui.note(&line);
        }
        show_end(run, ui);
    }
    Ok(())
}

/// Shows what the compiler said.
pub(super) fn show_compiler(compile: &Stage, ui: &Ui) {
    ui.emit_error(&compile.stdout());
    ui.emit_error(&compile.stderr());
}

/// Shows how it ended.
pub(super) fn show_end(run: &RunAnswer, ui: &Ui) {
    if !run.degraded.is_empty() {
        let layers = run.degraded.join(", ");
        ui.note(&format!("this host does not enforce: {layers}"));
    }
    ui.say(&format!("brig: {}", verdict(run, ui)));
}

/// What the output does not show.
fn cuts(run: &RunAnswer) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(stage) = &run.run {
        for (name, truncated, bytes, kept) in [
            (
                "stdout",
                stage.stdout_truncated,
                stage.stdout_bytes,
                stage.stdout().len(),
            ),
            (
                "stderr",
                stage.stderr_truncated,
                stage.stderr_bytes,
                stage.stderr().len(),
            ),
        ] {
            if truncated {
                remarks.push(format!("{name} was cut: these are {kept} of {bytes} bytes"));
            }
        }
    }
    remarks
}

/// One line: what became of it, and what it cost.
fn verdict(run: &RunAnswer, ui: &Ui) -> String {
    let mut line = ui
        .err
        .paint(tone(&run.status), &printable(&run.status.replace('_', " ")));
    if !run.message.is_empty() {
        line.push_str(": ");
        line.push_str(&printable(&run.message));
    }
    for cost in costs(run) {
        line.push_str(", ");
        line.push_str(&cost);
    }
    line
}

fn costs(run: &RunAnswer) -> Vec<String> {
    let mut costs = Vec::new();
    if let Some(usage) = run.run.as_ref().map(|stage| &stage.usage) {
        costs.extend(
            usage
                .wall_us
                .map(|us| format!("{} on the clock", words::time(us))),
        );
        costs.extend(
            usage
                .memory_peak_bytes
                .map(|b| format!("peak memory {}", words::bytes(b))),
        );
    }
    match &run.compile {
        Some(Stage { cached: true, .. }) => costs.push("compiled earlier".to_owned()),
        Some(stage) => {
            let took = stage
                .usage
                .wall_us
                .map(|us| format!("compiler {}", words::time(us)));
            costs.extend(took);
        }
        None => {}
    }
    costs
}

fn tone(status: &str) -> Tone {
    match status {
        "ok" => Tone::Good,
        "runtime_error" | "compile_error" | "security_violation" => Tone::Bad,
        "time_limit_exceeded" | "memory_limit_exceeded" | "output_limit_exceeded" => Tone::Limit,
        _ => Tone::Odd,
    }
}

/// What the command exits with.
pub(super) fn exit_code(run: &RunAnswer) -> i32 {
    let stage = run.run.as_ref();
    if matches!(run.status.as_str(), "ok" | "runtime_error") {
        if let Some(code) = stage.and_then(|s| s.exit_code) {
            return code;
        }
        let signal = stage.and_then(|s| s.signal.as_deref());
        let number = signal.and_then(|name| name.parse::<nix::sys::signal::Signal>().ok());
        if let Some(number) = number {
            return EXIT_SIGNAL + number as i32;
        }
    }
    let known = EXIT_CODES.iter().find(|(status, _)| *status == run.status);
    known.map_or(EXIT_INTERNAL, |(_, code)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(json: &str) -> RunAnswer {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn exit_codes() {
        for (json, code) in [
            (r#"{"status": "ok", "run": {"exit_code": 0}}"#, 0),
            (
                r#"{"status": "runtime_error", "run": {"exit_code": 42}}"#,
                42,
            ),
            (
                r#"{"status": "runtime_error", "run": {"signal": "SIGSEGV"}}"#,
                139,
            ),
            (
                r#"{"status": "runtime_error", "run": {"signal": "SIGRTMIN"}}"#,
                1,
            ),
            (r#"{"status": "compile_error"}"#, 121),
            (
                r#"{"status": "time_limit_exceeded", "run": {"signal": "SIGKILL"}}"#,
                124,
            ),
            (
                r#"{"status": "memory_limit_exceeded", "run": {"exit_code": 1}}"#,
                125,
            ),
            (r#"{"status": "of a later version"}"#, 127),
        ] {
            assert_eq!(exit_code(&run(json)), code, "{json}");
        }
    }

    #[test]
    fn the_verdict_is_one_line_with_the_cost() {
        let run = run(
            r#"{"status": "time_limit_exceeded", "message": "killed after 1.00 s of CPU time,\nlimit 1.00 s", "degraded": ["landlock"],
                "compile": {"usage": {"wall_us": 210000}},
                "run": {"stdout": "abc", "stdout_bytes": 9, "stdout_truncated": true,
                        "usage": {"wall_us": 1200000, "memory_peak_bytes": 1048576}}}"#,
        );
        assert_eq!(
            verdict(&run, &Ui::plain()),
            "time limit exceeded: killed after 1.00 s of CPU time, limit 1.00 s, 1.20 s on the clock, peak memory 1 MiB, compiler 210 ms"
        );
        assert_eq!(cuts(&run), ["stdout was cut: these are 3 of 9 bytes"]);
    }
}
