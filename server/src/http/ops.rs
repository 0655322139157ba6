//! For operators: `GET /v1/info`, `/v1/stats`, `/healthz`, `/readyz` and `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::error::Error;
use crate::api::{
    AuthInfo, ClassStats, Info, QueueInfo, QueueStats, RequestLimits, ServiceStats,
    SubmissionStats, WorkersInfo,
};
use crate::pool::Stats;
use crate::recent::WINDOW_S;
use crate::run::MAX_COMMAND_LINE_BYTES;

/// How soon to look again when the service is not ready.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Show what this service is, what it runs on, and its bounds.
#[utoipa::path(
    get,
    path = "/v1/info",
    tag = "Service",
    operation_id = "info",
    responses((status = 200, description = "The service.", body = Info))
)]
pub(super) async fn info(State(app): State<Arc<App>>) -> Json<Info> {
    let stats = app.pool.stats();
    let config = &app.config.config;
    Json(Info {
        name: "brig",
        version: env!("CARGO_PKG_VERSION"),
        uptime_ms: millis(app.started.elapsed()),
        host: app.config.host.clone(),
        layers: app.config.layers.clone(),
        degraded: app.config.degraded.clone(),
        auth: AuthInfo {
            key_required: !app.keys.is_open(),
            insecure_no_keys: app.keys.is_insecure(),
        },
        workers: workers(&app, stats),
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

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn workers(app: &App, stats: Stats) -> WorkersInfo {
    WorkersInfo {
        configured: app.config.config.worker_count().get() as usize,
        connected: stats.workers,
        running: stats.running,
        warm_sandboxes: stats.warm,
        prestarted_interpreters: stats.prestarted,
    }
}

/// Show what the service is doing, and did in the last five minutes.
#[utoipa::path(
    get,
    path = "/v1/stats",
    tag = "Service",
    operation_id = "stats",
    responses((status = 200, description = "Figures for people; `/metrics` has those for machines.", body = ServiceStats))
)]
pub(super) async fn stats(State(app): State<Arc<App>>) -> Json<ServiceStats> {
    let classes = app.pool.line_up().into_iter().map(|line| ClassStats {
        class: line.class.as_str(),
        waiting: line.waiting,
        oldest_ms: line.oldest.map(millis),
    });
    let (waiting, active) = app.judging.stats();
    let recent = app.metrics.recent.summary();
    Json(ServiceStats {
        uptime_ms: millis(app.started.elapsed()),
        memory_bytes: memory_bytes(),
        problem: app.problem(),
        workers: workers(&app, app.pool.stats()),
        queue: QueueStats {
            capacity: app.config.config.queue_length,
            classes: classes.collect(),
        },
        submissions: SubmissionStats { waiting, active },
        rates: recent.rates,
        latency: recent.latency,
        window_s: WINDOW_S,
        statuses: recent.statuses,
        verdicts: recent.verdicts,
        compile_cache: recent.compile_cache,
        history: recent.history,
    })
}

/// The second number of `/proc/self/statm` (proc(5)) is the resident set, in pages.
fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    Some(pages * u64::try_from(page).ok()?)
}

/// How the service does.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`: it lives; `ready`: it can run code.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Ask whether the process lives.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "Service",
    operation_id = "health",
    responses((status = 200, description = "It does.", body = Health))
)]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Ask whether the service can run code now.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "Service",
    operation_id = "ready",
    responses(
        (status = 200, description = "It can: it has proved so by running some.", body = Health),
        (status = 503, description = "It cannot; `detail` says why."),
    )
)]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Health>, Error> {
    match app.problem() {
        None => Ok(Json(Health { status: "ready" })),
        Some(why) => Err(not_ready(&why)),
    }
}

pub(super) fn not_ready(why: &str) -> Error {
    Error::unavailable(format!("not ready: {why}"), RETRY_AFTER)
}

/// Metrics for Prometheus.
///
/// Needs a key only where the service is configured so (`auth.metrics_key`).
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "Service",
    operation_id = "metrics",
    responses((
        status = 200,
        description = "All metrics, in Prometheus' text format.",
        body = String,
        content_type = "text/plain"
    ))
)]
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
