//! Who gets the next free worker.
//!
//! Workers offer themselves, callers wait in line; the two meet under one short lock. An offer is
//! the sending half of a one-shot channel whose receiving half the worker's task holds, so whoever
//! drops an unused offer, wherever it is at that moment, gives the worker back: its task sees the
//! channel close and offers itself again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::worker::Assignment;

/// A worker's readiness to take one assignment.
pub(super) type Offer = oneshot::Sender<Assignment>;

/// Where a caller stands in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// At the end; refused when the queue is full.
    New,
    /// In front: the next stage of a run that has had a worker before. Not counted against the
    /// queue's length, for there are never more of them than workers.
    Continuing,
    /// At the end, as a new run, but never refused and not counted: the service's own looks at the
    /// tools, of which there is one at a time, must neither fail nor take the place of a run.
    Upkeep,
}

/// What the pool is doing now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Workers connected.
    pub workers: usize,
    /// Workers that hold a job.
    pub running: usize,
    /// Sandboxes prepared and waiting in all workers.
    pub warm: usize,
    /// Runs in line.
    pub queued: usize,
}

/// What is known of one connected worker.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WorkerState {
    pub(super) warm: u32,
    pub(super) running: bool,
}

struct Waiter {
    ticket: u64,
    turn: Turn,
    hand_over: oneshot::Sender<Offer>,
}

#[derive(Default)]
struct State {
    offers: VecDeque<Offer>,
    continuing: VecDeque<Waiter>,
    new: VecDeque<Waiter>,
    workers: HashMap<u64, WorkerState>,
    next_number: u64,
    mean_service: Option<Duration>,
}

pub(super) struct Queue {
    length: usize,
    state: Mutex<State>,
}

/// A place in line; dropping it leaves the line.
pub(super) struct Place<'a> {
    queue: &'a Queue,
    ticket: u64,
    offer: oneshot::Receiver<Offer>,
}

pub(super) enum Entry<'a> {
    Served(Offer),
    Waiting(Place<'a>),
    Full { retry_after: Duration },
}

/// Bounds of what a refused caller is told to wait.
const RETRY_AFTER: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_mins(1);

impl Queue {
    pub(super) fn new(length: usize) -> Self {
        Self {
            length,
            state: Mutex::default(),
        }
    }

    // Nothing in here panics while it holds the lock, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, turn: Turn) -> Entry<'_> {
        let mut state = self.lock();
        while let Some(offer) = state.offers.pop_front() {
            if !offer.is_closed() {
                return Entry::Served(offer);
            }
        }
        if turn == Turn::New && state.waiting(Turn::New) >= self.length {
            return Entry::Full {
                retry_after: state.expected_wait(),
            };
        }
        let ticket = state.number();
        let (hand_over, offer) = oneshot::channel();
        let line = match turn {
            Turn::New | Turn::Upkeep => &mut state.new,
            Turn::Continuing => &mut state.continuing,
        };
        line.push_back(Waiter {
            ticket,
            turn,
            hand_over,
        });
        Entry::Waiting(Place {
            queue: self,
            ticket,
            offer,
        })
    }

    /// Gives `offer` to the first in line that still waits, or keeps it.
    pub(super) fn offer(&self, mut offer: Offer) {
        let mut state = self.lock();
        while let Some(waiter) = state.next_waiter() {
            match waiter.hand_over.send(offer) {
                Ok(()) => return,
                Err(unwanted) => offer = unwanted,
            }
        }
        state.offers.push_back(offer);
    }

    fn leave(&self, ticket: u64) {
        let mut state = self.lock();
        state.new.retain(|w| w.ticket != ticket);
        state.continuing.retain(|w| w.ticket != ticket);
    }

    pub(super) fn expected_wait(&self) -> Duration {
        self.lock().expected_wait()
    }

    pub(super) fn connect(&self) -> u64 {
        let mut state = self.lock();
        let connection = state.number();
        state.workers.insert(connection, WorkerState::default());
        connection
    }

    pub(super) fn disconnect(&self, connection: u64) {
        let mut state = self.lock();
        state.workers.remove(&connection);
        state.offers.retain(|o| !o.is_closed());
    }

    pub(super) fn update(&self, connection: u64, change: impl FnOnce(&mut WorkerState)) {
        if let Some(worker) = self.lock().workers.get_mut(&connection) {
            change(worker);
        }
    }

    /// Notes that a job kept its worker for `service`, from its start until the worker was ready
    /// again. The mean forgets: each new figure weighs one eighth.
    pub(super) fn served(&self, service: Duration) {
        let mut state = self.lock();
        state.mean_service = Some(match state.mean_service {
            Some(mean) => (mean * 7 + service) / 8,
            None => service,
        });
    }

    pub(super) fn stats(&self) -> Stats {
        let state = self.lock();
        Stats {
            workers: state.workers.len(),
            running: state.workers.values().filter(|w| w.running).count(),
            warm: state.workers.values().map(|w| w.warm as usize).sum(),
            queued: state.waiting(Turn::New) + state.waiting(Turn::Continuing),
        }
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn waiting(&self, turn: Turn) -> usize {
        let line = self.continuing.iter().chain(&self.new);
        line.filter(|waiter| waiter.turn == turn).count()
    }

    fn next_waiter(&mut self) -> Option<Waiter> {
        self.continuing.pop_front().or_else(|| self.new.pop_front())
    }

    /// How long until the queue as it is now has been served.
    fn expected_wait(&self) -> Duration {
        let ahead = u32::try_from(self.new.len() + self.continuing.len() + 1).unwrap_or(u32::MAX);
        let workers = u32::try_from(self.workers.len().max(1)).unwrap_or(u32::MAX);
        let wait = self.mean_service.unwrap_or_default().saturating_mul(ahead) / workers;
        wait.clamp(*RETRY_AFTER.start(), *RETRY_AFTER.end())
    }
}

