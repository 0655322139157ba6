//! The compile cache: what was compiled once is not compiled again.
//!
//! An entry is found by a hash of everything its compile stage saw ([`CacheKey`]) and holds what the
//! stage made: the compiled files as a sealed archive, and its report. Entries are looked for in
//! memory, then on disk, then compiled; equal compiles at the same time run once. Programs are
//! kept on disk, least recently used first to go; failed compiles are remembered for a minute, in
//! memory only.
//!
//! Under the same bound on disk are files that were prepared for compiles to start from ([`prepared`]).
//!
//! A cache never fails anybody: what cannot be read or written is logged, counted, and compiled.

mod config;
mod disk;
mod entry;
mod flight;
mod key;
mod lru;
mod memory;
mod metrics;
mod prepared;

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

pub use config::CompileCacheConfig;
use disk::{Disk, Found};
pub use entry::Entry;
use flight::{Flights, Part};
pub use key::{CacheKey, KeyParts, PolicyDigest};
use memory::Memory;
pub(crate) use metrics::CacheMetrics;

use crate::metrics::Metrics;

/// Entries that wait to be written, together. Beyond it entries are not written.
const MAX_UNWRITTEN_BYTES: u64 = 128 << 20;
/// [`MAX_UNWRITTEN_BYTES`] is counted in units of this size.
const UNIT_BYTES: u64 = 1024;
/// Entries written at once.
const WRITERS: usize = 2;

/// What a compile made.
#[derive(Debug)]
pub enum Made {
    /// A program.
    Program {
        /// Its files, as the worker gave them: a sealed [`brig_sandbox::archive`].
        archive: OwnedFd,
        /// The stage's report, in the caller's form.
        report: Vec<u8>,
    },
    /// Nothing, and trying again would not change that: the source is at fault. What another try may
    /// mend, such as a wall time limit, is an error of the compile instead.
    Failure {
        /// The stage's report, in the caller's form.
        report: Vec<u8>,
    },
}

/// Where an entry came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// It was at hand.
    Memory,
    /// It was read and verified.
    Disk,
    /// Somebody else compiled the same at the same time.
    Shared,
    /// It was compiled for this caller.
    Miss,
}

impl Hit {
    /// Whether somebody else's compile is used.
    pub fn is_cached(self) -> bool {
        self != Self::Miss
    }

    fn label(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Shared => "shared",
            Self::Miss => "miss",
        }
    }
}

/// The compile cache. Clones are handles to the same cache.
#[derive(Clone)]
pub struct CompileCache(Arc<Inner>);

struct Inner {
    config: CompileCacheConfig,
    metrics: Arc<Metrics>,
    memory: Mutex<Memory>,
    disk: Option<Disk>,
    flights: Flights,
    unwritten: Arc<Semaphore>,
    writers: Semaphore,
    /// Whether the last entry could not be written: that is logged once, not for every compile.
    write_failed: AtomicBool,
}

impl CompileCache {
    /// A cache that keeps its entries in `directory` and prepared files in `prepared`, which are the cache's
    /// own. If they cannot be used, entries are kept in memory only.
    pub fn open(
        config: CompileCacheConfig,
        directory: &Path,
        prepared: &Path,
        metrics: Arc<Metrics>,
    ) -> Self {
        let open = || Disk::open(directory, prepared, config.max_bytes);
        let disk = (config.max_bytes > 0).then(open);
        let disk = disk.and_then(|opened| match opened {
            Ok(disk) => Some(disk),
            Err(error) => {
                metrics.cache.error("open");
                let directory = directory.display();
                tracing::warn!(%directory, "compiled programs are not kept on disk: {error}");
                None
            }
        });
        let units = usize::try_from(MAX_UNWRITTEN_BYTES / UNIT_BYTES).unwrap_or(usize::MAX);
        let inner = Inner {
            config,
            metrics,
            memory: Mutex::new(Memory::new(config.memory_bytes)),
            disk,
            flights: Flights::default(),
            unwritten: Arc::new(Semaphore::new(units)),
            writers: Semaphore::new(WRITERS),
            write_failed: AtomicBool::new(false),
        };
        inner.show_size();
        Self(Arc::new(inner))
    }

    /// The entry for `key`, from wherever it comes soonest. `compile` is polled only if it has to
    /// be compiled for this caller; its error is this caller's alone, and others who wait for the
    /// same try for themselves. Dropping the future cancels the compile, if it is this caller's, and
    /// somebody else who waits for it starts anew.
    pub async fn get_or_compile<E>(
        &self,
        key: CacheKey,
        compile: impl Future<Output = Result<Made, E>>,
    ) -> Result<(Arc<Entry>, Hit), E>
    where
        E: From<io::Error>,
    {
        let inner = &self.0;
        let mut compile = pin!(compile);
        let (entry, hit) = loop {
            if let Some(entry) = self.at_hand(&key) {
                break (entry, Hit::Memory);
            }
            match inner.flights.join(key) {
                Part::Follow(follower) => {
                    if let Some(entry) = follower.landed().await {
                        break (entry, Hit::Shared);
                    }
                }
                Part::Lead(leader) => {
                    // Between the look and the lead another flight may have landed.
                    if let Some(entry) = self.at_hand(&key) {
                        break (entry, Hit::Memory);
                    }
                    let (entry, hit) = match self.on_disk(key).await {
                        Some(entry) => (entry, Hit::Disk),
                        None => (Arc::new(compile.as_mut().await?.into_entry()?), Hit::Miss),
                    };
                    self.keep(key, &entry, hit);
                    leader.land(&entry);
                    break (entry, hit);
                }
            }
        };
        inner.metrics.cache.lookup(hit.label());
        Ok((entry, hit))
    }

