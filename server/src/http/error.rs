//! Errors as responses (RFC 9457). Their causes, where there are any, are logged where they arise;
//! what is here is for the client.

use std::time::Duration;

use axum::http::header::{
    CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::api::parse::NotJson;
use crate::api::{BadMessage, FieldError, Problem};
use crate::auth::Denied;
use crate::judge::Untaken;
use crate::run::Refused;
use crate::store::StoreError;

/// When to come again if the store fails: retention makes room, or the operator does.
const RETRY_AFTER_STORE: Duration = Duration::from_secs(5);

/// A request that is not answered as asked.
#[derive(Debug)]
pub(super) struct Error {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    /// What the client is asked to bring.
    challenge: Option<Challenge>,
    refusal: Option<Refusal>,
}

/// What `WWW-Authenticate` asks for (RFC 6750, section 3).
#[derive(Clone, Copy, Debug)]
enum Challenge {
    Key,
    OtherKey,
    MoreScope,
}

impl Challenge {
    fn text(self) -> &'static str {
        match self {
            Self::Key => "Bearer",
            Self::OtherKey => "Bearer error=\"invalid_token\"",
            Self::MoreScope => "Bearer error=\"insufficient_scope\"",
        }
    }
}

/// In the extensions of a response: the caller was turned away, for this reason.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal(pub(super) &'static str);

impl Error {
    fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            kind,
            title,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            challenge: None,
            refusal: None,
        }
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    pub(super) fn method_not_allowed() -> Self {
        let detail = "this resource does not take this method; see the Allow header";
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Method not allowed",
            detail,
        )
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-request",
            "Bad request",
            detail,
        )
    }

    pub(super) fn message_too_large(max_bytes: usize) -> Self {
        let detail = format!("the message is longer than the maximum of {max_bytes} bytes");
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self::new(status, "message-too-large", "Message too large", detail)
    }

    pub(super) fn start_too_slow(within: Duration) -> Self {
        let seconds = within.as_secs_f64();
        let detail = format!("the message start did not arrive within {seconds} s");
        let status = StatusCode::REQUEST_TIMEOUT;
        Self::new(status, "timeout", "Request timeout", detail)
    }

    pub(super) fn upgrade_required(detail: impl Into<String>) -> Self {
        let status = StatusCode::UPGRADE_REQUIRED;
        Self::new(status, "upgrade-required", "Upgrade required", detail)
    }

    pub(super) fn too_slow() -> Self {
        let detail = "the body did not arrive in time";
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            "Request timeout",
            detail,
        )
    }

    pub(super) fn too_large(max_bytes: u64) -> Self {
        let detail = format!("the body is longer than the maximum of {max_bytes} bytes");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "Body too large",
            detail,
        )
    }

    pub(super) fn unsupported_media_type() -> Self {
        let detail = "the body must be JSON, with content type application/json";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(
            status,
            "unsupported-media-type",
            "Unsupported media type",
            detail,
        )
    }

    pub(super) fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [only] if only.pointer.is_empty() => only.detail.clone(),
            [only] => format!("{}: {}", only.pointer, only.detail),
            all => format!("{} fields are invalid; see errors", all.len()),
        };
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self {
            errors,
            ..Self::new(status, "invalid-request", "Invalid request", detail)
        }
    }

    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "Conflict", detail)
    }

    pub(super) fn too_many(detail: impl Into<String>, retry_after: Duration) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let error = Self::new(status, "too-many-requests", "Too many requests", detail);
        Self {
            retry_after: Some(retry_after),
            ..error
        }
    }

    pub(super) fn unsupported_encoding() -> Self {
        let detail = "the body must come as it is, without a Content-Encoding";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(
            status,
            "unsupported-encoding",
            "Unsupported content encoding",
            detail,
        )
    }

    pub(super) fn insufficient_storage(detail: impl Into<String>) -> Self {
        let status = StatusCode::INSUFFICIENT_STORAGE;
        Self::new(
            status,
            "insufficient-storage",
            "Insufficient storage",
            detail,
        )
    }

    pub(super) fn hash_mismatch(detail: impl Into<String>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(status, "hash-mismatch", "Hash mismatch", detail)
    }

    pub(super) fn unsatisfiable_range() -> Self {
        let status = StatusCode::RANGE_NOT_SATISFIABLE;
        let detail = "the blob has nothing in this range";
        Self::new(status, "range", "Range not satisfiable", detail)
    }

    /// Whether Brig is at fault.
    pub(super) fn is_internal(&self) -> bool {
        self.status.is_server_error()
    }

    pub(super) fn unavailable(detail: impl Into<String>, retry_after: Duration) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let error = Self::new(status, "unavailable", "Service unavailable", detail);
        Self {
            retry_after: Some(retry_after),
            ..error
        }
    }

    pub(super) fn store_unavailable() -> Self {
        Self::unavailable("the store is not available", RETRY_AFTER_STORE)
    }

    pub(super) fn internal() -> Self {
        let detail = "the service failed; the log has the cause under this request's id";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal error",
            detail,
        )
    }
}