impl Place<'_> {
    /// Waits for the turn. Cancel-safe: an offer that came too late goes back to its worker.
    pub(super) async fn served(mut self) -> Option<Offer> {
        (&mut self.offer).await.ok()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue.leave(self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn offer() -> (Offer, oneshot::Receiver<Assignment>) {
        oneshot::channel()
    }

    fn wait(queue: &Queue, turn: Turn) -> Place<'_> {
        match queue.enter(turn) {
            Entry::Waiting(place) => place,
            Entry::Served(_) => panic!("served at once"),
            Entry::Full { .. } => panic!("full"),
        }
    }

    #[test]
    fn first_come_first_served_and_continuing_runs_before_new_ones() {
        let queue = Queue::new(8);
        let (a, b) = (wait(&queue, Turn::New), wait(&queue, Turn::New));
        let c = wait(&queue, Turn::Continuing);
        let mut served = Vec::new();
        let mut waiting = vec![
            ("a", a.served().boxed()),
            ("b", b.served().boxed()),
            ("c", c.served().boxed()),
        ];
        for _ in 0..3 {
            queue.offer(offer().0);
            waiting.retain_mut(|(name, place)| {
                let done = place.now_or_never().is_some();
                if done {
                    served.push(*name);
                }
                !done
            });
        }
        assert_eq!(served, ["c", "a", "b"]);
    }

    #[test]
    fn a_full_queue_refuses_new_runs_only() {
        let queue = Queue::new(1);
        let _a = wait(&queue, Turn::New);
        assert!(matches!(queue.enter(Turn::New), Entry::Full { .. }));
        let _c = wait(&queue, Turn::Continuing);
    }

    #[test]
    fn upkeep_is_not_refused_and_takes_no_place() {
        let queue = Queue::new(1);
        let _upkeep = wait(&queue, Turn::Upkeep);
        assert_eq!(queue.stats().queued, 0);
        let _a = wait(&queue, Turn::New);
        let _more = wait(&queue, Turn::Upkeep);
        assert!(matches!(queue.enter(Turn::New), Entry::Full { .. }));
        assert_eq!(queue.stats().queued, 1);
    }

    #[test]
    fn leaving_the_line_makes_room_and_passes_the_worker_on() {
        let queue = Queue::new(1);
        drop(wait(&queue, Turn::New));
        assert_eq!(queue.stats().queued, 0);
        let b = wait(&queue, Turn::New);
        queue.offer(offer().0);
        assert!(b.served().now_or_never().flatten().is_some());
    }

    #[test]
    fn an_offer_dropped_on_its_way_goes_back_to_the_worker() {
        let queue = Queue::new(1);
        let a = wait(&queue, Turn::New);
        let (tx, mut rx) = offer();
        queue.offer(tx);
        drop(a);
        assert!(matches!(
            rx.try_recv(),
            Err(oneshot::error::TryRecvError::Closed)
        ));
    }

    #[test]
    fn offers_of_dead_workers_are_skipped() {
        let queue = Queue::new(1);
        let (dead, rx) = offer();
        queue.offer(dead);
        drop(rx);
        let (alive, _rx) = offer();
        queue.offer(alive);
        match queue.enter(Turn::New) {
            Entry::Served(offer) => assert!(!offer.is_closed()),
            _ => panic!("not served"),
        }
    }

    #[test]
    fn the_expected_wait_follows_the_observed_service_rate() {
        let queue = Queue::new(10);
        assert_eq!(queue.expected_wait(), Duration::from_secs(1));
        queue.connect();
        queue.connect();
        queue.served(Duration::from_secs(4));
        let _places: Vec<_> = (0..9).map(|_| wait(&queue, Turn::New)).collect();
        assert_eq!(queue.expected_wait(), Duration::from_secs(20));
    }
}
