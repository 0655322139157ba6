//! What is read of the service's answers.

use std::time::Duration;

use serde::Deserialize;
use time::OffsetDateTime;

use super::perform::Failure;
use crate::scenario::Expect;
use crate::stats::{Phase, Phases};

/// Of the answer of `POST /v1/runs`.
#[derive(Debug, Deserialize)]
pub(super) struct RunAnswer {
    status: String,
    #[serde(default)]
    message: String,
    compile: Option<CompileStage>,
    run: Option<RunStage>,
    timings: Timings,
}

#[derive(Debug, Deserialize)]
struct CompileStage {
    #[serde(default)]
    cached: bool,
    #[serde(default)]
    stdout: String,
    #[serde(default)]
    stderr: String,
}

#[derive(Debug, Deserialize)]
struct RunStage {
    stdout: String,
}

#[derive(Debug, Deserialize)]
#[allow(clippy::struct_field_names)]
struct Timings {
    queued_us: Option<u64>,
    compile_us: Option<u64>,
    setup_us: Option<u64>,
    run_us: Option<u64>,
    total_us: Option<u64>,
}

impl RunAnswer {
    /// Whether the program itself was compiled before.
    pub(super) fn cached(&self) -> bool {
        self.compile.as_ref().is_some_and(|c| c.cached)
    }

    /// Adds the service's own times to `phases`.
    pub(super) fn phases(&self, phases: &mut Phases) {
        let timings = &self.timings;
        for (phase, time) in [
            (Phase::Total, timings.total_us),
            (Phase::Queue, timings.queued_us),
            (Phase::Compile, timings.compile_us),
            (Phase::Setup, timings.setup_us),
            (Phase::Run, timings.run_us),
        ] {
            if let Some(us) = time {
                phases.add(phase, Duration::from_micros(us));
            }
        }
    }

    /// Whether it is right.
    pub(super) fn check(&self, expect: &Expect) -> Result<(), Failure> {
        if !expect.status.contains(&self.status) {
            let mut text = self.message.clone();
            if let Some(compile) = &self.compile {
                text = format!("{text} {}{}", compile.stdout, compile.stderr);
            }
            return Err(Failure::new(format!("status {}", self.status), text));
        }
        let stdout = self.run.as_ref().map_or("", |run| &run.stdout);
        match &expect.stdout {
            Some(right) if right != stdout => Err(Failure::new(
                "wrong output",
                format!("expected {right:?}, got {stdout:?}"),
            )),
            _ => Ok(()),
        }
    }
}

/// Of a submission.
#[derive(Debug, Deserialize)]
pub(super) struct SubmissionAnswer {
    pub(super) id: String,
    state: String,
    verdict: Option<String>,
    #[serde(default)]
    message: Option<String>,
    compile: Option<CompileStage>,
    created_at: Option<String>,
    started_at: Option<String>,
    finished_at: Option<String>,
}

impl SubmissionAnswer {
    pub(super) fn is_final(&self) -> bool {
        matches!(self.state.as_str(), "finished" | "cancelled")
    }

    pub(super) fn cached(&self) -> bool {
        self.compile.as_ref().is_some_and(|c| c.cached)
    }

    /// Adds the service's own times to `phases`.
    pub(super) fn phases(&self, phases: &mut Phases) {
        let between = |from: &Option<String>, to: &Option<String>| {
            let (from, to) = (moment(from.as_ref())?, moment(to.as_ref())?);
            Duration::try_from(to - from).ok()
        };
        if let Some(queue) = between(&self.created_at, &self.started_at) {
            phases.add(Phase::Queue, queue);
        }
        if let Some(total) = between(&self.created_at, &self.finished_at) {
            phases.add(Phase::Total, total);
        }
    }

