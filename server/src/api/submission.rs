//! `POST /v1/submissions` and what it leads to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    CheckerRequest, Encoding, InputFile, InteractorRequest, LanguageUsed, LimitsRequest, Object,
    Stage, number,
};
use crate::store::Priority;

/// A program to be judged.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmissionRequest {
    /// A language's id or alias, optionally `id@version`.
    pub language: String,
    /// One file under the language's own source name. This or `files` is required.
    #[serde(default)]
    pub source: Option<String>,
    /// How `source` is encoded.
    #[serde(default)]
    pub source_encoding: Encoding,
    /// Files to put into `/box`.
    #[serde(default)]
    pub files: Vec<Object<InputFile>>,
    /// The file that starts, if it is not clear.
    #[serde(default)]
    pub entry: Option<String>,
    /// The program's arguments, for tests that have none of their own.
    #[serde(default)]
    pub args: Vec<String>,
    /// Added to the program's environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Added to the compiler's arguments.
    #[serde(default)]
    pub compiler_args: Vec<String>,
    /// Limits of every test, where it has none of its own.
    #[serde(default)]
    pub limits: Option<Object<LimitsRequest>>,
    /// Limits of the compile stage.
    #[serde(default)]
    pub compile_limits: Option<Object<LimitsRequest>>,
    /// Name of the run stage's policy, if not the language's own.
    #[serde(default)]
    pub policy: Option<String>,
    /// The tests, in the order that decides which failure counts.
    pub tests: Vec<Object<TestRequest>>,
    /// The groups that tests name.
    #[serde(default)]
    pub groups: Vec<Object<GroupRequest>>,
    /// What decides whether an output is right; `lines` without it.
    #[serde(default)]
    pub checker: Option<Object<CheckerRequest>>,
    /// A program that the submission talks to.
    #[serde(default)]
    pub interactor: Option<Object<InteractorRequest>>,
    /// When judging stops.
    #[serde(default)]
    pub stop: Stop,
    /// How soon it is to be judged.
    #[serde(default)]
    pub priority: Priority,
    /// Who is told of the result.
    #[serde(default)]
    pub callback: Option<Object<CallbackRequest>>,
    /// Anything; comes back as it was sent.
    #[serde(default)]
    #[allow(dead_code)] // taken from the text, so that it comes back as it was written
    pub metadata: Option<serde::de::IgnoredAny>,
}

/// One test.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestRequest {
    /// Its name, of its own; its number, counted from 1, without it.
    #[serde(default)]
    pub id: Option<String>,
    /// The program's stdin.
    #[serde(default)]
    pub stdin: Option<String>,
    /// How `stdin` is encoded.
    #[serde(default)]
    pub stdin_encoding: Encoding,
    /// The program's stdin, uploaded before: `sha256:<hex>`.
    #[serde(default)]
    pub stdin_blob: Option<String>,
    /// What it should write.
    #[serde(default)]
    pub expected_output: Option<String>,
    /// How `expected_output` is encoded.
    #[serde(default)]
    pub expected_output_encoding: Encoding,
    /// What it should write, uploaded before: `sha256:<hex>`.
    #[serde(default)]
    pub expected_output_blob: Option<String>,
    /// The group it belongs to.
    #[serde(default)]
    pub group: Option<String>,
    /// What it is worth.
    #[serde(default, deserialize_with = "number::at_least_zero")]
    pub points: Option<f64>,
    /// The program's arguments.
    #[serde(default)]
    pub args: Option<Vec<String>>,
    /// Limits of this test, over those of the submission.
    #[serde(default)]
    pub limits: Option<Object<LimitsRequest>>,
}

/// Tests that are scored together.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRequest {
    /// Its name, which tests refer to.
    pub id: String,
    /// What it is worth.
    #[serde(default, deserialize_with = "number::at_least_zero")]
    pub points: Option<f64>,
    /// How its tests make its score.
    #[serde(default)]
    pub scoring: Scoring,
    /// Groups that must be accepted before this one is judged.
    #[serde(default)]
    pub depends_on: Vec<String>,
}

/// How the tests of a group make its score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scoring {
    /// Every test has points of its own.
    #[default]
    Sum,
    /// The group's points times the least part that any test earned.
    Min,
    /// The group's points if every test is accepted in full, else none.
    All,
}

/// When judging stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The tests after the first failing one are skipped.
    #[default]
    FirstFailure,
    /// The tests after the first failing one of a group are skipped in that group.
    GroupFailure,
    /// Every test is run.
    Never,
}

