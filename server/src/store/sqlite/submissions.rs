//! Submissions: the queue and the results.

use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::rows::{Id, Micros, OwnerId, bytes, number};
use super::{cursor, fault, purge};
use crate::store::{
    Accepted, Finished, Idempotency, ListQuery, NewDelivery, NewSubmission, Owner, Page, Pending,
    Result, StoreConfig, Stored, StoredState, Whose,
};

/// A page of a list has more documents than this only if it is a single one.
const PAGE_BYTES: usize = 8 << 20;

const STORED: &str = "id, owner, state, document, created_at, finished_at";

pub(super) fn accept(
    conn: &Connection,
    config: &StoreConfig,
    batch: Vec<NewSubmission>,
) -> Result<Vec<Accepted>> {
    let size = |new: &NewSubmission| (new.request.len() + new.document.len()) as u64;
    purge::make_room(conn, config, batch.iter().map(size).sum())?;
    batch.iter().map(|new| accept_one(conn, new)).collect()
}

fn accept_one(conn: &Connection, new: &NewSubmission) -> Result<Accepted> {
    if let Some(idempotency) = &new.idempotency
        && let Some(earlier) = repeated(conn, new.owner, idempotency)?
    {
        return Ok(earlier);
    }
    let sql = "INSERT INTO submissions
            (id, owner, priority, state, document, created_at, idempotency_key, body_sha256)
        VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7)";
    let mut insert = conn.prepare_cached(sql).map_err(fault)?;
    let values = params![
        Id(new.id),
        OwnerId(new.owner),
        new.priority,
        new.document,
        Micros(new.created_at),
        new.idempotency.as_ref().map(|i| &i.key),
        new.idempotency.as_ref().map(|i| i.body_sha256),
    ];
    insert.execute(values).map_err(fault)?;
    let sql = "INSERT INTO requests (submission, body) VALUES (last_insert_rowid(), ?1)";
    let mut insert = conn.prepare_cached(sql).map_err(fault)?;
    insert.execute([&new.request]).map_err(fault)?;
    let sql = "UPDATE facts SET unfinished_bytes = unfinished_bytes + ?1";
    let mut count = conn.prepare_cached(sql).map_err(fault)?;
    let size = (new.request.len() + new.document.len()) as u64;
    count.execute([number(size)]).map_err(fault)?;
    Ok(Accepted::New)
}

fn repeated(
    conn: &Connection,
    owner: Owner,
    idempotency: &Idempotency,
) -> Result<Option<Accepted>> {
    let sql = "SELECT id, body_sha256 FROM submissions WHERE owner = ?1 AND idempotency_key = ?2";
    let mut select = conn.prepare_cached(sql).map_err(fault)?;
    let earlier = select.query_row((OwnerId(owner), &idempotency.key), |row| {
        Ok((row.get::<_, Id>(0)?.0, row.get::<_, [u8; 32]>(1)?))
    });
    let earlier = earlier.optional().map_err(fault)?;
    Ok(earlier.map(|(id, body_sha256)| {
        if body_sha256 == idempotency.body_sha256 {
            Accepted::Same(id)
        } else {
            Accepted::Conflict
        }
    }))
}

pub(super) fn pending(conn: &Connection) -> Result<Vec<Pending>> {
    let sql = "SELECT s.id, s.owner, s.priority, length(r.body)
        FROM submissions s JOIN requests r ON r.submission = s.seq WHERE s.state = 0 ORDER BY s.seq";
    let mut select = conn.prepare_cached(sql).map_err(fault)?;
    let pending = select.query_map([], |row| {
        Ok(Pending {
            id: row.get::<_, Id>(0)?.0,
            owner: row.get::<_, OwnerId>(1)?.0,
            priority: row.get(2)?,
            bytes: bytes(row.get(3)?),
        })
    });
    let pending = pending.map_err(fault)?.collect::<rusqlite::Result<_>>();
    pending.map_err(fault)
}

pub(super) fn request(conn: &Connection, id: Uuid) -> Result<Option<Vec<u8>>> {
    let sql = "SELECT body FROM requests
        WHERE submission = (SELECT seq FROM submissions WHERE id = ?1)";
    let mut select = conn.prepare_cached(sql).map_err(fault)?;
    let body = select.query_row([Id(id)], |row| row.get(0));
    body.optional().map_err(fault)
}

