//! What can go wrong with a store.

use std::sync::Arc;

use thiserror::Error;

/// The result of asking a store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// It cannot be reached or does not work now; trying again later may help.
    #[error("the store is not available")]
    Unavailable {
        /// What happened.
        #[source]
        cause: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// What it holds is damaged.
    #[error("the store is damaged")]
    Corrupt {
        /// What was found.
        #[source]
        cause: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// Its disk is full, or its bound is reached by what must not be removed.
    #[error("the store is full")]
    Full,
    /// A cursor that this store did not give for this query.
    #[error("the cursor is not one of this list")]
    BadCursor,
}

impl StoreError {
    /// [`StoreError::Unavailable`] because of `cause`.
    pub(crate) fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let cause = Arc::from(cause.into());
        Self::Unavailable { cause }
    }

    /// [`StoreError::Corrupt`] because of `cause`.
    pub(super) fn corrupt(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let cause = Arc::from(cause.into());
        Self::Corrupt { cause }
    }
}
