//! The accept loop: bounded connections, time-outs, graceful drain.
//!
//! A connection that ends, for whatever reason, drops the handler that works for it, which cancels
//! its run. So does the end of a drain that took too long.

use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::app::App;
use super::router;
use crate::config::HttpConfig;

/// A client that does not take its answer for this long is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);
/// After a failed `accept`, such as for want of descriptors, the next try comes this much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The longest head of a request.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Serves `app` on `listener` until `shutdown` is over; then refuses runs, lets those in progress
/// end within the drain time-out, and returns.
pub async fn listen(listener: TcpListener, app: Arc<App>, shutdown: impl Future<Output = ()>) {
    let http = app.config.config.http.clone();
    let service = router(Arc::clone(&app));
    let draining = watch::Sender::new(false);
    let slots = Arc::new(Semaphore::new(http.max_connections));
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            accepted = accept(&listener, &slots) => {
                let (stream, peer, slot) = accepted;
                let connection = serve(stream, peer, slot, service.clone(), http.clone(), draining.subscribe());
                connections.spawn(connection);
            }
            Some(_) = connections.join_next() => {}
            () = &mut shutdown => break,
        }
    }
    drop(listener);
    app.drain();
    draining.send_replace(true);
    let sockets = app.seats.taken();
    tracing::info!(connections = connections.len(), sockets, "draining");
    let drained = async {
        while connections.join_next().await.is_some() {}
        // A socket was a connection before, so there are no new ones.
        app.seats.free().await;
    };
    if tokio::time::timeout(http.drain_timeout(), drained)
        .await
        .is_err()
    {
        tracing::warn!("the drain took too long; cancelling what is left");
    }
    cancel_rest(connections, &app).await;
}

/// Ends the connections left, and waits for the workers to end their jobs.
async fn cancel_rest(mut connections: JoinSet<()>, app: &App) {
    connections.shutdown().await;
    app.seats.end();
    let idle = async {
        app.seats.free().await;
        while app.pool.stats().running > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(CANCEL_WITHIN, idle).await.is_err() {
        tracing::warn!("workers are still busy; their channels close with this process");
    }
}

/// How long cancelled jobs may take to end.
const CANCEL_WITHIN: Duration = Duration::from_secs(5);

/// The other end of a request's connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, Peer, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, Peer(peer.ip()), slot),
            Err(error) => {
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    peer: Peer,
    slot: Option<OwnedSemaphorePermit>,
    service: Router,
    http: HttpConfig,
    mut draining: watch::Receiver<bool>,
) {
    // Small answers should not wait for more; a failure costs time only.
    let _ = stream.set_nodelay(true);
    let timeout_ms = u32::try_from(WRITE_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    let _ = setsockopt(&stream, sockopt::TcpUserTimeout, &timeout_ms);
    let service = service.map_request(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(http.header_timeout())
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut connection = pin!(connection);
    let drain = async {
        // The sender outlives all connections.
        let _ = draining.wait_for(|draining| *draining).await;
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // Errors are the client's: it went away, was too slow, or does not speak HTTP.
    if let Err(error) = ended {
        tracing::debug!("a connection ended: {error}");
    }
    drop(slot);
}
