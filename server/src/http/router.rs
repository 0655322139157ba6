//! All routes.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post, put};

use super::access::{authenticate, needs};
use super::app::App;
use super::error::Error;
use super::{blobs, catalog, events, live, middleware, ops, pages, runs, shares, submissions};
use crate::auth::Scope;
use crate::web;

/// The whole HTTP service. Routes are `keyed` unless there is a reason to leave them open; those
/// without `needs` are for any caller.
pub fn router(app: Arc<App>) -> Router {
    let keyed = Router::new()
        .route("/v1/runs", needs(&[Scope::Run], post(runs::create)))
        .route("/v1/runs/ws", needs(&[Scope::Run], get(live::open)))
        .route(
            "/v1/submissions",
            needs(&[Scope::Judge], post(submissions::create))
                .merge(needs(&[Scope::Judge, Scope::Read], get(submissions::list))),
        )
        .route(
            "/v1/submissions/batch",
            needs(&[Scope::Judge], post(submissions::batch)),
        )
        .route(
            "/v1/submissions/{id}",
            needs(&[Scope::Judge, Scope::Read], get(submissions::show))
                .merge(needs(&[Scope::Judge], delete(submissions::cancel))),
        )
        .route(
            "/v1/submissions/{id}/events",
            needs(&[Scope::Judge, Scope::Read], get(events::follow)),
        )
        .route("/v1/blobs", needs(&[Scope::Judge], post(blobs::create)))
        .route(
            "/v1/blobs/{hash}",
            needs(
                &[Scope::Judge],
                put(blobs::put).get(blobs::get).delete(blobs::delete),
            ),
        )
        .route("/v1/shares", needs(&[Scope::Run], post(shares::create)))
        .route("/v1/languages", get(catalog::languages))
        .route("/v1/languages/{id}", get(catalog::language))
        .route("/v1/policies", get(catalog::policies))
        .route("/v1/info", get(ops::info))
        .route("/v1/stats", get(ops::stats));
    let authenticated = from_fn_with_state(Arc::clone(&app), authenticate);
    let open = Router::new()
        .route(
            "/v1/shares/{id}",
            needs(&[Scope::Run], delete(shares::delete))
                .route_layer(authenticated)
                .merge(get(shares::show)),
        )
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz));
    let metrics = get(ops::metrics);
    let (open, keyed) = if app.config.config.auth.metrics_key {
        let metrics = needs(&[Scope::Read], metrics);
        (open, keyed.route("/metrics", metrics))
    } else {
        (open.route("/metrics", metrics), keyed)
    };
    let open = open
        .merge(pages::routes(web::FILES, &app.config.config.web))
        .method_not_allowed_fallback(async || Error::method_not_allowed())
        .fallback(async || Error::not_found("there is nothing at this path"))
        .with_state(Arc::clone(&app));
    let keyed = keyed
        .method_not_allowed_fallback(async || Error::method_not_allowed())
        .with_state(Arc::clone(&app));
    middleware::apply(open, keyed, app)
}
