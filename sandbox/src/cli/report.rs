//! The JSON report of `brig-sandbox run`.

use brig_sandbox::layers::Layers;
use brig_sandbox::limits::Limits;
use brig_sandbox::report::{Outcome, SandboxFault, StageReport, Usage, Violation, signal_name};
use serde::Serialize;

/// One run.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    status: &'static str,
    stage: Option<Stage<'a>>,
    setup_us: Option<u64>,
    warm: bool,
    prestarted: bool,
    layers_off: Vec<&'static str>,
    collect_error: Option<&'a str>,
    fault: Option<&'a SandboxFault>,
}

/// As the HTTP API shows a stage, less the output.
#[derive(Debug, Serialize)]
struct Stage<'a> {
    outcome: Outcome,
    exit_code: Option<i32>,
    signal: Option<String>,
    violation: Option<&'a Violation>,
    stdout_bytes: u64,
    stderr_bytes: u64,
    stdout_truncated: bool,
    stderr_truncated: bool,
    limits: &'a Limits,
    usage: &'a Usage,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        result: &'a Result<StageReport, SandboxFault>,
        limits: &'a Limits,
        output_bytes: [u64; 2],
        off: Layers,
    ) -> Self {
        let report = result.as_ref().ok();
        let [stdout_bytes, stderr_bytes] = output_bytes;
        Self {
            status: report.map_or("internal_error", status),
            stage: report.map(|r| Stage {
                outcome: r.outcome,
                exit_code: r.exit_code,
                signal: r.signal.map(signal_name),
                violation: r.violation.as_ref(),
                stdout_bytes,
                stderr_bytes,
                stdout_truncated: stdout_bytes > limits.output_bytes,
                stderr_truncated: stderr_bytes > limits.output_bytes,
                limits,
                usage: &r.usage,
            }),
            setup_us: report.map(|r| r.setup_us),
            warm: report.is_some_and(|r| r.warm),
            prestarted: report.is_some_and(|r| r.prestarted),
            layers_off: off.names(),
            collect_error: report.and_then(|r| r.collect_error.as_deref()),
            fault: result.as_ref().err(),
        }
    }
}

fn status(report: &StageReport) -> &'static str {
    match report.outcome {
        Outcome::Exited if report.exit_code == Some(0) => "ok",
        Outcome::Exited | Outcome::Signaled => "runtime_error",
        Outcome::CpuTimeLimit | Outcome::WallTimeLimit => "time_limit_exceeded",
        Outcome::MemoryLimit => "memory_limit_exceeded",
        Outcome::OutputLimit => "output_limit_exceeded",
        Outcome::PolicyViolation => "security_violation",
        Outcome::Cancelled => "cancelled",
    }
}

/// The exit status of `brig-sandbox run`.
pub(super) fn exit_status(report: &StageReport) -> u8 {
    let byte = |code: i32| u8::try_from(code & 0xff).unwrap_or(super::FAILED);
    match report.outcome {
        Outcome::Exited => byte(report.exit_code.unwrap_or(0)),
        Outcome::Signaled => byte(128 + report.signal.unwrap_or(0)),
        Outcome::CpuTimeLimit => 120,
        Outcome::WallTimeLimit => 121,
        Outcome::MemoryLimit => 122,
        Outcome::OutputLimit => 123,
        Outcome::PolicyViolation => 124,
        // As if by SIGINT, which is how it comes about here.
        Outcome::Cancelled => 130,
    }
}
