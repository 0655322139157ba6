//! What every backend must do, as tests: `run(open)` where `open` opens the same store again each time.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::*;

/// Opens a store; the same one each time.
pub(crate) trait Backend {
    fn open(&self) -> Arc<dyn Store>;
}

pub(crate) fn at(second: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_700_000_000 + second).unwrap()
}

pub(crate) fn new(owner: Owner, request: &[u8]) -> NewSubmission {
    NewSubmission {
        id: Uuid::now_v7(),
        owner,
        priority: Priority::Normal,
        request: request.to_vec(),
        document: b"{}".to_vec(),
        idempotency: None,
        created_at: at(0),
    }
}

pub(crate) fn done(id: Uuid, document: &[u8], second: i64) -> Finished {
    Finished {
        id,
        state: Final::Finished,
        verdict: "accepted".to_owned(),
        document: document.to_vec(),
        at: at(second),
        delivery: None,
    }
}

fn query(whose: Whose, limit: u32) -> ListQuery {
    ListQuery {
        whose,
        state: None,
        cursor: None,
        limit,
    }
}

/// All of the contract, one after the other on the same store.
pub(crate) async fn check(backend: &dyn Backend) {
    durable(backend).await;
    exactly_once(backend).await;
    batches_are_whole(backend).await;
    idempotent(backend).await;
    lists(backend).await;
    delivers(backend).await;
    keys(backend).await;
    blobs(backend).await;
    shares(backend).await;
    ages(backend).await;
}

async fn durable(backend: &dyn Backend) {
    let store = backend.open();
    let owner = Some(Uuid::now_v7());
    let first = new(owner, b"first");
    let second = NewSubmission {
        priority: Priority::Bulk,
        ..new(None, b"second")
    };
    let (a, b) = (first.id, second.id);
    assert_eq!(store.accept(vec![first]).await.unwrap(), [Accepted::New]);
    assert_eq!(store.accept(vec![second]).await.unwrap(), [Accepted::New]);
    drop(store);
    let store = backend.open();
    let pending = store.pending().await.unwrap();
    let seen: Vec<_> = pending
        .iter()
        .map(|p| (p.id, p.owner, p.priority))
        .collect();
    assert_eq!(
        seen,
        [(a, owner, Priority::Normal), (b, None, Priority::Bulk)]
    );
    assert_eq!(pending[0].bytes, 5);
    assert_eq!(store.request(a).await.unwrap().unwrap(), b"first");
    assert_eq!(store.request(Uuid::now_v7()).await.unwrap(), None);
    assert!(store.finish(done(a, b"result", 1)).await.unwrap());
    drop(store);
    let store = backend.open();
    assert_eq!(store.pending().await.unwrap().len(), 1);
    assert_eq!(store.request(a).await.unwrap(), None);
    let stored = store
        .submission(Whose::Of(owner), a)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.state, StoredState::Finished);
    assert_eq!(stored.document, b"result");
    assert_eq!(stored.finished_at, Some(at(1)));
    assert!(store.finish(done(b, b"", 1)).await.unwrap());
}

async fn exactly_once(backend: &dyn Backend) {
    let store = backend.open();
    let submission = new(None, b"x");
    let id = submission.id;
    store.accept(vec![submission]).await.unwrap();
    let tries: Vec<_> = (0..32)
        .map(|n: i64| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.finish(done(id, n.to_string().as_bytes(), n)).await })
        })
        .collect();
    let mut winners = Vec::new();
    for (n, attempt) in tries.into_iter().enumerate() {
        if attempt.await.unwrap().unwrap() {
            winners.push(n);
        }
    }
    assert_eq!(winners.len(), 1);
    let stored = store.submission(Whose::Anyone, id).await.unwrap().unwrap();
    assert_eq!(stored.document, winners[0].to_string().as_bytes());
    assert!(!backend.open().finish(done(id, b"late", 99)).await.unwrap());
    assert!(!store.finish(done(Uuid::now_v7(), b"", 0)).await.unwrap());
}

