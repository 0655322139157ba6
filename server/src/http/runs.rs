//! `POST /v1/runs`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::app::App;
use super::body;
use super::error::Error;
use super::grounds::Grounds;
use super::openapi::ReadsJson;
use crate::api::{Encoding, RunRequest, RunResponse};
use crate::auth::Caller;
use crate::offload::offload;
use crate::run::{RunResult, answer, validate};

/// How soon to come again when this instance is about to end: another one takes its place.
pub(super) const RETRY_AFTER_DRAIN: Duration = Duration::from_secs(5);

/// What can be said in the query.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Forces the encoding of streams and files: with `base64` all of them are. `utf-8` is how they come anyway, where
    /// they can.
    encoding: Option<Encoding>,
}

impl Parameters {
    /// The encoding that the query asks for.
    pub(super) fn encoding(
        parameters: Result<Query<Self>, QueryRejection>,
    ) -> Result<Option<Encoding>, Error> {
        let Query(Self { encoding }) = parameters.map_err(|_| {
            Error::bad_request("the query can have `encoding`, which must be `base64` or `utf-8`")
        })?;
        Ok(encoding)
    }
}

/// Run a program once.
///
/// Compiles it if its language is compiled, runs it, and answers when it has ended. Closing the connection ends the run.
#[utoipa::path(
    post,
    path = "/v1/runs",
    tag = "Runs",
    operation_id = "createRun",
    params(Parameters),
    request_body = RunRequest,
    responses(
        (status = 200, description = "What became of the program, however badly it did.", body = RunResponse),
        ReadsJson,
    )
)]
// When the client goes away the future is dropped, and with it the run.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    parameters: Result<Query<Parameters>, QueryRejection>,
    request: Request,
) -> Result<Response, Error> {
    let encoding = Parameters::encoding(parameters)?;
    if app.is_draining() {
        return Err(Error::unavailable(
            "the service is draining",
            RETRY_AFTER_DRAIN,
        ));
    }
    let body::Json { parsed, share, raw } = body::read::<RunRequest>(&app, request).await?;
    let Some(request) = parsed.value else {
        return Err(Error::invalid(parsed.errors));
    };
    let grounds = Grounds::of(&app, &caller);
    let prepared = offload(raw.len(), move || {
        validate(request, &grounds.terms(), parsed.errors)
    })
    .await;
    let prepared = prepared.map_err(Error::invalid)?;
    let in_progress = caller.begin_run()?;
    let id = Uuid::now_v7();
    tracing::debug!(run = %id, language = prepared.sources.language.id, "run accepted");
    let result = app.engine.run(id, prepared).await?;
    drop((share, in_progress));
    log_finished(&result);
    let degraded = Arc::clone(&app);
    let body = offload(weight(&result), move || {
        serde_json::to_vec(&answer(result, &degraded.config.degraded, encoding))
    });
    match body.await {
        Ok(body) => Ok(([(CONTENT_TYPE, "application/json")], body).into_response()),
        Err(error) => {
            tracing::error!(run = %id, "an answer cannot be written: {error}");
            Err(Error::internal())
        }
    }
}

/// Writes the line that every run ends with.
pub(super) fn log_finished(result: &RunResult) {
    tracing::info!(
        run = %result.id,
        language = result.language.id,
        status = result.status.as_str(),
        total_us = u64::try_from(result.total.as_micros()).unwrap_or(u64::MAX),
        "run finished"
    );
}

/// How many bytes of the program's the answer has.
pub(super) fn weight(result: &RunResult) -> usize {
    let stages = [&result.compile, &result.run].into_iter().flatten();
    let outputs = stages.filter_map(|stage| stage.output.as_ref());
    let streams = outputs.map(|output| output.stdout.kept.len() + output.stderr.kept.len());
    streams
        .chain(result.output_files.iter().map(|(_, content)| content.len()))
        .sum()
}
