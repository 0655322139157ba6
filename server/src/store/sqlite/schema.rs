//! The database's tables and how they came to be.
//!
//! The file says which schema it has (`user_version`) and whose it is (`application_id`). Each step
//! of [`MIGRATIONS`] leads from one version to the next, and is never changed once released.

use rusqlite::{Connection, TransactionBehavior};

use super::open::OpenError;

/// "brig".
const APPLICATION_ID: i32 = 0x6272_6967;

/// Step `n` makes version `n + 1` of version `n`.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
];

/// Brings the database of `conn` to the newest version, from nothing if it is new.
///
/// A database of something else, or of a newer brig, is left as it is.
pub(super) fn migrate(conn: &mut Connection, steps: &[&str]) -> Result<(), OpenError> {
    // Taking the lock for writing first: two processes may come here at once.
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |name: &str| tx.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
    let (application, version): (i32, i32) = (number("application_id")?, number("user_version")?);
    let objects: i64 = tx.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let fresh = application == 0 && version == 0 && objects == 0;
    if !fresh && application != APPLICATION_ID {
        return Err(OpenError::Foreign);
    }
    let done = match usize::try_from(version) {
        Ok(done) if done <= steps.len() => done,
        _ => {
            let supported = i32::try_from(steps.len()).unwrap_or(i32::MAX);
            return Err(OpenError::Newer { version, supported });
        }
    };
    if done == steps.len() {
        return Ok(());
    }
    for step in &steps[done..] {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", steps.len())?;
    Ok(tx.commit()?)
}
