//! The accept loop: bounded connections, time-outs, graceful drain.
//!
//! A connection that ends, for whatever reason, drops the handler that works for it, which cancels
//! its run. So does the end of a drain that took too long.

use std::convert::Infallible;
use std::future::{Future, pending};
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

/// How long those may take that came during the drain, once it is over.
const LATE_GRACE: Duration = Duration::from_millis(500);

/// Serves `app` on `listener` until `shutdown` is over; then refuses runs, lets those in progress
/// end within the drain time-out, and returns.
pub async fn listen(listener: TcpListener, app: Arc<App>, shutdown: impl Future<Output = ()>) {
    let http = app.config.config.http.clone();
    let draining = watch::Sender::new(false);
    let mut door = Door {
        listener,
        slots: Arc::new(Semaphore::new(http.max_connections)),
        service: router(Arc::clone(&app)),
        http: http.clone(),
        draining: draining.subscribe(),
    };
    let mut connections = JoinSet::new();
    tokio::select! {
        never = door.admit(&mut connections) => match never {},
        () = shutdown => {}
    }
    app.drain();
    draining.send_replace(true);
    let sockets = app.seats.taken();
    tracing::info!(connections = connections.len(), sockets, "draining");
    let drained = async {
        while connections.join_next().await.is_some() {}
        // A socket was a connection before, and no further one is opened.
        app.seats.free().await;
    };
    // Whoever comes now is told so. The supervisor has the listening socket as well, so they would not be
    // refused by the kernel, but wait until the end. What is in progress does not wait for them.
    let mut late = JoinSet::new();
    tokio::select! {
        never = door.admit(&mut late) => match never {},
        ended = tokio::time::timeout(http.drain_timeout(), drained) => if ended.is_err() {
            tracing::warn!("the drain took too long; cancelling what is left");
        }
    }
    drop(door);
    let told = async { while late.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LATE_GRACE, told).await;
    cancel_rest(connections, &app).await;
}

/// Where connections come in.
struct Door {
    listener: TcpListener,
    slots: Arc<Semaphore>,
    service: Router,
    http: HttpConfig,
    draining: watch::Receiver<bool>,
}

impl Door {
    /// Takes connections and serves them, as tasks of `connections`, for as long as it is polled.
    async fn admit(&mut self, connections: &mut JoinSet<()>) -> Infallible {
        loop {
            tokio::select! {
                (stream, peer, slot) = accept(&self.listener, &self.slots) => {
                    let (service, http) = (self.service.clone(), self.http.clone());
                    connections.spawn(serve(stream, peer, slot, service, http, self.draining.clone()));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

/// Ends the connections left, and waits for the workers to end their jobs.
async fn cancel_rest(mut connections: JoinSet<()>, app: &App) {
    connections.shutdown().await;
    app.seats.end();
    app.judging.leave();
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
    // Who came during the drain has one request answered. A graceful shutdown would close the
    // connection before that.
    let late = *draining.borrow();
    let connection = hyper::server::conn::http1::Builder::new()
        .keep_alive(!late)
        .timer(TokioTimer::new())
        .header_read_timeout(http.header_timeout())
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut connection = pin!(connection);
    let drain = async {
        if late {
            pending::<()>().await;
        }
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
