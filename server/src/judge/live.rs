//! A submission while it is judged: what is known of it, and who waits for more.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;
use uuid::Uuid;

use crate::api::{Stage, Submission, SubmissionState, Test};
use crate::store::Owner;

/// Something that happened to a submission.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its kind: `state`, `compile`, `test`, `finished`.
    pub name: &'static str,
    /// What it is, as JSON.
    pub data: Arc<str>,
}

/// A submission that waits with somebody watching, or is judged, or has just been.
#[derive(Debug)]
pub struct Live {
    id: Uuid,
    owner: Owner,
    /// The value of the channel itself, so that no second lock is held beside the channel's: who
    /// waits looks at it under that lock.
    state: watch::Sender<State>,
    cancelled: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    /// Once judging has begun.
    document: Option<Box<Submission>>,
    events: Vec<Event>,
    ended: bool,
}

impl Live {
    pub(super) fn new(id: Uuid, owner: Owner) -> Self {
        let live = Self {
            id,
            owner,
            state: watch::Sender::default(),
            cancelled: watch::Sender::new(false),
        };
        live.stand(SubmissionState::Queued);
        live
    }

    /// Its id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Whose it is.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// It as JSON, once judging has begun.
    pub fn document(&self) -> Option<Vec<u8>> {
        let state = self.state.borrow();
        let document = state.document.as_ref()?;
        serde_json::to_vec(document).ok()
    }

    /// Whether judging has begun.
    pub fn has_begun(&self) -> bool {
        self.state.borrow().document.is_some()
    }

    /// The events from number `from` on, as soon as there are any; empty: there will be no more.
    pub async fn events(&self, from: usize) -> Vec<Event> {
        let mut states = self.state.subscribe();
        let more = states.wait_for(|state| state.events.len() > from || state.ended);
        // The sender lives as long as `self`.
        let Ok(state) = more.await else {
            return Vec::new();
        };
        state.events.get(from..).unwrap_or_default().to_vec()
    }

    /// How many events there are so far.
    pub fn told(&self) -> usize {
        self.state.borrow().events.len()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.state.borrow().ended
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        let mut states = self.state.subscribe();
        let _ = states.wait_for(|state| state.ended).await;
    }

    /// Asks for its end.
    pub(super) fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    /// Waits until somebody asks for its end.
    pub(super) async fn cancelled(&self) {
        let mut cancelled = self.cancelled.subscribe();
        // The sender lives as long as `self`.
        let _ = cancelled.wait_for(|cancelled| *cancelled).await;
    }

    pub(super) fn begin(&self, document: Submission) {
        self.state
            .send_modify(|state| state.document = Some(Box::new(document)));
    }

    pub(super) fn stand(&self, place: SubmissionState) {
        self.tell("state", json(&Stood::at(place)), |document| {
            document.state = place;
        });
    }

    pub(super) fn compiled(&self, compile: Stage) {
        let data = json(&compile);
        self.tell("compile", data, |document| {
            document.compile = Some(compile);
        });
    }

    pub(super) fn tested(&self, index: usize, test: Test) {
        let data = json(&test);
        self.tell("test", data, |document| document.tests[index] = test);
    }

    /// Changes the document before its end, and gives it.
    pub(super) fn conclude(&self, change: impl FnOnce(&mut Submission)) -> Option<Submission> {
        let mut concluded = None;
        // Nobody is told before the end.
        self.state.send_if_modified(|state| {
            if let Some(document) = &mut state.document {
                change(document);
                concluded = Some((**document).clone());
            }
            false
        });
        concluded
    }

    /// All is over, and `document` is the result, as JSON. Once only: a second end is none.
    pub(super) fn end(&self, document: &[u8]) {
        let data = Arc::from(String::from_utf8_lossy(document).as_ref());
        self.state.send_if_modified(|state| {
            if state.ended {
                return false;
            }
            let name = "finished";
            state.events.push(Event { name, data });
            state.ended = true;
            true
        });
    }

    /// Adds an event, and changes the document if judging has begun.
    fn tell(&self, name: &'static str, data: Arc<str>, change: impl FnOnce(&mut Submission)) {
        self.state.send_modify(|state| {
            state.events.push(Event { name, data });
            if let Some(document) = &mut state.document {
                change(document);
            }
        });
    }
}

/// Nothing that is told can fail to be JSON.
fn json(data: &impl Serialize) -> Arc<str> {
    serde_json::to_string(data).unwrap_or_default().into()
}

/// The data of a `state` event.
#[derive(Serialize)]
struct Stood {
    state: SubmissionState,
}

impl Stood {
    fn at(state: SubmissionState) -> Self {
        Self { state }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn looking_and_telling_at_once_do_not_wait_for_each_other() {
        let live = Arc::new(Live::new(Uuid::nil(), None));
        let (done, is_done) = channel();
        let (teller, looker) = (Arc::clone(&live), live);
        let told = done.clone();
        std::thread::spawn(move || {
            for _ in 0..20_000 {
                teller.stand(SubmissionState::Judging);
            }
            teller.end(b"{}");
            told.send(()).unwrap();
        });
        std::thread::spawn(move || {
            while looker.ended().now_or_never().is_none() {}
            done.send(()).unwrap();
        });
        for _ in 0..2 {
            let bound = Duration::from_mins(1);
            is_done
                .recv_timeout(bound)
                .expect("neither holds up the other");
        }
    }
}