/// Who is told of a result.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallbackRequest {
    /// Where it is posted.
    pub url: String,
    /// Which of the configured secrets signs it.
    #[serde(default)]
    pub secret_id: Option<String>,
}

/// Several submissions at once.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// They, each as `POST /v1/submissions` takes it.
    pub submissions: Vec<Box<RawValue>>,
}

/// Where a submission stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubmissionState {
    /// It waits.
    Queued,
    /// It, or its checker, is compiled.
    Compiling,
    /// Its tests run.
    Judging,
    /// It has a verdict.
    Finished,
    /// It was cancelled.
    Cancelled,
}

/// What became of a submission, a group, or a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names say it; the API page has the details
pub enum Verdict {
    Accepted,
    WrongAnswer,
    PresentationError,
    TimeLimitExceeded,
    MemoryLimitExceeded,
    OutputLimitExceeded,
    RuntimeError,
    SecurityViolation,
    CompileError,
    /// The checker or the interactor did not do its part.
    JudgeError,
    Skipped,
    Cancelled,
    InternalError,
}

impl Verdict {
    /// Its name in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::WrongAnswer => "wrong_answer",
            Self::PresentationError => "presentation_error",
            Self::TimeLimitExceeded => "time_limit_exceeded",
            Self::MemoryLimitExceeded => "memory_limit_exceeded",
            Self::OutputLimitExceeded => "output_limit_exceeded",
            Self::RuntimeError => "runtime_error",
            Self::SecurityViolation => "security_violation",
            Self::CompileError => "compile_error",
            Self::JudgeError => "judge_error",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::InternalError => "internal_error",
        }
    }
}

/// A submission as it stands.
#[derive(Clone, Debug, Serialize)]
pub struct Submission {
    /// Its id.
    pub id: Uuid,
    /// How soon it is to be judged.
    pub priority: Priority,
    /// Where it stands.
    pub state: SubmissionState,
    /// What became of it; null until that is known.
    pub verdict: Option<Verdict>,
    /// Points it earned; null until that is known.
    pub score: Option<f64>,
    /// Points there are.
    pub max_score: f64,
    /// The verdict in words.
    pub message: Option<String>,
    /// What runs it.
    pub language: LanguageUsed,
    /// The compile stage; null when nothing was compiled.
    pub compile: Option<Stage>,
    /// Its tests, in their order.
    pub tests: Vec<Test>,
    /// Its groups, in their order.
    pub groups: Vec<Group>,
    /// What all tests cost together.
    pub usage: SubmissionUsage,
    /// Layers that this host does not enforce, as its operator allowed.
    pub degraded: Vec<String>,
    /// Where the result is sent, and, once there is one, how that went.
    pub callback: Option<Callback>,
    /// As it was sent.
    pub metadata: Option<Box<RawValue>>,
    /// When it came.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When judging began.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
}

/// Where a result is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// The address.
    pub url: String,
}

/// A test of a submission.
#[derive(Clone, Debug, Serialize)]
pub struct Test {
    /// Its name.
    pub id: String,
    /// The group it belongs to.
    pub group: Option<String>,
    /// What became of it; null until that is known.
    pub verdict: Option<Verdict>,
    /// Points it earned.
    pub score: f64,
    /// Points it can earn.
    pub points: f64,
    /// The verdict in words.
    pub message: Option<String>,
    /// What the checker or the interactor says.
    pub checker_message: Option<String>,
    /// What was said between the program and the interactor: its beginning and its end.
    pub transcript: Option<Box<RawValue>>,
    /// Why the program was run once more; `stage` is that run.
    pub rerun: Option<Rerun>,
    /// The program's run.
    pub stage: Option<Stage>,
}

/// That a test's program was run once more, while nothing else ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rerun {
    /// Why.
    pub reason: RerunReason,
    /// What the first run used, in microseconds.
    pub first_cpu_time_us: u64,
}

/// Why a program was run once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RerunReason {
    /// Its CPU time was over the limit, but not by much.
    Borderline,
}

/// A group of tests.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// Its name.
    pub id: String,
    /// What became of it; null until that is known.
    pub verdict: Option<Verdict>,
    /// Points it earned.
    pub score: f64,
    /// Points it can earn.
    pub points: f64,
}

/// What the tests of a submission cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SubmissionUsage {
    /// The most CPU time of any test.
    pub cpu_time_max_us: u64,
    /// The CPU time of all tests.
    pub cpu_time_total_us: u64,
    /// The most memory of any test.
    pub memory_peak_bytes: u64,
}