async fn batches_are_whole(backend: &dyn Backend) {
    let store = backend.open();
    let (good, twice) = (new(None, b"good"), new(None, b"twice"));
    let ids = (good.id, twice.id);
    let batch = vec![good, twice.clone(), twice];
    assert!(store.accept(batch).await.is_err());
    for id in [ids.0, ids.1] {
        assert_eq!(store.submission(Whose::Anyone, id).await.unwrap(), None);
    }
    assert_eq!(store.pending().await.unwrap(), []);
}

async fn idempotent(backend: &dyn Backend) {
    let store = backend.open();
    let with_key = |owner, body: u8| NewSubmission {
        idempotency: Some(Idempotency {
            key: "k".to_owned(),
            body_sha256: [body; 32],
        }),
        ..new(owner, b"x")
    };
    let first = with_key(None, 1);
    let id = first.id;
    assert_eq!(store.accept(vec![first]).await.unwrap(), [Accepted::New]);
    let again = vec![with_key(None, 1), with_key(None, 2)];
    let expected = [Accepted::Same(id), Accepted::Conflict];
    assert_eq!(store.accept(again).await.unwrap(), expected);
    let other = with_key(Some(Uuid::now_v7()), 2);
    let other_id = other.id;
    assert_eq!(store.accept(vec![other]).await.unwrap(), [Accepted::New]);
    store.finish(done(id, b"", 2)).await.unwrap();
    store.finish(done(other_id, b"", 2)).await.unwrap();
    let again = vec![with_key(None, 1)];
    assert_eq!(store.accept(again).await.unwrap(), [Accepted::Same(id)]);
}

async fn lists(backend: &dyn Backend) {
    let store = backend.open();
    let owner = Some(Uuid::now_v7());
    let whose = Whose::Of(owner);
    let batch: Vec<_> = (0..7).map(|_| new(owner, b"x")).collect();
    let ids: Vec<_> = batch.iter().map(|s| s.id).collect();
    store.accept(batch).await.unwrap();
    for id in &ids[..3] {
        store.finish(done(*id, b"", 3)).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = store
            .list(ListQuery {
                cursor,
                ..query(whose, 3)
            })
            .await
            .unwrap();
        assert!(page.items.len() <= 3);
        seen.extend(page.items.iter().map(|s| s.id));
        // What comes meanwhile does not disturb.
        let more = new(owner, b"later");
        let id = more.id;
        store.accept(vec![more]).await.unwrap();
        store.finish(done(id, b"", 3)).await.unwrap();
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids.iter().rev().copied().collect::<Vec<_>>());
    let queued = ListQuery {
        state: Some(StoredState::Queued),
        ..query(whose, 2)
    };
    let page = store.list(queued.clone()).await.unwrap();
    assert_eq!(
        page.items.iter().map(|s| s.id).collect::<Vec<_>>(),
        [ids[6], ids[5]]
    );
    let cursor = page.next;
    assert!(cursor.is_some());
    // A cursor is of its own query.
    for other in [
        query(whose, 2),
        ListQuery {
            whose: Whose::Anyone,
            ..queued.clone()
        },
    ] {
        let misused = ListQuery {
            cursor: cursor.clone(),
            ..other
        };
        assert!(matches!(
            store.list(misused).await,
            Err(StoreError::BadCursor)
        ));
    }
    let forged = ListQuery {
        cursor: Some("AAAA".to_owned()),
        ..queued
    };
    assert!(matches!(
        store.list(forged).await,
        Err(StoreError::BadCursor)
    ));
    for id in &ids[3..] {
        store.finish(done(*id, b"", 3)).await.unwrap();
    }
    let stranger = store.submission(Whose::Of(None), ids[0]).await.unwrap();
    assert_eq!(stranger, None);
}

