//! Errors as responses (RFC 9457). Their causes, where there are any, are logged where they arise;
//! what is here is for the client.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::api::parse::NotJson;
use crate::api::{FieldError, Problem};
use crate::run::Refused;

/// A request that is not answered as asked.
#[derive(Debug)]
pub(super) struct Error {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
}

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

    pub(super) fn unavailable(detail: impl Into<String>, retry_after: Duration) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let error = Self::new(status, "unavailable", "Service unavailable", detail);
        Self {
            retry_after: Some(retry_after),
            ..error
        }
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

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        let (Refused::Full { retry_after } | Refused::TooLong { retry_after }) = refused;
        Self::unavailable(refused.to_string(), retry_after)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: format!("urn:brig:problem:{}", self.kind),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            errors: self.errors,
        };
        let mut response = (self.status, axum::Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(wait) = self.retry_after {
            // The header counts whole seconds.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
