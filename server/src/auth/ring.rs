//! The keys in memory, and who gets in with them.
//!
//! Theory of operation. No request waits for the store: the ring holds all keys, and
//! [`KeyRing::keep_fresh`] reads them again four times a second, which is how a revocation by
//! `brig keys revoke`, another process, arrives. A ring that was not read for
//! [`MAX_AGE`] is not used, so that a revoked key does not outlive that, whatever happens to that
//! task: requests then read it themselves, and are turned away if that fails. A key that the ring
//! does not know may be a new one, so before it is refused the ring is read again, at most once
//! in [`LOOK_AGAIN`]; whoever tries keys waits for that, whatever is wrong with them.
//!
//! Once a key was made there is no way in without one, also after the last was revoked.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use time::OffsetDateTime;
use uuid::Uuid;

use super::anonymous::{Open, Visitor};
use super::key::LiveKey;
use super::token::{Malformed, Presented};
use super::{Caller, Denied};
use crate::store::{self, Answer, Store, StoreError};

/// Between two readings.
const REFRESH: Duration = Duration::from_millis(250);
/// Keys that were read longer ago are not used.
const MAX_AGE: Duration = Duration::from_secs(1);
/// Between two readings that are there to find new keys.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A store that does not answer for this long is not waited for.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Keys that have a name of their own in metrics: so many of the newest.
const MAX_LABELS: usize = 500;

/// Why the service does not start without keys where others can reach it.
const NO_KEYS: &str =
    "without API keys everybody who reaches this address could run programs. Either
    make a key first: brig keys create --name NAME --scopes run,judge
    or listen on this machine alone: --listen 127.0.0.1:8080
    or, where everybody on the network may do everything: --insecure-no-keys";

/// Where keys come from.
pub trait KeySource: Send + Sync {
    /// All keys, oldest first, revoked ones too.
    fn keys(&self) -> Answer<'_, Vec<store::Key>>;
}

impl KeySource for Arc<dyn Store> {
    fn keys(&self) -> Answer<'_, Vec<store::Key>> {
        (**self).keys()
    }
}

/// The keys in memory.
pub struct KeyRing {
    source: Arc<dyn KeySource>,
    open: Open,
    origins: Vec<String>,
    keys: RwLock<Keys>,
    /// Held by who reads.
    reading: tokio::sync::Mutex<()>,
}

/// The keys as they were at one time.
#[derive(Clone, Default)]
struct Keys {
    /// When they were read.
    at: Option<Instant>,
    by_id: Arc<HashMap<Uuid, Arc<LiveKey>>>,
    /// When they could last not be read.
    failed: Option<Instant>,
}

impl Keys {
    /// The keys in `rows`. What a key has used stays with it.
    fn of(rows: Vec<store::Key>, at: Instant, before: &Self) -> Self {
        let usable = rows.iter().filter(|row| row.revoked_at.is_none());
        let labelled: HashSet<Uuid> = usable.rev().take(MAX_LABELS).map(|row| row.id).collect();
        let live = |row: store::Key| {
            let id = row.id;
            let known = before.by_id.get(&id).filter(|key| key.row == row);
            let new = || Arc::new(LiveKey::new(row.clone(), labelled.contains(&id)));
            (id, known.cloned().unwrap_or_else(new))
        };
        Self {
            at: Some(at),
            by_id: Arc::new(rows.into_iter().map(live).collect()),
            failed: before.failed,
        }
    }
}

impl KeyRing {
    /// A ring of the keys in `source`, not read yet. Without keys, who may come is said by `open`;
    /// pages of `origins` may come wherever anybody may.
    pub fn new(source: Arc<dyn KeySource>, open: Open, origins: Vec<String>) -> Self {
        Self {
            source,
            open,
            origins,
            keys: RwLock::default(),
            reading: tokio::sync::Mutex::default(),
        }
    }

    /// Lets a request in, which counts against its key's rate, or says why not.
    pub async fn admit(
        &self,
        presented: Option<Result<Presented, Malformed>>,
        visitor: Visitor<'_>,
    ) -> Result<Caller, Denied> {
        let now = Instant::now();
        // Shortly after the machine's start there is no such time, and nothing as old.
        let recently = now.checked_sub(MAX_AGE).unwrap_or(now);
        let keys = self.as_of(recently).await?;
        let caller = match self.identify(&keys, presented.as_ref(), visitor) {
            Err(Denied::Unknown) => {
                let keys = self.as_of(now).await?;
                self.identify(&keys, presented.as_ref(), visitor)
            }
            known => known,
        }?;
        caller.request()?;
        Ok(caller)
    }

