//! For operators: `GET /v1/info`, `/healthz`, `/readyz` and `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::app::App;
use super::error::Error;
use crate::api::{AuthInfo, Info, QueueInfo, RequestLimits, WorkersInfo};
use crate::run::MAX_COMMAND_LINE_BYTES;

/// How soon to look again when the service is not ready.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(super) async fn info(State(app): State<Arc<App>>) -> Json<Info> {
    let stats = app.pool.stats();
    let config = &app.config.config;
    Json(Info {
        name: "brig",
        version: env!("CARGO_PKG_VERSION"),
        uptime_ms: u64::try_from(app.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        host: app.config.host.clone(),
        layers: app.config.layers.clone(),
        degraded: app.config.degraded.clone(),
        auth: AuthInfo {
            key_required: !app.keys.is_open(),
            insecure_no_keys: app.keys.is_insecure(),
        },
        workers: WorkersInfo {
            configured: config.worker_count().get() as usize,
            connected: stats.workers,
            running: stats.running,
            warm_sandboxes: stats.warm,
        },
        queue: QueueInfo {
            depth: stats.queued,
            capacity: config.queue_length,
        },
        limits: RequestLimits {
            body_bytes: config.http.max_body_bytes,
            files: config.runs.max_files,
            command_line_bytes: MAX_COMMAND_LINE_BYTES,
            output_files: config.runs.max_output_files,
            output_files_bytes: config.runs.max_output_files_bytes,
            live: config.live.into(),
        },
    })
}

/// The process lives.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The service can run code now.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Value>, Error> {
    match app.problem() {
        None => Ok(Json(json!({ "status": "ready" }))),
        Some(why) => Err(Error::unavailable(format!("not ready: {why}"), RETRY_AFTER)),
    }
}

pub(super) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    app.metrics.insecure(app.keys.is_insecure());
    let (waiting, active) = app.judging.stats();
    app.metrics.judging.size(waiting, active);
    match app.store.owed().await {
        Ok(owed) => app.metrics.owed(owed),
        Err(error) => tracing::error!("webhooks that are owed cannot be counted: {error}"),
    }
    let text = app
        .metrics
        .render(app.pool.stats(), app.problem().is_none());
    ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text)
}
