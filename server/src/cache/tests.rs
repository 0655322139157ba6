use std::convert::Infallible;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brig_sandbox::sys::memfd;
use tokio::sync::oneshot;

use super::*;

const KIB: u64 = 1 << 10;

struct World {
    directory: tempfile::TempDir,
    metrics: Arc<Metrics>,
    compiles: AtomicUsize,
}

impl World {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            metrics: Arc::new(Metrics::new(&[])),
            compiles: AtomicUsize::new(0),
        }
    }

    fn cache(&self, config: CompileCacheConfig) -> CompileCache {
        let prepared = self.directory.path().join("prepared");
        let entries = self.entries();
        CompileCache::open(config, &entries, &prepared, Arc::clone(&self.metrics))
    }

    fn entries(&self) -> PathBuf {
        self.directory.path().join("entries")
    }

    /// Gets the entry for key `byte`, compiled if need be.
    async fn get(&self, cache: &CompileCache, byte: u8) -> (Arc<Entry>, Hit) {
        let compile = async {
            self.compiles.fetch_add(1, Ordering::Relaxed);
            Ok::<_, io::Error>(program(&[byte; 1000]))
        };
        cache
            .get_or_compile(CacheKey::test(byte), compile)
            .await
            .unwrap()
    }

    fn metric(&self, line: &str) -> bool {
        let text = self.metrics.render(crate::pool::Stats::default(), true);
        text.lines().any(|l| l == line)
    }
}

fn program(content: &[u8]) -> Made {
    Made::Program {
        archive: memfd::read_only(c"test", content).unwrap(),
        report: b"report".to_vec(),
    }
}

fn only_on_disk() -> CompileCacheConfig {
    CompileCacheConfig {
        memory_bytes: 0,
        ..CompileCacheConfig::default()
    }
}

fn content(entry: &Entry) -> Vec<u8> {
    let file = File::from(entry.archive().unwrap().try_clone().unwrap());
    let mut content = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut content, 0).unwrap();
    content
}

/// Waits until everything is written.
async fn written(cache: &CompileCache) {
    let units = u32::try_from(MAX_UNWRITTEN_BYTES / UNIT_BYTES).unwrap();
    drop(cache.0.unwritten.acquire_many(units).await.unwrap());
}

