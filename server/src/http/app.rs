//! What every handler can reach.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context;
use brig_sandbox::policy::ProfileError;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::live::Seats;
use crate::auth::{Intruders, KeyRing, Open};
use crate::blob::BlobStore;
use crate::cache::CompileCache;
use crate::config::ServerConfig;
use crate::health::Health;
use crate::judge::{Judging, Parts};
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::run::{Catalog, CurrentCatalog, Engine};
use crate::store::sqlite::SqliteStore;
use crate::store::{DataDir, Store};
use crate::webhook::Webhooks;

/// Bodies are accounted for in units of this size.
pub(super) const BODY_UNIT_BYTES: u64 = 1024;

/// The service's state.
pub struct App {
    /// What the server was started with.
    pub config: ServerConfig,
    /// The workers.
    pub pool: Pool,
    /// What Prometheus scrapes.
    pub metrics: Arc<Metrics>,
    /// Whether code can be run.
    pub health: Arc<Health>,
    /// What outlives requests.
    pub store: Arc<dyn Store>,
    /// Uploaded test data.
    pub blobs: BlobStore,
    /// Names this life of the service.
    pub(super) instance: String,
    /// Who may use the service.
    pub keys: Arc<KeyRing>,
    pub(super) intruders: Intruders,
    /// Where finished submissions are sent.
    pub webhooks: Arc<Webhooks>,
    pub(super) engine: Engine,
    pub(super) bodies: Arc<Semaphore>,
    pub(super) started: Instant,
    /// Judges submissions.
    pub judging: Judging,
    /// Of the sockets of live runs.
    pub(super) seats: Arc<Seats>,
    catalog: Arc<CurrentCatalog>,
    draining: AtomicBool,
}

impl App {
    /// A service without workers yet, on the data directory that `config` names. `view` is as for
    /// [`BlobStore::open`].
    pub fn new(config: ServerConfig, view: Option<OwnedFd>) -> anyhow::Result<Arc<Self>> {
        let settings = &config.config;
        let catalog = Arc::new(CurrentCatalog::new(Catalog::load(settings)?));
        let metrics = Arc::new(Metrics::new(&config.degraded));
        let pool = Pool::measured(settings.queue_length, metrics.pool.clone());
        let health = Arc::new(Health::default());
        let data = DataDir::new(config.data.clone());
        let measured = metrics.store.clone();
        let store = SqliteStore::open_measured(&data.database(), &settings.store, measured)
            .with_context(|| data.database().display().to_string())?;
        let store: Arc<dyn Store> = Arc::new(store);
        let blobs = BlobStore::open(
            settings.blobs,
            data.root(),
            view,
            Arc::clone(&store),
            Arc::clone(&metrics),
        );
        let blobs = blobs.with_context(|| data.blobs().display().to_string())?;
        let cache = CompileCache::open(
            settings.compile_cache,
            &data.cache(),
            &data.prepared(),
            Arc::clone(&metrics),
        );
        let engine = Engine::new(
            pool.clone(),
            Arc::clone(&metrics),
            Arc::clone(&health),
            cache,
            settings,
        );
        let webhooks = Webhooks::new(&settings.webhooks, config.secrets.clone());
        let webhooks = Arc::new(webhooks);
        let judging = Judging::new(Parts {
            engine: engine.clone(),
            store: Arc::clone(&store),
            blobs: blobs.clone(),
            catalog: Arc::clone(&catalog),
            metrics: Arc::clone(&metrics),
            webhooks: Arc::clone(&webhooks),
            spool: data.spool(),
            workers: settings.worker_count(),
            config: settings.judging,
            runs: settings.runs,
            degraded: config.degraded.clone(),
        });
        let seats = Seats::new(&settings.live, metrics.live_sockets.clone());
        let open = Open::on(settings.listen, settings.auth);
        let origins = settings.http.cors_origins.clone();
        let keys = KeyRing::new(Arc::new(Arc::clone(&store)), open, origins);
        let units = settings.http.max_bodies_bytes.div_ceil(BODY_UNIT_BYTES);
        let units = usize::try_from(units)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        Ok(Arc::new(Self {
            pool,
            metrics,
            health,
            store,
            blobs,
            instance: Uuid::now_v7().simple().to_string().split_off(20),
            keys: Arc::new(keys),
            intruders: Intruders::default(),
            webhooks,
            engine,
            bodies: Arc::new(Semaphore::new(units)),
            started: Instant::now(),
            judging,
            seats: Arc::new(seats),
            catalog,
            draining: AtomicBool::new(false),
            config,
        }))
    }

    /// Languages and policies as they are now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.get()
    }

    /// Takes runs through their stages.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Reads the languages again; on an error the old ones stay.
    pub fn reload(&self) -> Result<(), ProfileError> {
        let next = self.catalog().reload(&self.config.config)?;
        self.catalog.set(next);
        Ok(())
    }

    /// From now on no run is taken.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.judging.drain();
        self.seats.drain();
    }

    /// Whether runs are no longer taken.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Why the service cannot run code now, if so.
    pub(super) fn problem(&self) -> Option<String> {
        if self.is_draining() {
            return Some("the service is draining".to_owned());
        }
        self.keys
            .problem()
            .or_else(|| self.health.problem(&self.pool))
    }
}