pub(super) fn finish(conn: &Connection, done: &Finished) -> Result<bool> {
    let sql = "SELECT s.seq, length(s.document) + length(r.body)
        FROM submissions s JOIN requests r ON r.submission = s.seq WHERE s.id = ?1 AND s.state = 0";
    let mut select = conn.prepare_cached(sql).map_err(fault)?;
    let found = select.query_row([Id(done.id)], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
    });
    let Some((seq, size)) = found.optional().map_err(fault)? else {
        return Ok(false);
    };
    let sql = "UPDATE submissions SET state = ?2, verdict = ?3, document = ?4, finished_at = ?5
        WHERE seq = ?1";
    let mut update = conn.prepare_cached(sql).map_err(fault)?;
    let values = params![
        seq,
        done.state,
        done.verdict,
        done.document,
        Micros(done.at)
    ];
    update.execute(values).map_err(fault)?;
    let sql = "DELETE FROM requests WHERE submission = ?1";
    let mut delete = conn.prepare_cached(sql).map_err(fault)?;
    delete.execute([seq]).map_err(fault)?;
    let sql = "UPDATE facts SET unfinished_bytes = unfinished_bytes - ?1";
    let mut count = conn.prepare_cached(sql).map_err(fault)?;
    count.execute([size]).map_err(fault)?;
    if let Some(NewDelivery { url, secret_id }) = &done.delivery {
        let sql = "INSERT INTO deliveries (submission, url, secret_id, since, due, attempts)
            VALUES (?1, ?2, ?3, ?4, ?4, 0)";
        let mut insert = conn.prepare_cached(sql).map_err(fault)?;
        let values = params![seq, url, secret_id, Micros(done.at)];
        insert.execute(values).map_err(fault)?;
    }
    Ok(true)
}

pub(super) fn one(conn: &Connection, whose: Whose, id: Uuid) -> Result<Option<Stored>> {
    let sql = format!("SELECT {STORED} FROM submissions WHERE id = ?1");
    let mut select = conn.prepare_cached(&sql).map_err(fault)?;
    let found = select
        .query_row([Id(id)], stored)
        .optional()
        .map_err(fault)?;
    Ok(found.filter(|stored| match whose {
        Whose::Anyone => true,
        Whose::Of(owner) => stored.owner == owner,
    }))
}

pub(super) fn list(conn: &Connection, secret: &cursor::Secret, query: &ListQuery) -> Result<Page> {
    let before = match &query.cursor {
        Some(cursor) => cursor::read(secret, query.whose, query.state, cursor)?,
        None => i64::MAX,
    };
    let mut rows = Vec::new();
    // One index gives the order within one state; all states are merged here.
    for state in query.state.map_or(ALL_STATES.to_vec(), |state| vec![state]) {
        rows.extend(numbers(conn, query, state, before)?);
    }
    rows.sort_unstable_by(|a, b| b.cmp(a));
    let more = rows.len() > query.limit as usize;
    rows.truncate(query.limit as usize);
    let mut page = Page {
        items: Vec::new(),
        next: None,
    };
    let (mut size, mut last) = (0, 0);
    let sql = format!("SELECT {STORED} FROM submissions WHERE seq = ?1");
    let mut select = conn.prepare_cached(&sql).map_err(fault)?;
    for seq in &rows {
        let stored = select.query_row([seq], stored).map_err(fault)?;
        size += stored.document.len();
        if size > PAGE_BYTES && !page.items.is_empty() {
            break;
        }
        page.items.push(stored);
        last = *seq;
    }
    if more || page.items.len() < rows.len() {
        page.next = Some(cursor::make(secret, query.whose, query.state, last));
    }
    Ok(page)
}

const ALL_STATES: [StoredState; 3] = [
    StoredState::Queued,
    StoredState::Finished,
    StoredState::Cancelled,
];

/// The newest that the query asks for in one state, and one more.
fn numbers(
    conn: &Connection,
    query: &ListQuery,
    state: StoredState,
    before: i64,
) -> Result<Vec<i64>> {
    let limit = i64::from(query.limit) + 1;
    let numbers = match query.whose {
        Whose::Anyone => {
            let sql = "SELECT seq FROM submissions WHERE state = ?1 AND seq < ?2
                ORDER BY seq DESC LIMIT ?3";
            let mut select = conn.prepare_cached(sql).map_err(fault)?;
            let rows = select.query_map(params![state, before, limit], |row| row.get(0));
            rows.map_err(fault)?.collect::<rusqlite::Result<_>>()
        }
        Whose::Of(owner) => {
            let sql = "SELECT seq FROM submissions WHERE owner = ?4 AND state = ?1 AND seq < ?2
                ORDER BY seq DESC LIMIT ?3";
            let mut select = conn.prepare_cached(sql).map_err(fault)?;
            let values = params![state, before, limit, OwnerId(owner)];
            let rows = select.query_map(values, |row| row.get(0));
            rows.map_err(fault)?.collect::<rusqlite::Result<_>>()
        }
    };
    numbers.map_err(fault)
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        id: row.get::<_, Id>(0)?.0,
        owner: row.get::<_, OwnerId>(1)?.0,
        state: row.get(2)?,
        document: row.get(3)?,
        created_at: row.get::<_, Micros>(4)?.0,
        finished_at: row.get::<_, Option<Micros>>(5)?.map(|at| at.0),
    })
}
