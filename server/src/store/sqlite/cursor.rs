//! Cursors of lists: a position, signed together with the query that it belongs to.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::store::{Result, StoreError, StoredState, Whose};

/// What a database signs its cursors with.
pub(super) type Secret = [u8; 32];

/// Bytes of the position.
const POSITION_BYTES: usize = 8;
/// Bytes of the signature.
const TAG_BYTES: usize = 16;

/// A cursor to what comes after `position` in the list of `whose` submissions in `state`.
pub(super) fn make(
    secret: &Secret,
    whose: Whose,
    state: Option<StoredState>,
    position: i64,
) -> String {
    let position = position.to_be_bytes();
    let tag = sign(secret, whose, state, position).finalize().into_bytes();
    let mut cursor = [0; POSITION_BYTES + TAG_BYTES];
    cursor[..POSITION_BYTES].copy_from_slice(&position);
    cursor[POSITION_BYTES..].copy_from_slice(&tag[..TAG_BYTES]);
    URL_SAFE_NO_PAD.encode(cursor)
}

/// The position that `cursor` was made of.
pub(super) fn read(
    secret: &Secret,
    whose: Whose,
    state: Option<StoredState>,
    cursor: &str,
) -> Result<i64> {
    let mut bytes = [0; POSITION_BYTES + TAG_BYTES];
    match URL_SAFE_NO_PAD.decode_slice(cursor, &mut bytes) {
        Ok(length) if length == bytes.len() => {}
        _ => return Err(StoreError::BadCursor),
    }
    let mut position = [0; POSITION_BYTES];
    position.copy_from_slice(&bytes[..POSITION_BYTES]);
    sign(secret, whose, state, position)
        .verify_truncated_left(&bytes[POSITION_BYTES..])
        .map_err(|_| StoreError::BadCursor)?;
    Ok(i64::from_be_bytes(position))
}

fn sign(
    secret: &Secret,
    whose: Whose,
    state: Option<StoredState>,
    position: [u8; POSITION_BYTES],
) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    match whose {
        Whose::Anyone => mac.update(&[0]),
        Whose::Of(None) => mac.update(&[1]),
        Whose::Of(Some(owner)) => {
            mac.update(&[2]);
            mac.update(owner.as_bytes());
        }
    }
    mac.update(&[match state {
        None => 0,
        Some(StoredState::Queued) => 1,
        Some(StoredState::Finished) => 2,
        Some(StoredState::Cancelled) => 3,
    }]);
    mac.update(&position);
    mac
}
