//! What errors look like: made by what the service itself answers with.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::api::RunRequest;
use crate::api::parse::parse;
use crate::auth::{Denied, Scope};
use crate::blob::{BlobHash, BlobsConfig, UploadError};
use crate::config::HttpConfig;
use crate::http::error::Error;
use crate::http::{blobs, catalog, docs, live, ops, shares, submissions};
use crate::run::{Refused, cpu_time_above};
use crate::store::StoreError;

pub(super) fn no_key() -> Error {
    Denied::Missing.into()
}

pub(super) fn no_scope() -> Error {
    let denied = Denied::Scope {
        needs: &[Scope::Run],
        has: [Scope::Read].into_iter().collect(),
    };
    denied.into()
}

pub(super) fn too_often() -> Error {
    let retry_after = Duration::from_millis(250);
    Denied::Rate { retry_after }.into()
}

pub(super) fn queue_full() -> Error {
    let retry_after = Duration::from_secs(3);
    Refused::Full { retry_after }.into()
}

pub(super) fn not_json() -> Error {
    let parsed = parse::<RunRequest>(b"{");
    parsed.map_or_else(Error::from, |parsed| Error::invalid(parsed.errors))
}

pub(super) fn too_slow() -> Error {
    Error::too_slow()
}

pub(super) fn too_large() -> Error {
    Error::too_large(HttpConfig::default().max_body_bytes)
}

pub(super) fn not_declared() -> Error {
    Error::unsupported_media_type()
}

pub(super) fn invalid() -> Error {
    let error = cpu_time_above("/limits/cpu_time_ms", 90_000, 60_000);
    Error::invalid(vec![error])
}

pub(super) fn internal() -> Error {
    Error::internal()
}

/// The error of this status that an operation has for itself.
pub(super) fn own(operation: &str, status: &str) -> Option<Error> {
    Some(match (operation, status) {
        ("runLive", "400") => live::without_key(),
        ("runLive", "426") => live::not_one(),
        ("createSubmission", "409") => submissions::reused_key(),
        ("cancelSubmission", "409") => submissions::too_late(),
        ("listSubmissions", "400") => StoreError::BadCursor.into(),
        ("showSubmission" | "cancelSubmission" | "followSubmission", "404") => {
            submissions::unknown()
        }
        ("putBlob" | "createBlob", status) => return upload(status),
        ("getBlob" | "headBlob" | "deleteBlob", "404") => blobs::unknown(),
        ("getBlob", "416") => Error::unsatisfiable_range(),
        ("deleteBlob", "409") => blobs::pinned(),
        ("createShare", "404") => shares::disabled(),
        ("showShare" | "deleteShare", "404") => shares::unknown(),
        ("showShare", "503") => Error::store_unavailable(),
        ("deleteShare", "400") => shares::without_token(),
        ("showLanguage", "404") => catalog::unknown(),
        ("docsAsset", "404") => docs::unknown(),
        ("ready", "503") => ops::not_ready("no worker is connected"),
        _ => return None,
    })
}

/// An upload's.
fn upload(status: &str) -> Option<Error> {
    let config = BlobsConfig::default();
    let hash = |content: &str| BlobHash(Sha256::digest(content).into());
    Some(match status {
        "400" => blobs::in_part(),
        "408" => Error::too_slow(),
        "413" => UploadError::TooLarge {
            max_bytes: config.max_blob_bytes,
        }
        .into(),
        "415" => Error::unsupported_encoding(),
        "422" => UploadError::Mismatch {
            expected: hash("what was announced"),
            actual: hash("what came"),
        }
        .into(),
        "507" => UploadError::OverQuota {
            max_bytes: config.max_bytes_per_key,
        }
        .into(),
        _ => return None,
    })
}
