//! A key as its holder has it: `brig_<id>_<secret>`.
//!
//! The secret is 43 random letters and digits, more than 255 bits, so one round of SHA-256 hides
//! it as well as any slow hash would: there is nothing to guess. Hashes are compared in constant
//! time.

use std::fmt;

use rand::distr::{Alphanumeric, SampleString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::store::Hash;

const PREFIX: &str = "brig";
/// 62^43 > 2^256.
const SECRET_LEN: usize = 43;
/// An id in hexadecimal digits, without dashes.
const ID_LEN: usize = uuid::fmt::Simple::LENGTH;

/// What an offered WebSocket protocol starts with when a token follows: browsers cannot set
/// headers of such a request.
const PROTOCOL_PREFIX: &str = "brig.bearer.";

/// A token, as it is shown once. It cannot be printed by accident.
pub struct Token {
    id: Uuid,
    secret: String,
}

impl Token {
    /// A new token for the key `id`, from the operating system's randomness.
    pub fn generate(id: Uuid) -> Self {
        let secret = Alphanumeric.sample_string(&mut rand::rng(), SECRET_LEN);
        Self { id, secret }
    }

    /// What is stored of it.
    pub fn hash(&self) -> Hash {
        hash(self.secret.as_bytes())
    }

    /// The token itself.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}_{}_{}", self.id.simple(), self.secret)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A token as a request presents it: whose it says it is, and the hash of what it has to show.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The key that it says it is.
    pub id: Uuid,
    hash: Hash,
}

/// What was presented is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key of Brig's; one looks like brig_<32 hexadecimal digits>_<43 letters and digits>")]
pub struct Malformed;

impl Presented {
    /// Reads a token.
    pub fn parse(token: &[u8]) -> Result<Self, Malformed> {
        let token = std::str::from_utf8(token).map_err(|_| Malformed)?;
        let mut parts = token.split('_');
        let (Some(PREFIX), Some(id), Some(secret), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Malformed);
        };
        let alphanumeric = secret.bytes().all(|b| b.is_ascii_alphanumeric());
        if id.len() != ID_LEN || secret.len() != SECRET_LEN || !alphanumeric {
            return Err(Malformed);
        }
        let id = Uuid::try_parse(id).map_err(|_| Malformed)?;
        let hash = hash(secret.as_bytes());
        Ok(Self { id, hash })
    }

    /// Reads the value of an `Authorization` header (RFC 6750).
    pub fn from_authorization(value: &[u8]) -> Result<Self, Malformed> {
        let (scheme, token) = value.split_at_checked(b"Bearer".len()).ok_or(Malformed)?;
        let token = token.strip_prefix(b" ").ok_or(Malformed)?;
        if !scheme.eq_ignore_ascii_case(b"Bearer") {
            return Err(Malformed);
        }
        Self::parse(token.trim_ascii())
    }

    /// Reads the value of a `Sec-WebSocket-Protocol` header; `None`: it offers no token.
    pub fn from_protocols(value: &[u8]) -> Option<Result<Self, Malformed>> {
        let mut offers = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let token = offers.find_map(|offer| offer.strip_prefix(PROTOCOL_PREFIX.as_bytes()))?;
        Some(Self::parse(token))
    }

    /// Whether this has the secret behind `stored`. Takes as long when there is nothing stored.
    pub(super) fn matches(&self, stored: Option<&Hash>) -> bool {
        const NOTHING: Hash = [0; 32];
        let equal: bool = self.hash.ct_eq(stored.unwrap_or(&NOTHING)).into();
        equal & stored.is_some()
    }
}

fn hash(secret: &[u8]) -> Hash {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> Token {
        Token::generate(Uuid::now_v7())
    }

    #[test]
    fn what_is_generated_is_recognised() {
        let token = token();
        let presented = Presented::parse(token.reveal().as_bytes()).unwrap();
        assert_eq!(presented.id, token.id);
        assert!(presented.matches(Some(&token.hash())));
        assert!(!presented.matches(Some(&self::token().hash())));
        assert!(!presented.matches(None));
        assert!(!presented.matches(Some(&[0; 32])));
    }

    #[test]
    fn every_changed_character_counts() {
        let token = token();
        let text = token.reveal();
        for at in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'a' { b'b' } else { b'a' };
            let same = Presented::parse(&other)
                .is_ok_and(|p| p.id == token.id && p.matches(Some(&token.hash())));
            assert!(!same, "character {at}");
        }
    }

    #[test]
    fn headers() {
        let text = token().reveal();
        let ok = |value: &str| Presented::from_authorization(value.as_bytes()).is_ok();
        assert!(ok(&format!("Bearer {text}")) && ok(&format!("bearer  {text} ")));
        assert!(!ok(&text) && !ok(&format!("Basic {text}")) && !ok(&format!("Bearer{text}")));
        assert!(!ok("") && !ok("Bearer") && !ok("Bearer ") && !ok(&format!("Bearer {text}x")));
        let offer = |value: &str| Presented::from_protocols(value.as_bytes()).map(|p| p.is_ok());
        assert_eq!(offer(&format!("brig.v1, brig.bearer.{text}")), Some(true));
        assert_eq!(offer("brig.v1, brig.bearer."), Some(false));
        assert_eq!(offer("brig"), None);
    }

    #[test]
    fn a_token_is_not_printed_by_accident() {
        let token = token();
        assert!(!format!("{token:?}").contains(&token.secret));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Presented::parse(&value);
            let _ = Presented::from_authorization(&value);
            let _ = Presented::from_protocols(&value);
        }

        #[test]
        fn nor_one_that_nearly_fits(value in "(?i:bearer) ?brig[._](key\\.)?[0-9a-fA-F-]{30,36}_?\\PC{0,45}") {
            let _ = Presented::parse(value.as_bytes());
            let _ = Presented::from_authorization(value.as_bytes());
            let _ = Presented::from_protocols(value.as_bytes());
        }

        #[test]
        fn only_the_holder_gets_in(secret in "[A-Za-z0-9]{43}") {
            let token = token();
            let guess = format!("brig_{}_{secret}", token.id.simple());
            let presented = Presented::parse(guess.as_bytes()).unwrap();
            prop_assert_eq!(presented.matches(Some(&token.hash())), secret == token.secret);
        }
    }
}
