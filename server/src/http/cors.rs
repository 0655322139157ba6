//! What other sites' pages may do (CORS): nothing, unless the operator names their sites; then all that
//! the API is for, and their scripts can read all that it says.

use axum::http::header::{
    ACCEPT_RANGES, ALLOW, AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, LOCATION,
    RANGE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::CorsLayer;

use super::headers::{DELETE_TOKEN, IDEMPOTENCY_KEY, LAST_EVENT_ID, PREFER, X_REQUEST_ID};

/// Headers of requests.
const SENT: [HeaderName; 8] = [
    AUTHORIZATION,
    CONTENT_TYPE,
    DELETE_TOKEN,
    IDEMPOTENCY_KEY,
    IF_RANGE,
    LAST_EVENT_ID,
    PREFER,
    RANGE,
];
/// Headers of answers, beside those that every script can read (Fetch standard, "CORS-safelisted
/// response-header name").
const READ: [HeaderName; 8] = [
    ACCEPT_RANGES,
    ALLOW,
    CONTENT_RANGE,
    ETAG,
    LOCATION,
    RETRY_AFTER,
    WWW_AUTHENTICATE,
    X_REQUEST_ID,
];

/// Lets pages of `origins` in.
pub(super) fn layer(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let origins = origins
        .iter()
        .filter_map(|origin| HeaderValue::from_str(origin).ok());
    let cors = CorsLayer::new()
        .allow_origin(origins.collect::<Vec<_>>())
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(SENT)
        .expose_headers(READ);
    Some(cors)
}