async fn delivers(backend: &dyn Backend) {
    let store = backend.open();
    let batch: Vec<_> = (0..3).map(|_| new(None, b"x")).collect();
    let ids: Vec<_> = batch.iter().map(|s| s.id).collect();
    store.accept(batch).await.unwrap();
    for (second, id) in (10..).zip(&ids) {
        let delivery = Some(NewDelivery {
            url: "https://a.example/".to_owned(),
            secret_id: Some("main".to_owned()),
        });
        store
            .finish(Finished {
                delivery,
                ..done(*id, b"d", second)
            })
            .await
            .unwrap();
    }
    drop(store);
    let store = backend.open();
    assert_eq!(store.owed().await.unwrap(), 3);
    let due = store.due(at(11), 10).await.unwrap();
    let who: Vec<_> = due.deliveries.iter().map(|d| d.submission).collect();
    assert_eq!((who, due.next), (ids[..2].to_vec(), Some(at(12))));
    assert_eq!(store.due(at(20), 1).await.unwrap().next, Some(at(11)));
    let attempt = |id, status, next| Attempt {
        submission: id,
        record: AttemptRecord {
            at: at(12),
            duration_ms: 34,
            status,
            error: status.is_none().then(|| "refused".to_owned()),
        },
        next,
    };
    let again = attempt(ids[0], None, Next::Again(at(30)));
    store.attempted(again.clone()).await.unwrap();
    store
        .attempted(attempt(ids[1], Some(410), Next::GivenUp))
        .await
        .unwrap();
    store
        .attempted(attempt(ids[2], Some(200), Next::Delivered))
        .await
        .unwrap();
    assert_eq!(store.owed().await.unwrap(), 1);
    let due = store.due(at(40), 10).await.unwrap();
    assert_eq!((due.deliveries.len(), due.next), (1, None));
    assert_eq!(
        (due.deliveries[0].submission, due.deliveries[0].attempts),
        (ids[0], 1)
    );
    store
        .attempted(attempt(ids[0], Some(200), Next::Delivered))
        .await
        .unwrap();
    // What is not owed is not noted.
    store.attempted(again.clone()).await.unwrap();
    let log = store.deliveries(ids[0]).await.unwrap();
    assert_eq!(log.len(), 2);
    assert_eq!(log[0], again.record);
    assert_eq!(store.due(at(99), 10).await.unwrap(), Due::default());
    assert_eq!(store.owed().await.unwrap(), 0);
    store.prove().await.unwrap();
}

async fn keys(backend: &dyn Backend) {
    let store = backend.open();
    let key = Key {
        id: Uuid::now_v7(),
        hash: [7; 32],
        name: "judge".to_owned(),
        settings: b"{}".to_vec(),
        created_at: at(0),
        revoked_at: None,
    };
    store.add_key(key.clone()).await.unwrap();
    assert!(store.add_key(key.clone()).await.is_err());
    assert_eq!(
        backend.open().keys().await.unwrap(),
        std::slice::from_ref(&key)
    );
    assert_eq!(
        store.key_by_hash(&[7; 32]).await.unwrap(),
        Some(key.clone())
    );
    assert_eq!(store.key_by_hash(&[8; 32]).await.unwrap(), None);
    assert!(store.revoke_key(key.id, at(5)).await.unwrap());
    assert!(!store.revoke_key(key.id, at(6)).await.unwrap());
    assert_eq!(store.keys().await.unwrap()[0].revoked_at, Some(at(5)));
}

