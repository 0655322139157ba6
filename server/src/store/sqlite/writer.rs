//! The one thread that writes.
//!
//! Whatever waits when it looks goes into one transaction, so that one sync of the disk serves many
//! callers. Each caller's work is a savepoint of its own: one that fails takes nobody with it.
//! Callers are answered after the commit.

use std::thread;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, debug_span};

use super::fault;
use crate::store::{Result, StoreError, StoreMetrics};

/// Work that waits; callers beyond wait for room.
const WAITING: usize = 1024;
/// Work in one transaction.
const TOGETHER: usize = 256;

/// Does its part in a transaction; gives whether it is to be kept, and what to do after the commit.
type Work = Box<dyn FnOnce(&Connection) -> (bool, Reply) + Send>;
type Reply = Box<dyn FnOnce(Result<()>) + Send>;

/// Hands work to the thread.
#[derive(Clone)]
pub(super) struct Writer {
    work: mpsc::Sender<Work>,
}

impl Writer {
    /// Starts the thread. It ends with the last handle, once all work is done.
    pub(super) fn start(conn: Connection, metrics: StoreMetrics) -> std::io::Result<Self> {
        let (work, waiting) = mpsc::channel(WAITING);
        let thread = thread::Builder::new().name("store".to_owned());
        thread.spawn(move || serve(&conn, waiting, &metrics))?;
        Ok(Self { work })
    }

    /// Does `change` in a transaction; resolves when it is committed. A change that is underway is not
    /// taken back by dropping the future.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |conn| {
            let changed = change(conn);
            let keep = changed.is_ok();
            let reply: Reply = Box::new(move |committed| {
                // Whoever has gone needs no answer.
                let _ = reply.send(changed.and_then(|value| committed.map(|()| value)));
            });
            (keep, reply)
        });
        let gone = || StoreError::unavailable("the transaction was not begun");
        let committed = async {
            self.work.send(work).await.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        };
        committed.instrument(debug_span!("store commit")).await
    }
}

fn serve(conn: &Connection, mut waiting: mpsc::Receiver<Work>, metrics: &StoreMetrics) {
    let mut together = Vec::with_capacity(TOGETHER);
    while waiting.blocking_recv_many(&mut together, TOGETHER) > 0 {
        let (changes, begun) = (together.len(), Instant::now());
        let mut replies = Vec::with_capacity(changes);
        let outcome = transact(conn, together.drain(..), &mut replies);
        metrics.transaction(changes, begun.elapsed(), outcome.is_ok());
        if outcome.is_err() && !conn.is_autocommit() {
            // What cannot be rolled back is rolled back by the next BEGIN's failure at the latest.
            if let Err(error) = conn.execute_batch("ROLLBACK") {
                tracing::error!("the store cannot roll back: {error}");
            }
        }
        for reply in replies {
            reply(outcome.clone());
        }
    }
}

fn transact(
    conn: &Connection,
    together: impl Iterator<Item = Work>,
    replies: &mut Vec<Reply>,
) -> Result<()> {
    let mut begun = conn.execute_batch("BEGIN IMMEDIATE").map_err(fault);
    for work in together {
        // Work that is dropped tells its caller that it was not done.
        if begun.is_ok() {
            begun = savepoint(conn, work, replies);
        }
    }
    begun?;
    conn.execute_batch("COMMIT").map_err(fault)
}

/// Does `work`; an error means that the transaction is of no more use.
fn savepoint(conn: &Connection, work: Work, replies: &mut Vec<Reply>) -> Result<()> {
    conn.execute_batch("SAVEPOINT work").map_err(fault)?;
    let (keep, reply) = work(conn);
    replies.push(reply);
    if conn.is_autocommit() {
        // A full disk and the like end the whole transaction (sqlite.org, "Transaction", 2.3).
        return Err(StoreError::unavailable("the transaction was rolled back"));
    }
    let end = if keep {
        "RELEASE work"
    } else {
        "ROLLBACK TO work; RELEASE work"
    };
    conn.execute_batch(end).map_err(fault)
}
