//! Names of headers that the API knows beside those of HTTP itself.

use axum::http::HeaderName;

/// Names a request in the log.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What a client would like (RFC 7240).
pub(super) const PREFER: HeaderName = HeaderName::from_static("prefer");
/// What makes a repetition known as one.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The last event that a client has received.
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Where a document's [`ShareCreated::delete_token`](crate::api::ShareCreated::delete_token) is sent to
/// delete it.
pub(super) const DELETE_TOKEN: HeaderName = HeaderName::from_static("brig-delete-token");
