//! Which service is put under load, and with which key.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use anyhow::Context;
use hyper::Uri;
use hyper::header::HeaderValue;

/// The most that is read of a key file.
const MAX_KEY_BYTES: usize = 4096;

/// Which service, and who asks.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Service")]
pub(crate) struct TargetFlags {
    /// The service's address
    #[arg(
        long,
        value_name = "URL",
        env = "BRIG_SERVER",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(crate) server: String,
    /// File that holds the API key; the environment variable BRIG_KEY can hold the key itself
    #[arg(long, value_name = "FILE", env = "BRIG_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Load a service on another machine, which may be in use by others
    #[arg(long)]
    pub(crate) allow_remote: bool,
}

/// The service.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// As the `Host` header has it.
    pub(crate) host: HeaderValue,
    /// `host:port`, for URIs.
    pub(crate) authority: String,
    pub(crate) authorization: Option<HeaderValue>,
}

impl Target {
    /// The service that `flags` name, if it may be loaded.
    pub(crate) fn new(flags: &TargetFlags) -> anyhow::Result<Self> {
        let key = key(std::env::var("BRIG_KEY").ok(), flags.key_file.as_deref())?;
        let uri: Uri = flags.server.parse().with_context(|| {
            format!(
                "--server {:?} is no address like http://127.0.0.1:8080",
                flags.server
            )
        })?;
        anyhow::ensure!(
            uri.scheme_str() == Some("http"),
            "--server {:?} must begin with http://; TLS is what a proxy in front does, and not what is measured here",
            flags.server
        );
        anyhow::ensure!(
            uri.path() == "/" && uri.query().is_none(),
            "--server {:?} must not have a path",
            flags.server
        );
        let host = uri.host().context("--server names no host")?;
        let port = uri.port_u16().unwrap_or(80);
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let found: Vec<SocketAddr> = (name, port)
            .to_socket_addrs()
            .with_context(|| format!("{host} is not known"))?
            .collect();
        let address = *found
            .first()
            .with_context(|| format!("{host} has no address"))?;
        anyhow::ensure!(
            flags.allow_remote || address.ip().is_loopback(),
            "{address} is another machine; --allow-remote loads it all the same"
        );
        let authority = format!("{host}:{port}");
        let authorization = key.map(|key| -> anyhow::Result<HeaderValue> {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                .context("the key holds characters that no key has")?;
            value.set_sensitive(true);
            Ok(value)
        });
        Ok(Self {
            address,
            host: HeaderValue::from_str(&authority)?,
            authority,
            authorization: authorization.transpose()?,
        })
    }

    /// Whether it is on this machine, so that its processes can be looked at.
    pub(crate) fn is_local(&self) -> bool {
        self.address.ip().is_loopback()
    }
}

fn key(variable: Option<String>, file: Option<&Path>) -> anyhow::Result<Option<String>> {
    let key = match (file, variable) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the key file {}", path.display()))?;
            anyhow::ensure!(
                text.len() <= MAX_KEY_BYTES && !text.trim().is_empty(),
                "the key file {} holds no key",
                path.display()
            );
            Some(text)
        }
        (None, variable) => variable,
    };
    Ok(key
        .map(|key| key.trim().to_owned())
        .filter(|key| !key.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(server: &str, allow_remote: bool) -> anyhow::Result<Target> {
        Target::new(&TargetFlags {
            server: server.to_owned(),
            key_file: None,
            allow_remote,
        })
    }

    #[test]
    fn only_this_machine_is_loaded_unless_asked_for() {
        let local = target("http://127.0.0.1:8080", false).unwrap();
        assert!(local.is_local());
        assert_eq!(local.host, "127.0.0.1:8080");
        assert!(target("http://[::1]:1", false).unwrap().is_local());
        let error = target("http://192.0.2.1:8080", false).unwrap_err();
        assert!(error.to_string().contains("--allow-remote"), "{error}");
        assert!(!target("http://192.0.2.1:8080", true).unwrap().is_local());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for server in [
            "127.0.0.1:8080",
            "https://127.0.0.1",
            "http://127.0.0.1/v1",
            "x y",
        ] {
            assert!(target(server, true).is_err(), "{server}");
        }
    }

    #[test]
    fn the_key_file_wins_over_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "brig_a\n").unwrap();
        let found = |variable: Option<&str>, file: Option<&Path>| {
            key(variable.map(str::to_owned), file).unwrap()
        };
        assert_eq!(
            found(Some("brig_b"), Some(&file)).as_deref(),
            Some("brig_a")
        );
        assert_eq!(found(Some("brig_b"), None).as_deref(), Some("brig_b"));
        assert_eq!(found(Some(""), None), None);
        std::fs::write(&file, "\n").unwrap();
        assert!(key(None, Some(&file)).is_err());
    }
}
