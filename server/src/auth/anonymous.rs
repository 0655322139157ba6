//! Who may come without a key, when there is none.
//!
//! On loopback that is everybody on this machine, which includes their browsers, and a browser
//! sends what any page asks it to. Two headers that pages cannot forge tell: `Origin` names the
//! page's site, in every cross-site request that could do something and in every WebSocket's;
//! `Host` has the name that a page reached the service by, which, if it is a name from the public
//! DNS, was made to point here ("DNS rebinding").

use std::net::{IpAddr, SocketAddr};

use super::{AuthConfig, Denied};

/// Who may come without a key as long as none was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Nobody.
    No,
    /// Programs and pages of this machine, on a loopback address.
    Loopback,
    /// Everybody who reaches the address, as the operator allowed.
    Anywhere,
}

impl Open {
    /// What holds for a service that listens on `address`.
    pub fn on(address: SocketAddr, config: AuthConfig) -> Self {
        match (
            address.ip().to_canonical().is_loopback(),
            config.insecure_no_keys,
        ) {
            (true, _) => Self::Loopback,
            (false, true) => Self::Anywhere,
            (false, false) => Self::No,
        }
    }
}

/// What a request says of where it comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Visitor<'a> {
    /// Its `Host` header.
    pub host: Option<&'a str>,
    /// Its `Origin` header.
    pub origin: Option<&'a str>,
}

impl Visitor<'_> {
    /// Whether it may come without a key; pages of `origins` may.
    pub(super) fn check(self, open: Open, origins: &[String]) -> Result<(), Denied> {
        let listed = |origin: &str| origins.iter().any(|known| known == origin);
        match self.origin {
            Some(origin) if listed(origin) => return Ok(()),
            Some(origin) if self.host.is_none_or(|host| !is_of(origin, host)) => {
                return Err(foreign("Origin", origin));
            }
            _ => {}
        }
        let host = self.host.unwrap_or_default();
        match open {
            Open::No => Err(Denied::Missing),
            Open::Anywhere => Ok(()),
            Open::Loopback if local(host) || origins.iter().any(|o| is_of(o, host)) => Ok(()),
            Open::Loopback => Err(foreign("Host", host)),
        }
    }
}

/// Whether `origin` is that of a page which came from `host`.
fn is_of(origin: &str, host: &str) -> bool {
    let site = ["http://", "https://"]
        .iter()
        .find_map(|scheme| origin.strip_prefix(scheme));
    site.is_some_and(|site| site.eq_ignore_ascii_case(host))
}

/// Whether `host`, with or without a port, is an address or a name that no public DNS has.
fn local(host: &str) -> bool {
    if host.parse::<SocketAddr>().is_ok() {
        return true;
    }
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if bare.unwrap_or(host).parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    !name.contains('.') || name.to_ascii_lowercase().ends_with(".localhost")
}

/// As much of a header as is quoted.
const MAX_QUOTED_BYTES: usize = 64;

fn foreign(what: &'static str, name: &str) -> Denied {
    let name = name[..name.floor_char_boundary(MAX_QUOTED_BYTES)].to_owned();
    Denied::Foreign { what, name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(open: Open, host: Option<&str>, origin: Option<&str>) -> bool {
        let origins = ["https://judge.example".to_owned()];
        Visitor { host, origin }.check(open, &origins).is_ok()
    }

    #[test]
    fn programs_and_pages_of_this_machine() {
        for host in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "192.0.2.1",
            "brig:8080",
            "api.localhost:1",
            "",
        ] {
            assert!(check(Open::Loopback, Some(host), None), "{host}");
            let own = format!("http://{host}");
            assert!(check(Open::Loopback, Some(host), Some(&own)), "{host}");
        }
        assert!(check(Open::Loopback, None, None));
    }

    #[test]
    fn not_other_sites_pages() {
        for open in [Open::Loopback, Open::Anywhere] {
            for origin in [
                "https://evil.example",
                "null",
                "",
                "http://127.0.0.1:9999",
                "file://",
            ] {
                assert!(
                    !check(open, Some("127.0.0.1:8080"), Some(origin)),
                    "{origin}"
                );
                assert!(!check(open, None, Some(origin)), "{origin}");
            }
        }
        assert!(!check(Open::Loopback, Some("rebound.example:8080"), None));
        let own = Some("http://rebound.example:8080");
        assert!(!check(Open::Loopback, Some("rebound.example:8080"), own));
        assert!(!check(Open::Loopback, Some("evil.localhost.example"), None));
    }

    #[test]
    fn listed_origins_and_what_the_operator_opened() {
        let judge = Some("https://judge.example");
        assert!(check(Open::Loopback, Some("127.0.0.1:8080"), judge));
        assert!(
            check(Open::Loopback, Some("judge.example"), None),
            "behind a proxy"
        );
        assert!(check(Open::Anywhere, Some("brig.example"), None));
        assert!(check(
            Open::Anywhere,
            Some("brig.example"),
            Some("https://brig.example")
        ));
        assert!(!check(Open::No, Some("localhost"), None));
    }

    #[test]
    fn where_it_listens() {
        let on = |address: &str, insecure_no_keys| {
            let config = AuthConfig {
                insecure_no_keys,
                ..AuthConfig::default()
            };
            Open::on(address.parse().unwrap(), config)
        };
        for loopback in [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(on(loopback, false), Open::Loopback);
            assert_eq!(on(loopback, true), Open::Loopback);
        }
        for other in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:192.0.2.1]:1"] {
            assert_eq!(on(other, false), Open::No);
            assert_eq!(on(other, true), Open::Anywhere);
        }
    }
}
