//! `/v1/blobs`.

use serde::Serialize;

use crate::blob::BlobHash;

/// A blob that was uploaded.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BlobEntry {
    /// `sha256:<hex>`, by which tests refer to it.
    pub hash: BlobHash,
    /// Its length.
    pub bytes: u64,
}
