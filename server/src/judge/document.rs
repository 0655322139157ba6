//! A submission as it is shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::board::Board;
use super::task::Task;
use super::testing::Tested;
use crate::api::{
    Callback, Group, Stage, Submission, SubmissionState, SubmissionUsage, Test, Verdict,
};
use crate::run::{language_used, show_stage};
use crate::store::Priority;

/// A submission that has just come.
pub(super) fn queued(
    id: Uuid,
    task: &Task,
    metadata: Option<Box<RawValue>>,
    degraded: &[String],
    created_at: OffsetDateTime,
) -> Submission {
    let tests = task.tests.iter().map(|test| Test {
        id: test.id.clone(),
        group: test.place.group.map(|group| task.groups[group].id.clone()),
        verdict: None,
        score: 0.0,
        points: test.place.points,
        message: None,
        checker_message: None,
        transcript: None,
        rerun: None,
        stage: None,
    });
    let groups = task.groups.iter().map(|group| Group {
        id: group.id.clone(),
        verdict: None,
        score: 0.0,
        points: group.rules.points,
    });
    Submission {
        id,
        priority: task.priority,
        state: SubmissionState::Queued,
        verdict: None,
        score: None,
        max_score: task.board().max_score(),
        message: None,
        language: language_used(&task.sources.language),
        compile: None,
        tests: tests.collect(),
        groups: groups.collect(),
        usage: SubmissionUsage::default(),
        degraded: degraded.to_vec(),
        callback: task.callback.as_ref().map(|callback| Callback {
            url: callback.url.clone(),
        }),
        metadata,
        created_at,
        started_at: None,
        finished_at: None,
    }
}

/// A test that has ended.
pub(super) fn tested(board: &Board, task: &Task, index: usize, tested: Option<Tested>) -> Test {
    let test = &task.tests[index];
    let verdict = board.outcome(index).map(|outcome| outcome.verdict);
    let (message, checker_message, transcript, rerun, stage) = match tested {
        Some(t) => (t.message, t.checker_message, t.transcript, t.rerun, t.stage),
        None => (None, None, None, None, None),
    };
    Test {
        id: test.id.clone(),
        group: test.place.group.map(|group| task.groups[group].id.clone()),
        verdict,
        score: board.test_score(index),
        points: test.place.points,
        message,
        checker_message,
        transcript,
        rerun,
        stage: stage.map(|stage| show_stage(stage, None)),
    }
}

/// What the request calls its metadata, as it was written.
pub(super) fn metadata(request: &RawValue) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Request {
        metadata: Option<Box<RawValue>>,
    }
    serde_json::from_str::<Request>(request.get())
        .ok()?
        .metadata
}

type Fields = BTreeMap<String, Box<RawValue>>;

/// Where the result of this document's submission is sent.
pub(super) fn callback(document: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Document {
        callback: Option<Callback>,
    }
    let document = serde_json::from_slice::<Document>(document).ok()?;
    Some(document.callback?.url)
}

/// The document with what became of its callback.
pub(super) fn with_callback(document: &[u8], report: &impl Serialize) -> Vec<u8> {
    let mut fields: Fields = serde_json::from_slice(document).unwrap_or_default();
    put(&mut fields, "callback", report);
    // Nothing of it can fail to be JSON.
    serde_json::to_vec(&fields).unwrap_or_default()
}

/// How soon the submission of this document is to be judged.
pub(super) fn priority(document: &[u8]) -> Option<Priority> {
    let fields: Fields = serde_json::from_slice(document).ok()?;
    serde_json::from_str(fields.get("priority")?.get()).ok()
}

/// The document of a submission that has ended before judging began.
pub(super) fn given_up(queued: &[u8], verdict: Verdict, message: &str) -> Vec<u8> {
    let mut fields: Fields = serde_json::from_slice(queued).unwrap_or_default();
    let cancelled = verdict == Verdict::Cancelled;
    let (state, each) = if cancelled {
        (SubmissionState::Cancelled, Verdict::Cancelled)
    } else {
        (SubmissionState::Finished, Verdict::Skipped)
    };
    for of in ["tests", "groups"] {
        let parts = fields.get(of).map(|parts| parts.get());
        let parts = parts.and_then(|parts| serde_json::from_str::<Vec<Fields>>(parts).ok());
        let mut parts = parts.unwrap_or_default();
        for part in &mut parts {
            put(part, "verdict", &each);
        }
        put(&mut fields, of, &parts);
    }
    put(&mut fields, "state", &state);
    put(&mut fields, "verdict", &verdict);
    put(&mut fields, "message", &message);
    put(&mut fields, "score", &0.0);
    let now = OffsetDateTime::now_utc().format(&Rfc3339);
    put(&mut fields, "finished_at", &now.ok());
    // Nothing of it can fail to be JSON.
    serde_json::to_vec(&fields).unwrap_or_default()
}

fn put(fields: &mut Fields, name: &str, value: &impl Serialize) {
    if let Ok(value) = serde_json::value::to_raw_value(value) {
        fields.insert(name.to_owned(), value);
    }
}

/// What the tests amount to.
pub(super) fn conclude(document: &mut Submission, board: &Board) {
    let total = board.total();
    document.verdict = total.verdict;
    document.score = Some(total.score);
    for (index, group) in document.groups.iter_mut().enumerate() {
        let standing = board.group(index);
        group.verdict = standing.verdict;
        group.score = standing.score;
    }
    for (index, test) in document.tests.iter_mut().enumerate() {
        test.verdict = board.outcome(index).map(|outcome| outcome.verdict);
        test.score = board.test_score(index);
    }
    let failing = board.first_failing().map(|index| &document.tests[index]);
    document.message = failing.map(|test| match (&test.message, test.verdict) {
        (Some(message), _) => format!("test {}: {message}", test.id),
        (None, Some(verdict)) => format!("test {}: {}", test.id, words(verdict)),
        (None, None) => format!("test {}", test.id),
    });
    document.usage = usage(document.tests.iter().filter_map(|t| t.stage.as_ref()));
}

fn words(verdict: Verdict) -> String {
    verdict.as_str().replace('_', " ")
}

fn usage<'a>(stages: impl Iterator<Item = &'a Stage>) -> SubmissionUsage {
    let mut sum = SubmissionUsage::default();
    for usage in stages.map(|stage| &stage.usage) {
        let user = usage.cpu_user_us.unwrap_or_default();
        let cpu = user + usage.cpu_system_us.unwrap_or_default();
        sum.cpu_time_max_us = sum.cpu_time_max_us.max(cpu);
        sum.cpu_time_total_us += cpu;
        let peak = usage.memory_peak_bytes.unwrap_or_default();
        sum.memory_peak_bytes = sum.memory_peak_bytes.max(peak);
    }
    sum
}
