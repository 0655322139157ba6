//! Leaves between two uses.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::{Leaf, WorkerGroup};

/// What the last processes of a group leave behind is given back after an RCU grace period or two
/// (task structures, for example); before that, a look is not worth while.
const REST: Duration = Duration::from_millis(40);
/// Leaves that rest. Each has four directories open.
const MAX_RESTING: usize = 24;
/// Leaves looked at before a new one is made instead.
const LOOKS_AT_ONCE: usize = 2;
/// A leaf that is not empty after so many looks keeps something, page cache for example, for good.
const MAX_LOOKS: u32 = 3;

/// Makes leaves, and gives out used ones again where they are as new.
#[derive(Debug, Default)]
pub struct Leaves {
    /// The longest resting first.
    resting: VecDeque<Resting>,
    made: u64,
}

#[derive(Debug)]
struct Resting {
    leaf: Box<dyn Leaf>,
    since: Instant,
    looks: u32,
}

impl Leaves {
    /// A leaf in which nobody is and nothing is counted.
    pub fn take(&mut self, group: &WorkerGroup) -> io::Result<Box<dyn Leaf>> {
        for _ in 0..LOOKS_AT_ONCE {
            let rested = |resting: &Resting| resting.since.elapsed() >= REST;
            if !self.resting.front().is_some_and(rested) {
                break;
            }
            if let Some(resting) = self.resting.pop_front()
                && let Some(leaf) = self.look_at(resting)?
            {
                return Ok(leaf);
            }
        }
        self.made += 1;
        group.create_leaf(&format!("s-{}", self.made))
    }

    /// Takes a leaf back whose sandbox is gone.
    pub fn give_back(&mut self, leaf: Box<dyn Leaf>) -> io::Result<()> {
        if !leaf.reusable() {
            return leaf.remove();
        }
        self.rest(leaf, 0);
        if self.resting.len() <= MAX_RESTING {
            return Ok(());
        }
        let oldest = self.resting.pop_front();
        oldest.map_or(Ok(()), |resting| resting.leaf.remove())
    }

    /// Whether any leaf rests.
    pub fn rests(&self) -> bool {
        !self.resting.is_empty()
    }

    /// Removes the leaves that rest.
    pub fn clear(&mut self) -> io::Result<()> {
        let resting = std::mem::take(&mut self.resting);
        resting
            .into_iter()
            .try_for_each(|resting| resting.leaf.remove())
    }

    fn rest(&mut self, mut leaf: Box<dyn Leaf>, looks: u32) {
        leaf.rest();
        self.resting.push_back(Resting {
            leaf,
            since: Instant::now(),
            looks,
        });
    }

    /// The leaf, if it is as new; otherwise it goes on resting, or goes.
    fn look_at(&mut self, resting: Resting) -> io::Result<Option<Box<dyn Leaf>>> {
        let Resting { leaf, looks, .. } = resting;
        if leaf.renew()? {
            return Ok(Some(leaf));
        }
        if looks + 1 < MAX_LOOKS {
            self.rest(leaf, looks + 1);
        } else {
            leaf.remove()?;
        }
        Ok(None)
    }
}
