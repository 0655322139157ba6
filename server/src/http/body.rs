//! Reading a request's JSON body: bounded in size, in time, and in memory over all requests.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::app::{App, BODY_UNIT_BYTES};
use super::error::Error;
use crate::api::parse::{Parsed, parse};
use crate::offload::offload;

/// How soon to come again when the memory for bodies is used up.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A parsed body, and its share of the memory for bodies; keep it for as long as what was parsed.
pub(super) struct Json<T> {
    pub(super) parsed: Parsed<T>,
    pub(super) share: OwnedSemaphorePermit,
    /// The body as it came.
    pub(super) raw: Bytes,
}

/// Reads the body of `request` as an object of type `T`.
pub(super) async fn read<T>(app: &App, request: Request) -> Result<Json<T>, Error>
where
    T: DeserializeOwned + Send + 'static,
{
    let (raw, share) = read_raw(app, request).await?;
    let text = raw.clone();
    let parsed = offload(raw.len(), move || parse(&text)).await?;
    Ok(Json { parsed, share, raw })
}

/// Reads the body of `request`, and takes its share of the memory for bodies.
pub(super) async fn read_raw(
    app: &App,
    request: Request,
) -> Result<(Bytes, OwnedSemaphorePermit), Error> {
    let share = accept(app, request.headers())?;
    Ok((collect(app, request.into_body()).await?, share))
}

/// Decides by the head alone.
fn accept(app: &App, headers: &HeaderMap) -> Result<OwnedSemaphorePermit, Error> {
    if !is_json(headers) {
        return Err(Error::unsupported_media_type());
    }
    let max = app.config.config.http.max_body_bytes;
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > max) {
        return Err(Error::too_large(max));
    }
    share(app, length.unwrap_or(max))
}

/// A share of the memory for bodies.
pub(super) fn share(app: &App, bytes: u64) -> Result<OwnedSemaphorePermit, Error> {
    let units = bytes.div_ceil(BODY_UNIT_BYTES);
    let units = u32::try_from(units).unwrap_or(u32::MAX);
    app.bodies
        .clone()
        .try_acquire_many_owned(units)
        .map_err(|_| Error::unavailable("too many large requests are in progress", RETRY_AFTER))
}

/// `application/json`, or a more special kind of JSON, with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(CONTENT_TYPE).map(|v| v.to_str()) else {
        return false;
    };
    let kind = value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

async fn collect(app: &App, body: Body) -> Result<Bytes, Error> {
    let http = &app.config.config.http;
    let max = usize::try_from(http.max_body_bytes).unwrap_or(usize::MAX);
    let read = Limited::new(body, max).collect();
    match timeout(http.body_timeout(), read).await {
        Err(_) => Err(Error::too_slow()),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Error::too_large(http.max_body_bytes))
        }
        // The client went away or broke the framing; there is hardly anybody to tell.
        Ok(Err(_)) => Err(Error::bad_request("the body broke off")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_json() {
        let is = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, value.parse().unwrap());
            is_json(&headers)
        };
        assert!(is("application/json") && is("Application/JSON; charset=utf-8"));
        assert!(is("application/vnd.x+json"));
        assert!(!is("text/plain") && !is("application/jsonx") && !is(""));
        assert!(!is_json(&HeaderMap::new()));
    }
}
