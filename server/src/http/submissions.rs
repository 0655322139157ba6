//! `/v1/submissions`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::app::App;
use super::body;
use super::error::Error;
use super::headers::{IDEMPOTENCY_KEY, PREFER};
use super::openapi::ReadsJson;
use super::runs::RETRY_AFTER_DRAIN;
use crate::api::parse::{Parsed, parse};
use crate::api::{
    Accepted, BatchItem, BatchRequest, BatchResponse, FieldError, SUMMARY_LACKS, Submission,
    SubmissionList, SubmissionRequest, SubmissionState,
};
use crate::auth::Caller;
use crate::blob::PinError;
use crate::judge::task::Data;
use crate::judge::{Cancelled, New, Taken};
use crate::offload::offload;
use crate::store::{Idempotency, ListQuery, StoredState};

/// The longest that a request waits for a result.
const MAX_WAIT: Duration = Duration::from_mins(1);
/// The longest idempotency key.
const MAX_KEY_BYTES: usize = 255;
/// Submissions of a page of a list.
const PAGE: std::ops::RangeInclusive<u32> = 1..=100;
/// The same without `limit`.
const USUAL_PAGE: u32 = 20;

/// What can be said in the query of `POST`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Waiting {
    /// Whether to wait for the result, a minute at most, and answer with it.
    #[serde(default)]
    wait: bool,
}

/// What can be said in the query of `GET`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Listing {
    /// Only those in this state; all without it.
    state: Option<Listed>,
    /// Where the page begins: the `next` of the page before.
    cursor: Option<String>,
    /// How many there are on a page, 20 without it.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// Where submissions stand: `queued`, they have no result yet, whether they wait or are being judged; `finished`;
/// `cancelled`.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Listed {
    Queued,
    Finished,
    Cancelled,
}

pub(super) type Id = Result<Path<Uuid>, PathRejection>;

/// Judge a program against tests.
///
/// Compiles it once and runs every test in a sandbox of its own. The submission is stored before this answers, and is
/// judged whatever happens to the service then. With `wait`, or with `Prefer: wait=SECONDS`, the answer is the result, if
/// there is one in time.
#[utoipa::path(
    post,
    path = "/v1/submissions",
    tag = "Submissions",
    operation_id = "createSubmission",
    params(
        Waiting,
        ("Prefer" = Option<String>, Header,
            description = "`wait=SECONDS`, at most 60: how long to wait for the result (RFC 7240).", example = "wait=30"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[ -~]+$",
            description = "The same key and body is the same submission, for as long as that is kept; the same key with \
            another body is refused. Keys are each API key's own."),
    ),
    request_body = SubmissionRequest,
    responses(
        (status = 200, description = "The submission with its result, which there was in time.", body = Submission,
            headers(("Location" = String, description = "Where the submission is.")),
            links(
                ("show" = (operation_id = "showSubmission", parameters(("id" = "$response.body#/id")))),
                ("events" = (operation_id = "followSubmission", parameters(("id" = "$response.body#/id")))),
            )),
        (status = 202, description = "The submission is stored and will be judged.", body = Accepted,
            headers(("Location" = String, description = "Where the submission is.")),
            links(
                ("show" = (operation_id = "showSubmission", parameters(("id" = "$response.body#/id")))),
                ("events" = (operation_id = "followSubmission", parameters(("id" = "$response.body#/id")))),
                ("cancel" = (operation_id = "cancelSubmission", parameters(("id" = "$response.body#/id")))),
            )),
        (status = 409, description = "The `Idempotency-Key` came before with another body."),
        ReadsJson,
    )
)]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    query: Result<Query<Waiting>, QueryRejection>,
    request: Request,
) -> Result<Response, Error> {
    let Query(query) = query.map_err(|_| {
        Error::bad_request("the query can have `wait`, which must be `true` or `false`")
    })?;
    let wait = wait(&query, request.headers());
    let key = idempotency_key(request.headers())?;
    let body::Json { parsed, share, raw } = receive::<SubmissionRequest>(&app, request).await?;
    let text = std::str::from_utf8(&raw).map(str::to_owned);
    let text = text.ok().and_then(|text| RawValue::from_string(text).ok());
    let text = text.ok_or_else(|| Error::bad_request("the body is not JSON"))?;
    drop(raw);
    let task = checked(&app, &caller, parsed, text, key).await?;
    let (owner, bound) = (caller.owner(), caller.queue_bound());
    let taken = app.judging.accept(owner, bound, vec![task]).await?;
    drop(share);
    let id = match taken.first() {
        Some(Taken::Accepted(id)) => *id,
        _ => return Err(reused_key()),
    };
    tracing::debug!(submission = %id, "submission accepted");
    let location = [(LOCATION, format!("/v1/submissions/{id}"))];
    if let Some(wait) = wait {
        let document = app.judging.wait(caller.sees(), id, wait).await?;
        if let Some(document) = document.filter(|document| is_over(document)) {
            let json = [(CONTENT_TYPE, "application/json")];
            return Ok((StatusCode::OK, location, json, document).into_response());
        }
    }
    let accepted = axum::Json(Accepted {
        id,
        state: SubmissionState::Queued,
    });
    Ok((StatusCode::ACCEPTED, location, accepted).into_response())
}

