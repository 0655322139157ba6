//! Configuration of webhooks.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use super::address::Allow;
use super::secret::{self, Secrets, Sources};

/// The most deliveries at once, in all and to one host.
const MOST_AT_ONCE: usize = 256;
/// The longest time-out.
const MOST_TIMEOUT_MS: u64 = 120_000;
/// The longest time between two attempts.
const MOST_RETRY_MS: u64 = 24 * 3_600_000;
/// The longest time until a delivery is given up, 30 days.
const MOST_GIVE_UP_S: u64 = 30 * 86_400;
/// The most entries of a list.
const MOST_ENTRIES: usize = 1000;

/// Webhooks (`[webhooks]`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhooksConfig {
    /// Where callbacks may go besides the public internet: networks (`"10.0.0.0/8"`), addresses, and
    /// names of hosts (`"hooks.internal"`), which are called whatever address they have.
    pub allow: Vec<Allow>,
    /// Ports that callbacks may name; empty: any.
    pub ports: Vec<u16>,
    /// Deliveries at once. Each holds its submission's document in memory.
    pub max_concurrent: usize,
    /// Of these, to one host.
    pub max_concurrent_per_host: usize,
    /// How long finding the host's address and connecting, TLS included, may take.
    pub connect_timeout_ms: u64,
    /// How long an attempt may take in all.
    pub timeout_ms: u64,
    /// The second attempt comes at a random time within this of the first; the bound doubles with
    /// each attempt.
    pub first_retry_ms: u64,
    /// Where the doubling ends. A receiver's `Retry-After` is obeyed up to this.
    pub max_retry_ms: u64,
    /// A delivery that has not succeeded for this long is given up.
    pub give_up_after_s: u64,
    /// The secrets that sign deliveries, by the id that a callback names; see [`Sources`].
    pub secrets: BTreeMap<String, Sources>,
}

impl Default for WebhooksConfig {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            ports: Vec::new(),
            max_concurrent: 16,
            max_concurrent_per_host: 4,
            connect_timeout_ms: 5_000,
            timeout_ms: 15_000,
            first_retry_ms: 5_000,
            max_retry_ms: 3_600_000,
            give_up_after_s: 86_400,
            secrets: BTreeMap::new(),
        }
    }
}

impl WebhooksConfig {
    /// Whether every value is in its range; the error names the key and the range.
    pub fn check(&self) -> anyhow::Result<()> {
        let lists = [self.allow.len(), self.ports.len(), self.secrets.len()];
        ensure!(
            lists.iter().all(|len| *len <= MOST_ENTRIES),
            "webhooks.allow, ports and secrets may have {MOST_ENTRIES} entries each"
        );
        ensure!(
            !self.ports.contains(&0),
            "webhooks.ports must be 1 to 65535"
        );
        let range = |name: &str, value: u64, least: u64, most: u64| {
            ensure!(
                (least..=most).contains(&value),
                "webhooks.{name} must be {least} to {most}"
            );
            Ok(())
        };
        let most = MOST_AT_ONCE as u64;
        range("max_concurrent", self.max_concurrent as u64, 1, most)?;
        let per_host = self.max_concurrent_per_host as u64;
        range("max_concurrent_per_host", per_host, 1, most)?;
        range(
            "connect_timeout_ms",
            self.connect_timeout_ms,
            1,
            MOST_TIMEOUT_MS,
        )?;
        range("timeout_ms", self.timeout_ms, 1, MOST_TIMEOUT_MS)?;
        range("first_retry_ms", self.first_retry_ms, 1, MOST_RETRY_MS)?;
        range(
            "max_retry_ms",
            self.max_retry_ms,
            self.first_retry_ms,
            MOST_RETRY_MS,
        )?;
        range("give_up_after_s", self.give_up_after_s, 1, MOST_GIVE_UP_S)?;
        self.secrets.keys().try_for_each(|id| secret::check_id(id))
    }

    /// Reads the secrets from where they are kept.
    pub fn load_secrets(&self) -> anyhow::Result<Secrets> {
        Secrets::load(&self.secrets)
    }

    /// [`Self::connect_timeout_ms`] as a duration.
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// [`Self::timeout_ms`] as a duration.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use brig_sandbox::policy::parse_toml;

    use super::*;

    fn read(text: &str) -> Result<WebhooksConfig, String> {
        let config: WebhooksConfig = parse_toml("x.toml", text).map_err(|e| e.to_string())?;
        config.check().map_err(|e| e.to_string())?;
        Ok(config)
    }

    #[test]
    fn a_whole_configuration_is_read_and_survives_the_way_to_the_server() {
        let config = read(
            r#"
            allow = ["10.0.0.0/8", "hooks.internal"]
            ports = [443, 8443]
            max_concurrent = 8
            give_up_after_s = 3600
            [secrets]
            main = "file:/etc/brig/hook.secret"
            partner = ["env:PARTNER_NEW", "env:PARTNER_OLD"]
            "#,
        )
        .unwrap();
        assert_eq!(config.allow.len(), 2);
        assert_eq!(config.timeout(), Duration::from_secs(15));
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(
            serde_json::from_str::<WebhooksConfig>(&json).unwrap(),
            config
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            (
                "max_concurrent = 0",
                "webhooks.max_concurrent must be 1 to 256",
            ),
            ("timeout_ms = 0", "webhooks.timeout_ms must be 1 to 120000"),
            (
                "max_retry_ms = 10",
                "webhooks.max_retry_ms must be 5000 to 86400000",
            ),
            ("ports = [0]", "webhooks.ports"),
            ("allow = [\"10.0.0.0/40\"]", "x.toml:1: "),
            ("[secrets]\nmain = \"hunter2hunter2hunter2\"", "x.toml:2: "),
            ("[secrets]\n\"a b\" = \"env:X\"", "webhooks.secrets"),
            ("retries = 3", "retries"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
