//! Waiting for a submission's end: over server-sent events, and by asking where those do not come
//! through.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::Deserialize;
use uuid::Uuid;

use super::failure::Failure;
use super::service::{Answer, Ask, Service, Streamed};
use super::sse::Events;
use super::ui::{Bar, BarGuard};
use super::wire::Submission;

/// A stream on which nothing came for this long is broken: a live one has comments in between.
const SILENCE: Duration = Duration::from_secs(45);
/// After this many streams in a row without an event it is asked instead.
const MAX_DEAD_STREAMS: u32 = 3;
/// Between two questions, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How long the service may be out of reach before this gives up. The submission goes on all the
/// same.
const OUT_OF_REACH: Duration = Duration::from_mins(2);

/// A submission, and the answer that it came in.
pub(super) struct Final {
    pub(super) submission: Submission,
    pub(super) answer: Answer,
}

/// Asks once.
pub(super) fn look(service: &Service, id: Uuid) -> Result<Final, Failure> {
    let answer = service.expect(&Ask::get(format!("/v1/submissions/{id}")), &|_| None)?;
    let submission = answer.json()?;
    Ok(Final { submission, answer })
}

/// Waits until submission `id` has its final result, and shows how far it is.
pub(super) fn follow(service: &Service, id: Uuid, tests: usize) -> Result<Final, Failure> {
    let bar = service.ui().bar(tests as u64, Bar::Tests);
    let mut follower = Follower {
        service,
        id,
        bar,
        done: BTreeSet::new(),
        last_id: None,
        dead: 0,
        pause: FIRST_PAUSE,
        reached: Instant::now(),
    };
    follower.wait().map_err(|failure| match failure {
        Failure::Service(line) => Failure::Service(format!(
            "{line}; the submission goes on: `brig status {id} --follow` comes back to it"
        )),
        failure => failure,
    })
}

struct Follower<'a> {
    service: &'a Service,
    id: Uuid,
    bar: BarGuard<'a>,
    /// Tests with a verdict.
    done: BTreeSet<String>,
    /// Where a stream is to be taken up.
    last_id: Option<String>,
    /// Streams in a row on which nothing came.
    dead: u32,
    pause: Duration,
    /// When the service last said something.
    reached: Instant,
}

impl Follower<'_> {
    fn wait(&mut self) -> Result<Final, Failure> {
        loop {
            if self.dead < MAX_DEAD_STREAMS {
                self.listen();
            }
            // The end of a stream may mean the end of the submission, and says nothing reliable.
            match look(self.service, self.id) {
                Ok(last) if last.submission.is_final() => return Ok(last),
                Ok(last) => {
                    self.reached = Instant::now();
                    self.bar.label(label(&last.submission.state));
                    self.bar.at(last.submission.done() as u64);
                }
                Err(Failure::Service(_)) if self.reached.elapsed() < OUT_OF_REACH => {}
                Err(failure) => return Err(failure),
            }
            self.service.interrupt().pause(self.pause)?;
            self.pause = (self.pause * 2).min(MAX_PAUSE);
        }
    }

    /// Follows one stream to its end.
    fn listen(&mut self) {
        let mut ask = Ask::get(format!("/v1/submissions/{}/events", self.id));
        ask.headers.push(("accept", "text/event-stream".to_owned()));
        if let Some(id) = &self.last_id {
            ask.headers.push(("last-event-id", id.clone()));
        }
        self.dead += 1;
        let Ok(Streamed::Events(source)) = self.service.stream(&ask, SILENCE) else {
            return;
        };
        let mut events = Events::new(source);
        while let Ok(Some(event)) = events.next() {
            self.reached = Instant::now();
            self.dead = 0;
            self.pause = FIRST_PAUSE;
            if event.id.is_some() {
                self.last_id = event.id;
            }
            if event.kind == "finished" {
                return;
            }
            self.show(&event.kind, &event.data);
        }
    }

    fn show(&mut self, kind: &str, data: &str) {
        let data: Data = serde_json::from_str(data).unwrap_or_default();
        match kind {
            "state" => self.bar.label(label(&data.state)),
            "test" => {
                self.done.insert(data.id);
                self.bar.at(self.done.len() as u64);
            }
            _ => {}
        }
    }
}

/// What is read of an event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Data {
    id: String,
    state: String,
}

fn label(state: &str) -> &str {
    match state {
        "queued" => "waiting",
        state => state,
    }
}
