//! `PUT /v1/blobs/{hash}`, `POST /v1/blobs`, `GET`, `HEAD` and `DELETE /v1/blobs/{hash}`.
//!
//! Statuses of an upload that does not fit: 413 when the blob itself is above the maximum, which
//! no other time will change (RFC 9110, section 15.5.14); 507 when the owner's quota or the disk is
//! used up, which deleting other blobs changes (RFC 4918, section 11.5; RFC 4331, section 6).

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, LOCATION};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};
use utoipa::IntoResponses;

use super::app::App;
use super::download;
use super::error::Error;
use crate::api::{BlobEntry, FieldError};
use crate::auth::{Caller, Scope};
use crate::blob::{BlobHash, Deleted, Upload, UploadError, Uploaded};
use crate::store::Owner;

/// How soon to come again when there are too many uploads.
const RETRY_AFTER_BUSY: Duration = Duration::from_secs(2);
/// How soon to come again when this instance is about to end: another one takes its place.
const RETRY_AFTER_DRAIN: Duration = Duration::from_secs(5);

type Name = Result<Path<String>, PathRejection>;

/// The refusals of an upload.
#[derive(IntoResponses)]
#[allow(dead_code)] // for the description
enum ReadsBlob {
    /// `Content-Range` is not supported, or the body broke off.
    #[response(status = 400)]
    InPart,
    /// The body did not arrive in time.
    #[response(status = 408)]
    TooSlow,
    /// The blob is larger than any blob may be (`blobs.max_blob_bytes`).
    #[response(status = 413)]
    TooLarge,
    /// The body has a `Content-Encoding`.
    #[response(status = 415)]
    Encoded,
    /// This key's quota, or the disk, is used up.
    #[response(status = 507)]
    NoRoom,
}

/// Upload a blob under a hash that is known.
///
/// The body is the blob as it is; that its hash is the one in the path is checked. Uploading what is there already does no
/// harm.
#[utoipa::path(
    put,
    path = "/v1/blobs/{hash}",
    tag = "Blobs",
    operation_id = "putBlob",
    params(("hash" = BlobHash, Path, description = "The blob's name.")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The blob."),
    responses(
        (status = 200, description = "It was there.", body = BlobEntry,
            headers(("Location" = String, description = "Where the blob is."))),
        (status = 201, description = "It is stored.", body = BlobEntry,
            headers(("Location" = String, description = "Where the blob is."))),
        (status = 422, description = "The path has no hash, or the body's hash is another."),
        ReadsBlob,
    )
)]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    caller: Caller,
    name: Name,
    request: Request,
) -> Result<Response, Error> {
    caller.require(Scope::Judge)?;
    let expected = hash(name).map_err(|detail| {
        let pointer = String::new();
        Error::invalid(vec![FieldError { pointer, detail }])
    });
    receive(&app, caller.owner(), Some(expected?), request).await
}

/// Upload a blob.
///
/// The body is the blob as it is; the answer has its hash.
#[utoipa::path(
    post,
    path = "/v1/blobs",
    tag = "Blobs",
    operation_id = "createBlob",
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The blob."),
    responses(
        (status = 200, description = "It was there.", body = BlobEntry,
            headers(("Location" = String, description = "Where the blob is."))),
        (status = 201, description = "It is stored.", body = BlobEntry,
            headers(("Location" = String, description = "Where the blob is.")),
            links(
                ("get" = (operation_id = "getBlob", parameters(("hash" = "$response.body#/hash")))),
                ("head" = (operation_id = "headBlob", parameters(("hash" = "$response.body#/hash")))),
                ("delete" = (operation_id = "deleteBlob", parameters(("hash" = "$response.body#/hash")))),
            )),
        ReadsBlob,
    )
)]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Error> {
    caller.require(Scope::Judge)?;
    receive(&app, caller.owner(), None, request).await
}

/// Download a blob, or a part of it.
#[utoipa::path(
    get,
    path = "/v1/blobs/{hash}",
    tag = "Blobs",
    operation_id = "getBlob",
    params(
        ("hash" = BlobHash, Path, description = "The blob's name."),
        ("Range" = Option<String>, Header, example = "bytes=0-99",
            description = "One range of bytes (RFC 9110); several, or something else, is ignored."),
        ("If-Range" = Option<String>, Header,
            description = "The `ETag` that the blob must have for `Range` to count."),
    ),
    responses(
        (status = 200, description = "The blob.", body = Vec<u8>, content_type = "application/octet-stream",
            headers(
                ("ETag" = String, description = "The blob's name in quotes."),
                ("Accept-Ranges" = String, description = "`bytes`."),
            )),
        (status = 206, description = "The part of the blob that `Range` names.", body = Vec<u8>,
            content_type = "application/octet-stream",
            headers(
                ("ETag" = String, description = "The blob's name in quotes."),
                ("Accept-Ranges" = String, description = "`bytes`."),
                ("Content-Range" = String, description = "Which part it is."),
            )),
        (status = 404, description = "There is no such blob, or it is not this key's."),
        (status = 416, description = "The blob has nothing in this range.",
            headers(("Content-Range" = String, description = "How long the blob is."))),
    )
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    caller: Caller,
    name: Name,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Error> {
    caller.require(Scope::Judge)?;
    let hash = hash(name).map_err(Error::not_found)?;
    let blob = app.blobs.open_for(caller.owner(), hash).await;
    let blob = blob.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => unknown(),
        _ => failed(&error),
    })?;
    download::blob(blob, hash, &method, &headers).map_err(|error| failed(&error))
}

