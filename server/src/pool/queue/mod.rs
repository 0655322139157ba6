//! Who gets the next free worker.
//!
//! Workers offer themselves, callers wait in line; the two meet under one short lock. An offer is
//! the sending half of a one-shot channel whose receiving half the worker's task holds, so whoever
//! drops an unused offer, wherever it is at that moment, gives the worker back: its task sees the
//! channel close and offers itself again.
//!
//! There is a line for each [`Class`]; a class goes before the next one, but one that was passed
//! over [`PASSED_OVER_AT_MOST`] times in a row while somebody waited in it gets its turn. Within a
//! class, owners share the workers' time fairly ([`super::fair`]).

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use brig_sandbox::protocol::Prepared;
use tokio::sync::{Notify, oneshot};

use super::alone::Alone;
use super::fair::FairLine;
use super::turn::{CLASS_LIST, CLASSES, Class, Turn};
use super::worker::Assignment;

/// A worker's readiness to take one assignment.
pub(super) type Offer = oneshot::Sender<Assignment>;

/// So often in a row may a waiting class be passed over for those before it: under constant load
/// each gets at least this share.
const PASSED_OVER_AT_MOST: u32 = 16;

/// What the pool is doing now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Workers connected.
    pub workers: usize,
    /// Workers that hold a job.
    pub running: usize,
    /// Sandboxes prepared and waiting in all workers.
    pub warm: usize,
    /// Interpreters started ahead of their jobs, in all workers.
    pub prestarted: usize,
    /// Runs in line.
    pub queued: usize,
}

/// Who waits in one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InLine {
    /// The line.
    pub class: Class,
    /// How many.
    pub waiting: usize,
    /// How long the first to come has waited.
    pub oldest: Option<Duration>,
}

/// What is known of one connected worker.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WorkerState {
    pub(super) prepared: Prepared,
    pub(super) running: bool,
}

pub(super) struct Waiter {
    pub(super) ticket: u64,
    turn: Turn,
    since: Instant,
    pub(super) hand_over: oneshot::Sender<Offer>,
}

#[derive(Default)]
struct State {
    offers: VecDeque<Offer>,
    alone: Alone,
    lines: [FairLine<Waiter>; CLASSES],
    /// How often each class was passed over since its last turn.
    passed_over: [u32; CLASSES],
    workers: HashMap<u64, WorkerState>,
    next_number: u64,
    mean_service: Option<Duration>,
}

pub(super) struct Queue {
    length: usize,
    state: Mutex<State>,
    /// Told whenever somebody has to wait.
    pressure: Notify,
}

