use std::path::PathBuf;
use std::sync::Arc;

use super::super::Accepted;
use super::super::contract::{self, Backend, at, done, new};
use super::*;

struct File(PathBuf);

impl Backend for File {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&self.0, &StoreConfig::default()).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract::check(&File(dir.path().join("brig.db"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_bounded_and_the_unfinished_are_safe() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("brig.db");
    let config = StoreConfig {
        max_bytes: 16 << 20,
        ..StoreConfig::default()
    };
    let store = SqliteStore::open(&path, &config).unwrap();
    // Three times what there is room for goes through.
    for n in 0..480 {
        let submission = new(None, &[1; 1000]);
        let id = submission.id;
        assert_eq!(
            store.accept(vec![submission]).await.unwrap(),
            [Accepted::New]
        );
        store.finish(done(id, &vec![2; 100_000], n)).await.unwrap();
    }
    store.purge(at(1000)).await.unwrap();
    let size = |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().len();
    let (database, log) = (size("brig.db"), size("brig.db-wal"));
    assert!(database <= config.max_bytes + (4 << 20), "{database}");
    // Of the log as much as is between two checkpoints.
    assert!(log <= 24 << 20, "{log}");
    let mut kept = 0;
    let full = loop {
        let submission = new(None, &vec![3; 500_000]);
        match store.accept(vec![submission]).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, StoreError::Full), "{full}");
    assert_eq!(kept, 25);
    assert_eq!(store.pending().await.unwrap().len(), kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_callers_mistake_is_not_the_others() {
    let (_dir, store) = store();
    let store = Arc::new(store);
    let twice = new(None, b"twice");
    store.accept(vec![twice.clone()]).await.unwrap();
    let calls: Vec<_> = (0..200)
        .map(|n| {
            let submission = if n % 2 == 0 {
                new(None, b"x")
            } else {
                twice.clone()
            };
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.accept(vec![submission]).await.is_ok() })
        })
        .collect();
    let mut good = 0;
    for call in calls {
        good += usize::from(call.await.unwrap());
    }
    assert_eq!(good, 100);
    assert_eq!(store.pending().await.unwrap().len(), 101);
}

/// A database of its own.
fn store() -> (tempfile::TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("brig.db"), &StoreConfig::default()).unwrap();
    (dir, store)
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_alone() {
    let (dir, store) = store();
    drop(store);
    let path = dir.path().join("brig.db");
    let conn = Connection::open(&path).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    let error = SqliteStore::open(&path, &StoreConfig::default())
        .err()
        .unwrap();
    let text = error.to_string();
    assert!(
        text.contains("version 99") && text.contains("newer brig"),
        "{text}"
    );
    let version: i32 = conn
        .query_row("PRAGMA user_version", [], |r| r.get(0))
        .unwrap();
    assert_eq!(version, 99);
}

#[test]
fn what_is_no_database_of_brigs_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE t (a)")
        .unwrap();
    let error = SqliteStore::open(&path, &StoreConfig::default())
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::Foreign), "{error}");
    let path = dir.path().join("y.db");
    std::fs::write(&path, [7; 8192]).unwrap();
    let error = SqliteStore::open(&path, &StoreConfig::default())
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::NotADatabase(_)), "{error:?}");
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("brig.db");
    let mut conn = Connection::open(&path).unwrap();
    schema::migrate(&mut conn, &schema::MIGRATIONS[..1]).unwrap();
    let sql = "INSERT INTO keys VALUES (zeroblob(16), zeroblob(32), 'old', x'7b7d', 0, NULL)";
    conn.execute(sql, []).unwrap();
    drop(conn);
    let store = SqliteStore::open(&path, &StoreConfig::default()).unwrap();
    assert_eq!(store.keys().await.unwrap()[0].name, "old");
    let new = contract::share("a", None, b"{}", 0);
    store.put_share(new).await.unwrap();
    assert!(store.share("a".to_owned(), at(1)).await.unwrap().is_some());
}
