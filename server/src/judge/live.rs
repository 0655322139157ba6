//! A submission while it is judged: what is known of it, and who waits for more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    state: Mutex<State>,
    /// How many events there are.
    changed: watch::Sender<usize>,
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
            state: Mutex::default(),
            changed: watch::Sender::new(0),
            cancelled: watch::Sender::new(false),
        };
        live.tell(
            &mut live.lock(),
            "state",
            &Stood::at(SubmissionState::Queued),
        );
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
        let state = self.lock();
        let document = state.document.as_ref()?;
        serde_json::to_vec(document).ok()
    }

    /// The events from number `from` on, as soon as there are any; empty: there will be no more.
    pub async fn events(&self, from: usize) -> Vec<Event> {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            {
                let state = self.lock();
                if state.events.len() > from || state.ended {
                    return state.events.get(from..).unwrap_or_default().to_vec();
                }
            }
            // The sender lives as long as `self`.
            let _ = changed.changed().await;
        }
    }

    /// How many events there are so far.
    pub fn told(&self) -> usize {
        *self.changed.borrow()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        let mut changed = self.changed.subscribe();
        let _ = changed.wait_for(|_| self.lock().ended).await;
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
        self.lock().document = Some(Box::new(document));
    }

    pub(super) fn stand(&self, place: SubmissionState) {
        let mut state = self.lock();
        if let Some(document) = &mut state.document {
            document.state = place;
        }
        self.tell(&mut state, "state", &Stood::at(place));
    }

    pub(super) fn compiled(&self, compile: Stage) {
        let mut state = self.lock();
        self.tell(&mut state, "compile", &compile);
        if let Some(document) = &mut state.document {
            document.compile = Some(compile);
        }
    }

    pub(super) fn tested(&self, index: usize, test: Test) {
        let mut state = self.lock();
        self.tell(&mut state, "test", &test);
        if let Some(document) = &mut state.document {
            document.tests[index] = test;
        }
    }

    /// Changes the document before its end, and gives it.
    pub(super) fn conclude(&self, change: impl FnOnce(&mut Submission)) -> Option<Submission> {
        let mut state = self.lock();
        let document = state.document.as_mut()?;
        change(document);
        Some((**document).clone())
    }

    /// All is over, and `document` is the result, as JSON.
    pub(super) fn end(&self, document: &[u8]) {
        let mut state = self.lock();
        let data = Arc::from(String::from_utf8_lossy(document).as_ref());
        state.events.push(Event {
            name: "finished",
            data,
        });
        state.ended = true;
        let events = state.events.len();
        drop(state);
        self.changed.send_replace(events);
    }

    /// As [`Live::end`], unless that was done.
    pub(super) fn end_late(&self, document: &[u8]) {
        if !self.lock().ended {
            self.end(document);
        }
    }

    fn tell(&self, state: &mut State, name: &'static str, data: &impl Serialize) {
        // Nothing of this can fail to be JSON.
        let data = serde_json::to_string(data).unwrap_or_default().into();
        state.events.push(Event { name, data });
        self.changed.send_replace(state.events.len());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
