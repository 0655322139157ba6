//! Permalinks.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use time::OffsetDateTime;

use super::rows::{Micros, OwnerId, bytes, number};
use super::{fault, purge};
use crate::store::{
    NewShare, Owner, Remover, Result, Share, SharePut, StoreConfig, StoreError, Whose,
};

/// What a permalink counts for beside its document.
const ROW_BYTES: u64 = 512;
/// The part of the store that permalinks may take: one of so many.
const PARTS: u64 = 4;
/// Permalinks that go at most to make room for one.
const ROOM_STEPS: u32 = 2000;

pub(super) fn put(conn: &Connection, config: &StoreConfig, new: &NewShare) -> Result<SharePut> {
    if let Some(same) = again(conn, new)? {
        return Ok(same);
    }
    let counted = new.document.len() as u64 + ROW_BYTES;
    purge::make_room(conn, config, counted)?;
    make_room(
        conn,
        new.owner,
        counted,
        new.max_bytes.min(config.max_bytes / PARTS),
    )?;
    let sql = "INSERT INTO shares
            (id, owner, hash, document, bytes, created_at, keep, expires, deletion)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let mut insert = conn.prepare_cached(sql).map_err(fault)?;
    let expires = new.at + new.keep;
    let values = params![
        new.id,
        OwnerId(new.owner),
        new.hash,
        new.document,
        number(counted),
        Micros(new.at),
        micros(new.keep),
        Micros(expires),
        new.deletion,
    ];
    insert.execute(values).map_err(fault)?;
    Ok(SharePut {
        id: new.id.clone(),
        expires,
        new: true,
    })
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// The permalink that this owner has to the same document; it is kept as long as the new one would.
fn again(conn: &Connection, new: &NewShare) -> Result<Option<SharePut>> {
    if new.owner.is_none() {
        return Ok(None);
    }
    let sql = "UPDATE shares SET keep = max(keep, ?4), expires = max(expires, ?5)
        WHERE seq = (SELECT seq FROM shares WHERE owner = ?1 AND hash = ?2 AND expires > ?3)
        RETURNING id, expires";
    let mut update = conn.prepare_cached(sql).map_err(fault)?;
    let values = (
        OwnerId(new.owner),
        new.hash,
        Micros(new.at),
        micros(new.keep),
        Micros(new.at + new.keep),
    );
    let same = update.query_row(values, |row| {
        Ok(SharePut {
            id: row.get(0)?,
            expires: row.get::<_, Micros>(1)?.0,
            new: false,
        })
    });
    same.optional().map_err(fault)
}

/// Removes what would go soonest until there is room for `incoming` more bytes: the owner's own as
/// long as there is any, so that nobody drives out others by making many.
fn make_room(conn: &Connection, owner: Owner, incoming: u64, max_bytes: u64) -> Result<()> {
    let used = || {
        let sql = "SELECT share_bytes FROM facts";
        let mut select = conn.prepare_cached(sql).map_err(fault)?;
        let used = select.query_row([], |row| row.get(0));
        used.map(bytes).map_err(fault)
    };
    let own = "DELETE FROM shares WHERE seq =
        (SELECT seq FROM shares WHERE owner = ?1 ORDER BY expires LIMIT 1)";
    let any = "DELETE FROM shares WHERE seq = (SELECT seq FROM shares ORDER BY expires LIMIT 1)";
    let steps = if incoming > max_bytes { 0 } else { ROOM_STEPS };
    for _ in 0..steps {
        if used()?.saturating_add(incoming) <= max_bytes {
            return Ok(());
        }
        let mut delete = conn.prepare_cached(own).map_err(fault)?;
        if delete.execute([OwnerId(owner)]).map_err(fault)? == 0 {
            let mut delete = conn.prepare_cached(any).map_err(fault)?;
            delete.execute([]).map_err(fault)?;
        }
    }
    Err(StoreError::Full)
}

pub(super) fn get(conn: &Connection, id: &str, now: OffsetDateTime) -> Result<Option<Share>> {
    let sql = "SELECT document, keep, expires FROM shares WHERE id = ?1 AND expires > ?2";
    let mut select = conn.prepare_cached(sql).map_err(fault)?;
    let share = select.query_row((id, Micros(now)), |row| {
        Ok(Share {
            document: row.get(0)?,
            keep: Duration::from_micros(bytes(row.get(1)?)),
            expires: row.get::<_, Micros>(2)?.0,
        })
    });
    share.optional().map_err(fault)
}

pub(super) fn used(conn: &Connection, id: &str, at: OffsetDateTime) -> Result<()> {
    let sql = "UPDATE shares SET expires = max(expires, ?2 + keep) WHERE id = ?1 AND expires > ?2";
    let mut update = conn.prepare_cached(sql).map_err(fault)?;
    update.execute((id, Micros(at))).map_err(fault)?;
    Ok(())
}

pub(super) fn remove(conn: &Connection, id: &str, by: Remover) -> Result<bool> {
    let removed = match by {
        Remover::Holder(hash) => {
            let sql = "DELETE FROM shares WHERE id = ?1 AND deletion = ?2";
            conn.execute(sql, (id, hash))
        }
        Remover::Caller(Whose::Of(owner)) => {
            let sql = "DELETE FROM shares WHERE id = ?1 AND owner = ?2";
            conn.execute(sql, (id, OwnerId(owner)))
        }
        Remover::Caller(Whose::Anyone) => conn.execute("DELETE FROM shares WHERE id = ?1", [id]),
    };
    Ok(removed.map_err(fault)? > 0)
}
