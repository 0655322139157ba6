//! Which blobs must stay because somebody is about to use them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::BlobHash;
use crate::store::Owner;

/// How often each blob is pinned.
#[derive(Debug, Default)]
pub(super) struct Pins(Mutex<HashMap<(Owner, BlobHash), usize>>);

/// Keeps blobs from being deleted and from expiring for as long as it lives.
#[derive(Debug)]
#[must_use]
pub struct BlobPin {
    pins: Arc<Pins>,
    owner: Owner,
    hashes: Vec<BlobHash>,
}

impl Pins {
    pub(super) fn add(self: &Arc<Self>, owner: Owner, hashes: Vec<BlobHash>) -> BlobPin {
        let mut pins = self.lock();
        for hash in &hashes {
            *pins.entry((owner, *hash)).or_default() += 1;
        }
        drop(pins);
        BlobPin {
            pins: Arc::clone(self),
            owner,
            hashes,
        }
    }

    pub(super) fn holds(&self, owner: Owner, hash: BlobHash) -> bool {
        self.lock().contains_key(&(owner, hash))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Owner, BlobHash), usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BlobPin {
    fn drop(&mut self) {
        let mut pins = self.pins.lock();
        for hash in &self.hashes {
            let key = (self.owner, *hash);
            if let Some(count) = pins.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    pins.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_pinned_until_the_last_pin_is_gone() {
        let pins = Arc::new(Pins::default());
        let (a, b) = (BlobHash([1; 32]), BlobHash([2; 32]));
        // Twice in one: a test's input that is its answer as well.
        let first = pins.add(None, vec![a, a]);
        let second = pins.add(None, vec![a, b]);
        assert!(pins.holds(None, a) && pins.holds(None, b));
        assert!(!pins.holds(Some(uuid::Uuid::now_v7()), a));
        drop(first);
        assert!(pins.holds(None, a));
        drop(second);
        assert!(!pins.holds(None, a) && !pins.holds(None, b));
    }
}
