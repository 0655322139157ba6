//! `/v1/shares`: documents of the playground, kept under a link. Whoever knows a link may read what
//! it leads to, without a key; making one takes what running the program would.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use time::OffsetDateTime;

use super::app::App;
use super::body;
use super::error::Error;
use super::grounds::Grounds;
use super::headers::DELETE_TOKEN;
use super::openapi::ReadsJson;
use crate::api::{ShareCreated, ShareRequest};
use crate::auth::Caller;
use crate::offload::offload;
use crate::share::{self, Checked};
use crate::store::{NewShare, Remover};

type Id = Result<Path<String>, PathRejection>;

/// Keep a program under a link.
///
/// The same document of the same key is kept once.
#[utoipa::path(
    post,
    path = "/v1/shares",
    tag = "Shares",
    operation_id = "createShare",
    request_body = ShareRequest,
    responses(
        (status = 200, description = "It was kept already.", body = ShareCreated,
            headers(("Location" = String, description = "Where the document is."))),
        (status = 201, description = "It is kept.", body = ShareCreated,
            headers(("Location" = String, description = "Where the document is.")),
            links(
                ("show" = (operation_id = "showShare", parameters(("id" = "$response.body#/id")))),
                ("delete" = (operation_id = "deleteShare", parameters(("id" = "$response.body#/id")))),
            )),
        (status = 404, description = "This service makes no permalinks."),
        ReadsJson,
    )
)]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Error> {
    let config = app.config.config.shares;
    if !config.enabled {
        return Err(disabled());
    }
    let body::Json { parsed, share, raw } = body::read::<ShareRequest>(&app, request).await?;
    if raw.len() as u64 > config.max_share_bytes {
        return Err(Error::too_large(config.max_share_bytes));
    }
    let Some(request) = parsed.value else {
        return Err(Error::invalid(parsed.errors));
    };
    let (owner, grounds) = (caller.owner(), Grounds::of(&app, &caller));
    let checked = offload(raw.len(), move || {
        share::check(request, &raw, &grounds.terms(), &config, parsed.errors)
    });
    let Checked {
        document,
        hash,
        keep,
    } = checked.await.map_err(Error::invalid)?;
    // A key deletes what it made; where there are none, this does.
    let delete_token = owner.is_none().then(share::new_delete_token);
    let new = NewShare {
        id: share::new_id(),
        owner,
        hash,
        document,
        at: OffsetDateTime::now_utc(),
        keep,
        deletion: delete_token
            .as_ref()
            .map(|token| share::hash(token.as_bytes())),
        max_bytes: config.max_bytes,
    };
    let put = app.store.put_share(new).await?;
    drop(share);
    let status = if put.new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let location = [(LOCATION, format!("/v1/shares/{}", put.id))];
    let created = ShareCreated {
        url: format!("/s/{}", put.id),
        id: put.id,
        expires_at: put.expires,
        delete_token,
    };
    Ok((status, location, axum::Json(created)).into_response())
}

/// Show a program that is kept under a link.
///
/// Whoever knows the link may. It is kept anew from then.
#[utoipa::path(
    get,
    path = "/v1/shares/{id}",
    tag = "Shares",
    operation_id = "showShare",
    params(("id" = String, Path, description = "The document's id.", pattern = "^[0-9A-Za-z]{20}$")),
    responses(
        (status = 200, description = "The document, without `expires_in_s`, and without what was null.",
            body = serde_json::Value),
        (status = 404, description = "There is no such document, or no longer."),
        (status = 503, description = "The store does not answer."),
    )
)]
pub(super) async fn show(State(app): State<Arc<App>>, id: Id) -> Result<Response, Error> {
    let id = known(id)?;
    let now = OffsetDateTime::now_utc();
    let found = app
        .store
        .share(id.clone(), now)
        .await?
        .ok_or_else(unknown)?;
    let left = Duration::try_from(found.expires - now).unwrap_or_default();
    if share::is_worth_noting(left, found.keep) {
        app.store.share_used(id, now).await?;
    }
    Ok(([(CONTENT_TYPE, "application/json")], found.document).into_response())
}

/// Delete a program that is kept under a link.
#[utoipa::path(
    delete,
    path = "/v1/shares/{id}",
    tag = "Shares",
    operation_id = "deleteShare",
    params(
        ("id" = String, Path, description = "The document's id.", pattern = "^[0-9A-Za-z]{20}$"),
        ("Brig-Delete-Token" = Option<String>, Header,
            description = "The `delete_token` that the document came with; needed where there is no key."),
    ),
    responses(
        (status = 204, description = "It is gone."),
        (status = 400, description = "There is neither a key nor a `Brig-Delete-Token`."),
        (status = 404, description = "There is no such document, or no longer, or it is not the caller's to delete."),
    )
)]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: Id,
    headers: HeaderMap,
) -> Result<StatusCode, Error> {
    let id = known(id)?;
    let by = match (headers.get(DELETE_TOKEN), caller.owner()) {
        (Some(token), _) => Remover::Holder(share::hash(token.as_bytes())),
        (None, Some(_)) => Remover::Caller(caller.sees()),
        (None, None) => return Err(without_token()),
    };
    if app.store.remove_share(id, by).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(unknown())
    }
}

fn known(id: Id) -> Result<String, Error> {
    let Path(id) = id.map_err(|_| unknown())?;
    if share::is_id(&id) {
        Ok(id)
    } else {
        Err(unknown())
    }
}

pub(super) fn disabled() -> Error {
    Error::not_found("this service makes no permalinks")
}

pub(super) fn without_token() -> Error {
    let detail =
        "without a key this takes the document's delete_token, in a header Brig-Delete-Token";
    Error::bad_request(detail)
}

pub(super) fn unknown() -> Error {
    Error::not_found("there is no such document, or no longer, or it is not the caller's to delete")
}