#[tokio::test]
async fn the_second_compile_is_the_first_ones_result() {
    let world = World::new();
    let cache = world.cache(CompileCacheConfig::default());
    let (first, hit) = world.get(&cache, 1).await;
    assert_eq!(hit, Hit::Miss);
    let (second, hit) = world.get(&cache, 1).await;
    assert_eq!(hit, Hit::Memory);
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(world.get(&cache, 2).await.1, Hit::Miss);
    assert_eq!(world.compiles.load(Ordering::Relaxed), 2);
    assert!(world.metric(r#"brig_compile_cache_lookups_total{result="memory"} 1"#));
    assert!(world.metric(r#"brig_compile_cache_lookups_total{result="miss"} 2"#));
}

#[tokio::test]
async fn entries_are_there_after_a_restart() {
    let world = World::new();
    let cache = world.cache(only_on_disk());
    world.get(&cache, 1).await;
    written(&cache).await;
    drop(cache);
    let cache = world.cache(only_on_disk());
    let (entry, hit) = world.get(&cache, 1).await;
    assert_eq!(hit, Hit::Disk);
    assert_eq!(content(&entry), [1; 1000]);
    assert_eq!(entry.report(), b"report");
    assert!(world.metric("brig_compile_cache_entries 1"));
}

#[tokio::test]
async fn a_damaged_entry_is_compiled_again() {
    let world = World::new();
    let cache = world.cache(only_on_disk());
    world.get(&cache, 1).await;
    written(&cache).await;
    let path = world.entries().join(CacheKey::test(1).to_string());
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"x", 200).unwrap();
    let (entry, hit) = world.get(&cache, 1).await;
    assert_eq!((hit, content(&entry)), (Hit::Miss, vec![1; 1000]));
    drop(entry);
    written(&cache).await;
    assert_eq!(world.get(&cache, 1).await.1, Hit::Disk);
    assert!(world.metric(r#"brig_compile_cache_errors_total{kind="damaged"} 1"#));
}

#[tokio::test]
async fn equal_compiles_at_the_same_time_run_once() {
    let world = Arc::new(World::new());
    let cache = world.cache(CompileCacheConfig::default());
    let (go, gone) = oneshot::channel::<()>();
    let leader = {
        let cache = cache.clone();
        tokio::spawn(async move {
            let compile = async {
                gone.await.unwrap();
                Ok::<_, io::Error>(program(b"made by the leader"))
            };
            cache
                .get_or_compile(CacheKey::test(1), compile)
                .await
                .unwrap()
                .1
        })
    };
    tokio::task::yield_now().await;
    let followers: Vec<_> = (0..50)
        .map(|_| {
            let (world, cache) = (Arc::clone(&world), cache.clone());
            tokio::spawn(async move { world.get(&cache, 1).await })
        })
        .collect();
    tokio::task::yield_now().await;
    // One that goes away disturbs nobody.
    followers[0].abort();
    go.send(()).unwrap();
    assert_eq!(leader.await.unwrap(), Hit::Miss);
    for follower in followers.into_iter().skip(1) {
        let (entry, hit) = follower.await.unwrap();
        assert_eq!(hit, Hit::Shared);
        assert_eq!(content(&entry), b"made by the leader");
    }
    assert_eq!(world.compiles.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_leader_that_goes_away_hands_over() {
    let world = Arc::new(World::new());
    let cache = world.cache(CompileCacheConfig::default());
    let leader = {
        let cache = cache.clone();
        tokio::spawn(async move {
            let never = std::future::pending::<Result<Made, io::Error>>();
            cache
                .get_or_compile(CacheKey::test(1), never)
                .await
                .map(|_| ())
        })
    };
    tokio::task::yield_now().await;
    let followers: Vec<_> = (0..10)
        .map(|_| {
            let (world, cache) = (Arc::clone(&world), cache.clone());
            tokio::spawn(async move { world.get(&cache, 1).await.1 })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(world.compiles.load(Ordering::Relaxed), 0);
    leader.abort();
    let mut misses = 0;
    for follower in followers {
        let hit = tokio::time::timeout(Duration::from_secs(10), follower).await;
        misses += usize::from(hit.unwrap().unwrap() == Hit::Miss);
    }
    assert_eq!(misses, 1);
    assert_eq!(world.compiles.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_error_is_its_callers_alone() {
    let world = World::new();
    let cache = world.cache(CompileCacheConfig::default());
    let refused = async { Err(io::Error::other("the queue is full")) };
    let failing = cache.get_or_compile(CacheKey::test(1), refused);
    let (failed, (_, hit)) = tokio::join!(failing, world.get(&cache, 1));
    assert_eq!(failed.unwrap_err().to_string(), "the queue is full");
    assert_eq!(hit, Hit::Miss);
}

#[tokio::test]
async fn a_failed_compile_is_remembered_but_not_on_disk() {
    let world = World::new();
    let cache = world.cache(CompileCacheConfig::default());
    let failure = || async {
        let report = b"line 1: what?".to_vec();
        Ok::<_, io::Error>(Made::Failure { report })
    };
    let key = CacheKey::test(1);
    let (entry, hit) = cache.get_or_compile(key, failure()).await.unwrap();
    assert!(entry.archive().is_none() && hit == Hit::Miss);
    let (entry, hit) = cache.get_or_compile(key, failure()).await.unwrap();
    assert_eq!((entry.report(), hit), (&b"line 1: what?"[..], Hit::Memory));
    written(&cache).await;
    drop(cache);
    let cache = world.cache(CompileCacheConfig::default());
    assert_eq!(
        cache.get_or_compile(key, failure()).await.unwrap().1,
        Hit::Miss
    );
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_costs_only_the_cache() {
    let world = World::new();
    let cache = world.cache(only_on_disk());
    // Not a matter of permissions, which root would ignore.
    fs::remove_dir_all(world.entries()).unwrap();
    for _ in 0..2 {
        assert_eq!(world.get(&cache, 1).await.1, Hit::Miss);
        written(&cache).await;
    }
    assert!(world.metric(r#"brig_compile_cache_errors_total{kind="write"} 2"#));

    fs::write(world.entries(), "in the way").unwrap();
    let cache = world.cache(CompileCacheConfig::default());
    assert_eq!(world.get(&cache, 1).await.1, Hit::Miss);
    assert_eq!(world.get(&cache, 1).await.1, Hit::Memory);
    assert!(world.metric(r#"brig_compile_cache_errors_total{kind="open"} 1"#));
}

#[tokio::test]
async fn both_tiers_are_bounded() {
    let world = World::new();
    let config = CompileCacheConfig {
        max_bytes: 64 * KIB,
        memory_bytes: 16 * KIB,
        ..CompileCacheConfig::default()
    };
    let cache = world.cache(config);
    for byte in 0..100 {
        world.get(&cache, byte).await;
        written(&cache).await;
    }
    let (bytes, entries) = cache.0.disk.as_ref().unwrap().size();
    assert!(bytes <= 64 * KIB && entries > 10, "{bytes} {entries}");
    assert!(cache.0.memory().bytes() <= 16 * KIB);
    assert_eq!(world.get(&cache, 99).await.1, Hit::Memory);
    assert_eq!(world.get(&cache, 92).await.1, Hit::Disk);
    assert_eq!(world.get(&cache, 0).await.1, Hit::Miss);
}

#[tokio::test]
async fn what_is_too_large_is_made_and_forgotten() {
    let world = World::new();
    let config = CompileCacheConfig {
        max_entry_bytes: 100,
        ..CompileCacheConfig::default()
    };
    let cache = world.cache(config);
    for _ in 0..2 {
        let (entry, hit) = world.get(&cache, 1).await;
        assert_eq!((content(&entry).len(), hit), (1000, Hit::Miss));
    }
}

#[tokio::test]
async fn nothing_is_kept_when_all_bounds_are_zero() {
    let world = World::new();
    let config = CompileCacheConfig {
        max_bytes: 0,
        memory_bytes: 0,
        max_entry_bytes: u64::MAX,
    };
    let cache = world.cache(config);
    assert_eq!(world.get(&cache, 1).await.1, Hit::Miss);
    assert_eq!(world.get(&cache, 1).await.1, Hit::Miss);
    assert_eq!(fs::read_dir(world.directory.path()).unwrap().count(), 0);
}

/// Callers hand the future to other threads.
#[test]
fn the_future_can_be_sent() {
    fn sendable<T: Send>(_: &T) {}
    let world = World::new();
    let cache = world.cache(CompileCacheConfig::default());
    let never = std::future::pending::<Result<Made, Oops>>();
    sendable(&cache.get_or_compile(CacheKey::test(1), never));
}

struct Oops(#[allow(dead_code)] Infallible);

impl From<io::Error> for Oops {
    fn from(error: io::Error) -> Self {
        panic!("{error}")
    }
}
