//! Working alone: a stage that runs while no other does, on the whole machine, so that its times are
//! not other programs' doing.
//!
//! Whoever wants that waits until every worker is free; meanwhile nothing begins but the next stages
//! of what has begun. How long it may wait is bounded ([`WAIT_AT_MOST`]), as all others wait with it, and
//! between two that work alone all others get their turn.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::queue::{Offer, Queue, Waiter};
use super::turn::{Class, Turn};

/// How long others are held up for it, before the wish is given up.
pub(super) const WAIT_AT_MOST: Duration = Duration::from_secs(3);

/// Who wants to work alone, and who does.
#[derive(Default)]
pub(super) struct Alone {
    pub(super) waiting: VecDeque<Waiter>,
    /// Its ticket.
    pub(super) running: Option<u64>,
}

impl Alone {
    /// Whether a stage of this class may begin.
    pub(super) fn lets(&self, class: Class) -> bool {
        let finishing = class == Class::Continuing;
        self.running.is_none() && (finishing || self.waiting.is_empty())
    }

    pub(super) fn leave(&mut self, ticket: u64) {
        self.waiting.retain(|waiter| waiter.ticket != ticket);
        self.running = self.running.filter(|running| *running != ticket);
    }
}

/// A place among those who want to work alone, and then the right to it. Dropping it gives both up.
pub(super) struct Place {
    queue: Arc<Queue>,
    ticket: u64,
}

impl Place {
    /// Waits for the turn. `None`: it did not come in time.
    pub(super) async fn wait(
        queue: &Arc<Queue>,
        turn: Turn,
        at_most: Duration,
    ) -> Option<(Self, Offer)> {
        let (ticket, offer) = queue.enter_alone(turn);
        let place = Self {
            queue: Arc::clone(queue),
            ticket,
        };
        let offer = tokio::time::timeout(at_most, offer).await;
        Some((place, offer.ok()?.ok()?))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.leave_alone(self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::super::queue::{Entry, offer};
    use super::*;

    fn queue(workers: usize) -> Arc<Queue> {
        let queue = Queue::new(10);
        for _ in 0..workers {
            queue.connect();
        }
        Arc::new(queue)
    }

    fn judging(class: Class) -> Turn {
        Turn::judging(class, None)
    }

    #[tokio::test]
    async fn it_begins_when_every_worker_is_free() {
        let queue = queue(2);
        let (one, _worker) = offer();
        queue.offer(one);
        let mut alone = Box::pin(Place::wait(&queue, judging(Class::Normal), WAIT_AT_MOST));
        assert!((&mut alone).now_or_never().is_none());
        let (two, _worker) = offer();
        queue.offer(two);
        assert!(alone.now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn nothing_begins_meanwhile_and_what_waited_begins_afterwards() {
        let queue = queue(2);
        let (one, worker_one) = offer();
        let (two, _worker) = offer();
        queue.offer(one);
        queue.offer(two);
        let place = Place::wait(&queue, judging(Class::Normal), WAIT_AT_MOST);
        let (place, _offer) = place.now_or_never().flatten().unwrap();
        let waits = |class| match queue.enter(judging(class)) {
            Entry::Waiting(place) => place,
            _ => panic!("it does not wait"),
        };
        let (other, finishing) = (waits(Class::Interactive), waits(Class::Continuing));
        drop(place);
        // The next stage of what has begun comes first; its worker is the one that is free.
        assert!(finishing.served().now_or_never().flatten().is_some());
        drop(worker_one);
        let (again, _worker) = offer();
        queue.offer(again);
        assert!(other.served().now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn what_has_begun_may_finish_while_it_waits() {
        let queue = queue(2);
        let alone = queue.enter_alone(judging(Class::Normal));
        let (one, _worker) = offer();
        queue.offer(one);
        assert!(matches!(
            queue.enter(judging(Class::Bulk)),
            Entry::Waiting(_)
        ));
        assert!(matches!(
            queue.enter(judging(Class::Continuing)),
            Entry::Served(_)
        ));
        drop(alone);
    }

    #[tokio::test]
    async fn it_gives_up_in_time_and_lets_the_others_go_on() {
        let queue = queue(2);
        let (one, _worker) = offer();
        queue.offer(one);
        let alone = tokio::spawn({
            let queue = Arc::clone(&queue);
            let at_most = Duration::from_millis(20);
            async move {
                let turn = judging(Class::Normal);
                Place::wait(&queue, turn, at_most).await.is_some()
            }
        });
        tokio::task::yield_now().await;
        let Entry::Waiting(other) = queue.enter(judging(Class::Bulk)) else {
            panic!("it does not wait");
        };
        assert!(!alone.await.unwrap());
        assert!(other.served().now_or_never().flatten().is_some());
    }
}
