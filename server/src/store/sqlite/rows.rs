//! Values as the database has them.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::store::{Final, Owner, Priority, StoredState};

/// A time, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Micros(pub(super) OffsetDateTime);

/// An [`Owner`]: 16 bytes, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OwnerId(pub(super) Owner);

/// An id: 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(pub(super) Uuid);

impl ToSql for Micros {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        // Years up to 9999 fit with room to spare.
        let micros = self.0.unix_timestamp_nanos().div_euclid(1000);
        Ok(i64::try_from(micros).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Micros {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let micros = i128::from(value.as_i64()?);
        let time = OffsetDateTime::from_unix_timestamp_nanos(micros * 1000);
        time.map(Self).map_err(|e| FromSqlError::Other(Box::new(e)))
    }
}

impl ToSql for OwnerId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let bytes = self.0.as_ref().map_or(&[][..], |id| id.as_bytes());
        Ok(ToSqlOutput::from(bytes))
    }
}

impl FromSql for OwnerId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_blob()? {
            [] => Ok(Self(None)),
            _ => Id::column_result(value).map(|id| Self(Some(id.0))),
        }
    }
}

impl ToSql for Id {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(&self.0.as_bytes()[..]))
    }
}

impl FromSql for Id {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let id = Uuid::from_slice(value.as_blob()?);
        id.map(Self).map_err(|e| FromSqlError::Other(Box::new(e)))
    }
}

/// Enums are numbers in the database.
macro_rules! numbered {
    ($type:ty { $($variant:path = $number:literal),+ $(,)? }) => {
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let number: i64 = match self { $($variant => $number),+ };
                Ok(number.into())
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                match value.as_i64()? {
                    $($number => Ok($variant),)+
                    other => Err(FromSqlError::OutOfRange(other)),
                }
            }
        }
    };
}

numbered!(Priority { Priority::Interactive = 0, Priority::Normal = 1, Priority::Bulk = 2 });
numbered!(StoredState { StoredState::Queued = 0, StoredState::Finished = 1, StoredState::Cancelled = 2 });
numbered!(Final { Final::Finished = 1, Final::Cancelled = 2 });

/// A size or a count for the database.
pub(super) fn number(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A size or a count from the database.
pub(super) fn bytes(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
