//! The server process: what runs beside the HTTP service, and what ends it.
//!
//! Tasks: one per connection (`http::server`), one per worker channel (`pool::worker`), and here
//! one that takes workers from the supervisor, one that keeps readiness proved, one that keeps the
//! keys fresh, one that looks at the languages' tools, one that makes files for compiles to start from, one
//! that gives memory back, one for signals. SIGTERM, SIGINT and the end of the supervisor drain; a second signal ends the drain; SIGHUP
//! reads the languages again.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use brig_sandbox::protocol::Control;
use brig_sandbox::sys::process::trim_heap;
use brig_sandbox::wire::Channel;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use crate::blob::Repaired;
use crate::config::ServerConfig;
use crate::http::{self, App};
use crate::language::{Availability, Language};
use crate::logging;
use crate::pool::{AsyncChannel, Pool, Stats};
use crate::run::detect_versions;
use crate::server_process::Refused;
use crate::store::Purged;

/// How often the store is purged.
const PURGE_EVERY: Duration = Duration::from_mins(10);

/// How often memory that a burst of requests has left behind is given back.
const GIVE_BACK_EVERY: Duration = Duration::from_secs(10);

/// Tools that could not be looked at are tried again after this long.
const DETECT_AGAIN: Duration = Duration::from_mins(1);

/// Webhooks under way when everything else has ended may take this much longer.
const WEBHOOKS_GRACE: Duration = Duration::from_secs(2);

/// Serves on `listener` until told to end. `control` brings the workers. Needs a tokio runtime.
pub async fn serve(
    config: ServerConfig,
    view: Option<OwnedFd>,
    control: Channel,
    listener: std::net::TcpListener,
) -> anyhow::Result<()> {
    let telemetry = logging::start(&config.config.log, &config.config.telemetry)?;
    let app = App::new(config, view)?;
    app.keys.start().await.context(Refused)?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener).context("taking over the listening socket")?;
    let control = AsyncChannel::new(control).context("the supervisor's channel")?;
    let mut end = Signals::new()?;
    let hangup = signal(SignalKind::hangup())?;
    let reloaded = Arc::new(Notify::new());
    tracing::info!(listen = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "serving");

    let repaired = app
        .blobs
        .repair()
        .await
        .context("looking through the blobs")?;
    if repaired != Repaired::default() {
        tracing::warn!(?repaired, "blobs and what is known of them did not agree");
    }
    let resumed = app.judging.resume().await.context("reading the queue")?;
    if resumed > 0 {
        tracing::info!(submissions = resumed, "taken up again");
    }
    let workers = tokio::spawn(take_workers(control, app.pool.clone()));
    let mut background = JoinSet::new();
    background.spawn(reload_on_hangup(
        hangup,
        Arc::clone(&app),
        Arc::clone(&reloaded),
    ));
    background.spawn(look_at_tools(Arc::clone(&app), reloaded));
    let preparing = Arc::clone(&app);
    background.spawn(async move { preparing.engine().keep_preparing().await });
    let judging = app.judging.clone();
    background.spawn(async move { judging.keep_judging().await });
    let blobs = app.blobs.clone();
    background.spawn(async move { blobs.keep_swept().await });
    background.spawn(purge(Arc::clone(&app)));
    background.spawn(give_memory_back(app.pool.clone()));
    let keys = Arc::clone(&app.keys);
    background.spawn(async move { keys.keep_fresh().await });
    let (health, pool) = (Arc::clone(&app.health), app.pool.clone());
    background.spawn(async move { health.keep_proving(&pool).await });
    let (health, store) = (Arc::clone(&app.health), Arc::clone(&app.store));
    background.spawn(async move { health.keep_proving_store(&*store).await });

    let (stop_webhooks, webhooks_stop) = oneshot::channel::<()>();
    let webhooks_stop = async move { drop(webhooks_stop.await) };
    let (store, metrics) = (Arc::clone(&app.store), Arc::clone(&app.metrics));
    let webhooks = tokio::spawn(app.webhooks.deliver(store, metrics, webhooks_stop)?);

    let (stop, stopped) = oneshot::channel();
    let ending = tokio::spawn(async move {
        tokio::select! {
            signal = end.next() => tracing::info!("{signal}: ending"),
            _ = workers => tracing::warn!("the supervisor is gone: ending"),
        }
        let _ = stop.send(());
        end.next().await
    });
    let shutdown = async {
        let _ = stopped.await;
        // What is owed from now on is sent by the next server.
        drop(stop_webhooks);
        // What is left of the workers' time belongs to the runs that were taken.
        background.shutdown().await;
    };
    tokio::select! {
        () = async {
            http::listen(listener, app, shutdown).await;
            // Those not done by then are sent again by the next server.
            let _ = tokio::time::timeout(WEBHOOKS_GRACE, webhooks).await;
        } => {}
        _ = ending => tracing::warn!("told again: ending at once"),
    }
    telemetry.end().await;
    Ok(())
}

