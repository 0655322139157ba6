//! `POST /v1/submissions` and what it leads to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::{
    CheckerRequest, Encoding, InputFile, InteractorRequest, LanguageUsed, LimitsRequest, Object,
    Problem, Stage, number,
};
use crate::store::Priority;
use crate::webhook::DeliveryReport;

/// A program to be judged. Unknown fields are refused.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "language": "python",
    "source": "a, b = map(int, input().split())\nprint(a + b)\n",
    "tests": [
        {"id": "sample", "stdin": "1 2\n", "expected_output": "3\n"},
        {"id": "big", "stdin": "1000000000 1\n", "expected_output": "1000000001\n"}
    ],
    "checker": {"type": "tokens"},
    "metadata": {"problem": "sum"}
}))]
pub struct SubmissionRequest {
    /// A language's id or alias, optionally `id@version`; `GET /v1/languages` lists them.
    #[schema(min_length = 1, example = "python")]
    pub language: String,
    /// One file under the language's own source name. This or `files` is required; both may be given.
    #[serde(default)]
    pub source: Option<String>,
    /// How `source` is encoded.
    #[serde(default)]
    pub source_encoding: Encoding,
    /// Files to put into `/box`, the program's working directory. How many there may be is in
    /// `limits.files` of `GET /v1/info`; together they must fit the limits `disk_bytes` and `disk_inodes`.
    #[serde(default)]
    #[schema(value_type = Vec<InputFile>)]
    pub files: Vec<Object<InputFile>>,
    /// The file that starts, if it is not clear: a path as in `files`.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 1024, pattern = r"^[^/\x00]")]
    pub entry: Option<String>,
    /// The program's arguments, for tests that have none of their own; the rules are those of a run.
    #[serde(default)]
    pub args: Vec<String>,
    /// Added to the program's environment; the rules are those of a run.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Added to the compiler's arguments; the rules are those of a run.
    #[serde(default)]
    pub compiler_args: Vec<String>,
    /// Limits of every test, where it has none of its own; what is left out has the language's default.
    #[serde(default)]
    #[schema(value_type = Option<LimitsRequest>)]
    pub limits: Option<Object<LimitsRequest>>,
    /// Limits of the compile stage; what is left out has the language's default.
    #[serde(default)]
    #[schema(value_type = Option<LimitsRequest>)]
    pub compile_limits: Option<Object<LimitsRequest>>,
    /// Name of the run stage's policy, if not the language's own; `GET /v1/policies` lists them.
    #[serde(default)]
    pub policy: Option<String>,
    /// The tests, in the order that decides which failure counts. How many there may be is configured
    /// (`judging.max_tests`, 2000 by default).
    #[schema(value_type = Vec<TestRequest>, min_items = 1)]
    pub tests: Vec<Object<TestRequest>>,
    /// The groups that tests name; each must have a test. How many there may be is configured
    /// (`judging.max_groups`, 200 by default).
    #[serde(default)]
    #[schema(value_type = Vec<GroupRequest>)]
    pub groups: Vec<Object<GroupRequest>>,
    /// What decides whether an output is right; one of type `lines` without it.
    #[serde(default)]
    #[schema(value_type = Option<CheckerRequest>)]
    pub checker: Option<Object<CheckerRequest>>,
    /// A program that the submission talks to, and that decides. There can be no `checker` beside it.
    #[serde(default)]
    #[schema(value_type = Option<InteractorRequest>)]
    pub interactor: Option<Object<InteractorRequest>>,
    /// When judging stops.
    #[serde(default)]
    pub stop: Stop,
    /// How soon it is to be judged.
    #[serde(default)]
    pub priority: Priority,
    /// Who is told of the result.
    #[serde(default)]
    #[schema(value_type = Option<CallbackRequest>)]
    pub callback: Option<Object<CallbackRequest>>,
    /// Anything; comes back as it was sent.
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    #[allow(dead_code)] // taken from the text, so that it comes back as it was written
    pub metadata: Option<serde::de::IgnoredAny>,
}