async fn blobs(backend: &dyn Backend) {
    let store = backend.open();
    let (a, b) = (Some(Uuid::now_v7()), Some(Uuid::now_v7()));
    let blob = |owner, hash: u8, second| NewBlob {
        hash: [hash; 32],
        owner,
        bytes: 60,
        at: at(second),
        quota_bytes: 100,
    };
    assert_eq!(store.blob_add(blob(a, 1, 0)).await.unwrap(), BlobAdded::New);
    assert_eq!(store.blob_add(blob(a, 1, 5)).await.unwrap(), BlobAdded::Had);
    let over = store.blob_add(blob(a, 2, 0)).await.unwrap();
    assert_eq!(
        over,
        BlobAdded::OverQuota(Usage {
            blobs: 1,
            bytes: 60
        })
    );
    assert_eq!(store.blob_add(blob(b, 1, 1)).await.unwrap(), BlobAdded::New);
    let mut all = store.blobs(None, 1).await.unwrap();
    all.extend(
        store
            .blobs(Some((all[0].hash, all[0].owner)), 9)
            .await
            .unwrap(),
    );
    assert_eq!(all.len(), 2);
    assert_eq!(
        store.blob_get(a, [1; 32]).await.unwrap().unwrap().used_at,
        at(5)
    );
    assert_eq!(store.blob_get(None, [1; 32]).await.unwrap(), None);
    let touched = store
        .blob_touch(a, vec![[1; 32], [9; 32]], at(8))
        .await
        .unwrap();
    assert_eq!(touched, [true, false]);
    let expired = store.blobs_expired(at(8), 10).await.unwrap();
    assert_eq!(expired.iter().map(|e| e.owner).collect::<Vec<_>>(), [b]);
    let remove = |owner, since| store.blob_remove(owner, [1; 32], since);
    assert_eq!(remove(a, Some(at(8))).await.unwrap(), BlobRemoved::Kept);
    assert_eq!(remove(a, None).await.unwrap(), BlobRemoved::Shared);
    assert!(store.blob_known([1; 32]).await.unwrap());
    assert_eq!(store.blob_usage(a).await.unwrap(), Usage::default());
    assert_eq!(remove(b, Some(at(9))).await.unwrap(), BlobRemoved::Last);
    assert!(!store.blob_known([1; 32]).await.unwrap());
}

pub(crate) fn share(id: &str, owner: Owner, document: &[u8], second: i64) -> NewShare {
    let mut hash = [0; 32];
    hash[..document.len().min(32)].copy_from_slice(&document[..document.len().min(32)]);
    NewShare {
        id: id.to_owned(),
        owner,
        hash,
        document: document.to_vec(),
        at: at(second),
        keep: Duration::from_secs(10),
        deletion: None,
        max_bytes: 1 << 20,
    }
}

async fn shares(backend: &dyn Backend) {
    let store = backend.open();
    let owner = Some(Uuid::now_v7());
    let put = async |new: NewShare| store.put_share(new).await.unwrap();
    let get = |id: &str, second| store.share(id.to_owned(), at(second));
    let first = put(share("a", owner, b"one", 0)).await;
    assert_eq!(
        (first.id.as_str(), first.expires, first.new),
        ("a", at(10), true)
    );
    // The same of the same owner is the same, and is kept anew.
    let again = put(share("b", owner, b"one", 5)).await;
    assert_eq!(
        (again.id.as_str(), again.expires, again.new),
        ("a", at(15), false)
    );
    for (id, owner) in [("c", None), ("d", None), ("e", Some(Uuid::now_v7()))] {
        assert!(put(share(id, owner, b"one", 5)).await.new, "{id}");
    }
    assert_eq!(get("b", 6).await.unwrap(), None);
    assert_eq!(get("a", 14).await.unwrap().unwrap().document, b"one");
    // A use keeps it; of what has expired there is none.
    store.share_used("a".to_owned(), at(14)).await.unwrap();
    store.share_used("c".to_owned(), at(15)).await.unwrap();
    let kept = get("a", 23).await.unwrap().unwrap();
    assert_eq!((kept.expires, kept.keep), (at(24), Duration::from_secs(10)));
    assert_eq!(get("a", 24).await.unwrap(), None);
    assert_eq!(get("c", 15).await.unwrap(), None);
    // What has expired is not found again.
    assert!(put(share("f", owner, b"one", 24)).await.new);
    assert_eq!(store.purge(at(24)).await.unwrap().shares, 4);
    assert_eq!(get("f", 25).await.unwrap().unwrap().document, b"one");
    assert!(remove(&store, "f", Remover::Caller(Whose::Of(owner))).await);
    shares_are_removed(&store).await;
    shares_are_bounded(&store).await;
}

