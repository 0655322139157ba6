//! What becomes of submissions while the store fails: nothing is lost, and no result comes of it.

mod http_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use brig_server::http::App;
use brig_server::store::DataDir;
use http_support::{Answer, FakeWorker, TestApp, app, get, send, until};
use rusqlite::Connection;
use serde_json::{Value, json};

/// A table that is out of the service's reach until this is dropped.
struct Hidden {
    conn: Connection,
    table: &'static str,
}

impl Hidden {
    fn new(app: &App, table: &'static str) -> Self {
        let path = DataDir::new(app.config.data.clone()).database();
        let conn = Connection::open(path).unwrap();
        let sql = format!("ALTER TABLE {table} RENAME TO hidden");
        conn.execute_batch(&sql).unwrap();
        Self { conn, table }
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let sql = format!("ALTER TABLE hidden RENAME TO {}", self.table);
        self.conn.execute_batch(&sql).unwrap();
    }
}

/// A worker whose programs print what is right, and how many it ran.
fn worker(app: &App) -> Arc<AtomicUsize> {
    let ran = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ran);
    FakeWorker::serve(app, 0, move |worker, job| {
        counted.fetch_add(1, Ordering::SeqCst);
        worker.print(job, "3\n");
    });
    ran
}

fn keep_judging(app: &Arc<App>) {
    let judging = app.judging.clone();
    tokio::spawn(async move { judging.keep_judging().await });
}

async fn submit(app: &Arc<App>, test: Value, callback: Value) -> String {
    let body = json!({
        "language": "python", "source": "print(3)", "tests": [test], "callback": callback,
    });
    let request = Request::post("/v1/submissions").header("content-type", "application/json");
    let answer = send(app, request.body(body.to_string().into()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    answer.body["id"].as_str().unwrap().to_owned()
}

fn inline() -> Value {
    json!({"stdin": "", "expected_output": "3\n"})
}

async fn show(app: &Arc<App>, id: &str) -> Value {
    get(app, &format!("/v1/submissions/{id}")).await.body
}

/// Waits until judging has found the store failing.
async fn failing(app: &App) {
    let failures = || {
        let metrics = app.metrics.render(app.pool.stats(), true);
        let metrics = metrics.lines();
        let mut values =
            metrics.filter_map(|line| line.strip_prefix("brig_judging_store_failures_total "));
        values.next().is_some_and(|value| value != "0")
    };
    until("the store fails", failures).await;
}

async fn finished(app: &Arc<App>, id: &str) -> Value {
    let path = format!("/v1/submissions/{id}/events");
    // It ends with the submission.
    let events = get(app, &path).await;
    assert_eq!(events.status, StatusCode::OK);
    show(app, id).await
}

async fn a_failing_table_costs_time_only(table: &'static str, app: &TestApp, test: Value) {
    let ran = worker(app);
    let id = submit(app, test, Value::Null).await;
    let hidden = Hidden::new(app, table);
    keep_judging(app);
    failing(app).await;
    let shown = show(app, &id).await;
    assert!(shown["verdict"].is_null(), "{shown}");
    drop(hidden);
    let shown = finished(app, &id).await;
    assert_eq!(shown["verdict"], "accepted", "{shown}");
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_read_is_read_later() {
    let app = app(|_| {});
    a_failing_table_costs_time_only("requests", &app, inline()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn test_data_that_cannot_be_looked_up_are_looked_up_later() {
    let app = app(|_| {});
    let request = Request::post("/v1/blobs").header("content-type", "application/octet-stream");
    let answer: Answer = send(&app, request.body(Body::from("3\n")).unwrap()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    let test = json!({"stdin": "", "expected_output_blob": answer.body["hash"]});
    a_failing_table_costs_time_only("blobs", &app, test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_read_before_the_drain_is_the_next_services() {
    let app = app(|_| {});
    let ran = worker(&app);
    let id = submit(&app, inline(), Value::Null).await;
    let hidden = Hidden::new(&app, "requests");
    keep_judging(&app);
    failing(&app).await;
    assert_eq!(app.judging.stats(), (0, 1));
    app.drain();
    until("it waits again", || app.judging.stats() == (1, 0)).await;
    drop(hidden);
    assert!(show(&app, &id).await["verdict"].is_null());
    assert_eq!(ran.load(Ordering::SeqCst), 0);

    let next = App::new(app.config.clone(), None).unwrap();
    let ran = worker(&next);
    assert_eq!(next.judging.resume().await.unwrap(), 1);
    keep_judging(&next);
    assert_eq!(finished(&next, &id).await["verdict"], "accepted");
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_meanwhile_owes_its_callback() {
    let app = app(|_| {});
    let callback = json!({"url": "https://judge.example/hook"});
    let id = submit(&app, inline(), callback).await;
    let hidden = Hidden::new(&app, "requests");
    let cancelling = tokio::spawn({
        let (app, path) = (Arc::clone(&app), format!("/v1/submissions/{id}"));
        async move { send(&app, Request::delete(path).body(Body::empty()).unwrap()).await }
    });
    failing(&app).await;
    drop(hidden);
    let answer = cancelling.await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.body["verdict"], "cancelled");
    assert_eq!(app.store.owed().await.unwrap(), 1);
}
