//! Whether a conversation can still go on.
//!
//! When nothing was said for a while, both sides are looked at, again and again: their CPU time, and
//! what their threads are blocked in ([`Waiting`]). Two looks in a row at which both only wait
//! for input, nothing is on its way to either, and neither has used CPU time to speak of in between, show
//! that both have waited all the while, and nothing will ever come. The same holds if both
//! write and neither reads. A side that sleeps for a time is never taken for one that waits.

use std::convert::Infallible;
use std::time::Duration;

use brig_sandbox::report::{Sample, Waiting};
use brig_sandbox::sys::pipe::unread_bytes;
use tokio::time::{Instant, sleep, sleep_until};

use super::conversation::Conversation;
use super::{Role, What};

/// After so long without a word the two sides are looked at.
const QUIET: Duration = Duration::from_millis(200);
/// Between two looks. With [`QUIET`] it bounds how long a deadlock goes on.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// What a side may use between two looks at which it waits: runtimes with threads of their own are
/// never quite idle.
const IDLE_CPU_US: u64 = 5_000;

/// Why neither side can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadlock {
    /// Both wait for input.
    Reading,
    /// Both write, and neither reads.
    Writing,
}

impl Deadlock {
    /// For the contestant.
    pub fn message(self) -> &'static str {
        match self {
            Self::Reading => "deadlock: program and interactor both wait for input",
            Self::Writing => "deadlock: program and interactor both write, and neither reads",
        }
    }
}

/// What both sides were seen to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Look {
    /// How often something had been said or taken.
    pub(super) moves: u64,
    sides: [Side; 2],
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Side {
    waiting: Option<Waiting>,
    cpu_us: Option<u64>,
    /// Its stdin is empty.
    starved: bool,
    /// What it said is not taken.
    held: bool,
}

impl Side {
    fn reads(&self) -> bool {
        self.waiting == Some(Waiting::ForInput) && self.starved && !self.held
    }

    fn writes(&self) -> bool {
        self.waiting == Some(Waiting::ForRoom) && self.held
    }
}

impl Look {
    /// Whether both sides have done nothing since `last`.
    fn continues(&self, last: &Self) -> bool {
        let idle = |now: &Side, last: &Side| {
            let used = now.cpu_us.zip(last.cpu_us);
            let used = used.map_or(0, |(now, last)| now.saturating_sub(last));
            now.waiting == last.waiting && used <= IDLE_CPU_US
        };
        let mut sides = self.sides.iter().zip(&last.sides);
        self.moves == last.moves && sides.all(|(now, last)| idle(now, last))
    }

    /// Whether the program waits for an interactor that does not wait for it.
    pub(super) fn held_up(&self) -> bool {
        let [program, interactor] = &self.sides;
        (program.reads() || program.writes()) && interactor.waiting == Some(Waiting::No)
    }

    fn deadlock(&self) -> Option<Deadlock> {
        if self.sides.iter().all(Side::reads) {
            Some(Deadlock::Reading)
        } else if self.sides.iter().all(Side::writes) {
            Some(Deadlock::Writing)
        } else {
            None
        }
    }
}

impl Conversation {
    /// Ends the conversation when neither side can go on.
    pub(super) async fn watch(&self) -> Infallible {
        let mut last: Option<Look> = None;
        loop {
            self.quiet().await;
            let now = self.look().await;
            self.state().look.clone_from(&now);
            if let (Some(look), Some(last)) = (&now, &last)
                && look.continues(last)
                && let Some(deadlock) = look.deadlock()
            {
                self.state().deadlock = Some(deadlock);
                self.stop(Role::Program);
                self.stop(Role::Interactor);
                return std::future::pending().await;
            }
            last = now;
            sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Waits until nothing was said for a while.
    async fn quiet(&self) {
        loop {
            let due = self.state().moved_at + QUIET;
            if Instant::now() >= due {
                return;
            }
            sleep_until(due).await;
        }
    }

    /// Looks at both sides. `None`: they do not talk with each other any more, or not yet.
    async fn look(&self) -> Option<Look> {
        let moves = self.state().moves;
        let [program, interactor] = &self.controls;
        let samples = tokio::join!(program.sample(), interactor.sample());
        let state = self.state();
        let over = [What::EndOfInput, What::ClosedInput, What::Ended];
        let ends = state.events.iter().any(|event| over.contains(&event.what));
        if ends || state.moves != moves {
            return None;
        }
        let side = |role: Role, sample: Sample| {
            let stdin = state.stdins[role.index()].upgrade()?;
            Some(Side {
                waiting: sample.waiting,
                cpu_us: sample.cpu_us,
                starved: unread_bytes(stdin.as_ref()).ok()? == 0,
                held: state.held[role.index()],
            })
        };
        Some(Look {
            moves,
            sides: [
                side(Role::Program, samples.0?)?,
                side(Role::Interactor, samples.1?)?,
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(waiting: Option<Waiting>, starved: bool, held: bool) -> Side {
        Side {
            waiting,
            cpu_us: Some(1),
            starved,
            held,
        }
    }

    #[test]
    fn a_side_that_works_between_two_looks_is_not_stuck() {
        let look = |moves, cpu_us| Look {
            moves,
            sides: [
                side(Some(Waiting::ForInput), true, false),
                Side {
                    cpu_us,
                    ..side(Some(Waiting::ForInput), true, false)
                },
            ],
        };
        let last = look(3, Some(70_000));
        assert!(look(3, Some(70_000)).continues(&last));
        assert!(look(3, Some(75_000)).continues(&last));
        assert!(!look(3, Some(75_001)).continues(&last));
        assert!(!look(4, Some(70_000)).continues(&last));
        assert!(look(3, None).continues(&last));
    }

    #[test]
    fn only_what_cannot_go_on_is_a_deadlock() {
        let reads = side(Some(Waiting::ForInput), true, false);
        let writes = side(Some(Waiting::ForRoom), false, true);
        let busy = side(Some(Waiting::No), true, false);
        let unknown = side(None, true, false);
        let served = side(Some(Waiting::ForInput), false, false);
        for (program, interactor, deadlock, held_up) in [
            (reads, reads, Some(Deadlock::Reading), false),
            (writes, writes, Some(Deadlock::Writing), false),
            (reads, busy, None, true),
            (writes, busy, None, true),
            (busy, reads, None, false),
            (busy, busy, None, false),
            (served, reads, None, false),
            (reads, served, None, false),
            (served, busy, None, false),
            (unknown, reads, None, false),
            (reads, unknown, None, false),
            (writes, reads, None, false),
        ] {
            let look = Look {
                moves: 0,
                sides: [program, interactor],
            };
            assert_eq!(look.deadlock(), deadlock, "{look:?}");
            assert_eq!(look.held_up(), held_up, "{look:?}");
        }
    }
}
