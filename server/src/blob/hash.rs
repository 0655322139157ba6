//! The name of a blob.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What every name begins with.
const ALGORITHM: &str = "sha256:";

/// The name of a blob: the SHA-256 of its bytes, written `sha256:` and 64 lower-case hexadecimal digits.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[schema(
    value_type = String,
    pattern = "^sha256:[0-9a-f]{64}$",
    example = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)]
#[serde(try_from = "String", into = "String")]
pub struct BlobHash(pub [u8; 32]);

/// A text that is not the name of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a blob's name is `sha256:` and 64 lower-case hexadecimal digits")]
pub struct NotAHash;

impl BlobHash {
    /// The digits alone.
    pub fn hex(&self) -> String {
        self.to_string().split_off(ALGORITHM.len())
    }

    /// The hash with these digits.
    pub(super) fn from_hex(digits: &[u8]) -> Option<Self> {
        let mut hash = [0; 32];
        if digits.len() != 2 * hash.len() {
            return None;
        }
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        for (byte, digits) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(digits[0])? << 4 | value(digits[1])?;
        }
        Some(Self(hash))
    }
}

impl FromStr for BlobHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let digits = text.strip_prefix(ALGORITHM).ok_or(NotAHash)?;
        Self::from_hex(digits.as_bytes()).ok_or(NotAHash)
    }
}

impl TryFrom<String> for BlobHash {
    type Error = NotAHash;

    fn try_from(text: String) -> Result<Self, NotAHash> {
        text.parse()
    }
}

impl From<BlobHash> for String {
    fn from(hash: BlobHash) -> Self {
        hash.to_string()
    }
}

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ALGORITHM)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_its_name_and_back() {
        let hash = BlobHash([0xa7; 32]);
        assert_eq!(hash.to_string(), format!("sha256:{}", "a7".repeat(32)));
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(BlobHash::from_hex(hash.hex().as_bytes()), Some(hash));
    }

    #[test]
    fn what_is_not_a_name() {
        let digits = "a7".repeat(32);
        for wrong in [
            String::new(),
            digits.clone(),
            format!("sha512:{digits}"),
            format!("SHA256:{digits}"),
            format!("sha256:{}", digits.to_uppercase()),
            format!("sha256:{}", &digits[1..]),
            format!("sha256:{digits}0"),
            format!("sha256:{}", "é".repeat(32)),
            format!("sha256:{}/..", &digits[3..]),
        ] {
            assert_eq!(wrong.parse::<BlobHash>(), Err(NotAHash), "{wrong}");
        }
    }
}
