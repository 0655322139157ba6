//! A line in which owners share what is given out, by how much time they have had.
//!
//! Start-time fair queueing: every owner has an account of the time it has had; who has had least
//! goes next, and among an owner's own the order is that of arrival. An owner that was away comes
//! back level with the least of those that wait: being away earns nothing.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use uuid::Uuid;

/// The line of one class.
pub(crate) struct FairLine<T> {
    accounts: HashMap<Option<Uuid>, Account<T>>,
    len: usize,
    comers: u64,
}

struct Account<T> {
    had: Duration,
    /// Breaks ties: who was served longest ago goes first.
    served: u64,
    /// Breaks ties of those never served: who came first goes first.
    came: u64,
    waiting: VecDeque<T>,
}

/// Accounts are kept of owners that do not wait, up to this many, so that who comes and goes does
/// not start afresh each time.
const ACCOUNTS_AT_MOST: usize = 1024;

impl<T> Default for FairLine<T> {
    fn default() -> Self {
        Self {
            accounts: HashMap::new(),
            len: 0,
            comers: 0,
        }
    }
}

impl<T> FairLine<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Everybody in line, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.accounts.values().flat_map(|account| &account.waiting)
    }

    pub(crate) fn push(&mut self, owner: Option<Uuid>, item: T) {
        let level = self.level();
        let account = self.account(owner);
        if account.waiting.is_empty() {
            account.had = account.had.max(level.unwrap_or(account.had));
        }
        account.waiting.push_back(item);
        self.len += 1;
    }

    /// Who is next.
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.pop_if(|_| true)
    }

    /// Takes one of `owner`'s out of the line, if it is still there.
    pub(crate) fn remove(&mut self, owner: Option<Uuid>, is_it: impl Fn(&T) -> bool) -> bool {
        let Some(account) = self.accounts.get_mut(&owner) else {
            return false;
        };
        let before = account.waiting.len();
        account.waiting.retain(|item| !is_it(item));
        let removed = before - account.waiting.len();
        self.len -= removed;
        removed > 0
    }

    /// Who is next among the owners that `may` go.
    pub(crate) fn pop_if(&mut self, may: impl Fn(Option<Uuid>) -> bool) -> Option<T> {
        let next = self.accounts.values().map(|a| a.served).max();
        let waiting = self
            .accounts
            .iter_mut()
            .filter(|(owner, account)| !account.waiting.is_empty() && may(**owner));
        let (_, account) =
            waiting.min_by_key(|(_, account)| (account.had, account.served, account.came))?;
        account.served = next.unwrap_or_default() + 1;
        self.len -= 1;
        account.waiting.pop_front()
    }

    /// Notes that `owner` was given `time`.
    pub(crate) fn charge(&mut self, owner: Option<Uuid>, time: Duration) {
        let level = self.level();
        let account = self.account(owner);
        if account.waiting.is_empty() {
            account.had = account.had.max(level.unwrap_or(account.had));
        }
        account.had = account.had.saturating_add(time);
    }

    /// Puts `spent` in the place of `expected`.
    pub(crate) fn correct(&mut self, owner: Option<Uuid>, expected: Duration, spent: Duration) {
        if let Some(account) = self.accounts.get_mut(&owner) {
            account.had = (account.had + spent).saturating_sub(expected);
        }
    }

    /// The least that anybody who waits has had.
    fn level(&self) -> Option<Duration> {
        let waiting = self.accounts.values().filter(|a| !a.waiting.is_empty());
        waiting.map(|account| account.had).min()
    }

    fn account(&mut self, owner: Option<Uuid>) -> &mut Account<T> {
        if !self.accounts.contains_key(&owner) && self.accounts.len() >= ACCOUNTS_AT_MOST {
            self.accounts.retain(|_, a| !a.waiting.is_empty());
        }
        self.comers += 1;
        let came = self.comers;
        self.accounts.entry(owner).or_insert_with(|| Account {
            had: Duration::ZERO,
            served: 0,
            came,
            waiting: VecDeque::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unnecessary_wraps)] // an owner is an `Option`
    fn owner(number: u128) -> Option<Uuid> {
        Some(Uuid::from_u128(number))
    }

    #[test]
    fn owners_take_turns_however_many_each_has() {
        let mut line = FairLine::default();
        for item in 0..3 {
            line.push(owner(1), ("a", item));
        }
        line.push(owner(2), ("b", 0));
        let order: Vec<_> = std::iter::from_fn(|| line.pop()).collect();
        assert_eq!(order, [("a", 0), ("b", 0), ("a", 1), ("a", 2)]);
        assert!(line.is_empty());
    }

    #[test]
    fn who_had_less_time_goes_first() {
        let mut line = FairLine::default();
        for item in 0..3 {
            line.push(owner(1), ("heavy", item));
        }
        assert_eq!(line.pop(), Some(("heavy", 0)));
        line.charge(owner(1), Duration::from_secs(10));
        // The newcomer starts level with those that wait, and its short ones cost it little.
        for item in 0..3 {
            line.push(owner(2), ("light", item));
        }
        let mut order = Vec::new();
        while let Some((who, _)) = line.pop() {
            order.push(who);
            let (id, cost) = if who == "heavy" { (1, 10) } else { (2, 1) };
            line.charge(owner(id), Duration::from_secs(cost));
        }
        assert_eq!(order, ["light", "heavy", "light", "light", "heavy"]);
    }

    #[test]
    fn being_away_earns_nothing() {
        let mut line = FairLine::default();
        line.push(owner(1), 1);
        line.charge(owner(1), Duration::from_secs(100));
        line.push(owner(2), 2);
        line.charge(owner(2), Duration::from_secs(10));
        assert_eq!(line.pop(), Some(1));
        assert_eq!(line.pop(), Some(2));
    }

    #[test]
    fn an_expectation_is_corrected() {
        let mut line = FairLine::<u8>::default();
        line.charge(owner(1), Duration::from_secs(5));
        line.correct(owner(1), Duration::from_secs(5), Duration::from_secs(1));
        assert_eq!(line.accounts[&owner(1)].had, Duration::from_secs(1));
    }

    #[test]
    fn who_leaves_is_not_served() {
        let mut line = FairLine::default();
        line.push(None, 1);
        line.push(None, 2);
        line.remove(None, |item| *item == 1);
        assert_eq!((line.len(), line.pop(), line.pop()), (1, Some(2), None));
    }

    #[test]
    fn accounts_are_bounded() {
        let mut line = FairLine::<u8>::default();
        for number in 0..5000 {
            line.charge(owner(number), Duration::from_secs(1));
        }
        assert!(line.accounts.len() <= ACCOUNTS_AT_MOST);
    }
}