/// A place in line; dropping it leaves the line.
pub(super) struct Place<'a> {
    queue: &'a Queue,
    turn: Turn,
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
            pressure: Notify::new(),
        }
    }

    // Nothing in here panics while it holds the lock, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, turn: Turn) -> Entry<'_> {
        let mut state = self.lock();
        while state.alone.lets(turn.class)
            && let Some(offer) = state.offers.pop_front()
        {
            if !offer.is_closed() {
                state.expect_service(turn);
                return Entry::Served(offer);
            }
        }
        if turn.counted && state.counted() >= self.length {
            return Entry::Full {
                retry_after: state.expected_wait(),
            };
        }
        let ticket = state.number();
        let (hand_over, offer) = oneshot::channel();
        let waiter = Waiter {
            ticket,
            turn,
            since: Instant::now(),
            hand_over,
        };
        state.lines[turn.class as usize].push(turn.owner, waiter);
        self.pressure.notify_waiters();
        Entry::Waiting(Place {
            queue: self,
            turn,
            ticket,
            offer,
        })
    }

    /// Gives `offer` to the next in line that still waits, or keeps it.
    pub(super) fn offer(&self, offer: Offer) {
        let mut state = self.lock();
        if let Some(unwanted) = state.serve(offer) {
            state.offers.push_back(unwanted);
        }
        state.begin_alone();
    }

    /// Stands in line for a worker while no other one works. The ticket is for [`Queue::leave_alone`].
    pub(super) fn enter_alone(&self, turn: Turn) -> (u64, oneshot::Receiver<Offer>) {
        let mut state = self.lock();
        let ticket = state.number();
        let (hand_over, offer) = oneshot::channel();
        state.alone.waiting.push_back(Waiter {
            ticket,
            turn,
            since: Instant::now(),
            hand_over,
        });
        state.begin_alone();
        self.pressure.notify_waiters();
        (ticket, offer)
    }

    /// The holder of `ticket` has worked alone, or does not want to any more. Those who waited
    /// meanwhile come first, then whoever wants to work alone next.
    pub(super) fn leave_alone(&self, ticket: u64) {
        let mut state = self.lock();
        state.alone.leave(ticket);
        if state.alone.running.is_none() {
            state.serve_all();
            state.begin_alone();
        }
    }

    fn leave(&self, turn: Turn, ticket: u64) {
        let line = &mut self.lock().lines[turn.class as usize];
        line.remove(turn.owner, |waiter| waiter.ticket == ticket);
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
        state.begin_alone();
    }

    pub(super) fn update(&self, connection: u64, change: impl FnOnce(&mut WorkerState)) {
        if let Some(worker) = self.lock().workers.get_mut(&connection) {
            change(worker);
        }
    }

    /// Notes that a job kept its worker for `service`, from its start until the worker was ready
    /// again; not of jobs whose time is people's. The mean forgets: each new figure weighs one eighth.
    pub(super) fn served(&self, service: Duration) {
        let mut state = self.lock();
        state.mean_service = Some(match state.mean_service {
            Some(mean) => (mean * 7 + service) / 8,
            None => service,
        });
    }

    /// Puts what a worker's time was really spent on `turn`'s account, in place of the mean that
    /// was put there when the worker was given.
    pub(super) fn settle(&self, turn: Turn, expected: Duration, spent: Duration) {
        let line = &mut self.lock().lines[turn.class as usize];
        line.correct(turn.owner, expected, spent);
    }

    /// What a stage is expected to take: the mean of those before it.
    pub(super) fn mean_service(&self) -> Duration {
        self.lock().mean_service.unwrap_or_default()
    }

    /// Returns once somebody waits for a worker, but for the last in precedence, or to work alone.
    pub(super) async fn pressed(&self) {
        let mut told = pin!(self.pressure.notified());
        loop {
            // Who comes after the look is heard of.
            told.as_mut().enable();
            let waiting = {
                let state = self.lock();
                let before = &state.lines[..Class::Bulk as usize];
                !state.alone.waiting.is_empty() || before.iter().any(|line| !line.is_empty())
            };
            if waiting {
                return;
            }
            told.as_mut().await;
            told.set(self.pressure.notified());
        }
    }

    /// Everybody who waits, by class.
    pub(super) fn line_up(&self) -> [InLine; CLASSES] {
        let state = self.lock();
        CLASS_LIST.map(|class| {
            let line = &state.lines[class as usize];
            let since = line.iter().map(|waiter| waiter.since).min();
            InLine {
                class,
                waiting: line.len(),
                oldest: since.map(|since| since.elapsed()),
            }
        })
    }

    pub(super) fn stats(&self) -> Stats {
        let state = self.lock();
        Stats {
            workers: state.workers.len(),
            running: state.workers.values().filter(|w| w.running).count(),
            warm: state
                .workers
                .values()
                .map(|w| w.prepared.warm as usize)
                .sum(),
            prestarted: state
                .workers
                .values()
                .map(|w| w.prepared.prestarted as usize)
                .sum(),
            queued: state.counted() + state.lines[Class::Continuing as usize].len(),
        }
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Runs in line that count against the queue's length.
    fn counted(&self) -> usize {
        let waiters = self.lines.iter().flat_map(FairLine::iter);
        waiters.filter(|waiter| waiter.turn.counted).count()
    }

    fn expect_service(&mut self, turn: Turn) {
        let mean = self.mean_service.unwrap_or_default();
        self.lines[turn.class as usize].charge(turn.owner, mean);
    }

    /// Gives `offer` to the next in line that still waits, or back.
    fn serve(&mut self, mut offer: Offer) -> Option<Offer> {
        while let Some(waiter) = self.next_waiter() {
            match waiter.hand_over.send(offer) {
                Ok(()) => {
                    self.expect_service(waiter.turn);
                    return None;
                }
                Err(unwanted) => offer = unwanted,
            }
        }
        Some(offer)
    }

    /// Gives out the offers that were held back, whoever else wants to work alone.
    fn serve_all(&mut self) {
        let waiting = std::mem::take(&mut self.alone.waiting);
        while let Some(offer) = self.offers.pop_front() {
            if !offer.is_closed()
                && let Some(unwanted) = self.serve(offer)
            {
                self.offers.push_front(unwanted);
                break;
            }
        }
        self.alone.waiting = waiting;
    }

    /// Lets the next one work alone, if no worker works.
    fn begin_alone(&mut self) {
        if self.alone.running.is_some() || self.alone.waiting.is_empty() {
            return;
        }
        self.offers.retain(|offer| !offer.is_closed());
        if self.offers.is_empty() || self.offers.len() < self.workers.len() {
            return;
        }
        while let Some(waiter) = self.alone.waiting.pop_front() {
            let Some(offer) = self.offers.pop_front() else {
                return;
            };
            match waiter.hand_over.send(offer) {
                Ok(()) => {
                    self.alone.running = Some(waiter.ticket);
                    return self.expect_service(waiter.turn);
                }
                Err(unwanted) => self.offers.push_front(unwanted),
            }
        }
    }

    fn next_waiter(&mut self) -> Option<Waiter> {
        if self.alone.running.is_some() {
            return None;
        }
        if !self.alone.waiting.is_empty() {
            return self.lines[Class::Continuing as usize].pop();
        }
        let class = self.next_class()?;
        for (line, passed_over) in self.lines.iter().zip(&mut self.passed_over).skip(class + 1) {
            *passed_over = if line.is_empty() { 0 } else { *passed_over + 1 };
        }
        self.passed_over[class] = 0;
        self.lines[class].pop()
    }

    fn next_class(&self) -> Option<usize> {
        let mut waiting = (0..CLASSES).filter(|class| !self.lines[*class].is_empty());
        let overdue = |class: &usize| self.passed_over[*class] >= PASSED_OVER_AT_MOST;
        waiting.clone().find(overdue).or_else(|| waiting.next())
    }

    /// How long until those now in line for an answer have been served.
    fn expected_wait(&self) -> Duration {
        let before = [Class::Continuing, Class::Interactive];
        let ahead: usize = before.iter().map(|c| self.lines[*c as usize].len()).sum();
        let ahead = u32::try_from(ahead + 1).unwrap_or(u32::MAX);
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
        self.queue.leave(self.turn, self.ticket);
    }
}

#[cfg(test)]
pub(super) fn offer() -> (Offer, oneshot::Receiver<Assignment>) {
    oneshot::channel()
}

#[cfg(test)]
mod tests;
