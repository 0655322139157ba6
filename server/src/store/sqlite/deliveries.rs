//! Webhook deliveries and their log.

use rusqlite::{Connection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::fault;
use super::rows::{Id, Micros, OwnerId, bytes, number};
use crate::store::{Attempt, AttemptRecord, Delivery, Due, Next, Result};

pub(super) fn due(conn: &Connection, now: OffsetDateTime, limit: u32) -> Result<Due> {
    let sql = "SELECT s.id, s.owner, d.url, d.secret_id, d.attempts, d.since, d.due
        FROM deliveries d JOIN submissions s ON s.seq = d.submission
        WHERE d.due IS NOT NULL ORDER BY d.due, d.submission LIMIT ?1";
    let mut select = conn.prepare_cached(sql).map_err(fault)?;
    // One more, to know when the next is due.
    let first = select.query_map([limit.saturating_add(1)], delivery);
    let first = first.map_err(fault)?.collect::<rusqlite::Result<Vec<_>>>();
    let mut answer = Due::default();
    for delivery in first.map_err(fault)? {
        if delivery.due <= now && answer.deliveries.len() < limit as usize {
            answer.deliveries.push(delivery);
        } else {
            answer.next = Some(delivery.due);
            break;
        }
    }
    Ok(answer)
}

pub(super) fn owed(conn: &Connection) -> Result<u64> {
    let sql = "SELECT count(*) FROM deliveries WHERE due IS NOT NULL";
    let owed: i64 = conn.query_row(sql, [], |row| row.get(0)).map_err(fault)?;
    Ok(owed.unsigned_abs())
}

pub(super) fn attempted(conn: &Connection, attempt: &Attempt) -> Result<()> {
    let due = match attempt.next {
        Next::Again(at) => Some(Micros(at)),
        Next::Delivered | Next::GivenUp => None,
    };
    let sql = "UPDATE deliveries SET attempts = attempts + 1, due = ?2
        WHERE due IS NOT NULL AND submission = (SELECT seq FROM submissions WHERE id = ?1)
        RETURNING submission, attempts";
    let mut update = conn.prepare_cached(sql).map_err(fault)?;
    let updated = update.query_map((Id(attempt.submission), due), |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
    });
    let updated = updated
        .map_err(fault)?
        .collect::<rusqlite::Result<Vec<_>>>();
    let sql = "INSERT INTO attempts (submission, number, at, duration_ms, status, error)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut insert = conn.prepare_cached(sql).map_err(fault)?;
    for (submission, attempts) in updated.map_err(fault)? {
        let record = &attempt.record;
        let values = (
            submission,
            attempts,
            Micros(record.at),
            number(record.duration_ms),
            record.status,
            &record.error,
        );
        insert.execute(values).map_err(fault)?;
    }
    Ok(())
}

pub(super) fn of(conn: &Connection, submission: Uuid) -> Result<Vec<AttemptRecord>> {
    let sql = "SELECT at, duration_ms, status, error FROM attempts
        WHERE submission = (SELECT seq FROM submissions WHERE id = ?1) ORDER BY number";
    let mut select = conn.prepare_cached(sql).map_err(fault)?;
    let records = select.query_map([Id(submission)], |row| {
        Ok(AttemptRecord {
            at: row.get::<_, Micros>(0)?.0,
            duration_ms: bytes(row.get(1)?),
            status: row.get(2)?,
            error: row.get(3)?,
        })
    });
    let records = records.map_err(fault)?.collect::<rusqlite::Result<_>>();
    records.map_err(fault)
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        submission: row.get::<_, Id>(0)?.0,
        owner: row.get::<_, OwnerId>(1)?.0,
        url: row.get(2)?,
        secret_id: row.get(3)?,
        attempts: row.get(4)?,
        since: row.get::<_, Micros>(5)?.0,
        due: row.get::<_, Micros>(6)?.0,
    })
}
