//! Values with a weight, the least recently used first to go.

use std::collections::{BTreeMap, HashMap};

use super::CacheKey;

/// Holds values of at most `max` bytes together.
#[derive(Debug)]
pub(super) struct Lru<V> {
    max: u64,
    bytes: u64,
    values: HashMap<CacheKey, Slot<V>>,
    /// Keys by when they were last used.
    order: BTreeMap<u64, CacheKey>,
    uses: u64,
}

#[derive(Debug)]
struct Slot<V> {
    value: V,
    bytes: u64,
    used: u64,
}

impl<V> Lru<V> {
    pub(super) fn new(max: u64) -> Self {
        Self {
            max,
            bytes: 0,
            values: HashMap::new(),
            order: BTreeMap::new(),
            uses: 0,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether a value of `bytes` can be held at all.
    pub(super) fn holds(&self, bytes: u64) -> bool {
        bytes <= self.max
    }

    /// A value, which counts as used by this.
    pub(super) fn get(&mut self, key: &CacheKey) -> Option<&mut V> {
        let slot = self.values.get_mut(key)?;
        self.order.remove(&slot.used);
        self.uses += 1;
        slot.used = self.uses;
        self.order.insert(self.uses, *key);
        Some(&mut slot.value)
    }

    /// Adds a value and takes out others until `max` holds. One too large even alone is what is
    /// taken out.
    pub(super) fn insert(&mut self, key: CacheKey, value: V, bytes: u64) -> Vec<(CacheKey, V)> {
        self.remove(&key);
        if !self.holds(bytes) {
            return vec![(key, value)];
        }
        let evicted = self.make_room(bytes);
        self.uses += 1;
        let used = self.uses;
        self.bytes += bytes;
        self.order.insert(used, key);
        self.values.insert(key, Slot { value, bytes, used });
        evicted
    }

    /// Takes out values until one of `bytes` can be added.
    pub(super) fn make_room(&mut self, bytes: u64) -> Vec<(CacheKey, V)> {
        let mut evicted = Vec::new();
        while self.bytes.saturating_add(bytes) > self.max {
            let Some((_, key)) = self.order.pop_first() else {
                break;
            };
            evicted.extend(self.remove(&key).map(|value| (key, value)));
        }
        evicted
    }

    /// The keys of all values that `are`, which count as used no more than before.
    pub(super) fn keys(&self, are: impl Fn(&CacheKey, &V) -> bool) -> Vec<CacheKey> {
        let those = self
            .values
            .iter()
            .filter(|(key, slot)| are(key, &slot.value));
        those.map(|(key, _)| *key).collect()
    }

    pub(super) fn remove(&mut self, key: &CacheKey) -> Option<V> {
        let slot = self.values.remove(key)?;
        self.order.remove(&slot.used);
        self.bytes -= slot.bytes;
        Some(slot.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> CacheKey {
        CacheKey::test(byte)
    }

    fn keys(evicted: Vec<(CacheKey, ())>) -> Vec<CacheKey> {
        evicted.into_iter().map(|(key, ())| key).collect()
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut lru = Lru::new(10);
        assert!(lru.insert(key(1), (), 4).is_empty());
        assert!(lru.insert(key(2), (), 4).is_empty());
        assert!(lru.get(&key(1)).is_some());
        assert_eq!(keys(lru.insert(key(3), (), 3)), [key(2)]);
        assert!(lru.get(&key(2)).is_none());
        assert_eq!(lru.bytes(), 7);
        assert_eq!(keys(lru.insert(key(4), (), 10)), [key(1), key(3)]);
        assert_eq!((lru.bytes(), lru.len()), (10, 1));
    }

    #[test]
    fn what_is_too_large_or_replaced_leaves_the_sum_right() {
        let mut lru = Lru::new(10);
        assert_eq!(keys(lru.insert(key(1), (), 11)), [key(1)]);
        assert!(lru.insert(key(1), (), 6).is_empty());
        assert!(lru.insert(key(1), (), 5).is_empty());
        assert_eq!((lru.bytes(), lru.len()), (5, 1));
        assert!(lru.remove(&key(1)).is_some());
        assert_eq!((lru.bytes(), lru.len(), lru.order.len()), (0, 0, 0));
    }
}
