//! From a request to an open socket, or to an ordinary answer why not.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::response::Response;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tracing::Instrument;

use super::handshake::Handshake;
use super::session;
use super::wire::Wire;
use crate::auth::Caller;
use crate::http::app::App;
use crate::http::error::Error;
use crate::http::runs::{Parameters, RETRY_AFTER_DRAIN};

/// Run a program live, over a WebSocket.
///
/// Messages are JSON objects in text frames, told apart by `type`. The client sends:
///
/// - `{"type": "start", "run": RUN}`, first and once. RUN is as `POST /v1/runs` takes it, and can have
///   `"pty": {"rows": 24, "cols": 80}`: then the program has a terminal. What `stdin` it has is sent first, and the stream
///   stays open;
/// - `{"type": "stdin", "data": "...", "encoding": "utf-8"}`, `{"type": "eof"}`;
/// - `{"type": "resize", "rows": 30, "cols": 100}`, `{"type": "signal", "signal": "SIGINT"}`, `{"type": "cancel"}`.
///
/// The service answers with messages as the schema `LiveMessage` has them: `queued`; `compiling` and `compiled`, if the
/// language is compiled; `started`; any number of `stdout`, `stderr` and `usage`; `finished`, after which it closes with
/// 1000. Or `error`, after which it closes with 1008 (the client's fault), 1013 (try again later) or 1011 (the service's
/// fault). Programs of pages present their key as a subprotocol: they offer `brig.v1` and `brig.bearer.<key>`; `brig.v1`
/// is selected.
#[utoipa::path(
    get,
    path = "/v1/runs/ws",
    tag = "Runs",
    operation_id = "runLive",
    params(
        Parameters,
        ("Connection" = String, Header, description = "`Upgrade`.", example = "Upgrade"),
        ("Upgrade" = String, Header, description = "`websocket`.", example = "websocket"),
        ("Sec-WebSocket-Version" = String, Header, description = "`13`.", example = "13"),
        ("Sec-WebSocket-Key" = String, Header, description = "16 random bytes in base64.",
            example = "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol" = Option<String>, Header, description = "Subprotocols that the client offers.",
            example = "brig.v1"),
    ),
    responses(
        (status = 101, description = "The WebSocket is open.", headers(
            ("Sec-WebSocket-Accept" = String, description = "As RFC 6455 derives it from the key."),
            ("Sec-WebSocket-Protocol" = String, description = "`brig.v1`, if it was offered."),
        )),
        (status = 400, description = "The query is malformed, or there is not one `Sec-WebSocket-Key`."),
        (status = 426, description = "The request does not open a WebSocket, of version 13.",
            headers(("Upgrade" = String, description = "`websocket`."))),
    )
)]
pub(in crate::http) async fn open(
    State(app): State<Arc<App>>,
    caller: Caller,
    parameters: Result<Query<Parameters>, QueryRejection>,
    mut request: Request,
) -> Result<Response, Error> {
    let encoding = Parameters::encoding(parameters)?;
    let handshake = Handshake::read(request.headers())?;
    if app.is_draining() {
        return Err(Error::unavailable(
            "the service is draining",
            RETRY_AFTER_DRAIN,
        ));
    }
    let seat = app.seats.take(caller.owner())?;
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return Err(Error::upgrade_required(
            "this connection cannot be upgraded",
        ));
    };
    let response = handshake.answer()?;
    let task = async move {
        let stream = match upgrade.await.map(tcp) {
            Ok(Some(stream)) => stream,
            Ok(None) => return tracing::error!("a socket is not one of TCP"),
            Err(error) => return tracing::debug!("a socket was not opened: {error}"),
        };
        let wire = Wire::new(stream, &app.config.config.live).await;
        let session = session::Session {
            app,
            caller,
            seat,
            encoding,
        };
        session.serve(wire).await;
    };
    // It is bounded by the seats, and ends when they say so.
    tokio::spawn(task.instrument(tracing::Span::current()));
    Ok(response)
}

/// The connection itself, and what was read of it too early.
fn tcp(upgraded: Upgraded) -> Option<(TcpStream, Vec<u8>)> {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    Some((parts.io.into_inner(), parts.read_buf.to_vec()))
}