/// Judge several programs, each for itself.
///
/// Each is answered as it would be alone; those accepted are stored together. With an `Idempotency-Key`, an item's key is
/// this and its place in the list.
#[utoipa::path(
    post,
    path = "/v1/submissions/batch",
    tag = "Submissions",
    operation_id = "createSubmissions",
    params(
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[ -~]+$",
            description = "As for a single submission, for each item with its place."),
    ),
    request_body = BatchRequest,
    responses(
        (status = 200, description = "What became of each.", body = BatchResponse),
        ReadsJson,
    )
)]
pub(super) async fn batch(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Error> {
    let key = idempotency_key(request.headers())?;
    let (raw, share) = body::read_raw(&app, request).await?;
    refuse_when_draining(&app)?;
    let batch: BatchRequest = serde_json::from_slice(&raw).map_err(|error| {
        if error.is_data() {
            Error::invalid(vec![FieldError::new("/submissions", error.to_string())])
        } else {
            Error::bad_request(format!("the body is not JSON: {error}"))
        }
    })?;
    let max = app.judging.config().max_batch;
    let count = batch.submissions.len();
    if count == 0 || count > max {
        let detail = format!("{count} submissions; there must be 1 to {max}");
        return Err(Error::invalid(vec![FieldError::new(
            "/submissions",
            detail,
        )]));
    }
    caller.charge(u32::try_from(count - 1).unwrap_or(u32::MAX));
    let mut items: Vec<Option<BatchItem>> = Vec::with_capacity(count);
    let mut tasks = Vec::with_capacity(count);
    for (index, text) in batch.submissions.into_iter().enumerate() {
        let key = key.as_ref().map(|key| format!("{key}/{index}"));
        let one = match parse::<SubmissionRequest>(text.get().as_bytes()) {
            Ok(parsed) => checked(&app, &caller, parsed, text, key).await,
            Err(error) => Err(error.into()),
        };
        match one {
            Ok(task) => {
                tasks.push(task);
                items.push(None);
            }
            Err(error) => items.push(Some(refused(error))),
        }
    }
    let (owner, bound) = (caller.owner(), caller.queue_bound());
    let mut taken = app.judging.accept(owner, bound, tasks).await?.into_iter();
    drop(share);
    let items = items.into_iter().map(|item| {
        item.unwrap_or_else(|| match taken.next() {
            Some(Taken::Accepted(id)) => BatchItem::Accepted {
                status: StatusCode::ACCEPTED.as_u16(),
                id,
                state: SubmissionState::Queued,
            },
            _ => refused(reused_key()),
        })
    });
    let submissions = items.collect();
    Ok(axum::Json(BatchResponse { submissions }).into_response())
}

/// Show a submission as it stands.
#[utoipa::path(
    get,
    path = "/v1/submissions/{id}",
    tag = "Submissions",
    operation_id = "showSubmission",
    params(("id" = Uuid, Path, description = "The submission's id.")),
    responses(
        (status = 200, description = "The submission.", body = Submission),
        (status = 404, description = "There is no such submission, or it is not this key's."),
    )
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: Id,
) -> Result<Response, Error> {
    let id = known(id)?;
    let document = app.judging.show(caller.sees(), id).await?;
    let document = document.ok_or_else(unknown)?;
    Ok(([(CONTENT_TYPE, "application/json")], document).into_response())
}

