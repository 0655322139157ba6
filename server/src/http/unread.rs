//! What a client still sends when its answer is known.
//!
//! Most refusals are known before the body has been read. A connection that is closed while there is
//! something to read is reset, and a reset takes the answer with it, so the client would learn only
//! that its connection broke (RFC 9112, section 9.6). So the rest is read first, and thrown away.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::time::timeout;

/// How much is thrown away at most, in bytes, and for how long: whoever sends more is cut off.
const DISCARD_BYTES: usize = 256 << 20;
const DISCARD_FOR: Duration = Duration::from_secs(10);

/// Middleware: before an answer goes out, reads what the handler left of the request's body.
///
/// A body that the client holds back until it is asked for (`Expect: 100-continue`) is not asked
/// for. Who was too slow already gets no more time.
pub(super) async fn discard_rest(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let held_back = request.headers().contains_key(EXPECT);
    let back = Arc::default();
    let lend = |body| Body::new(Lent::new(body, held_back, Arc::clone(&back)));
    let response = next.run(request.map(lend)).await;
    if response.status() != StatusCode::REQUEST_TIMEOUT {
        let rest = back.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(rest) = rest {
            let _ = timeout(DISCARD_FOR, discard(rest)).await;
        }
    }
    response
}

async fn discard(mut body: Body) {
    let mut left = DISCARD_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let len = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(len) else {
            return;
        };
        left = rest;
    }
}

/// A body that comes back when it is dropped, if there is more of it to read.
struct Lent {
    /// There is one until the drop.
    body: Option<Body>,
    /// The client sends nothing before it is asked to, which reading does.
    held_back: bool,
    back: Arc<Mutex<Option<Body>>>,
}

impl Lent {
    fn new(body: Body, held_back: bool, back: Arc<Mutex<Option<Body>>>) -> Self {
        Self {
            body: Some(body),
            held_back,
            back,
        }
    }
}

impl hyper::body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        this.held_back = false;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            // Read to its end, or broken off: nothing more can be read.
            this.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let empty = SizeHint::with_exact(0);
        self.body.as_ref().map_or(empty, Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !body.is_end_stream());
        if !self.held_back {
            *self.back.lock().unwrap_or_else(PoisonError::into_inner) = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::post;
    use http_body_util::StreamBody;
    use tower::ServiceExt;

    use super::*;

    const PIECES: usize = 5;

    /// A body of [`PIECES`] pieces, and how many of them have been read.
    fn body() -> (Body, Arc<AtomicUsize>) {
        let read = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&read);
        let pieces = std::iter::repeat_with(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"piece")))
        });
        let pieces = futures_util::stream::iter(pieces.take(PIECES));
        (Body::new(StreamBody::new(pieces)), read)
    }

    /// Answers `status` after reading `pieces` of the body; how many were read at the end.
    async fn read_in_all(pieces: usize, status: StatusCode, headers: &[(&str, &str)]) -> usize {
        let handler = async move |request: Request| {
            let mut body = request.into_body();
            for _ in 0..pieces {
                assert!(body.frame().await.unwrap().is_ok());
            }
            status
        };
        let app = Router::new().route("/", post(handler));
        let (body, read) = body();
        let mut request = axum::http::Request::post("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).unwrap();
        let answer = app.layer(from_fn(discard_rest)).oneshot(request).await;
        assert_eq!(answer.unwrap().status(), status);
        read.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn what_was_not_read_is_read() {
        for pieces in [0, 1, PIECES] {
            let read = read_in_all(pieces, StatusCode::BAD_REQUEST, &[]).await;
            assert_eq!(read, PIECES, "after {pieces}");
        }
    }

    #[tokio::test]
    async fn what_is_held_back_is_not_asked_for() {
        let expect = [("expect", "100-continue")];
        let refused = StatusCode::PAYLOAD_TOO_LARGE;
        assert_eq!(read_in_all(0, refused, &expect).await, 0);
        // It is on its way once the first piece has been asked for.
        assert_eq!(read_in_all(1, refused, &expect).await, PIECES);
    }

    #[tokio::test]
    async fn who_was_too_slow_gets_no_more_time() {
        let read = read_in_all(1, StatusCode::REQUEST_TIMEOUT, &[]).await;
        assert_eq!(read, 1);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_not_read_again() {
        let pieces = [Ok(Frame::data(Bytes::new())), Err("broken")];
        let stream = futures_util::stream::iter(pieces);
        let back = Arc::default();
        let mut lent = Lent::new(Body::new(StreamBody::new(stream)), false, Arc::clone(&back));
        assert!(lent.frame().await.unwrap().is_ok());
        assert!(lent.frame().await.unwrap().is_err());
        assert!(lent.is_end_stream());
        drop(lent);
        assert!(back.lock().unwrap().is_none());
    }
}
