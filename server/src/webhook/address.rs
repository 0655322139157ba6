//! Which addresses webhooks may go to.
//!
//! A callback's URL comes from a client, and the request goes out from inside the operator's network:
//! so only addresses of the public internet are called (IANA's special-purpose registries say
//! which are not), and what the operator allows by name. Forms of IPv6 that carry an IPv4 address are
//! judged by that address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// IPv4 networks that are not the public internet, or answer with a host's secrets, and what they are.
const REFUSED_V4: &[(Ipv4Net, &str)] = &[
    (v4([0, 0, 0, 0], 8), "unspecified"),
    (v4([10, 0, 0, 0], 8), "private"),
    (v4([100, 64, 0, 0], 10), "carrier-grade NAT"),
    (v4([127, 0, 0, 0], 8), "loopback"),
    // Azure's metadata and agent service, at an address that looks public.
    (v4([168, 63, 129, 16], 32), "metadata service"),
    // Metadata services of most clouds are at 169.254.169.254.
    (v4([169, 254, 0, 0], 16), "link-local"),
    (v4([172, 16, 0, 0], 12), "private"),
    // Oracle's metadata service is at 192.0.0.192.
    (v4([192, 0, 0, 0], 24), "protocol assignments"),
    (v4([192, 0, 2, 0], 24), "documentation"),
    (v4([192, 88, 99, 0], 24), "6to4 relay"),
    (v4([192, 168, 0, 0], 16), "private"),
    (v4([198, 18, 0, 0], 15), "benchmarking"),
    (v4([198, 51, 100, 0], 24), "documentation"),
    (v4([203, 0, 113, 0], 24), "documentation"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    (v4([240, 0, 0, 0], 4), "reserved"),
];

/// The part of IPv6 that is the public internet.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// IPv6 networks that are not, and what they are: those within [`GLOBAL_V6`], and others to be told
/// apart in the log.
const REFUSED_V6: &[(Ipv6Net, &str)] = &[
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "unspecified"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "private"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
    // Teredo, whose addresses carry two IPv4 addresses, is among them.
    (
        v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
        "protocol assignments",
    ),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "documentation"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "documentation"),
];

/// IPv6 networks whose addresses carry an IPv4 address, and at which segment it begins.
const EMBEDDING: &[(Ipv6Net, usize)] = &[
    // IPv4-mapped: the socket goes to the IPv4 address.
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), 6),
    // IPv4-compatible and IPv4-translated; out of use, but some hosts route them.
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), 6),
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96), 6),
    // NAT64 (RFC 6052).
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), 6),
    // 6to4 (RFC 3056).
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), 1),
];

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(s: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(
        Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]),
        prefix,
    )
}

/// What the operator allows beyond the public internet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Allow {
    /// Every address of a network: `"10.0.0.0/8"`, `"fd00::/8"`, `"192.168.1.7"`.
    Net(IpNet),
    /// A host by its name, whatever address it has: `"hooks.internal"`. In lower case.
    Host(String),
}

impl TryFrom<String> for Allow {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self::Net(net.trunc()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Net(address.into()));
        }
        let name = normal_name(&text);
        let part = |part: &str| {
            let of_a_name = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            let bounded = !part.starts_with('-') && !part.ends_with('-');
            (1..=63).contains(&part.len()) && bounded && part.bytes().all(of_a_name)
        };
        // As in URLs, a name whose last part is a number would be an address.
        let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let last = name.rsplit('.').next().unwrap_or_default();
        if name.len() <= 253 && name.split('.').all(part) && !number(last) {
            return Ok(Self::Host(name));
        }
        Err(format!(
            "{text:?} is neither a network such as \"10.0.0.0/8\" nor an address nor a host's name"
        ))
    }
}

impl From<Allow> for String {
    fn from(allow: Allow) -> Self {
        match allow {
            Allow::Net(net) => net.to_string(),
            Allow::Host(name) => name,
        }
    }
}

/// A host's name as it is compared.
fn normal_name(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// An address that webhooks may not go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is refused ({kind})")]
pub(super) struct Refused {
    /// The address.
    pub address: IpAddr,
    /// What it is.
    pub kind: &'static str,
}

/// Whether the host of this name may be called, whatever address it has.
pub(super) fn permits_name(allow: &[Allow], name: &str) -> bool {
    let name = normal_name(name);
    allow
        .iter()
        .any(|a| matches!(a, Allow::Host(allowed) if *allowed == name))
}

/// Whether a request may go to `address`.
pub(super) fn check(allow: &[Allow], address: IpAddr) -> Result<(), Refused> {
    let embedded = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => embedded(address).map(IpAddr::V4),
    };
    let allowed = |address: IpAddr| {
        let covers = |a: &Allow| matches!(a, Allow::Net(net) if net.contains(&address));
        allow.iter().any(covers)
    };
    if allowed(address) || embedded.is_some_and(allowed) {
        return Ok(());
    }
    match refused(embedded.unwrap_or(address)) {
        Some(kind) => Err(Refused { address, kind }),
        None => Ok(()),
    }
}

