//! Why a request is turned away.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{Malformed, Scope, Scopes};

/// Why a request is turned away. The words are for its sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It has no key.
    #[error("this service needs a key: send `Authorization: Bearer <key>`")]
    Missing,
    /// It has something else than a key.
    #[error("the credentials are {0}")]
    Malformed(Malformed),
    /// It has a key that is not known, or not the key's secret.
    #[error("this key is not known")]
    Unknown,
    /// It has a key that is of no use any more.
    #[error("this key was revoked")]
    Revoked,
    /// It has a key that is of no use any more.
    #[error("this key has expired")]
    Expired,
    /// It has no key, needs none, but seems to come from a page of somebody else's.
    #[error(
        "without a key only programs and pages of this machine are served, and {what} names {name:?}: create a key (`brig keys create`) \
         or add the page's origin to http.cors_origins"
    )]
    Foreign {
        /// The header that says so.
        what: &'static str,
        /// What it has.
        name: String,
    },
    /// Its key may do other things.
    #[error("this needs a key with the scope {}; this one has {has}", names(.needs))]
    Scope {
        /// Any of these would do.
        needs: &'static [Scope],
        /// What the key has.
        has: Scopes,
    },
    /// Its key makes too many requests.
    #[error("this key makes more requests than it may; the next one can be made in {} ms", .retry_after.as_millis() + 1)]
    Rate {
        /// When there will be one.
        retry_after: Duration,
    },
    /// Its key has as many runs in progress as it may.
    #[error("this key has {limit} runs in progress, and may not have more at once")]
    Concurrency {
        /// How many it may have.
        limit: NonZeroU32,
        /// When one can be expected to end.
        retry_after: Duration,
    },
    /// Its key has as many submissions waiting as it may, or would have more.
    #[error("this key may have {limit} submissions without a result, and has {waiting}")]
    Queue {
        /// How many it may have.
        limit: NonZeroU32,
        /// How many it has.
        waiting: u64,
        /// When there can be expected to be room.
        retry_after: Duration,
    },
    /// The keys cannot be read.
    #[error("keys cannot be checked at the moment")]
    Unreadable,
}

fn names(scopes: &[Scope]) -> String {
    let names: Vec<_> = scopes.iter().map(|scope| scope.name()).collect();
    names.join(" or ")
}

impl Denied {
    /// Its name in metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed(_) => "malformed",
            Self::Unknown => "unknown",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Foreign { .. } => "foreign",
            Self::Scope { .. } => "scope",
            Self::Rate { .. } => "rate",
            Self::Concurrency { .. } => "concurrency",
            Self::Queue { .. } => "queue",
            Self::Unreadable => "unreadable",
        }
    }

    /// When to come again, if that helps.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rate { retry_after }
            | Self::Concurrency { retry_after, .. }
            | Self::Queue { retry_after, .. } => Some(*retry_after),
            Self::Unreadable => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}
