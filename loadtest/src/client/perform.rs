//! One operation, from its request to its judged answer.

use std::time::{Duration, Instant};

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};

use super::answer::{RunAnswer, SubmissionAnswer, problem, read};
use super::http::{Answer, Connection};
use super::live;
use crate::scenario::{Job, Kind};
use crate::stats::{Phase, Phases};

/// `Prefer: wait=60` (RFC 7240).
const PREFER: HeaderName = HeaderName::from_static("prefer");
const WAIT: HeaderValue = HeaderValue::from_static("wait=60");
/// Between two looks at a submission that was not judged while its request waited.
const POLL: Duration = Duration::from_millis(200);

/// Why an operation does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Few of these are different.
    pub(crate) kind: String,
    /// What exactly was wrong.
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(kind: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            text: text.into(),
        }
    }

    /// The request or its answer got lost.
    pub(super) fn transport(kind: &str, text: impl Into<String>) -> Self {
        Self::new(format!("transport: {kind}"), text)
    }
}

/// What came of an operation.
#[derive(Debug)]
pub(crate) struct Sample {
    /// When the whole answer was there.
    pub(crate) done: Instant,
    /// The times that the answer tells.
    pub(crate) result: Result<Phases, Failure>,
    /// Whether the compile cache had the program.
    pub(crate) cached: bool,
}

impl Sample {
    /// Its times and the client's own, from `intended` to the answer.
    pub(crate) fn times_since(&self, intended: Instant) -> Result<Phases, Failure> {
        let mut times = self.result.clone()?;
        times.add(Phase::Client, self.done.saturating_duration_since(intended));
        Ok(times)
    }

    pub(super) fn failed(failure: Failure) -> Self {
        Self {
            done: Instant::now(),
            result: Err(failure),
            cached: false,
        }
    }
}

/// Does `job` once, over `connection`.
pub(crate) async fn perform(connection: &mut Connection, job: &Job, unique: u64) -> Sample {
    let body = job.body.with(unique);
    let done = match &job.kind {
        Kind::Run => run(connection, job, body).await,
        Kind::Submission => submission(connection, job, body).await,
        Kind::Accept => accept(connection, job, body).await,
        Kind::Live(script) => live::session(connection.target(), job, script, body).await,
    };
    done.unwrap_or_else(Sample::failed)
}

async fn post(
    connection: &mut Connection,
    path: &str,
    headers: &[(HeaderName, HeaderValue)],
    body: Bytes,
    limit: Duration,
) -> Result<Answer, Failure> {
    let answer = connection
        .send(Method::POST, path, headers, body, limit)
        .await?;
    if answer.status >= 300 {
        return Err(problem(answer.status, &answer.body));
    }
    Ok(answer)
}

async fn run(connection: &mut Connection, job: &Job, body: Bytes) -> Result<Sample, Failure> {
    let answer = post(connection, "/v1/runs", &[], body, job.timeout).await?;
    let done = Instant::now();
    let answer: RunAnswer = read(&answer.body)?;
    let mut phases = Phases::default();
    answer.phases(&mut phases);
    Ok(Sample {
        done,
        result: answer.check(&job.expect).map(|()| phases),
        cached: answer.cached(),
    })
}

async fn submission(
    connection: &mut Connection,
    job: &Job,
    body: Bytes,
) -> Result<Sample, Failure> {
    let begun = Instant::now();
    let headers = [(PREFER, WAIT)];
    let answer = post(connection, "/v1/submissions", &headers, body, job.timeout).await?;
    let mut done = Instant::now();
    let mut answer: SubmissionAnswer = read(&answer.body)?;
    while !answer.is_final() {
        let left = job.timeout.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(Failure::transport("timeout", "no verdict in time"));
        }
        tokio::time::sleep(POLL.min(left)).await;
        let path = format!("/v1/submissions/{}", answer.id);
        let looked = connection.send(Method::GET, &path, &[], Bytes::new(), left);
        let looked = looked.await?;
        if looked.status != 200 {
            return Err(problem(looked.status, &looked.body));
        }
        done = Instant::now();
        answer = read(&looked.body)?;
    }
    let mut phases = Phases::default();
    answer.phases(&mut phases);
    Ok(Sample {
        done,
        result: answer.check(&job.expect).map(|()| phases),
        cached: answer.cached(),
    })
}

async fn accept(connection: &mut Connection, job: &Job, body: Bytes) -> Result<Sample, Failure> {
    post(connection, "/v1/submissions", &[], body, job.timeout).await?;
    Ok(Sample {
        done: Instant::now(),
        result: Ok(Phases::default()),
        cached: false,
    })
}
