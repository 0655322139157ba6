//! Entries that are at hand without the disk: a bounded number of hot ones, failures for a short
//! time, and whatever somebody still uses.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::lru::Lru;
use super::{CacheKey, Entry};

/// A compile that failed is remembered for this long: enough for somebody who sends the same text
/// again, short enough for a tool that was mended meanwhile.
const FAILURE_KEPT: Duration = Duration::from_mins(1);
/// [`Memory::live`] is cleaned when it has grown to this.
const CLEAN_AT: usize = 64;

pub(super) struct Memory {
    hot: Lru<Hot>,
    /// Entries that are in use, hot or not: on their way to the disk, in a run.
    live: HashMap<CacheKey, Weak<Entry>>,
    clean_at: usize,
}

struct Hot {
    entry: Arc<Entry>,
    until: Option<Instant>,
}

impl Memory {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self {
            hot: Lru::new(max_bytes),
            live: HashMap::new(),
            clean_at: CLEAN_AT,
        }
    }

    pub(super) fn get(&mut self, key: &CacheKey) -> Option<Arc<Entry>> {
        let now = Instant::now();
        match self.hot.get(key) {
            Some(Hot {
                until: Some(until), ..
            }) if *until <= now => {
                self.hot.remove(key);
                None
            }
            Some(hot) => Some(Arc::clone(&hot.entry)),
            None => self.live.get(key)?.upgrade(),
        }
    }

    /// Adds an entry. Gives how many others had to go.
    pub(super) fn insert(&mut self, key: CacheKey, entry: &Arc<Entry>) -> usize {
        let failed = entry.archive().is_none();
        if !failed {
            self.remember_live(key, entry);
        }
        if !self.hot.holds(entry.weight()) {
            return 0;
        }
        let hot = Hot {
            entry: Arc::clone(entry),
            until: failed.then(|| Instant::now() + FAILURE_KEPT),
        };
        self.hot.insert(key, hot, entry.weight()).len()
    }

    fn remember_live(&mut self, key: CacheKey, entry: &Arc<Entry>) {
        if self.live.len() >= self.clean_at {
            self.live.retain(|_, entry| entry.strong_count() > 0);
            self.clean_at = CLEAN_AT.max(2 * self.live.len());
        }
        self.live.insert(key, Arc::downgrade(entry));
    }

    pub(super) fn bytes(&self) -> u64 {
        self.hot.bytes()
    }
}

#[cfg(test)]
mod tests {
    use brig_sandbox::sys::memfd;

    use super::*;

    fn entry(bytes: usize) -> Arc<Entry> {
        let archive = memfd::read_only(c"test", &vec![0; bytes]).unwrap();
        Arc::new(Entry::new(Some(archive), Vec::new()).unwrap())
    }

    #[test]
    fn what_is_in_use_is_found_though_it_is_not_hot() {
        let mut memory = Memory::new(0);
        let used = entry(10);
        memory.insert(CacheKey::test(1), &used);
        assert_eq!(memory.bytes(), 0);
        assert!(memory.get(&CacheKey::test(1)).is_some());
        drop(used);
        assert!(memory.get(&CacheKey::test(1)).is_none());
    }

    #[test]
    fn places_of_entries_no_longer_in_use_are_given_back() {
        let mut memory = Memory::new(0);
        for byte in 0..=255 {
            memory.insert(CacheKey::test(byte), &entry(1));
        }
        assert!(memory.live.len() <= CLEAN_AT, "{}", memory.live.len());
    }

    #[test]
    fn failures_are_hot_but_not_for_long() {
        let mut memory = Memory::new(1 << 20);
        let failure = Arc::new(Entry::new(None, b"no".to_vec()).unwrap());
        memory.insert(CacheKey::test(1), &failure);
        assert!(memory.get(&CacheKey::test(1)).is_some());
        memory.hot.get(&CacheKey::test(1)).unwrap().until = Some(Instant::now());
        assert!(memory.get(&CacheKey::test(1)).is_none());
        assert_eq!(memory.bytes(), 0);
    }
}
