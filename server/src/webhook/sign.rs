//! How a receiver knows that a delivery is ours: `Brig-Signature`.

use std::fmt::Write;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::secret::Secret;

/// The header's value: `t=<unix time>,v1=<hex>`, where the hexadecimal number is the HMAC-SHA256 of
/// `<unix time>.<body>`. One `v1` for each secret: while a secret is replaced there are two, and a
/// receiver takes a delivery when any of them is right.
pub(super) fn signature(secrets: &[Secret], unix: i64, body: &[u8]) -> String {
    let mut header = format!("t={unix}");
    for secret in secrets {
        header.push_str(",v1=");
        for byte in hmac(secret.bytes(), unix, body) {
            let _ = write!(header, "{byte:02x}");
        }
    }
    header
}

fn hmac(secret: &[u8], unix: i64, body: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(unix.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_other_tools() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef
        let old = Secret::new(b"0123456789abcdef".to_vec());
        let new = Secret::new(b"fedcba9876543210".to_vec());
        let body = br#"{"a":1}"#;
        assert_eq!(
            signature(std::slice::from_ref(&old), 1_700_000_000, body),
            "t=1700000000,v1=9eb18f493f8ec135d9eb2dad817c369bb4e9cbfa818657897a7437c1cd8c3a23"
        );
        assert_eq!(
            signature(&[new, old], 1_700_000_000, body),
            "t=1700000000,v1=b32c46cc98bca64571d8fd1f15c9c2c492dd6883b977ebc5c859dd995d9d12ea,v1=9eb18f493f8ec135d9eb2dad817c369bb4e9cbfa818657897a7437c1cd8c3a23"
        );
    }
}
