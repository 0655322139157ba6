//! What the client reads of the service's answers. Whatever it can do without may be missing, so
//! that it gets along with older and newer services.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

/// The answer to a run.
#[derive(Debug, Deserialize)]
pub(super) struct RunAnswer {
    pub(super) status: String,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) compile: Option<Stage>,
    #[serde(default)]
    pub(super) run: Option<Stage>,
    #[serde(default)]
    pub(super) degraded: Vec<String>,
}

/// One sandboxed execution.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stage {
    pub(super) outcome: String,
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<String>,
    pub(super) stdout: String,
    pub(super) stdout_encoding: String,
    pub(super) stdout_bytes: u64,
    pub(super) stdout_truncated: bool,
    pub(super) stderr: String,
    pub(super) stderr_encoding: String,
    pub(super) stderr_bytes: u64,
    pub(super) stderr_truncated: bool,
    pub(super) violation: Option<Violation>,
    pub(super) cached: bool,
    pub(super) usage: Usage,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Violation {
    pub(super) syscall: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Usage {
    pub(super) cpu_user_us: Option<u64>,
    pub(super) cpu_system_us: Option<u64>,
    pub(super) wall_us: Option<u64>,
    pub(super) memory_peak_bytes: Option<u64>,
}

impl Usage {
    /// CPU time of user and kernel together.
    pub(super) fn cpu_us(&self) -> Option<u64> {
        Some(self.cpu_user_us?.saturating_add(self.cpu_system_us?))
    }
}

impl Stage {
    pub(super) fn stdout(&self) -> Vec<u8> {
        bytes(&self.stdout, &self.stdout_encoding)
    }

    pub(super) fn stderr(&self) -> Vec<u8> {
        bytes(&self.stderr, &self.stderr_encoding)
    }
}

/// What a stream was. What is no base64 although it says so is given as it is.
pub(super) fn bytes(text: &str, encoding: &str) -> Vec<u8> {
    let decoded = (encoding == "base64")
        .then(|| BASE64.decode(text).ok())
        .flatten();
    decoded.unwrap_or_else(|| text.as_bytes().to_vec())
}

/// A submission.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Submission {
    pub(super) state: String,
    #[serde(default)]
    pub(super) verdict: Option<String>,
    #[serde(default)]
    pub(super) score: Option<f64>,
    #[serde(default)]
    pub(super) max_score: Option<f64>,
    #[serde(default)]
    pub(super) message: Option<String>,
    #[serde(default)]
    pub(super) compile: Option<Stage>,
    #[serde(default)]
    pub(super) tests: Vec<Test>,
    #[serde(default)]
    pub(super) groups: Vec<Group>,
    #[serde(default)]
    pub(super) usage: Option<Total>,
    #[serde(default)]
    pub(super) degraded: Vec<String>,
}

impl Submission {
    /// Whether it has its final result.
    pub(super) fn is_final(&self) -> bool {
        matches!(self.state.as_str(), "finished" | "cancelled")
    }

    /// How many tests have their verdict.
    pub(super) fn done(&self) -> usize {
        self.tests
            .iter()
            .filter(|test| test.verdict.is_some())
            .count()
    }
}

/// What became of one test.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Test {
    pub(super) id: String,
    pub(super) verdict: Option<String>,
    pub(super) score: Option<f64>,
    pub(super) message: Option<String>,
    pub(super) checker_message: Option<String>,
    pub(super) stage: Option<Stage>,
}

/// What became of one group.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) verdict: Option<String>,
    pub(super) score: Option<f64>,
}

/// What a submission cost.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Total {
    pub(super) cpu_time_max_us: Option<u64>,
    pub(super) memory_peak_bytes: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_bytes_again() {
        assert_eq!(bytes("hi", "utf-8"), b"hi");
        assert_eq!(bytes("/w==", "base64"), [0xff]);
        assert_eq!(bytes("no base64!", "base64"), b"no base64!");
    }

    #[test]
    fn answers_may_lack_most_and_have_more() {
        let run: RunAnswer = serde_json::from_str(r#"{"status": "ok", "new": 1}"#).unwrap();
        assert!(run.run.is_none());
        let text = r#"{"id": "x", "state": "judging", "tests": [{"id": "a", "verdict": null}, {"id": "b", "verdict": "accepted"}]}"#;
        let submission: Submission = serde_json::from_str(text).unwrap();
        assert_eq!((submission.done(), submission.is_final()), (1, false));
    }
}