impl From<NotJson> for Error {
    fn from(error: NotJson) -> Self {
        let detail = format!("the body is not JSON: {error}");
        Self::new(StatusCode::BAD_REQUEST, "not-json", "Not JSON", detail)
    }
}

impl From<BadMessage> for Error {
    fn from(bad: BadMessage) -> Self {
        match bad {
            BadMessage::Invalid(errors) => Self::invalid(errors),
            BadMessage::NotJson(error) => {
                let detail = format!("the message is not JSON: {error}");
                Self::new(StatusCode::BAD_REQUEST, "not-json", "Not JSON", detail)
            }
        }
    }
}

impl From<Untaken> for Error {
    fn from(untaken: Untaken) -> Self {
        let detail = untaken.to_string();
        match untaken {
            Untaken::Full { retry_after } => Self::unavailable(detail, retry_after),
            Untaken::OwnerFull { retry_after } => Self::too_many(detail, retry_after),
            Untaken::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::BadCursor => Self::bad_request("the cursor is not one of this list"),
            StoreError::Full => Self::unavailable("the store is full", RETRY_AFTER_STORE),
            StoreError::Unavailable { cause } => {
                tracing::error!("the store is not available: {cause}");
                Self::store_unavailable()
            }
            StoreError::Corrupt { cause } => {
                tracing::error!("the store is damaged: {cause}");
                Self::internal()
            }
        }
    }
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        let (status, kind, title) = match denied {
            Denied::Missing
            | Denied::Malformed(_)
            | Denied::Unknown
            | Denied::Revoked
            | Denied::Expired => (StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized"),
            Denied::Foreign { .. } | Denied::Scope { .. } => {
                (StatusCode::FORBIDDEN, "forbidden", "Forbidden")
            }
            Denied::Rate { .. } | Denied::Concurrency { .. } | Denied::Queue { .. } => {
                let status = StatusCode::TOO_MANY_REQUESTS;
                (status, "too-many-requests", "Too many requests")
            }
            Denied::Unreadable => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                (status, "unavailable", "Service unavailable")
            }
        };
        let challenge = match denied {
            Denied::Missing => Some(Challenge::Key),
            Denied::Scope { .. } => Some(Challenge::MoreScope),
            _ if status == StatusCode::UNAUTHORIZED => Some(Challenge::OtherKey),
            _ => None,
        };
        Self {
            retry_after: denied.retry_after(),
            challenge,
            refusal: Some(Refusal(denied.label())),
            ..Self::new(status, kind, title, denied.to_string())
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        let (Refused::Full { retry_after } | Refused::TooLong { retry_after }) = refused;
        Self::unavailable(refused.to_string(), retry_after)
    }
}

impl Error {
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// When to come again, if that helps.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The same in whole seconds, as the header counts it.
    pub(super) fn retry_after_seconds(&self) -> Option<u64> {
        let wait = self.retry_after?;
        let begun = u64::from(wait.subsec_nanos() > 0);
        Some(wait.as_secs().saturating_add(begun))
    }

    /// What `WWW-Authenticate` says, if it is there.
    pub(super) fn challenge(&self) -> Option<&'static str> {
        self.challenge.map(Challenge::text)
    }

    /// What its body says.
    pub(super) fn problem(&self) -> Problem {
        Problem {
            kind: format!("urn:brig:problem:{}", self.kind),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            errors: self.errors.clone(),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(mut self) -> Response {
        let (status, retry_after) = (self.status, self.retry_after_seconds());
        let (challenge, refusal) = (self.challenge(), self.refusal.take());
        let problem = self.problem();
        let mut response = (status, axum::Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UPGRADE_REQUIRED {
            // What can be upgraded to (RFC 9110, section 15.5.22), and in which version (RFC 6455, section 4.4).
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        if let Some(challenge) = challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(refusal) = refusal {
            response.extensions_mut().insert(refusal);
        }
        response
    }
}