/// Cancel a submission.
///
/// What ran of it is dead when this answers.
#[utoipa::path(
    delete,
    path = "/v1/submissions/{id}",
    tag = "Submissions",
    operation_id = "cancelSubmission",
    params(("id" = Uuid, Path, description = "The submission's id.")),
    responses(
        (status = 200, description = "The submission, cancelled.", body = Submission),
        (status = 404, description = "There is no such submission, or it is not this key's."),
        (status = 409, description = "The submission has its result already."),
    )
)]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: Id,
) -> Result<Response, Error> {
    let id = known(id)?;
    match app.judging.cancel(caller.sees(), id).await? {
        Cancelled::Now(document) => {
            Ok(([(CONTENT_TYPE, "application/json")], document).into_response())
        }
        Cancelled::TooLate => Err(too_late()),
        Cancelled::Unknown => Err(unknown()),
    }
}

/// List submissions, newest first, without their tests.
///
/// Those of the key that asks; of all keys if it has the scope `admin`.
#[utoipa::path(
    get,
    path = "/v1/submissions",
    tag = "Submissions",
    operation_id = "listSubmissions",
    params(Listing),
    responses(
        (status = 200, description = "A page of the list.", body = SubmissionList),
        (status = 400, description = "The query is malformed, or the cursor is not one of this list."),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    query: Result<Query<Listing>, QueryRejection>,
) -> Result<Response, Error> {
    let Query(query) = query.map_err(|_| {
        Error::bad_request(
            "the query can have `state`, which must be `queued` (no result yet), `finished` or `cancelled`, `cursor`, and `limit`, a number",
        )
    })?;
    let limit = query.limit.unwrap_or(USUAL_PAGE);
    if !PAGE.contains(&limit) {
        let (least, most) = (PAGE.start(), PAGE.end());
        let detail = format!("the query's `limit` must be {least} to {most}");
        return Err(Error::bad_request(detail));
    }
    let page = app.judging.list(ListQuery {
        whose: caller.sees(),
        state: query.state.map(|state| match state {
            Listed::Queued => StoredState::Queued,
            Listed::Finished => StoredState::Finished,
            Listed::Cancelled => StoredState::Cancelled,
        }),
        cursor: query.cursor,
        limit,
    });
    let page = page.await?;
    let mut submissions = Vec::with_capacity(page.items.len());
    for item in page.items {
        let shown = match item.state {
            StoredState::Queued => app.judging.show(caller.sees(), item.id).await?,
            _ => None,
        };
        submissions.push(summary(&shown.unwrap_or(item.document)));
    }
    let next = page.next;
    Ok(axum::Json(SubmissionList { submissions, next }).into_response())
}

type Fields = BTreeMap<String, Box<RawValue>>;

/// A submission without what is long.
fn summary(document: &[u8]) -> Fields {
    let mut fields: Fields = serde_json::from_slice(document).unwrap_or_default();
    fields.retain(|name, _| !SUMMARY_LACKS.contains(&name.as_str()));
    fields
}

async fn receive<T>(app: &App, request: Request) -> Result<body::Json<T>, Error>
where
    T: serde::de::DeserializeOwned + Send + 'static,
{
    let read = body::read::<T>(app, request).await?;
    refuse_when_draining(app)?;
    Ok(read)
}

