//! Permalinks: documents that the playground can be opened with, readable by whoever knows the id.
//!
//! They are checked like a run when they come, and never run by the service itself.

mod config;

use std::time::Duration;

use rand::distr::{Alphanumeric, SampleString};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use self::config::SharesConfig;
use crate::api::{FieldError, SHARE_VERSION, ShareRequest};
use crate::run::{Terms, validate};
use crate::store::Hash;

/// Letters and digits of an id: 119 bits.
const ID_LEN: usize = 20;
/// Letters and digits of what deletes a document: 178 bits.
const DELETE_TOKEN_LEN: usize = 30;
/// The longest title.
const MAX_TITLE_BYTES: usize = 200;
/// The shortest time that a document may ask to be kept.
const LEAST_KEEP: Duration = Duration::from_mins(1);
/// A use is noted once it puts the end off by this part of the time that the document is kept.
const NOTE_PARTS: u32 = 32;

/// A document that was checked.
#[derive(Debug)]
pub struct Checked {
    /// It.
    pub document: Vec<u8>,
    /// Its hash.
    pub hash: Hash,
    /// How long it is to be kept after its last use.
    pub keep: Duration,
}

/// A new id.
pub fn new_id() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), ID_LEN)
}

/// Whether an id can be one of [`new_id`]'s.
pub fn is_id(id: &str) -> bool {
    id.len() == ID_LEN && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A new word that lets its holder delete a document.
pub fn new_delete_token() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), DELETE_TOKEN_LEN)
}

/// What is stored of such a word.
pub fn hash(text: &[u8]) -> Hash {
    Sha256::digest(text).into()
}

/// Whether a use is worth noting, of a document that was to go in `left` and is kept for `keep` after
/// a use.
pub fn is_worth_noting(left: Duration, keep: Duration) -> bool {
    keep.saturating_sub(left) > keep / NOTE_PARTS
}

/// Checks the document in `text`, which was read as `request`. `errors` are those already found.
pub fn check(
    request: ShareRequest,
    text: &[u8],
    terms: &Terms<'_>,
    config: &SharesConfig,
    mut errors: Vec<FieldError>,
) -> Result<Checked, Vec<FieldError>> {
    let mut error = |pointer: &str, detail: String| errors.push(FieldError::new(pointer, detail));
    if request.version != SHARE_VERSION {
        error("/version", format!("must be {SHARE_VERSION}"));
    }
    if let Some(title) = &request.title
        && (title.len() > MAX_TITLE_BYTES || title.chars().any(char::is_control))
    {
        let detail = format!("must be at most {MAX_TITLE_BYTES} bytes without control characters");
        error("/title", detail);
    }
    let keep = request.expires_in_s.map(Duration::from_secs);
    let keep = keep.unwrap_or(config.keep());
    if !(LEAST_KEEP..=config.keep()).contains(&keep) {
        let (least, most) = (LEAST_KEEP.as_secs(), config.keep().as_secs());
        error("/expires_in_s", format!("must be {least} to {most}"));
    }
    if request.files.is_empty() {
        error("/files", "must have at least one file".to_owned());
        return Err(errors);
    }
    validate(request.into_run(), terms, errors)?;
    let document = document(text).map_err(|why| vec![FieldError::new("", why.to_string())])?;
    Ok(Checked {
        hash: hash(&document),
        document,
        keep,
    })
}

/// The document as it is kept: without what is null, and without what is not part of it.
fn document(text: &[u8]) -> serde_json::Result<Vec<u8>> {
    let mut document: Map<String, Value> = serde_json::from_slice(text)?;
    document.remove("expires_in_s");
    document.retain(|_, value| !value.is_null());
    serde_json::to_vec(&document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_long_and_never_the_same() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| new_id()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| is_id(id)));
        for id in ["", "abc", "aaaaaaaaaaaaaaaaaaa/", "aaaaaaaaaaaaaaaaaaaaa"] {
            assert!(!is_id(id), "{id}");
        }
    }

    #[test]
    fn the_order_of_fields_and_nulls_make_no_other_document() {
        let one = document(br#"{"b": 1, "a": {"y": 2, "x": null}, "expires_in_s": 60}"#).unwrap();
        let two = document(br#"{"a":{"x":null,"y":2},"b":1,"c":null}"#).unwrap();
        assert_eq!(one, two);
    }

    #[test]
    fn uses_are_noted_now_and_then() {
        let keep = Duration::from_secs(3200);
        assert!(!is_worth_noting(keep, keep));
        assert!(!is_worth_noting(Duration::from_secs(3101), keep));
        assert!(is_worth_noting(Duration::from_secs(3099), keep));
        assert!(is_worth_noting(Duration::ZERO, keep));
    }
}