    /// Fails if what `caller` was let in with is of no use any more.
    pub async fn confirm(&self, caller: &Caller) -> Result<(), Denied> {
        let now = Instant::now();
        let keys = self.as_of(now.checked_sub(MAX_AGE).unwrap_or(now)).await?;
        match caller.owner() {
            None if keys.by_id.is_empty() => Ok(()),
            None => Err(Denied::Missing),
            Some(id) => {
                let key = keys.by_id.get(&id).ok_or(Denied::Unknown)?;
                key.check(OffsetDateTime::now_utc())
            }
        }
    }

    fn identify(
        &self,
        keys: &Keys,
        presented: Option<&Result<Presented, Malformed>>,
        visitor: Visitor<'_>,
    ) -> Result<Caller, Denied> {
        let open = self.open != Open::No && keys.by_id.is_empty();
        match presented {
            Some(Ok(presented)) => holder(keys, presented),
            // Other credentials may be meant for a proxy before this service.
            _ if open => visitor
                .check(self.open, &self.origins)
                .map(|()| Caller::ANONYMOUS),
            Some(Err(malformed)) => Err(Denied::Malformed(*malformed)),
            None => Err(Denied::Missing),
        }
    }

    /// Whether anybody gets in without a key, as far as is known.
    pub fn is_open(&self) -> bool {
        let keys = self.snapshot();
        self.open != Open::No && keys.at.is_some() && keys.by_id.is_empty()
    }

    /// Whether anybody who reaches the service gets in without a key.
    pub fn is_insecure(&self) -> bool {
        self.open == Open::Anywhere && self.is_open()
    }

    /// Why nobody gets in, if so.
    pub fn problem(&self) -> Option<String> {
        let keys = self.snapshot();
        let failing = keys.failed.is_some() && keys.failed > keys.at;
        failing.then(|| "keys cannot be read".to_owned())
    }