fn refuse_when_draining(app: &App) -> Result<(), Error> {
    if app.is_draining() {
        let detail = "the service is draining";
        return Err(Error::unavailable(detail, RETRY_AFTER_DRAIN));
    }
    Ok(())
}

/// A submission that can be accepted.
async fn checked(
    app: &Arc<App>,
    caller: &Caller,
    parsed: Parsed<SubmissionRequest>,
    request: Box<RawValue>,
    key: Option<String>,
) -> Result<New, Error> {
    let Some(value) = parsed.value else {
        return Err(Error::invalid(parsed.errors));
    };
    let judging = app.judging.clone();
    let owner = caller.owner();
    let maxima = caller.maxima().copied().unwrap_or_default();
    let check = move || judging.check(owner, maxima, value, parsed.errors);
    let task = offload(request.get().len(), check)
        .await
        .map_err(Error::invalid)?;
    let pin = app.blobs.pin(owner, task.blobs()).await;
    match pin {
        Ok(_) => {}
        Err(PinError::Store(error)) => return Err(error.into()),
        Err(PinError::Missing(missing)) => {
            let gone = |data: &Data| matches!(data, Data::Blob(hash) if missing.contains(hash));
            let mut errors = Vec::new();
            for (index, test) in task.tests.iter().enumerate() {
                for (name, data) in [("stdin", &test.stdin), ("expected_output", &test.expected)] {
                    if gone(data) {
                        let pointer = format!("/tests/{index}/{name}_blob");
                        errors.push(FieldError::new(
                            pointer,
                            "there is no such blob; upload it first",
                        ));
                    }
                }
            }
            return Err(Error::invalid(errors));
        }
    }
    let idempotency = key.map(|key| Idempotency {
        key,
        body_sha256: Sha256::digest(request.get()).into(),
    });
    Ok(New {
        request,
        maxima,
        task,
        idempotency,
    })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let key = value.to_str().ok();
    let key = key.filter(|key| (1..=MAX_KEY_BYTES).contains(&key.len()));
    let wrong = || {
        let detail =
            format!("Idempotency-Key must be 1 to {MAX_KEY_BYTES} printable ASCII characters");
        Error::bad_request(detail)
    };
    key.map(|key| Some(key.to_owned())).ok_or_else(wrong)
}

/// How long to wait for the result: `?wait=true`, or `Prefer: wait=SECONDS` (RFC 7240).
fn wait(query: &Waiting, headers: &HeaderMap) -> Option<Duration> {
    if query.wait {
        return Some(MAX_WAIT);
    }
    let preferences = headers.get_all(PREFER).iter();
    let preferences = preferences.filter_map(|value| value.to_str().ok());
    let mut each = preferences.flat_map(|value| value.split([',', ';']));
    let seconds = each.find_map(|one| {
        let (name, value) = one.split_once('=')?;
        let wanted = name.trim().eq_ignore_ascii_case("wait");
        wanted.then(|| value.trim().trim_matches('"').parse().ok())?
    });
    seconds.map(|seconds| Duration::from_secs(seconds).min(MAX_WAIT))
}

fn is_over(document: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Stands {
        state: SubmissionState,
    }
    let stands = serde_json::from_slice::<Stands>(document);
    stands.is_ok_and(|s| {
        matches!(
            s.state,
            SubmissionState::Finished | SubmissionState::Cancelled
        )
    })
}

fn refused(error: Error) -> BatchItem {
    let error = error.problem();
    BatchItem::Refused {
        status: error.status,
        error,
    }
}

pub(super) fn too_late() -> Error {
    Error::conflict("the submission has its result already")
}

pub(super) fn reused_key() -> Error {
    Error::conflict("this Idempotency-Key came before with another body")
}

pub(super) fn known(id: Id) -> Result<Uuid, Error> {
    id.map(|Path(id)| id).map_err(|_| unknown())
}

pub(super) fn unknown() -> Error {
    Error::not_found("there is no such submission")
}
