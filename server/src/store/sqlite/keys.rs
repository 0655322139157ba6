//! API keys.

use rusqlite::{Connection, OptionalExtension, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::fault;
use super::rows::{Id, Micros};
use crate::store::{Hash, Key, Result};

const COLUMNS: &str = "id, hash, name, settings, created_at, revoked_at";

pub(super) fn add(conn: &Connection, key: &Key) -> Result<()> {
    let sql = format!("INSERT INTO keys ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
    let values = (
        Id(key.id),
        key.hash,
        &key.name,
        &key.settings,
        Micros(key.created_at),
        key.revoked_at.map(Micros),
    );
    conn.execute(&sql, values).map_err(fault)?;
    Ok(())
}

pub(super) fn all(conn: &Connection) -> Result<Vec<Key>> {
    let sql = format!("SELECT {COLUMNS} FROM keys ORDER BY created_at, id");
    let mut select = conn.prepare_cached(&sql).map_err(fault)?;
    let keys = select.query_map([], key).map_err(fault)?;
    keys.collect::<rusqlite::Result<_>>().map_err(fault)
}

pub(super) fn by_hash(conn: &Connection, hash: &Hash) -> Result<Option<Key>> {
    let sql = format!("SELECT {COLUMNS} FROM keys WHERE hash = ?1");
    let mut select = conn.prepare_cached(&sql).map_err(fault)?;
    select.query_row([hash], key).optional().map_err(fault)
}

pub(super) fn revoke(conn: &Connection, id: Uuid, at: OffsetDateTime) -> Result<bool> {
    let sql = "UPDATE keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
    Ok(conn.execute(sql, (Id(id), Micros(at))).map_err(fault)? > 0)
}

fn key(row: &Row<'_>) -> rusqlite::Result<Key> {
    Ok(Key {
        id: row.get::<_, Id>(0)?.0,
        hash: row.get(1)?,
        name: row.get(2)?,
        settings: row.get(3)?,
        created_at: row.get::<_, Micros>(4)?.0,
        revoked_at: row.get::<_, Option<Micros>>(5)?.map(|at| at.0),
    })
}
