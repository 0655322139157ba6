//! All routes.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::app::App;
use super::error::Error;
use super::{catalog, events, middleware, ops, runs, submissions};

/// The whole HTTP service.
pub fn router(app: Arc<App>) -> Router {
    let routes = Router::new()
        .route("/v1/runs", post(runs::create))
        .route(
            "/v1/submissions",
            post(submissions::create).get(submissions::list),
        )
        .route("/v1/submissions/batch", post(submissions::batch))
        .route(
            "/v1/submissions/{id}",
            get(submissions::show).delete(submissions::cancel),
        )
        .route("/v1/submissions/{id}/events", get(events::follow))
        .route("/v1/languages", get(catalog::languages))
        .route("/v1/languages/{id}", get(catalog::language))
        .route("/v1/policies", get(catalog::policies))
        .route("/v1/info", get(ops::info))
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics))
        .method_not_allowed_fallback(async || Error::method_not_allowed())
        .fallback(async || Error::not_found("there is nothing at this path"))
        .with_state(Arc::clone(&app));
    middleware::apply(routes, app)
}
