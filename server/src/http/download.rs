//! A blob as a response, whole or in part.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use tokio::task::spawn_blocking;

use super::error::Error;
use crate::blob::BlobHash;

/// What is read at once, and in memory for each download.
const PIECE_BYTES: u64 = 64 << 10;

/// What a request wants of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part(Range<u64>),
    /// A part that it does not have.
    Nothing,
}

/// The blob in `file`, as the request's headers want it.
pub(super) fn blob(
    file: OwnedFd,
    hash: BlobHash,
    method: &Method,
    headers: &HeaderMap,
) -> io::Result<Response> {
    let file = File::from(file);
    let len = file.metadata()?.len();
    let etag = format!("\"{hash}\"");
    let wanted = wanted(method, headers, &etag, len);
    let mut response = match wanted {
        Wanted::Nothing => Error::unsatisfiable_range().into_response(),
        Wanted::All => body(file, 0..len),
        Wanted::Part(ref part) => body(file, part.clone()),
    };
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(ETAG, etag);
    }
    let content_range = match wanted {
        Wanted::All => return Ok(response),
        Wanted::Part(part) => format!("bytes {}-{}/{len}", part.start, part.end - 1),
        Wanted::Nothing => format!("bytes */{len}"),
    };
    if let Ok(content_range) = HeaderValue::from_str(&content_range) {
        headers.insert(CONTENT_RANGE, content_range);
    }
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// RFC 9110, section 14.2. Several ranges at once may be answered with everything.
fn wanted(method: &Method, headers: &HeaderMap, etag: &str, len: u64) -> Wanted {
    let matches = headers.get(IF_RANGE).is_none_or(|v| v == etag);
    let range = headers.get(RANGE).and_then(|v| v.to_str().ok());
    match range {
        Some(range) if method == Method::GET && matches => parse(range, len),
        _ => Wanted::All,
    }
}

/// What is no range of bytes is ignored.
fn parse(range: &str, len: u64) -> Wanted {
    let Some((first, last)) = range
        .strip_prefix("bytes=")
        .and_then(|r| r.trim().split_once('-'))
    else {
        return Wanted::All;
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // More than fits is more than there is.
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let part = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(len),
        (Some(first), None) if last.is_empty() => first..len,
        (None, Some(count)) if first.is_empty() => len.saturating_sub(count)..len,
        _ => return Wanted::All,
    };
    if part.is_empty() {
        Wanted::Nothing
    } else {
        Wanted::Part(part)
    }
}

fn body(file: File, part: Range<u64>) -> Response {
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ),
        (CONTENT_LENGTH, HeaderValue::from(part.end - part.start)),
    ];
    (headers, Body::from_stream(pieces(file, part))).into_response()
}

fn pieces(file: File, part: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((Arc::new(file), part), |(file, part)| async move {
        if part.is_empty() {
            return Ok(None);
        }
        let end = part.end.min(part.start + PIECE_BYTES);
        let (reader, piece) = (Arc::clone(&file), part.start..end);
        let bytes = spawn_blocking(move || read(&reader, piece)).await;
        let bytes = bytes.map_err(io::Error::other)?;
        let bytes = bytes.inspect_err(|error| tracing::error!("a blob breaks off: {error}"))?;
        Ok(Some((bytes, (file, end..part.end))))
    })
}

fn read(file: &File, piece: Range<u64>) -> io::Result<Bytes> {
    let len = usize::try_from(piece.end - piece.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, piece.start)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let part = |range: Range<u64>| Wanted::Part(range);
        for (range, wanted) in [
            ("bytes=0-0", part(0..1)),
            ("bytes=2-5", part(2..6)),
            ("bytes=2-", part(2..10)),
            ("bytes=-3", part(7..10)),
            ("bytes=-30", part(0..10)),
            ("bytes=5-99999999999999999999999", part(5..10)),
            ("bytes=9-9", part(9..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-4", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("lines=0-1", Wanted::All),
            ("", Wanted::All),
        ] {
            assert_eq!(parse(range, 10), wanted, "{range}");
        }
        assert_eq!(parse("bytes=0-", 0), Wanted::Nothing);
    }

    #[test]
    fn a_range_of_something_else_is_everything() {
        let etag = "\"a\"";
        let wants = |method: &Method, if_range: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, HeaderValue::from_static("bytes=0-1"));
            if let Some(value) = if_range {
                headers.insert(IF_RANGE, value.parse().unwrap());
            }
            wanted(method, &headers, etag, 10)
        };
        assert_eq!(wants(&Method::GET, None), Wanted::Part(0..2));
        assert_eq!(wants(&Method::GET, Some("\"a\"")), Wanted::Part(0..2));
        assert_eq!(wants(&Method::GET, Some("\"b\"")), Wanted::All);
        assert_eq!(wants(&Method::HEAD, None), Wanted::All);
    }
}
