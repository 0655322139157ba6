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

/// Opens a socket.
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