/// One test. `expected_output` or `expected_output_blob` is required unless a checker program or an interactor decides.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"id": "sample", "stdin": "1 2\n", "expected_output": "3\n"}))]
pub struct TestRequest {
    /// Its name, of its own; its number, counted from 1, without it. At most 100 bytes, no control characters.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 100, example = "sample")]
    pub id: Option<String>,
    /// The program's stdin; empty without this and `stdin_blob`.
    #[serde(default)]
    pub stdin: Option<String>,
    /// How `stdin` is encoded.
    #[serde(default)]
    pub stdin_encoding: Encoding,
    /// The program's stdin as the name of a blob that was uploaded before; not beside `stdin`.
    #[serde(default)]
    #[schema(pattern = r"^sha256:[0-9a-f]{64}$")]
    pub stdin_blob: Option<String>,
    /// What it should write.
    #[serde(default)]
    pub expected_output: Option<String>,
    /// How `expected_output` is encoded.
    #[serde(default)]
    pub expected_output_encoding: Encoding,
    /// What it should write as the name of a blob that was uploaded before; not beside `expected_output`.
    #[serde(default)]
    #[schema(pattern = r"^sha256:[0-9a-f]{64}$")]
    pub expected_output_blob: Option<String>,
    /// The id of the group it belongs to.
    #[serde(default)]
    pub group: Option<String>,
    /// What it is worth. Without it, the tests of a group share what the group's points leave; if nobody names any
    /// points, every test is worth 1.
    #[serde(default, deserialize_with = "number::at_least_zero")]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub points: Option<f64>,
    /// The program's arguments in place of the submission's, at most 65536 bytes with 8 for each.
    #[serde(default)]
    pub args: Option<Vec<String>>,
    /// Limits of this test, over those of the submission.
    #[serde(default)]
    #[schema(value_type = Option<LimitsRequest>)]
    pub limits: Option<Object<LimitsRequest>>,
}

/// Tests that are scored together.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"id": "big", "points": 60, "scoring": "min"}))]
pub struct GroupRequest {
    /// Its name, which tests refer to. At most 100 bytes, no control characters; every group has its own.
    #[schema(min_length = 1, max_length = 100, example = "big")]
    pub id: String,
    /// What it is worth; without it, what its tests are.
    #[serde(default, deserialize_with = "number::at_least_zero")]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub points: Option<f64>,
    /// How its tests make its score.
    #[serde(default)]
    pub scoring: Scoring,
    /// Ids of groups that must be accepted before this one is judged.
    #[serde(default)]
    pub depends_on: Vec<String>,
}

/// How the tests of a group make its score: `sum`, every test has points of its own; `min`, the group's points times
/// the least part that any test earned; `all`, the group's points if every test is accepted in full, else none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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

/// When judging stops: `first_failure`, the tests after the first failing one are skipped; `group_failure`, the tests
/// after the first failing one of a group are skipped in that group; `never`, every test is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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

/// Who is told of a result. What is sent, and how it is signed, is described under the webhook `submissionFinished`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"url": "https://oj.example/hook", "secret_id": "main"}))]
pub struct CallbackRequest {
    /// Where it is posted: an absolute `https` or `http` URL without credentials, at most 2048 bytes. It must lead to the
    /// public internet, unless the operator allows more.
    #[schema(format = "uri", max_length = 2048, example = "https://oj.example/hook")]
    pub url: String,
    /// Which of the configured secrets signs it; without it, it is not signed.
    #[serde(default)]
    pub secret_id: Option<String>,
}

/// Several submissions at once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"submissions": [{
    "language": "python",
    "source": "print(input()[::-1])\n",
    "tests": [{"stdin": "abc\n", "expected_output": "cba\n"}]
}]}))]
pub struct BatchRequest {
    /// They, each as `POST /v1/submissions` takes it; one that is wrong does not keep the others out. How many there
    /// may be is configured (`judging.max_batch`, 1000 by default).
    #[schema(value_type = Vec<SubmissionRequest>, min_items = 1)]
    pub submissions: Vec<Box<RawValue>>,
}

/// Where a submission stands: `queued`, it waits; `compiling`, it, or its checker, is compiled; `judging`, its tests
/// run; `finished`, it has a verdict; `cancelled`, it was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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

