//! All middleware, in one stack.
//!
//! Time-outs are where what they bound is known: of a head and of an idle connection in `server`,
//! of a body in `body`, of the queue and of the stages in [`crate::run`] and [`crate::pool`].

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower::util::option_layer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tracing::Instrument;
use tracing::field::Empty;
use uuid::Uuid;

use super::app::App;
use super::cors;
use super::error::Error;
use super::headers::X_REQUEST_ID;
use super::unread;
use crate::telemetry;

/// Puts the stack around the routes. The last layer is the outermost: a request meets it first, a
/// response meets it last. Who may use a route, and what for, is checked nearer to it (`access`).
pub(super) fn apply(routes: Router, app: Arc<App>) -> Router {
    let cors = cors::layer(&app.config.config.http.cors_origins);
    let header =
        |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    routes
        .layer(CatchPanicLayer::custom(panicked))
        .layer(option_layer(cors))
        .layer(header(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(CACHE_CONTROL, "no-store"))
        .layer(header(REFERRER_POLICY, "no-referrer"))
        .layer(header(
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ))
        .layer(from_fn_with_state(app, observe))
        .layer(from_fn(unread::discard_rest))
}

/// Gives the request an id, a span and a log line, and counts it. Only what the router knows is
/// logged: a path or a query can hold anything.
async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = Uuid::now_v7();
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let span = tracing::error_span!("request", request = %id, method, route, key = Empty);
    telemetry::continue_from(&span, request.headers());
    let mut response = next.run(request).instrument(span.clone()).await;
    let (status, time) = (response.status().as_u16(), begun.elapsed());
    app.metrics.request(method, route, status, time);
    let ms = time.as_secs_f64() * 1e3;
    telemetry::answered(&span, method, route, status);
    span.in_scope(|| tracing::debug!(status, ms, "answered"));
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    response
}

/// A client can make up methods; a label's values must be few.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

/// The panic itself is reported by the panic hook.
#[allow(clippy::needless_pass_by_value)] // as the layer wants it
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    Error::internal().into_response()
}
