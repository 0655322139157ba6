//! A callback's URL: what can be said of it before its host's address is known.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

use super::address;
use super::config::WebhooksConfig;

/// The longest URL of a callback.
const MOST_URL_BYTES: usize = 2048;

/// Whether `url` can be a callback's: an absolute `http` or `https` URL without credentials, at an
/// allowed port, whose host is not plainly one that webhooks may not go to. Where its name leads is
/// looked at with each attempt. The error is for the client.
pub(super) fn check_url(url: &str, config: &WebhooksConfig) -> Result<(), String> {
    parse(url, config).map(drop)
}

/// The host that deliveries to `url` are counted under; of what is no URL, the text itself.
pub(super) fn host_of(url: &str) -> String {
    let host = Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_else(|| url.to_owned())
}

/// As [`check_url`].
pub(super) fn parse(text: &str, config: &WebhooksConfig) -> Result<Url, String> {
    if text.len() > MOST_URL_BYTES {
        return Err(format!("is longer than {MOST_URL_BYTES} bytes"));
    }
    // URL parsers pass over these in silence.
    if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err("has white space or control characters".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("is not an absolute URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with https:// or http://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not have a user name or password".to_owned());
    }
    let port = url.port_or_known_default().unwrap_or_default();
    if port == 0 || !(config.ports.is_empty() || config.ports.contains(&port)) {
        return Err(format!("port {port} is not one that webhooks may go to"));
    }
    let Some(host) = url.host_str() else {
        return Err("has no host".to_owned());
    };
    let addresses = plain_addresses(&url);
    let refused = |address: &IpAddr| address::check(&config.allow, *address).is_err();
    if !addresses.is_empty()
        && addresses.iter().all(refused)
        && !address::permits_name(&config.allow, host)
    {
        return Err("leads to an address that webhooks may not go to".to_owned());
    }
    Ok(url)
}

/// The addresses of a host that needs no resolver.
fn plain_addresses(url: &Url) -> Vec<IpAddr> {
    if let Some(address) = literal(url) {
        return vec![address];
    }
    let name = url.domain().unwrap_or_default();
    let name = name.strip_suffix('.').unwrap_or(name);
    if name == "localhost" || name.ends_with(".localhost") {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    Vec::new()
}

/// The host, if it is given as an address.
fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    let host = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    host.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::address::Allow;

    fn config(allow: &[&str], ports: &[u16]) -> WebhooksConfig {
        let parse = |text: &&str| Allow::try_from((*text).to_owned()).unwrap();
        WebhooksConfig {
            allow: allow.iter().map(parse).collect(),
            ports: ports.to_vec(),
            ..WebhooksConfig::default()
        }
    }

    #[test]
    fn callbacks_on_the_internet_are_taken() {
        let config = config(&[], &[]);
        for url in [
            "https://oj.example/hook",
            "http://oj.example:8080/hook?x=1#y",
            "HTTPS://OJ.EXAMPLE",
            "https://1.1.1.1/",
            "https://[2606:4700:4700::1111]:8443/",
            "https://b\u{fc}cher.example/",
        ] {
            assert_eq!(check_url(url, &config), Ok(()), "{url}");
        }
        assert_eq!(host_of("https://OJ.example:8443/x"), "oj.example");
        assert_eq!(host_of("nonsense"), "nonsense");
    }

    #[test]
    fn others_are_refused_and_say_why() {
        let config = config(&[], &[80, 443]);
        let long = format!("https://oj.example/{}", "x".repeat(MOST_URL_BYTES));
        for (url, expected) in [
            ("", "absolute"),
            ("/hook", "absolute"),
            ("oj.example/hook", "absolute"),
            ("ftp://oj.example/", "must begin"),
            ("file:///etc/passwd", "must begin"),
            ("gopher://oj.example/", "must begin"),
            ("https://user@oj.example/", "user name"),
            ("https://:word@oj.example/", "user name"),
            ("https://oj.example:22/", "port 22"),
            ("https://oj.example:0/", "port 0"),
            ("https://oj.exa\nmple/", "control"),
            (" https://oj.example/", "white space"),
            ("http://", "absolute"),
            (&long, "longer"),
        ] {
            let error = check_url(url, &config).unwrap_err();
            assert!(error.contains(expected), "{url}: {error}");
        }
    }

    #[test]
    fn addresses_are_seen_in_every_spelling() {
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://%31%32%37.0.0.1/",
            "http://\u{ff11}27.0.0.1/",
            "http://0/",
            "http://169.254.169.254/latest/meta-data/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[fe80::1]/",
            "http://localhost/",
            "http://LOCALHOST.:80/",
            "http://x.localhost/",
        ] {
            let error = check_url(url, &config(&[], &[])).unwrap_err();
            assert!(error.contains("may not go to"), "{url}: {error}");
        }
    }

    #[test]
    fn the_operator_allows_more() {
        let net = config(&["127.0.0.0/8", "10.0.0.0/8"], &[]);
        for url in [
            "http://127.0.0.1:8080/",
            "http://localhost/",
            "http://10.2.3.4/",
        ] {
            assert_eq!(check_url(url, &net), Ok(()), "{url}");
        }
        assert!(check_url("http://192.168.0.1/", &net).is_err());
        let name = config(&["localhost"], &[]);
        assert_eq!(check_url("http://localhost/", &name), Ok(()));
        assert!(check_url("http://127.0.0.1/", &name).is_err());
    }
}