/// What became of a submission, a group, or a test. That of a submission is its first failing test's, in their order.
/// `judge_error`: the checker or the interactor did not do its part; `skipped`: it was not run because of the failure of
/// another; `internal_error`: the service failed, which says nothing about the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names say the rest
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
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Submission {
    /// Its id (UUIDv7).
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
    /// The verdict in words; null where there is nothing to add to it.
    #[schema(example = "test t7: line 3: expected 12, got 13")]
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
    #[schema(value_type = Option<DeliveryReport>)]
    pub callback: Option<Callback>,
    /// As it was sent.
    #[schema(value_type = Option<serde_json::Value>)]
    pub metadata: Option<Box<RawValue>>,
    /// When it came.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When judging began; null before.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// When it ended; null before.
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
}

/// A submission as lists show it: without `tests` and `compile`.
pub struct SubmissionSummary;

impl PartialSchema for SubmissionSummary {
    fn schema() -> RefOr<Schema> {
        let mut schema = Submission::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            for left_out in SUMMARY_LACKS {
                object.properties.shift_remove(left_out);
            }
            object
                .required
                .retain(|name| !SUMMARY_LACKS.contains(&name.as_str()));
            object.description = Some(
                "A submission as lists show it: without its tests and compile stage.".to_owned(),
            );
        }
        schema
    }
}

impl ToSchema for SubmissionSummary {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Submission::schemas(schemas);
    }
}

/// Fields of a [`Submission`] that are long.
pub const SUMMARY_LACKS: [&str; 2] = ["tests", "compile"];

/// A page of a list of submissions, newest first.
#[derive(Serialize, ToSchema)]
pub struct SubmissionList {
    /// The submissions.
    #[schema(value_type = Vec<SubmissionSummary>)]
    pub submissions: Vec<BTreeMap<String, Box<RawValue>>>,
    /// The `cursor` of the next page; null on the last one.
    pub next: Option<String>,
}

/// A submission that was accepted: it is stored, and will be judged even if the service ends before.
#[derive(Serialize, ToSchema)]
pub struct Accepted {
    /// Its id (UUIDv7).
    pub id: Uuid,
    /// Where it stands.
    pub state: SubmissionState,
}

/// What became of each submission of a batch.
#[derive(Serialize, ToSchema)]
pub struct BatchResponse {
    /// In the order of the request.
    pub submissions: Vec<BatchItem>,
}

/// What became of one submission of a batch: it was accepted, or refused.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum BatchItem {
    /// It was accepted.
    Accepted {
        /// As it would have been answered alone: 202.
        status: u16,
        /// Its id (UUIDv7).
        id: Uuid,
        /// Where it stands.
        state: SubmissionState,
    },
    /// It was refused.
    Refused {
        /// As it would have been answered alone.
        status: u16,
        /// Why.
        error: Problem,
    },
}

/// Where a result is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// The address.
    pub url: String,
}

/// A test of a submission.
#[derive(Clone, Debug, Serialize, ToSchema)]
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
    /// What was said between the program and the interactor; null without an interactor.
    #[schema(value_type = Option<Transcript>)]
    pub transcript: Option<Box<RawValue>>,
    /// The program's run; null when there was none. Its streams are cut to `judging.kept_output_bytes`, 4096 bytes by
    /// default.
    pub stage: Option<Stage>,
}

/// What was said between a program and its interactor: the beginning and the end.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Transcript {
    /// From the beginning.
    pub head: Vec<TranscriptLine>,
    /// How many bytes were said between `head` and `tail`.
    pub omitted_bytes: u64,
    /// Up to the end; empty if nothing was omitted.
    pub tail: Vec<TranscriptLine>,
}

/// What one side said before the other said something.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TranscriptLine {
    /// Who said it: `program` or `interactor`.
    pub by: &'static str,
    /// What was said; a part of it where the transcript is cut.
    pub text: String,
    /// How `text` is encoded.
    pub encoding: Encoding,
}

/// A group of tests.
#[derive(Clone, Debug, Serialize, ToSchema)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct SubmissionUsage {
    /// The most CPU time of any test, in microseconds.
    pub cpu_time_max_us: u64,
    /// The CPU time of all tests, in microseconds.
    pub cpu_time_total_us: u64,
    /// The most memory of any test, in bytes.
    pub memory_peak_bytes: u64,
}
