//! `/v1/blobs`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::blob::BlobHash;

/// A blob that was uploaded.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct BlobEntry {
    /// Its name, by which tests refer to it.
    pub hash: BlobHash,
    /// Its length, in bytes.
    pub bytes: u64,
}