    /// Reads the keys, and says what is wrong with starting to serve with them.
    pub async fn start(&self) -> anyhow::Result<()> {
        self.refresh().await.context("reading the keys")?;
        let keys = self.snapshot();
        let now = OffsetDateTime::now_utc();
        let usable = keys.by_id.values().any(|key| key.check(now).is_ok());
        match self.open {
            Open::No if keys.by_id.is_empty() => bail!(NO_KEYS),
            Open::Anywhere if keys.by_id.is_empty() => tracing::warn!(
                "--insecure-no-keys: everybody who reaches this address can do everything here"
            ),
            Open::Loopback if keys.by_id.is_empty() => {
                tracing::info!("there are no keys: programs of this machine need none");
            }
            _ if !usable => {
                tracing::warn!(
                    "no key is of use any more: nobody gets in; `brig keys create` makes one"
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads the keys.
    pub async fn refresh(&self) -> store::Result<()> {
        let _turn = self.reading.lock().await;
        self.read().await
    }

    /// Reads the keys again and again.
    pub async fn keep_fresh(&self) {
        let mut failing = false;
        loop {
            tokio::time::sleep(REFRESH).await;
            match self.refresh().await {
                Ok(()) => failing = false,
                Err(error) => {
                    if !failing {
                        tracing::error!(
                            "keys cannot be read: {error}; nobody gets in until they can"
                        );
                    }
                    failing = true;
                }
            }
        }
    }

    /// The keys as they were at `since` or later.
    async fn as_of(&self, since: Instant) -> Result<Keys, Denied> {
        let keys = self.snapshot();
        if keys.at >= Some(since) {
            return Ok(keys);
        }
        let asked = Instant::now();
        let _turn = self.reading.lock().await;
        // What somebody else did in the meantime goes for all who waited.
        let keys = self.snapshot();
        if keys.at >= Some(since) {
            return Ok(keys);
        }
        if keys.failed >= Some(asked) {
            return Err(Denied::Unreadable);
        }
        if let Some(last) = keys.at {
            tokio::time::sleep_until((last + LOOK_AGAIN).into()).await;
        }
        self.read().await.map_err(|_| Denied::Unreadable)?;
        Ok(self.snapshot())
    }

    /// Only for who holds `reading`.
    async fn read(&self) -> store::Result<()> {
        let at = Instant::now();
        let rows = match tokio::time::timeout(READ_TIMEOUT, self.source.keys()).await {
            Ok(rows) => rows,
            Err(elapsed) => Err(StoreError::Unavailable {
                cause: Arc::new(elapsed),
            }),
        };
        let before = self.snapshot();
        let (keys, result) = match rows {
            Ok(rows) => (Keys::of(rows, at, &before), Ok(())),
            Err(error) => {
                let failed = Some(Instant::now());
                (Keys { failed, ..before }, Err(error))
            }
        };
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        result
    }

    fn snapshot(&self) -> Keys {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The key that was presented. An id that is not known takes as long as a secret that is wrong.
fn holder(keys: &Keys, presented: &Presented) -> Result<Caller, Denied> {
    let key = keys.by_id.get(&presented.id);
    let matches = presented.matches(key.map(|key| &key.row.hash));
    let key = key.filter(|_| matches).ok_or(Denied::Unknown)?;
    key.check(OffsetDateTime::now_utc())?;
    Ok(Caller::holder(Arc::clone(key)))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::auth::{Scope, Settings, Token};

    /// No wait in here takes as long.
    const BOUND: Duration = Duration::from_secs(20);

    /// Keys that another process changes.
    #[derive(Default)]
    struct Changing {
        rows: Mutex<Vec<store::Key>>,
        broken: AtomicBool,
        readings: AtomicUsize,
    }

    impl KeySource for Changing {
        fn keys(&self) -> Answer<'_, Vec<store::Key>> {
            self.readings.fetch_add(1, Ordering::Relaxed);
            let broken = self.broken.load(Ordering::Relaxed);
            let rows = self.rows.lock().unwrap().clone();
            Box::pin(async move {
                if broken {
                    Err(StoreError::Full)
                } else {
                    Ok(rows)
                }
            })
        }
    }

    impl Changing {
        fn make(&self, settings: &Settings) -> (Uuid, Presented) {
            let id = Uuid::now_v7();
            let token = Token::generate(id);
            self.rows.lock().unwrap().push(store::Key {
                id,
                hash: token.hash(),
                name: "test".to_owned(),
                settings: serde_json::to_vec(settings).unwrap(),
                created_at: OffsetDateTime::now_utc(),
                revoked_at: None,
            });
            (id, Presented::parse(token.reveal().as_bytes()).unwrap())
        }

        fn revoke(&self, id: Uuid) {
            let mut rows = self.rows.lock().unwrap();
            let row = rows.iter_mut().find(|row| row.id == id).unwrap();
            row.revoked_at = Some(OffsetDateTime::now_utc());
        }
    }

    fn ring(open: Open) -> (Arc<Changing>, KeyRing) {
        let source = Arc::new(Changing::default());
        let ring = KeyRing::new(Arc::clone(&source) as Arc<dyn KeySource>, open, Vec::new());
        (source, ring)
    }

    async fn admit(ring: &KeyRing, key: Option<&Presented>) -> Result<Caller, Denied> {
        ring.admit(key.cloned().map(Ok), Visitor::default()).await
    }

    /// How long it takes until the key is answered like this.
    async fn until(ring: &KeyRing, key: &Presented, wanted: &Denied) -> Duration {
        let begun = Instant::now();
        while admit(ring, Some(key)).await.err().as_ref() != Some(wanted) {
            assert!(begun.elapsed() < BOUND, "not yet {wanted:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        begun.elapsed()
    }

    fn may_run() -> Settings {
        Settings {
            scopes: [Scope::Run].into_iter().collect(),
            ..Settings::default()
        }
    }

    #[tokio::test]
    async fn without_keys_loopback_is_open_and_others_are_not() {
        let (source, open) = ring(Open::Loopback);
        let caller = admit(&open, None).await.unwrap();
        assert_eq!(caller.owner(), None);
        assert_eq!(caller.require(Scope::Admin), Ok(()));
        let (_, closed) = ring(Open::No);
        assert_eq!(admit(&closed, None).await.unwrap_err(), Denied::Missing);
        let (id, key) = source.make(&may_run());
        source.revoke(id);
        open.refresh().await.unwrap();
        assert_eq!(
            admit(&open, None).await.unwrap_err(),
            Denied::Missing,
            "revoking the last opens nothing"
        );
        assert_eq!(admit(&open, Some(&key)).await.unwrap_err(), Denied::Revoked);
    }

    #[tokio::test]
    async fn a_new_key_is_known_at_once_and_a_wrong_one_costs_few_readings() {
        let (source, ring) = ring(Open::Loopback);
        admit(&ring, None).await.unwrap();
        let (id, key) = source.make(&may_run());
        assert_eq!(admit(&ring, Some(&key)).await.unwrap().owner(), Some(id));
        let (_, elsewhere) = Changing::default().make(&may_run());
        let (begun, before) = (Instant::now(), source.readings.load(Ordering::Relaxed));
        let attempts =
            futures_util::future::join_all((0..500).map(|_| admit(&ring, Some(&elsewhere))));
        for attempt in attempts.await {
            assert_eq!(attempt.unwrap_err(), Denied::Unknown);
        }
        let readings = source.readings.load(Ordering::Relaxed) - before;
        let allowed = 2 + begun.elapsed().as_millis() / LOOK_AGAIN.as_millis();
        assert!(
            readings as u128 <= allowed,
            "{readings} in {:?}",
            begun.elapsed()
        );
    }

    #[tokio::test]
    async fn a_revoked_key_stops_within_a_second_also_if_nothing_refreshes() {
        let (source, ring) = ring(Open::Loopback);
        let (id, key) = source.make(&may_run());
        admit(&ring, Some(&key)).await.unwrap();
        source.revoke(id);
        let took = until(&ring, &key, &Denied::Revoked).await;
        // Half a second more for a machine that is busy with other things.
        assert!(took < MAX_AGE + Duration::from_millis(500), "{took:?}");
    }

    #[tokio::test]
    async fn keys_that_cannot_be_read_let_nobody_in_until_they_can() {
        let (source, ring) = ring(Open::Loopback);
        let (_, key) = source.make(&may_run());
        admit(&ring, Some(&key)).await.unwrap();
        assert_eq!(ring.problem(), None);
        source.broken.store(true, Ordering::Relaxed);
        until(&ring, &key, &Denied::Unreadable).await;
        assert_eq!(admit(&ring, None).await.unwrap_err(), Denied::Unreadable);
        assert!(ring.problem().is_some());
        source.broken.store(false, Ordering::Relaxed);
        admit(&ring, Some(&key)).await.unwrap();
        assert_eq!(ring.problem(), None);
    }

    #[tokio::test]
    async fn a_caller_sees_its_own_and_an_admin_all() {
        let (source, ring) = ring(Open::Loopback);
        let (mine, key) = source.make(&may_run());
        let (_, admin) = source.make(&Settings {
            scopes: [Scope::Admin].into_iter().collect(),
            ..Settings::default()
        });
        let caller = admit(&ring, Some(&key)).await.unwrap();
        let other = Some(Uuid::now_v7());
        assert!(caller.may_see(Some(mine)) && !caller.may_see(other) && !caller.may_see(None));
        assert!(matches!(
            caller.require(Scope::Judge),
            Err(Denied::Scope {
                needs: [Scope::Judge],
                ..
            })
        ));
        let admin = admit(&ring, Some(&admin)).await.unwrap();
        assert!(admin.may_see(Some(mine)) && admin.may_see(other) && admin.may_see(None));
    }

    #[tokio::test]
    async fn a_queue_is_bounded_and_says_when_to_come_again() {
        let (source, ring) = ring(Open::Loopback);
        let (_, key) = source.make(&Settings {
            queue: NonZeroU32::new(10),
            ..may_run()
        });
        let caller = admit(&ring, Some(&key)).await.unwrap();
        let soon = Duration::from_secs(3);
        assert_eq!(caller.may_queue(9, 1, soon), Ok(()));
        for (waiting, more) in [(10, 1), (0, 11), (u64::MAX, 1)] {
            let denied = caller.may_queue(waiting, more, soon).unwrap_err();
            assert_eq!(denied.retry_after(), Some(soon));
        }
        let (_, key) = source.make(&may_run());
        let caller = admit(&ring, Some(&key)).await.unwrap();
        assert_eq!(caller.may_queue(u64::MAX, u64::MAX, soon), Ok(()));
    }
}
