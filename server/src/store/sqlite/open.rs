//! Opening the database, and what a file must be for that.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use thiserror::Error;

use super::schema;

/// How long one waits for another process that is writing (`brig keys`), before giving up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The WAL is cut to this length when a checkpoint has emptied it.
const WAL_KEPT_BYTES: u64 = 16 << 20;
/// Pages of the log after which a commit copies them into the database: 16 MiB.
const CHECKPOINT_PAGES: u32 = 4096;
/// Prepared statements that each connection keeps.
const STATEMENTS: usize = 64;

/// Why a database cannot be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It was made by a newer brig.
    #[error(
        "its schema is version {version}, and this brig ({}) knows versions up to {supported}; \
         start the newer brig that made it, or choose another data directory",
        env!("CARGO_PKG_VERSION")
    )]
    Newer {
        /// Its version.
        version: i32,
        /// The newest that this binary knows.
        supported: i32,
    },
    /// It is a database, but not one of brig's.
    #[error("it is a database of something else; move it away, or choose another data directory")]
    Foreign,
    /// It is no database at all, or a damaged one.
    #[error(
        "it is not an SQLite database, or a damaged one; restore it from a backup, or move it away"
    )]
    NotADatabase(#[source] rusqlite::Error),
    /// It cannot be opened or written.
    #[error("it cannot be opened for writing")]
    Sqlite(#[source] rusqlite::Error),
    /// A thread cannot be started.
    #[error("its writer cannot be started")]
    Thread(#[from] std::io::Error),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::NotADatabase(error),
            _ => Self::Sqlite(error),
        }
    }
}

/// Opens or makes the database for writing, in the newest version of its schema.
pub(super) fn writer(path: &Path) -> Result<Connection, OpenError> {
    let mut conn = connect(path, OpenFlags::SQLITE_OPEN_CREATE)?;
    // Before the first table: freed pages can go back to the disk.
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    // Answers the mode in effect. Refused where there is no shared memory (some network file systems).
    conn.pragma_update(None, "journal_mode", "WAL")?;
    // Each commit waits until the log is on the disk.
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    conn.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES)?;
    schema::migrate(&mut conn, schema::MIGRATIONS)?;
    Ok(conn)
}

/// Opens the database that [`writer`] has made, for reading.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    // Not SQLITE_OPEN_READ_ONLY: readers write the log's index too.
    let conn = connect(path, OpenFlags::empty())?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

fn connect(path: &Path, more: OpenFlags) -> rusqlite::Result<Connection> {
    // A connection is used by one thread at a time, which is what NO_MUTEX asks for.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.pragma_update(None, "foreign_keys", true)?;
    // The server may write nowhere but in its data directory.
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // A damaged or made-up schema does not get to run functions.
    conn.pragma_update(None, "trusted_schema", false)?;
    Ok(conn)
}