    pub(super) fn check(&self, expect: &Expect) -> Result<(), Failure> {
        let verdict = self.verdict.as_deref().unwrap_or(&self.state);
        if expect.status.is_empty() || expect.status.iter().any(|s| s == verdict) {
            return Ok(());
        }
        let text = self.message.clone().unwrap_or_default();
        Err(Failure::new(format!("verdict {verdict}"), text))
    }
}

fn moment(text: Option<&String>) -> Option<OffsetDateTime> {
    let format = &time::format_description::well_known::Rfc3339;
    OffsetDateTime::parse(text?, format).ok()
}

/// Of problem+json (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    r#type: String,
    title: String,
    detail: String,
    errors: Vec<FieldError>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FieldError {
    pointer: String,
    detail: String,
}

/// An answer that is an error.
pub(super) fn problem(status: u16, body: &[u8]) -> Failure {
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    let name = problem.r#type.rsplit(':').next().unwrap_or_default();
    let kind = format!("http {status} {name}").trim_end().to_owned();
    let mut text = format!("{}: {}", problem.title, problem.detail);
    for error in &problem.errors {
        text = format!("{text}; {}: {}", error.pointer, error.detail);
    }
    Failure::new(kind, text)
}

/// `body` as `T`.
pub(super) fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::new("answer not understood", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(stdout: Option<&str>) -> Expect {
        Expect {
            status: vec!["ok".to_owned()],
            stdout: stdout.map(str::to_owned),
        }
    }

    const RUN: &str = r#"{"id": "x", "status": "ok", "message": "m",
        "compile": {"cached": true, "stdout": ""}, "run": {"stdout": "1\n", "outcome": "exited"},
        "timings": {"queued_us": 40, "compile_us": null, "setup_us": 350, "run_us": 3100, "total_us": 4000}}"#;

    #[test]
    fn a_run_is_read_and_checked() {
        let answer: RunAnswer = read(RUN.as_bytes()).unwrap();
        let mut phases = Phases::default();
        answer.phases(&mut phases);
        assert_eq!(phases.0.len(), 4);
        assert!(
            phases
                .0
                .contains(&(Phase::Setup, Duration::from_micros(350)))
        );
        assert!(answer.cached());
        answer.check(&expect(Some("1\n"))).unwrap();
        let wrong = answer.check(&expect(Some("2\n"))).unwrap_err();
        assert_eq!(wrong.kind, "wrong output");
        let failed = RUN.replace("\"ok\"", "\"runtime_error\"");
        let answer: RunAnswer = read(failed.as_bytes()).unwrap();
        assert_eq!(
            answer.check(&expect(None)).unwrap_err().kind,
            "status runtime_error"
        );
    }

    #[test]
    fn a_submission_is_read_and_checked() {
        let text = r#"{"id": "x", "state": "finished", "verdict": "wrong_answer", "message": "t7",
            "created_at": "2026-01-01T00:00:00Z", "started_at": "2026-01-01T00:00:00.25Z",
            "finished_at": "2026-01-01T00:00:01Z"}"#;
        let answer: SubmissionAnswer = read(text.as_bytes()).unwrap();
        assert!(answer.is_final() && !answer.cached());
        let mut phases = Phases::default();
        answer.phases(&mut phases);
        assert_eq!(
            phases.0,
            [
                (Phase::Queue, Duration::from_millis(250)),
                (Phase::Total, Duration::from_secs(1))
            ]
        );
        assert_eq!(
            answer.check(&expect(None)).unwrap_err().kind,
            "verdict wrong_answer"
        );
    }

    #[test]
    fn an_error_is_named_by_its_type() {
        let body = br#"{"type": "urn:brig:problem:busy", "title": "Busy", "status": 503, "detail": "full"}"#;
        let failure = problem(503, body);
        assert_eq!(failure.kind, "http 503 busy");
        assert_eq!(failure.text, "Busy: full");
        assert_eq!(problem(502, b"<html>").kind, "http 502");
        assert_eq!(
            read::<RunAnswer>(b"{}").unwrap_err().kind,
            "answer not understood"
        );
    }
}