/// Ask whether there is a blob, and how large it is.
#[utoipa::path(
    head,
    path = "/v1/blobs/{hash}",
    tag = "Blobs",
    operation_id = "headBlob",
    params(("hash" = BlobHash, Path, description = "The blob's name.")),
    responses(
        (status = 200, description = "There is.",
            headers(
                ("ETag" = String, description = "The blob's name in quotes."),
                ("Content-Length" = u64, description = "Its length, in bytes."),
            )),
        (status = 404, description = "There is no such blob, or it is not this key's."),
    )
)]
pub(super) async fn head(
    app: State<Arc<App>>,
    caller: Caller,
    name: Name,
    headers: HeaderMap,
) -> Result<Response, Error> {
    get(app, caller, name, Method::HEAD, headers).await
}

/// Delete a blob.
#[utoipa::path(
    delete,
    path = "/v1/blobs/{hash}",
    tag = "Blobs",
    operation_id = "deleteBlob",
    params(("hash" = BlobHash, Path, description = "The blob's name.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "There is no such blob, or it is not this key's."),
        (status = 409, description = "An upload or a submission without a result needs it."),
    )
)]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    name: Name,
) -> Result<StatusCode, Error> {
    caller.require(Scope::Judge)?;
    let hash = hash(name).map_err(Error::not_found)?;
    match app.blobs.delete(caller.owner(), hash).await {
        Ok(Deleted::Gone) => Ok(StatusCode::NO_CONTENT),
        Ok(Deleted::Unknown) => Err(unknown()),
        Ok(Deleted::Pinned) => Err(pinned()),
        Err(error) => Err(failed(&error)),
    }
}

fn hash(name: Name) -> Result<BlobHash, String> {
    let Path(name) = name.map_err(|_| "the path is not UTF-8".to_owned())?;
    name.parse::<BlobHash>().map_err(|error| error.to_string())
}

pub(super) fn unknown() -> Error {
    Error::not_found("there is no such blob")
}

pub(super) fn pinned() -> Error {
    Error::conflict("the blob is needed by an upload or a submission that is not finished")
}

pub(super) fn in_part() -> Error {
    Error::bad_request("a blob is uploaded as a whole")
}

fn failed(error: &std::io::Error) -> Error {
    tracing::error!("a blob cannot be reached: {error}");
    Error::internal()
}

async fn receive(
    app: &App,
    owner: Owner,
    expected: Option<BlobHash>,
    request: Request,
) -> Result<Response, Error> {
    let upload = accept(app, owner, expected, request.headers()).await?;
    let received = take(app, upload, request.into_body()).await;
    let result = match &received {
        Ok(Uploaded { new: true, .. }) => "stored",
        Ok(_) => "known",
        Err(error) if error.is_internal() => "failed",
        Err(_) => "refused",
    };
    app.metrics.blobs.uploaded(result);
    let Uploaded { hash, bytes, new } = received?;
    let status = if new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let location = [(LOCATION, format!("/v1/blobs/{hash}"))];
    Ok((status, location, Json(BlobEntry { hash, bytes })).into_response())
}

/// Decides by the head alone.
async fn accept(
    app: &App,
    owner: Owner,
    expected: Option<BlobHash>,
    headers: &HeaderMap,
) -> Result<Upload, Error> {
    if app.is_draining() {
        let detail = "the service is draining";
        return Err(Error::unavailable(detail, RETRY_AFTER_DRAIN));
    }
    let encoding = headers.get(CONTENT_ENCODING);
    if encoding.is_some_and(|e| !e.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Error::unsupported_encoding());
    }
    // RFC 9110, section 14.4.
    if headers.contains_key(CONTENT_RANGE) {
        return Err(in_part());
    }
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    Ok(app.blobs.upload(owner, expected, length).await?)
}

async fn take(app: &App, mut upload: Upload, mut body: Body) -> Result<Uploaded, Error> {
    let mut pace = Pace::new(app);
    loop {
        let frame = timeout_at(pace.deadline(), body.frame()).await;
        let Some(frame) = frame.map_err(|_| Error::too_slow())? else {
            break;
        };
        // The client went away or broke the framing; there is hardly anybody to tell.
        let frame = frame.map_err(|_| Error::bad_request("the body broke off"))?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        app.metrics.blobs.received(piece.len());
        pace.received_bytes += piece.len() as u64;
        upload.write(&piece).await?;
    }
    Ok(upload.finish().await?)
}

/// How slow a body may come: no pause is longer than `patience`, and beyond that the average is at
/// least `bytes_per_second`.
struct Pace {
    begun: Instant,
    patience: Duration,
    bytes_per_second: u64,
    received_bytes: u64,
}

impl Pace {
    fn new(app: &App) -> Self {
        let config = &app.config.config;
        Self {
            begun: Instant::now(),
            patience: config.http.body_timeout(),
            bytes_per_second: config.blobs.min_upload_bytes_per_second.max(1),
            received_bytes: 0,
        }
    }

    /// When the next piece must be there.
    fn deadline(&self) -> Instant {
        let earned = Duration::from_secs(self.received_bytes / self.bytes_per_second);
        (Instant::now() + self.patience).min(self.begun + self.patience + earned)
    }
}

impl From<UploadError> for Error {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::TooLarge { max_bytes } => Self::too_large(max_bytes),
            UploadError::OverQuota { .. } | UploadError::Full => {
                Self::insufficient_storage(error.to_string())
            }
            UploadError::Busy => Self::unavailable(error.to_string(), RETRY_AFTER_BUSY),
            UploadError::Mismatch { .. } => Self::hash_mismatch(error.to_string()),
            UploadError::Store(error) => error.into(),
            UploadError::Io(error) => failed(&error),
        }
    }
}