async fn remove(store: &Arc<dyn Store>, id: &str, by: Remover) -> bool {
    store.remove_share(id.to_owned(), by).await.unwrap()
}

async fn shares_are_removed(store: &Arc<dyn Store>) {
    let owner = Some(Uuid::now_v7());
    let mut new = share("a", owner, b"one", 0);
    new.deletion = Some([7; 32]);
    store.put_share(new.clone()).await.unwrap();
    for by in [
        Remover::Holder([8; 32]),
        Remover::Caller(Whose::Of(None)),
        Remover::Caller(Whose::Of(Some(Uuid::now_v7()))),
    ] {
        assert!(!remove(store, "a", by).await, "{by:?}");
    }
    for by in [
        Remover::Holder([7; 32]),
        Remover::Caller(Whose::Of(owner)),
        Remover::Caller(Whose::Anyone),
    ] {
        assert!(remove(store, "a", by).await, "{by:?}");
        assert!(!remove(store, "a", by).await, "{by:?}");
        store.put_share(new.clone()).await.unwrap();
    }
    // Without a word of its own nobody has it.
    assert!(remove(store, "a", Remover::Caller(Whose::Anyone)).await);
    store.put_share(share("a", None, b"one", 0)).await.unwrap();
    assert!(!remove(store, "a", Remover::Holder([0; 32])).await);
    assert!(remove(store, "a", Remover::Caller(Whose::Of(None))).await);
}

async fn shares_are_bounded(store: &Arc<dyn Store>) {
    let (many, other) = (Some(Uuid::now_v7()), Some(Uuid::now_v7()));
    let kept = async |id: String| store.share(id, at(55)).await.unwrap().is_some();
    let put = async |id: &str, owner, second| {
        let document = [id.as_bytes(), &vec![b'x'; 90_000]].concat();
        store.put_share(share(id, owner, &document, second)).await
    };
    put("other", other, 50).await.unwrap();
    for n in 0..40 {
        put(&format!("many{n}"), many, 51 + n).await.unwrap();
    }
    // About eleven fit. Whoever made many lost the oldest of them, and nobody else one.
    assert!(kept("other".to_owned()).await);
    assert!(!kept("many0".to_owned()).await && !kept("many28".to_owned()).await);
    assert!(kept("many39".to_owned()).await);
    // Who has none yet gets room.
    put("third", Some(Uuid::now_v7()), 60).await.unwrap();
    assert!(kept("third".to_owned()).await && !kept("other".to_owned()).await);
    let mut huge = share("huge", other, b"x", 0);
    huge.max_bytes = 100;
    let full = store.put_share(huge).await.unwrap_err();
    assert!(matches!(full, StoreError::Full), "{full}");
    store.purge(at(1000)).await.unwrap();
}

async fn ages(backend: &dyn Backend) {
    const DAY: i64 = 24 * 60 * 60;
    let store = backend.open();
    let batch: Vec<_> = (0..4).map(|_| new(None, b"x")).collect();
    let ids: Vec<_> = batch.iter().map(|s| s.id).collect();
    store.accept(batch).await.unwrap();
    store.finish(done(ids[0], b"old", 100)).await.unwrap();
    store
        .finish(done(ids[1], b"young", 100 + 2 * DAY))
        .await
        .unwrap();
    let delivery = Some(NewDelivery {
        url: "https://a.example/".to_owned(),
        secret_id: None,
    });
    store
        .finish(Finished {
            delivery,
            ..done(ids[2], b"owed", 100)
        })
        .await
        .unwrap();
    let keep = i64::from(StoreConfig::default().keep_days) * DAY;
    let now = at(101 + keep);
    assert!(now - at(101) == Duration::from_secs(keep.unsigned_abs()));
    assert!(store.purge(now).await.unwrap().aged >= 1);
    let mut left = Vec::new();
    for id in ids {
        left.push(store.submission(Whose::Anyone, id).await.unwrap().is_some());
    }
    assert_eq!(left, [false, true, true, true]);
}