/// What `address` is, unless it belongs to the public internet.
fn refused(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => {
            let found = REFUSED_V4.iter().find(|(net, _)| net.contains(&address));
            found.map(|(_, kind)| *kind)
        }
        IpAddr::V6(address) => {
            let found = REFUSED_V6.iter().find(|(net, _)| net.contains(&address));
            let other = (!GLOBAL_V6.contains(&address)).then_some("reserved");
            found.map(|(_, kind)| *kind).or(other)
        }
    }
}

/// The IPv4 address that an IPv6 address carries.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    // Not IPv4-compatible: these two are themselves.
    if address.is_unspecified() || address.is_loopback() {
        return None;
    }
    let (_, at) = EMBEDDING.iter().find(|(net, _)| net.contains(&address))?;
    let segments = address.segments();
    let [a, b] = segments[*at].to_be_bytes();
    let [c, d] = segments[at + 1].to_be_bytes();
    Some(Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(address: &str) -> Option<&'static str> {
        check(&[], address.parse().unwrap()).err().map(|r| r.kind)
    }

    fn allow(list: &[&str]) -> Vec<Allow> {
        let parse = |text: &&str| Allow::try_from((*text).to_owned()).unwrap();
        list.iter().map(parse).collect()
    }

    #[test]
    fn the_public_internet_is_called() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
        ] {
            assert_eq!(kind(address), None, "{address}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (address, expected) in [
            ("0.0.0.0", "unspecified"),
            ("0.1.2.3", "unspecified"),
            ("10.0.0.0", "private"),
            ("10.255.255.255", "private"),
            ("100.64.0.0", "carrier-grade NAT"),
            ("100.100.100.200", "carrier-grade NAT"),
            ("100.127.255.255", "carrier-grade NAT"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.255", "loopback"),
            ("168.63.129.16", "metadata service"),
            ("169.254.169.254", "link-local"),
            ("172.16.0.0", "private"),
            ("172.31.255.255", "private"),
            ("192.0.0.192", "protocol assignments"),
            ("192.0.2.1", "documentation"),
            ("192.88.99.1", "6to4 relay"),
            ("192.168.0.1", "private"),
            ("198.19.255.255", "benchmarking"),
            ("198.51.100.1", "documentation"),
            ("203.0.113.1", "documentation"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("240.0.0.1", "reserved"),
            ("255.255.255.255", "reserved"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("fc00::1", "private"),
            ("fd00:ec2::254", "private"),
            ("fe80::1", "link-local"),
            ("fec0::1", "reserved"),
            ("ff02::1", "multicast"),
            ("2001::1", "protocol assignments"),
            ("2001:0:7f00:1::", "protocol assignments"),
            ("2001:db8::1", "documentation"),
            ("3fff::1", "documentation"),
            ("100::1", "reserved"),
            ("64:ff9b:1::1", "reserved"),
            ("5f00::1", "reserved"),
            ("4000::1", "reserved"),
        ] {
            assert_eq!(kind(address), Some(expected), "{address}");
        }
    }

    #[test]
    fn addresses_inside_addresses_are_seen() {
        for address in [
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "::10.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2002:c0a8:101::1",
        ] {
            assert!(kind(address).is_some(), "{address}");
        }
    }

    #[test]
    fn what_is_allowed_is_called() {
        let list = allow(&["10.1.0.0/16", "fd00::/8", "192.168.1.7"]);
        let ok = |address: &str| check(&list, address.parse().unwrap()).is_ok();
        assert!(ok("10.1.2.3") && ok("fd12::1") && ok("192.168.1.7"));
        assert!(ok("::ffff:10.1.2.3") && ok("64:ff9b::10.1.2.3"));
        assert!(!ok("10.2.0.0") && !ok("192.168.1.8") && !ok("fc00::1"));
        assert!(!ok("::ffff:10.2.0.0"));
    }

    #[test]
    fn names_are_compared_as_dns_does() {
        let list = allow(&["Hooks.Internal."]);
        assert!(permits_name(&list, "hooks.internal"));
        assert!(permits_name(&list, "HOOKS.internal."));
        assert!(!permits_name(&list, "evil-hooks.internal"));
        assert!(!permits_name(&list, "x.hooks.internal"));
    }

    #[test]
    fn what_is_neither_network_nor_name_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "a b",
            "x/8",
            "http://x",
            "10.0.0",
            "-.",
            ".",
            "*.x",
            "a..b",
        ] {
            assert!(Allow::try_from(text.to_owned()).is_err(), "{text:?}");
        }
        let round = |text: &str| String::from(Allow::try_from(text.to_owned()).unwrap());
        assert_eq!(round("10.1.2.3/8"), "10.0.0.0/8");
        assert_eq!(round("10.1.2.3"), "10.1.2.3/32");
        assert_eq!(round("hooks.internal"), "hooks.internal");
    }

    proptest::proptest! {
        /// An IPv4 address is judged alike in all its clothes.
        #[test]
        fn clothes_do_not_matter(bits: u32) {
            let plain = Ipv4Addr::from_bits(bits);
            let [a, b, c, d] = plain.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            let verdict = check(&[], plain.into()).is_ok();
            for dressed in [
                plain.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            ] {
                proptest::prop_assert_eq!(check(&[], dressed.into()).is_ok(), verdict);
            }
        }
    }
}
