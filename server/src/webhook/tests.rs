//! Deliveries over real sockets, from the store that the service has.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::address::Allow;
use super::secret::Secret;
use super::sign::signature;
use super::*;
use crate::store::sqlite::SqliteStore;
use crate::store::{Final, Finished, NewSubmission, Priority, StoreConfig};

const SECRET: &str = "0123456789abcdef-the-secret";
/// Before a test that waits for something has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A receiver that gives these answers, one by one, then 204.
struct Receiver {
    url: String,
    got: mpsc::UnboundedReceiver<(HeaderMap, Bytes)>,
}

#[derive(Clone)]
struct Script {
    answers: Arc<Mutex<Vec<u16>>>,
    got: mpsc::UnboundedSender<(HeaderMap, Bytes)>,
}

async fn receive(State(script): State<Script>, headers: HeaderMap, body: Bytes) -> Response {
    let _ = script.got.send((headers, body));
    match script.answers.lock().unwrap().pop() {
        Some(307) => Redirect::temporary("/hook").into_response(),
        Some(status) => StatusCode::from_u16(status).unwrap().into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

impl Receiver {
    async fn start(answers: &[u16]) -> Self {
        let (sender, got) = mpsc::unbounded_channel();
        let script = Script {
            answers: Arc::new(Mutex::new(answers.iter().rev().copied().collect())),
            got: sender,
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/hook", post(receive))
            .with_state(script);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, got }
    }

    async fn next(&mut self) -> (HeaderMap, Bytes) {
        let next = tokio::time::timeout(PATIENCE, self.got.recv()).await;
        next.expect("a delivery in time").expect("a receiver")
    }
}

/// Webhooks at work on a store of their own.
struct Service {
    store: Arc<dyn Store>,
    webhooks: Arc<Webhooks>,
    metrics: Arc<Metrics>,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
    _directory: tempfile::TempDir,
}

fn config(allow: &[&str]) -> WebhooksConfig {
    let parse = |text: &&str| Allow::try_from((*text).to_owned()).unwrap();
    WebhooksConfig {
        allow: allow.iter().map(parse).collect(),
        first_retry_ms: 5,
        max_retry_ms: 20,
        ..WebhooksConfig::default()
    }
}

impl Service {
    fn start(config: &WebhooksConfig) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("brig.db");
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(&path, &StoreConfig::default()).unwrap());
        let webhooks = Arc::new(Webhooks::new(config, Secrets::of("main", &[SECRET])));
        let metrics = Arc::new(Metrics::new(&[]));
        let (stop, stopped) = oneshot::channel::<()>();
        let run = webhooks.deliver(Arc::clone(&store), Arc::clone(&metrics), async move {
            drop(stopped.await);
        });
        Self {
            store,
            webhooks,
            metrics,
            stop: Some(stop),
            task: tokio::spawn(run.unwrap()),
            _directory: directory,
        }
    }

    /// A submission comes and is finished.
    async fn finish(&self, url: &str, secret_id: Option<&str>) -> Uuid {
        let (id, now) = (Uuid::now_v7(), OffsetDateTime::now_utc());
        let new = NewSubmission {
            id,
            owner: None,
            priority: Priority::Normal,
            request: Vec::new(),
            document: b"{}".to_vec(),
            idempotency: None,
            created_at: now,
        };
        self.store.accept(vec![new]).await.unwrap();
        let done = Finished {
            id,
            state: Final::Finished,
            verdict: "accepted".to_owned(),
            document: format!("{{\"id\":\"{id}\"}}").into_bytes(),
            at: now,
            delivery: Some(NewDelivery {
                url: url.to_owned(),
                secret_id: secret_id.map(str::to_owned),
            }),
        };
        assert!(self.store.finish(done).await.unwrap());
        self.webhooks.wake();
        id
    }

    /// Waits until the log has `count` attempts.
    async fn log(&self, id: Uuid, count: usize) -> Vec<AttemptRecord> {
        let look = async {
            loop {
                let records = self.store.deliveries(id).await.unwrap();
                if records.len() >= count {
                    return records;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look)
            .await
            .expect("attempts in time")
    }
}

#[tokio::test]
async fn a_delivery_is_signed_and_retried_until_it_arrives_and_then_never_again() {
    let mut receiver = Receiver::start(&[500, 307]).await;
    let mut service = Service::start(&config(&["127.0.0.0/8"]));
    let id = service.finish(&receiver.url, Some("main")).await;
    for attempt in ["1", "2", "3"] {
        let (headers, body) = receiver.next().await;
        assert_eq!(headers["brig-delivery"], id.to_string().as_str());
        assert_eq!(headers["brig-attempt"], attempt);
        assert_eq!(body, format!("{{\"id\":\"{id}\"}}"));
        let header = headers["brig-signature"].to_str().unwrap();
        let unix = header.split([',', '=']).nth(1).unwrap().parse().unwrap();
        let secret = Secret::new(SECRET.as_bytes().to_vec());
        assert_eq!(header, signature(&[secret], unix, &body));
    }
    let records = service.log(id, 3).await;
    let statuses: Vec<_> = records.iter().map(|record| record.status).collect();
    assert_eq!(
        statuses,
        [Some(500), Some(307), Some(204)],
        "a redirect is not followed"
    );
    let report = service
        .webhooks
        .report(&receiver.url, OffsetDateTime::now_utc(), &records);
    assert_eq!(report.state, DeliveryState::Delivered);
    let far = OffsetDateTime::now_utc() + time::Duration::days(2);
    assert_eq!(
        service.store.due(far, 10).await.unwrap(),
        crate::store::Due::default()
    );
    service.stop.take();
    tokio::time::timeout(PATIENCE, &mut service.task)
        .await
        .unwrap()
        .unwrap();
    assert!(
        receiver.got.try_recv().is_err(),
        "sent more than three times"
    );
    let pool = crate::pool::Pool::new(1);
    let text = service.metrics.render(pool.stats(), true);
    for line in ["{result=\"delivered\"} 1", "{result=\"retried\"} 2"] {
        let line = format!("brig_webhook_deliveries_total{line}");
        assert!(text.contains(&line), "{line} in {text}");
    }
}

#[tokio::test]
async fn nothing_is_sent_to_where_none_may_go() {
    let mut receiver = Receiver::start(&[]).await;
    let service = Service::start(&config(&[]));
    // As if it had been accepted under another configuration; the name is checked by its address.
    let port = receiver.url.rsplit(':').next().unwrap().to_owned();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let id = service.finish(&format!("http://{host}:{port}"), None).await;
        let records = service.log(id, 1).await;
        let error = records[0].error.as_deref().unwrap();
        assert!(error.contains("may not go to"), "{host}: {error}");
    }
    assert!(receiver.got.try_recv().is_err());
}

#[tokio::test]
async fn a_receiver_that_wants_no_more_is_left_alone() {
    let mut receiver = Receiver::start(&[410]).await;
    let service = Service::start(&config(&["127.0.0.1"]));
    let id = service.finish(&receiver.url, None).await;
    let (headers, _) = receiver.next().await;
    assert!(!headers.contains_key("brig-signature"));
    let records = service.log(id, 1).await;
    let report = service
        .webhooks
        .report(&receiver.url, OffsetDateTime::now_utc(), &records);
    assert_eq!(report.state, DeliveryState::GivenUp);
    let far = OffsetDateTime::now_utc() + time::Duration::days(2);
    assert!(
        service
            .store
            .due(far, 10)
            .await
            .unwrap()
            .deliveries
            .is_empty()
    );
}

#[tokio::test]
async fn a_host_that_does_not_answer_leaves_room_for_others() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_url = format!("http://{}/", silent.local_addr().unwrap());
    let mut receiver = Receiver::start(&[]).await;
    let config = WebhooksConfig {
        max_concurrent: 2,
        max_concurrent_per_host: 1,
        timeout_ms: 60_000,
        ..config(&["127.0.0.0/8", "localhost"])
    };
    let service = Service::start(&config);
    for _ in 0..20 {
        service.finish(&silent_url, None).await;
    }
    let url = receiver.url.replace("127.0.0.1", "localhost");
    service.finish(&url, None).await;
    receiver.next().await;
}

#[test]
fn callbacks_are_checked_with_the_field_that_is_wrong() {
    let webhooks = Webhooks::new(&config(&[]), Secrets::of("main", &[SECRET]));
    let check = |url: &str, secret: Option<&str>| {
        let checked = webhooks.check("/callback", url, secret);
        checked.map_err(|error| error.pointer)
    };
    assert!(check("https://oj.example/", Some("main")).is_ok());
    assert_eq!(
        check("http://10.0.0.1/", None).unwrap_err(),
        "/callback/url"
    );
    let unknown = check("https://oj.example/", Some("other"));
    assert_eq!(unknown.unwrap_err(), "/callback/secret_id");
}
