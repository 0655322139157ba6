//! Submissions that wait for their turn to be judged.

use std::collections::HashMap;

use crate::pool::fair::FairLine;
use crate::store::{Owner, Pending, Priority};

const PRIORITIES: [Priority; 3] = [Priority::Interactive, Priority::Normal, Priority::Bulk];

/// Who waits, and who is being judged. Within a priority owners take turns.
#[derive(Default)]
pub(super) struct Waiting {
    lines: [FairLine<Pending>; 3],
    active: [Active; 3],
    /// Without a result: waiting, or being judged, or about to be accepted.
    unfinished: usize,
    by_owner: HashMap<Owner, usize>,
}

#[derive(Default)]
struct Active {
    all: usize,
    by_owner: HashMap<Owner, usize>,
}

/// Why no more are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// All together are as many as may be.
    All,
    /// The owner's are.
    Owner,
}

impl Waiting {
    /// Makes room for `count` submissions of `owner`'s, if there is any.
    pub(super) fn reserve(
        &mut self,
        owner: Owner,
        count: usize,
        max: usize,
        max_of_owner: Option<usize>,
    ) -> Result<(), NoRoom> {
        let owners = self.by_owner.get(&owner).copied().unwrap_or_default();
        if max_of_owner.is_some_and(|max| owners + count > max) {
            return Err(NoRoom::Owner);
        }
        if self.unfinished + count > max {
            return Err(NoRoom::All);
        }
        self.count_in(owner, count);
        Ok(())
    }

    /// Counts submissions that were accepted in another life.
    pub(super) fn count_in(&mut self, owner: Owner, count: usize) {
        self.unfinished += count;
        if count > 0 {
            *self.by_owner.entry(owner).or_default() += count;
        }
    }

    /// Gives room back: these have a result, or were not accepted.
    pub(super) fn release(&mut self, owner: Owner, count: usize) {
        self.unfinished -= count;
        if let Some(owners) = self.by_owner.get_mut(&owner) {
            *owners -= count;
            if *owners == 0 {
                self.by_owner.remove(&owner);
            }
        }
    }

    /// Without a result.
    pub(super) fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// Being judged.
    pub(super) fn active(&self) -> usize {
        self.active.iter().map(|active| active.all).sum()
    }

    pub(super) fn push(&mut self, pending: Pending) {
        self.lines[pending.priority as usize].push(pending.owner, pending);
    }

    /// Takes one out of the line, if it still waits.
    pub(super) fn remove(&mut self, pending: &Pending) -> bool {
        let line = &mut self.lines[pending.priority as usize];
        line.remove(pending.owner, |other| other.id == pending.id)
    }

    /// Who is next, if `limit` lets any more of its priority be judged; it counts as active then. An
    /// owner with none active may always begin, so that nobody waits for another's long ones.
    pub(super) fn next(&mut self, limit: usize) -> Option<Pending> {
        PRIORITIES.into_iter().find_map(|priority| {
            let (line, active) = (
                &mut self.lines[priority as usize],
                &mut self.active[priority as usize],
            );
            let room = active.all < limit;
            let next = line.pop_if(|owner| room || !active.by_owner.contains_key(&owner))?;
            active.all += 1;
            *active.by_owner.entry(next.owner).or_default() += 1;
            Some(next)
        })
    }

    /// One that was active has ended.
    pub(super) fn ended(&mut self, pending: &Pending) {
        self.not_active(pending);
        self.release(pending.owner, 1);
    }

    /// One that was active waits again.
    pub(super) fn put_back(&mut self, pending: Pending) {
        self.not_active(&pending);
        self.push(pending);
    }

    fn not_active(&mut self, pending: &Pending) {
        let active = &mut self.active[pending.priority as usize];
        active.all -= 1;
        if let Some(owners) = active.by_owner.get_mut(&pending.owner) {
            *owners -= 1;
            if *owners == 0 {
                active.by_owner.remove(&pending.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn pending(owner: u128, priority: Priority) -> Pending {
        Pending {
            id: Uuid::now_v7(),
            owner: Some(Uuid::from_u128(owner)),
            priority,
            bytes: 1,
        }
    }

    #[test]
    fn every_owner_has_one_active_and_more_within_the_limit() {
        let mut waiting = Waiting::default();
        for _ in 0..5 {
            waiting.push(pending(1, Priority::Normal));
        }
        let first = waiting.next(2).unwrap();
        assert!(waiting.next(2).is_some());
        assert!(waiting.next(2).is_none());
        waiting.push(pending(2, Priority::Normal));
        assert_eq!(waiting.next(2).unwrap().owner, Some(Uuid::from_u128(2)));
        waiting.push(pending(2, Priority::Normal));
        assert!(waiting.next(2).is_none());
        waiting.count_in(first.owner, 1);
        waiting.ended(&first);
        assert_eq!(waiting.active(), 2);
        assert!(waiting.next(2).is_none());
    }

    #[test]
    fn priorities_go_in_order() {
        let mut waiting = Waiting::default();
        for priority in [Priority::Bulk, Priority::Normal, Priority::Interactive] {
            waiting.push(pending(1, priority));
        }
        let order: Vec<_> = std::iter::from_fn(|| waiting.next(9))
            .map(|p| p.priority)
            .collect();
        assert_eq!(order, PRIORITIES);
    }

    #[test]
    fn room_is_bounded_for_one_and_for_all() {
        let mut waiting = Waiting::default();
        let (a, b) = (Some(Uuid::from_u128(1)), Some(Uuid::from_u128(2)));
        assert_eq!(waiting.reserve(a, 3, 4, Some(3)), Ok(()));
        assert_eq!(waiting.reserve(a, 1, 4, Some(3)), Err(NoRoom::Owner));
        assert_eq!(waiting.reserve(b, 2, 4, None), Err(NoRoom::All));
        waiting.release(a, 2);
        assert_eq!(waiting.reserve(b, 2, 4, None), Ok(()));
        assert_eq!(waiting.unfinished(), 3);
    }
}
