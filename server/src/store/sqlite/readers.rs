//! Connections that read beside the writer.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::{fault, open};
use crate::store::{Result, StoreError};

/// Readers at the same time; callers beyond wait.
const CONNECTIONS: usize = 4;

/// The connections.
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let idle: rusqlite::Result<Vec<_>> = (0..CONNECTIONS).map(|_| open::reader(path)).collect();
        Ok(Self {
            idle: Arc::new(Mutex::new(idle?)),
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
        })
    }

    /// Looks at one state of the database.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(StoreError::unavailable)?;
        let idle = Arc::clone(&self.idle);
        let done = spawn_blocking(move || {
            let connections = || idle.lock().unwrap_or_else(PoisonError::into_inner);
            let conn = connections().pop();
            let conn = conn.ok_or_else(|| StoreError::unavailable("no connection is left"))?;
            let seen = snapshot(&conn, look);
            connections().push(conn);
            drop(permit);
            seen
        });
        done.await.map_err(StoreError::unavailable)?
    }
}

/// All that `look` reads is of one moment.
fn snapshot<T>(conn: &Connection, look: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    let tx = conn.unchecked_transaction().map_err(fault)?;
    let seen = look(&tx);
    tx.finish().map_err(fault)?;
    seen
}
