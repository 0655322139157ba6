//! What goes, and when.

use std::time::Duration;

use rusqlite::Connection;
use time::OffsetDateTime;

use super::rows::Micros;
use super::{SqliteStore, fault};
use crate::store::{Purged, Result, StoreConfig, StoreError};

/// Removed in one transaction, so that others get their turn.
const STEP: u32 = 200;
/// Removed at most to make room for one call.
const ROOM_STEP: u32 = 2000;
/// Pages given back to the disk in one transaction.
const VACUUM_PAGES: u32 = 1024;
/// What may be taken by what must not be removed, as parts of the whole.
const UNFINISHED_PARTS: (u64, u64) = (3, 4);
/// A purge by size goes below the bound by this part of it, so that it is not due again at once.
const SLACK: u64 = 50;

/// The oldest results that may go: finished, and nobody is owed a webhook.
const OLDEST: &str = "SELECT s.seq FROM submissions s
    LEFT JOIN deliveries d ON d.submission = s.seq AND d.due IS NOT NULL
    WHERE s.finished_at IS NOT NULL AND s.finished_at < ?1 AND d.submission IS NULL
    ORDER BY s.finished_at LIMIT ?2";

impl SqliteStore {
    pub(super) async fn purge_in_steps(&self, now: OffsetDateTime) -> Result<Purged> {
        let mut purged = Purged::default();
        let keep = Duration::from_secs(u64::from(self.config.keep_days) * 24 * 60 * 60);
        loop {
            let gone = self
                .writer
                .write(move |conn| remove(conn, now - keep, STEP));
            let gone = gone.await?;
            purged.aged += u64::from(gone);
            if gone < STEP {
                break;
            }
        }
        let bound = self.config.max_bytes - self.config.max_bytes / SLACK;
        loop {
            let crowded = move |conn: &Connection| {
                if used_bytes(conn)? <= bound {
                    return Ok(0);
                }
                remove(conn, now, STEP)
            };
            let gone = self.writer.write(crowded).await?;
            purged.crowded += u64::from(gone);
            if gone == 0 {
                break;
            }
        }
        let expired = move |conn: &Connection| {
            let sql = "DELETE FROM shares WHERE expires <= ?1";
            conn.execute(sql, [Micros(now)]).map_err(fault)
        };
        purged.shares = self.writer.write(expired).await? as u64;
        while self.writer.write(vacuum).await? {}
        Ok(purged)
    }
}

/// Makes room for `incoming` more bytes, at the cost of the oldest results. [`StoreError::Full`] if
/// that is not enough.
pub(super) fn make_room(conn: &Connection, config: &StoreConfig, incoming: u64) -> Result<()> {
    let sql = "SELECT unfinished_bytes FROM facts";
    let mut select = conn.prepare_cached(sql).map_err(fault)?;
    let unfinished: i64 = select.query_row([], |row| row.get(0)).map_err(fault)?;
    let unfinished = u64::try_from(unfinished).unwrap_or(0);
    let (part, whole) = UNFINISHED_PARTS;
    if unfinished.saturating_add(incoming) > config.max_bytes / whole * part {
        return Err(StoreError::Full);
    }
    let fits = || Ok(used_bytes(conn)?.saturating_add(incoming) <= config.max_bytes);
    if fits()? {
        return Ok(());
    }
    let everything = OffsetDateTime::now_utc() + Duration::from_secs(1);
    remove(conn, everything, ROOM_STEP)?;
    if fits()? {
        Ok(())
    } else {
        Err(StoreError::Full)
    }
}

/// Removes at most `limit` results that are older than `before`.
fn remove(conn: &Connection, before: OffsetDateTime, limit: u32) -> Result<u32> {
    let sql = format!("DELETE FROM submissions WHERE seq IN ({OLDEST})");
    let mut delete = conn.prepare_cached(&sql).map_err(fault)?;
    let removed = delete.execute((Micros(before), limit)).map_err(fault)?;
    Ok(u32::try_from(removed).unwrap_or(u32::MAX))
}

/// Bytes of the database that hold something.
fn used_bytes(conn: &Connection) -> Result<u64> {
    let number = |name: &str| {
        let value = conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
        value.map_err(fault).map(|n| u64::try_from(n).unwrap_or(0))
    };
    let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
    Ok(pages * number("page_size")?)
}

/// Gives some free pages back to the disk; `true` if there are more.
fn vacuum(conn: &Connection) -> Result<bool> {
    let free = || {
        let count = conn.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0));
        count.map_err(fault)
    };
    // A few stay for what comes next.
    if free()? <= i64::from(VACUUM_PAGES) {
        return Ok(false);
    }
    let sql = format!("PRAGMA incremental_vacuum({VACUUM_PAGES})");
    let mut statement = conn.prepare(&sql).map_err(fault)?;
    // It does its work row by row.
    let mut rows = statement.query([]).map_err(fault)?;
    while rows.next().map_err(fault)?.is_some() {}
    Ok(free()? > i64::from(VACUUM_PAGES))
}
