//! Permalinks.

use rusqlite::{Connection, OptionalExtension};
use time::OffsetDateTime;

use super::rows::Micros;
use super::{fault, purge};
use crate::store::{Result, StoreConfig};

pub(super) fn put(
    conn: &Connection,
    config: &StoreConfig,
    id: &str,
    bytes: &[u8],
    expires: OffsetDateTime,
) -> Result<()> {
    purge::make_room(conn, config, bytes.len() as u64)?;
    let sql = "INSERT OR REPLACE INTO shares (id, bytes, expires) VALUES (?1, ?2, ?3)";
    let mut insert = conn.prepare_cached(sql).map_err(fault)?;
    insert
        .execute((id, bytes, Micros(expires)))
        .map_err(fault)?;
    Ok(())
}

pub(super) fn get(conn: &Connection, id: &str, now: OffsetDateTime) -> Result<Option<Vec<u8>>> {
    let sql = "SELECT bytes FROM shares WHERE id = ?1 AND expires > ?2";
    let mut select = conn.prepare_cached(sql).map_err(fault)?;
    let bytes = select.query_row((id, Micros(now)), |row| row.get(0));
    bytes.optional().map_err(fault)
}