    /// Whether what was prepared as `key` is there, in a directory that is called like it; it counts as used.
    pub(crate) fn has_prepared(&self, key: &CacheKey) -> bool {
        let disk = self.0.disk.as_ref();
        disk.is_some_and(|disk| disk.has_prepared(key))
    }

    /// Whether prepared files can be kept at all.
    pub(crate) fn keeps_prepared(&self) -> bool {
        self.0.disk.is_some()
    }

    /// Keeps the files in `archive` as what was prepared as `key`.
    pub(crate) async fn keep_prepared(&self, key: CacheKey, archive: OwnedFd) -> io::Result<()> {
        let this = self.clone();
        let write = move || match &this.0.disk {
            Some(disk) => disk.write_prepared(&key, archive),
            None => Err(io::Error::other("nothing is kept on disk")),
        };
        let evicted = spawn_blocking(write).await.map_err(io::Error::other)??;
        self.0.metrics.cache.evicted("disk", evicted);
        self.0.show_size();
        Ok(())
    }

    /// Has what was prepared as `key` in memory soon.
    pub(crate) async fn read_ahead(&self, key: CacheKey) {
        let this = self.clone();
        let read = move || this.0.disk.as_ref().map(|disk| disk.read_ahead(&key));
        if let Ok(Some(Err(error))) = spawn_blocking(read).await {
            tracing::debug!(%key, "prepared files were not read ahead: {error}");
        }
    }

    /// Removes all prepared files but these.
    pub(crate) async fn keep_only_prepared(&self, wanted: BTreeSet<CacheKey>) {
        let this = self.clone();
        let remove = move || {
            if let Some(disk) = &this.0.disk {
                disk.keep_only_prepared(&wanted);
            }
            this.0.show_size();
        };
        // It does not panic.
        let _ = spawn_blocking(remove).await;
    }

    fn at_hand(&self, key: &CacheKey) -> Option<Arc<Entry>> {
        let inner = &self.0;
        let entry = inner.memory().get(key)?;
        if inner.disk.as_ref().is_some_and(|disk| disk.used(key)) {
            let (this, key) = (self.clone(), *key);
            // Nobody waits for it.
            spawn_blocking(move || this.0.disk.as_ref().map(|disk| disk.note_entry_use(&key)));
        }
        Some(entry)
    }

    async fn on_disk(&self, key: CacheKey) -> Option<Arc<Entry>> {
        self.0.disk.as_ref()?;
        let this = self.clone();
        let read = spawn_blocking(move || this.0.disk.as_ref().map(|disk| disk.read(&key)));
        let metrics = &self.0.metrics.cache;
        let entry = match read.await.ok()?? {
            Ok(Found::Entry(entry)) => return Some(Arc::new(entry)),
            Ok(Found::Nothing) => None,
            Ok(Found::Damaged) => {
                metrics.error("damaged");
                tracing::warn!(%key, "a damaged entry of the compile cache was dropped");
                None
            }
            Err(error) => {
                metrics.error("read");
                tracing::warn!(%key, "an entry of the compile cache cannot be read: {error}");
                None
            }
        };
        self.0.show_size();
        entry
    }

    /// Puts a new entry where the next one who asks finds it.
    fn keep(&self, key: CacheKey, entry: &Arc<Entry>, hit: Hit) {
        let inner = &self.0;
        if entry.weight() > inner.config.max_entry_bytes {
            return;
        }
        let evicted = inner.memory().insert(key, entry);
        inner.metrics.cache.evicted("memory", evicted);
        if hit == Hit::Miss && entry.archive().is_some() {
            self.write_behind(key, Arc::clone(entry));
        }
        inner.show_size();
    }

    /// Writes `entry` while its program already runs. Until that is done it is live in memory.
    fn write_behind(&self, key: CacheKey, entry: Arc<Entry>) {
        let inner = &self.0;
        if !inner
            .disk
            .as_ref()
            .is_some_and(|disk| disk.holds(entry.weight()))
        {
            return;
        }
        let units = u32::try_from(entry.weight().div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let Ok(share) = Arc::clone(&inner.unwritten).try_acquire_many_owned(units) else {
            return inner.metrics.cache.error("busy");
        };
        let this = self.clone();
        tokio::spawn(async move {
            // The semaphore is never closed.
            let writer = this.0.writers.acquire().await.ok();
            let handle = this.clone();
            let _ = spawn_blocking(move || handle.0.write(&key, &entry)).await;
            drop((writer, share));
        });
    }
}

impl Inner {
    fn write(&self, key: &CacheKey, entry: &Entry) {
        let Some(disk) = &self.disk else {
            return;
        };
        match disk.write(key, entry) {
            Ok(evicted) => {
                self.metrics.cache.evicted("disk", evicted);
                if self.write_failed.swap(false, Ordering::Relaxed) {
                    tracing::info!("compiled programs are kept on disk again");
                }
            }
            Err(error) => {
                self.metrics.cache.error("write");
                if !self.write_failed.swap(true, Ordering::Relaxed) {
                    tracing::warn!("compiled programs are not kept on disk: {error}");
                }
            }
        }
        self.show_size();
    }

    fn show_size(&self) {
        let cache = &self.metrics.cache;
        cache.size("memory", self.memory().bytes());
        let (bytes, entries) = self.disk.as_ref().map_or((0, 0), Disk::size);
        cache.size("disk", bytes);
        cache.entries(entries);
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Made {
    fn into_entry(self) -> io::Result<Entry> {
        match self {
            Self::Program { archive, report } => Entry::new(Some(archive), report),
            Self::Failure { report } => Entry::new(None, report),
        }
    }
}

#[cfg(test)]
mod tests;
