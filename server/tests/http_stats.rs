//! What the service tells of itself; with workers that follow a script.

mod http_support;

use axum::http::StatusCode;
use http_support::{FakeWorker, app, get, post, program};

#[tokio::test]
async fn stats_tell_what_was_done() {
    let app = app(|_| {});
    let before = get(&app, "/v1/stats").await;
    assert_eq!(before.status, StatusCode::OK);
    assert_eq!(before.body["latency"][0]["total"], serde_json::Value::Null);
    FakeWorker::serve(&app, 0, |worker, job| worker.print(job, "hello"));
    for _ in 0..3 {
        assert_eq!(post(&app, program()).await.status, StatusCode::OK);
    }
    let stats = get(&app, "/v1/stats").await.body;
    assert_eq!(stats["statuses"]["ok"], 3, "{stats}");
    for (kind, least) in [("total", 3), ("queued", 3), ("setup", 3)] {
        let count = stats["latency"][0][kind]["count"].as_u64().unwrap();
        assert!(count >= least, "{kind} {stats}");
    }
    assert!(
        stats["rates"][0]["runs_per_s"].as_f64().unwrap() > 0.0,
        "{stats}"
    );
    assert_eq!(stats["workers"]["connected"], 1);
    let classes: Vec<_> = stats["queue"]["classes"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    assert_eq!(classes.len(), 4);
    assert_eq!(classes[1]["class"], "interactive");
    assert_eq!(classes[1]["waiting"], 0);
    assert!(stats["memory_bytes"].as_u64().unwrap() > 1 << 20, "{stats}");
    let runs = stats["history"]["runs"].as_array().unwrap();
    assert_eq!(
        runs.iter()
            .filter_map(serde_json::Value::as_u64)
            .sum::<u64>(),
        3
    );
}
