//! A run's result as the API shows it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use brig_sandbox::report::{Outcome, Usage, signal_name};

use super::{RunResult, StageResult};
use crate::api::{
    Encoding, LanguageUsed, OutputFile, RunResponse, Stage, StageOutcome, StageUsage, Timings,
};
use crate::language::{Availability, Language};
use crate::pool::{Captured, StageOutput};

/// Shows `result`; with `force` every stream and file in that encoding.
pub fn answer(result: RunResult, degraded: &[String], force: Option<Encoding>) -> RunResponse {
    let timings = timings(&result);
    RunResponse {
        id: result.id,
        status: result.status,
        message: result.message,
        language: language_used(&result.language),
        compile: result.compile.map(|s| show_stage(s, force)),
        run: result.run.map(|s| show_stage(s, force)),
        output_files: result
            .output_files
            .into_iter()
            .map(|f| output_file(f, force))
            .collect(),
        degraded: degraded.to_vec(),
        timings,
    }
}

/// The language as answers name it.
pub(crate) fn language_used(language: &Language) -> LanguageUsed {
    let version = match language.availability() {
        Availability::Available { version } => Some(version),
        _ => None,
    };
    LanguageUsed {
        id: language.id.clone(),
        version,
    }
}

fn timings(result: &RunResult) -> Timings {
    let micros = |d: std::time::Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
    let report = result
        .run
        .as_ref()
        .and_then(|r| r.output.as_ref())
        .map(|o| &o.report);
    Timings {
        queued_us: micros(result.queued),
        compile_us: result.compile.as_ref().map(|c| micros(c.elapsed)),
        setup_us: report.map(|r| r.setup_us),
        run_us: report.map(|r| r.usage.wall_us),
        total_us: micros(result.total),
    }
}

/// Shows one stage; with `force` its streams in that encoding.
pub(crate) fn show_stage(result: StageResult, force: Option<Encoding>) -> Stage {
    let StageResult {
        limits,
        cached,
        output,
        ..
    } = result;
    let report = output.as_ref().map(|o| &o.report);
    let outcome = report.map_or(StageOutcome::SandboxError, |r| outcome(r.outcome));
    let exit_code = report.and_then(|r| r.exit_code);
    let signal = report.and_then(|r| r.signal).map(signal_name);
    let violation = report.and_then(|r| r.violation.clone());
    let prestarted = report.is_some_and(|r| r.prestarted);
    let usage = report.map(|r| usage(&r.usage)).unwrap_or_default();
    let (stdout, stderr) = match output {
        Some(StageOutput { stdout, stderr, .. }) => (stdout, stderr),
        None => (Captured::default(), Captured::default()),
    };
    let (stdout_bytes, stdout_truncated) = (stdout.total_bytes, stdout.truncated());
    let (stderr_bytes, stderr_truncated) = (stderr.total_bytes, stderr.truncated());
    let (stdout, stdout_encoding) = encode(stdout.kept, stdout_truncated, force);
    let (stderr, stderr_encoding) = encode(stderr.kept, stderr_truncated, force);
    Stage {
        outcome,
        exit_code,
        signal,
        stdout,
        stdout_encoding,
        stdout_bytes,
        stdout_truncated,
        stderr,
        stderr_encoding,
        stderr_bytes,
        stderr_truncated,
        violation,
        cached,
        prestarted,
        limits,
        usage,
    }
}

fn outcome(outcome: Outcome) -> StageOutcome {
    match outcome {
        Outcome::Exited => StageOutcome::Exited,
        Outcome::Signaled => StageOutcome::Signaled,
        Outcome::CpuTimeLimit => StageOutcome::CpuTimeLimit,
        Outcome::WallTimeLimit => StageOutcome::WallTimeLimit,
        Outcome::MemoryLimit => StageOutcome::MemoryLimit,
        Outcome::OutputLimit => StageOutcome::OutputLimit,
        Outcome::PolicyViolation => StageOutcome::PolicyViolation,
        Outcome::Cancelled => StageOutcome::Cancelled,
    }
}

fn usage(usage: &Usage) -> StageUsage {
    StageUsage {
        cpu_user_us: usage.cpu_user_us,
        cpu_system_us: usage.cpu_system_us,
        wall_us: Some(usage.wall_us),
        memory_peak_bytes: usage.memory_peak_bytes,
        processes_peak: usage.processes_peak,
        page_faults_minor: usage.page_faults_minor,
        page_faults_major: usage.page_faults_major,
        context_switches_voluntary: usage.context_switches_voluntary,
        context_switches_involuntary: usage.context_switches_involuntary,
        read_bytes: usage.read_bytes,
        written_bytes: usage.written_bytes,
        cpu_throttled_us: usage.cpu_throttled_us,
        cpu_throttled_periods: usage.cpu_throttled_periods,
        oom_kills: usage.oom_kills,
    }
}

fn output_file((path, content): (String, Vec<u8>), force: Option<Encoding>) -> OutputFile {
    let bytes = content.len() as u64;
    let (content, encoding) = encode(content, false, force);
    OutputFile {
        path,
        content,
        encoding,
        bytes,
    }
}

/// UTF-8 where it is UTF-8, else base64. The cut that `truncated` says was made may have gone
/// through the middle of a character; that does not make text binary.
pub(crate) fn encode(
    bytes: Vec<u8>,
    truncated: bool,
    force: Option<Encoding>,
) -> (String, Encoding) {
    if force == Some(Encoding::Base64) {
        return (BASE64.encode(bytes), Encoding::Base64);
    }
    match String::from_utf8(bytes) {
        Ok(text) => (text, Encoding::Utf8),
        Err(error) => {
            let cut = error.utf8_error();
            let bytes = error.into_bytes();
            // No length: the sequence is incomplete at the very end.
            if truncated && cut.error_len().is_none() {
                let text = String::from_utf8_lossy(&bytes[..cut.valid_up_to()]).into_owned();
                return (text, Encoding::Utf8);
            }
            (BASE64.encode(bytes), Encoding::Base64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_and_bytes_survive() {
        let encoded = |bytes: &[u8], truncated| encode(bytes.to_vec(), truncated, None);
        assert_eq!(
            encoded("hé\0\n".as_bytes(), false),
            ("hé\0\n".to_owned(), Encoding::Utf8)
        );
        assert_eq!(
            encoded(b"\xff\0", false),
            ("/wA=".to_owned(), Encoding::Base64)
        );
        assert_eq!(encoded(b"", false), (String::new(), Encoding::Utf8));
    }

    #[test]
    fn a_cut_character_is_left_out_of_truncated_text_only() {
        let cut = &"né".as_bytes()[..2];
        assert_eq!(
            encode(cut.to_vec(), true, None),
            ("n".to_owned(), Encoding::Utf8)
        );
        assert_eq!(encode(cut.to_vec(), false, None).1, Encoding::Base64);
        assert_eq!(encode(b"\xffab".to_vec(), true, None).1, Encoding::Base64);
    }

    #[test]
    fn base64_can_be_forced() {
        let forced = encode(b"hi".to_vec(), false, Some(Encoding::Base64));
        assert_eq!(forced, ("aGk=".to_owned(), Encoding::Base64));
    }
}
