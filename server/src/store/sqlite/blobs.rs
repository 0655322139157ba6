//! Who may use which blob.

use rusqlite::{Connection, OptionalExtension, Row};
use time::OffsetDateTime;

use super::fault;
use super::rows::{Micros, OwnerId, bytes, number};
use crate::store::{Blob, BlobAdded, BlobRemoved, Hash, NewBlob, Owner, Result, Usage};

const COLUMNS: &str = "hash, owner, bytes, created_at, used_at";

pub(super) fn add(conn: &Connection, blob: &NewBlob) -> Result<BlobAdded> {
    if touch(conn, blob.owner, &[blob.hash], blob.at)? == [true] {
        return Ok(BlobAdded::Had);
    }
    let usage = usage(conn, blob.owner)?;
    if usage.bytes.saturating_add(blob.bytes) > blob.quota_bytes {
        return Ok(BlobAdded::OverQuota(usage));
    }
    let sql = format!("INSERT INTO blobs ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?4)");
    let mut insert = conn.prepare_cached(&sql).map_err(fault)?;
    let values = (
        blob.hash,
        OwnerId(blob.owner),
        number(blob.bytes),
        Micros(blob.at),
    );
    insert.execute(values).map_err(fault)?;
    Ok(BlobAdded::New)
}

pub(super) fn get(conn: &Connection, owner: Owner, hash: &Hash) -> Result<Option<Blob>> {
    let sql = format!("SELECT {COLUMNS} FROM blobs WHERE hash = ?1 AND owner = ?2");
    let mut select = conn.prepare_cached(&sql).map_err(fault)?;
    let found = select.query_row((hash, OwnerId(owner)), blob);
    found.optional().map_err(fault)
}

pub(super) fn touch(
    conn: &Connection,
    owner: Owner,
    hashes: &[Hash],
    at: OffsetDateTime,
) -> Result<Vec<bool>> {
    let sql = "UPDATE blobs SET used_at = max(used_at, ?3) WHERE hash = ?1 AND owner = ?2";
    let mut update = conn.prepare_cached(sql).map_err(fault)?;
    let touched = |hash: &Hash| Ok(update.execute((hash, OwnerId(owner), Micros(at)))? > 0);
    let had: rusqlite::Result<_> = hashes.iter().map(touched).collect();
    had.map_err(fault)
}

pub(super) fn remove(
    conn: &Connection,
    owner: Owner,
    hash: &Hash,
    unused_since: Option<OffsetDateTime>,
) -> Result<BlobRemoved> {
    let sql = "DELETE FROM blobs WHERE hash = ?1 AND owner = ?2 AND (?3 IS NULL OR used_at < ?3)";
    let mut delete = conn.prepare_cached(sql).map_err(fault)?;
    let removed = delete.execute((hash, OwnerId(owner), unused_since.map(Micros)));
    if removed.map_err(fault)? == 0 {
        return Ok(BlobRemoved::Kept);
    }
    Ok(if known(conn, hash)? {
        BlobRemoved::Shared
    } else {
        BlobRemoved::Last
    })
}

pub(super) fn all(
    conn: &Connection,
    after: Option<(Hash, Owner)>,
    limit: u32,
) -> Result<Vec<Blob>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM blobs WHERE ?1 IS NULL OR (hash, owner) > (?1, ?2)
        ORDER BY hash, owner LIMIT ?3"
    );
    let mut select = conn.prepare_cached(&sql).map_err(fault)?;
    let values = (after.map(|a| a.0), after.map(|a| OwnerId(a.1)), limit);
    let blobs = select.query_map(values, blob).map_err(fault)?;
    blobs.collect::<rusqlite::Result<_>>().map_err(fault)
}

pub(super) fn known(conn: &Connection, hash: &Hash) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM blobs WHERE hash = ?1)";
    let mut select = conn.prepare_cached(sql).map_err(fault)?;
    select.query_row([hash], |row| row.get(0)).map_err(fault)
}

pub(super) fn usage(conn: &Connection, owner: Owner) -> Result<Usage> {
    let sql = "SELECT count(*), coalesce(sum(bytes), 0) FROM blobs WHERE owner = ?1";
    let mut select = conn.prepare_cached(sql).map_err(fault)?;
    let usage = select.query_row([OwnerId(owner)], |row| {
        Ok(Usage {
            blobs: bytes(row.get(0)?),
            bytes: bytes(row.get(1)?),
        })
    });
    usage.map_err(fault)
}

pub(super) fn expired(conn: &Connection, before: OffsetDateTime, limit: u32) -> Result<Vec<Blob>> {
    let sql = format!("SELECT {COLUMNS} FROM blobs WHERE used_at < ?1 ORDER BY used_at LIMIT ?2");
    let mut select = conn.prepare_cached(&sql).map_err(fault)?;
    let blobs = select
        .query_map((Micros(before), limit), blob)
        .map_err(fault)?;
    blobs.collect::<rusqlite::Result<_>>().map_err(fault)
}

fn blob(row: &Row<'_>) -> rusqlite::Result<Blob> {
    Ok(Blob {
        hash: row.get(0)?,
        owner: row.get::<_, OwnerId>(1)?.0,
        bytes: bytes(row.get(2)?),
        created_at: row.get::<_, Micros>(3)?.0,
        used_at: row.get::<_, Micros>(4)?.0,
    })
}