/// The signals that end the service.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Takes worker channels from the supervisor until it closes its own.
async fn take_workers(control: AsyncChannel, pool: Pool) {
    loop {
        match control.recv::<Control>().await {
            Ok(Some((Control::Worker { index }, mut fds))) => {
                let Some(fd) = fds.pop() else {
                    tracing::error!(worker = index, "a worker came without its channel");
                    continue;
                };
                match pool.add_worker(index, Channel::from(fd)) {
                    Ok(()) => tracing::info!(worker = index, "worker connected"),
                    Err(error) => tracing::error!(worker = index, "worker not taken: {error}"),
                }
            }
            Ok(None) => return,
            Err(error) => return tracing::error!("the supervisor's channel failed: {error}"),
        }
    }
}

async fn reload_on_hangup(mut hangup: Signal, app: Arc<App>, reloaded: Arc<Notify>) {
    while hangup.recv().await.is_some() {
        // Reading and checking some dozens of files takes milliseconds.
        match app.reload() {
            Ok(()) => {
                tracing::info!(
                    languages = app.catalog().languages.all().len(),
                    "languages read again"
                );
                reloaded.notify_one();
            }
            Err(error) => tracing::error!("languages not read again, the old ones stay: {error}"),
        }
    }
}

/// Removes from the store what is too old or too much, from time to time.
async fn purge(app: Arc<App>) {
    loop {
        match app.store.purge(OffsetDateTime::now_utc()).await {
            Ok(purged) if purged != Purged::default() => tracing::info!(?purged, "store purged"),
            Ok(_) => {}
            Err(error) => tracing::error!("the store cannot be purged: {error}"),
        }
        tokio::time::sleep(PURGE_EVERY).await;
    }
}

/// Gives memory back to the system while there is nothing to do: by itself the allocator keeps what a burst of requests
/// has used. It takes a tenth of a millisecond when there is nothing to give.
async fn give_memory_back(pool: Pool) {
    loop {
        tokio::time::sleep(GIVE_BACK_EVERY).await;
        let Stats {
            running, queued, ..
        } = pool.stats();
        if running == 0 && queued == 0 {
            let _ = tokio::task::spawn_blocking(trim_heap).await;
        }
    }
}

/// Looks at every language's tools, at all of them again after a reload, and from time to time at
/// those that could not be looked at.
async fn look_at_tools(app: Arc<App>, reloaded: Arc<Notify>) {
    let unknown = |language: &Arc<Language>| language.availability() == Availability::Unknown;
    let mut all = true;
    loop {
        let mut languages = app.catalog().languages.all().to_vec();
        languages.retain(|language| all || unknown(language));
        detect_versions(&languages, &app.pool).await;
        app.engine().order_prepared(&app.catalog()).await;
        all = tokio::time::timeout(DETECT_AGAIN, reloaded.notified())
            .await
            .is_ok();
    }
}
