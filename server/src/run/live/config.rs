//! Configuration of live runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest time that can be configured.
const LONGEST_MS: u64 = 24 * 60 * 60 * 1000;
/// The most sockets that can be configured.
const MOST_SOCKETS: usize = 1_000_000;
/// The most bytes of a message, and of input that waits.
const MOST_BYTES: usize = 64 << 20;
/// The most that a result repeats of a stream.
const MOST_KEPT_BYTES: u64 = 64 << 20;

/// Live runs (`[live]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LiveConfig {
    /// Sockets open at once, running or not; more are refused with 503.
    pub max_sockets: usize,
    /// Sockets of one key, or of all callers without a key; more are refused with 429.
    pub max_sockets_per_key: usize,
    /// The longest message that a client may send; `start` with all its files is one.
    pub max_message_bytes: usize,
    /// Input that waits for the program to read it. The socket is not read while there is as much.
    pub stdin_buffer_bytes: usize,
    /// What `finished` repeats of each stream; the client had it all before.
    pub kept_output_bytes: u64,
    /// How long a socket may be open before it says `start`.
    pub start_timeout_ms: u64,
    /// A run without input and output for this long is ended.
    pub idle_timeout_ms: u64,
    /// How often a quiet client is pinged.
    pub ping_interval_ms: u64,
    /// A client that sends nothing, and takes nothing, for this long is given up.
    pub peer_timeout_ms: u64,
    /// The wall time limit of a run that names none.
    pub default_wall_time_ms: u64,
    /// The most that a run may ask for, in place of its language's maximum. It bounds how long a
    /// person who does nothing can keep a worker.
    pub max_wall_time_ms: u64,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            max_sockets: 1024,
            max_sockets_per_key: 512,
            max_message_bytes: 1 << 20,
            stdin_buffer_bytes: 256 << 10,
            kept_output_bytes: 1 << 20,
            start_timeout_ms: 60_000,
            idle_timeout_ms: 120_000,
            ping_interval_ms: 20_000,
            peer_timeout_ms: 60_000,
            default_wall_time_ms: 60_000,
            max_wall_time_ms: 600_000,
        }
    }
}

impl LiveConfig {
    /// Whether every value is in its range; the error names the key and the range.
    pub fn check(&self) -> anyhow::Result<()> {
        for (key, value, most) in [
            ("max_sockets", self.max_sockets, MOST_SOCKETS),
            (
                "max_sockets_per_key",
                self.max_sockets_per_key,
                MOST_SOCKETS,
            ),
            ("max_message_bytes", self.max_message_bytes, MOST_BYTES),
            ("stdin_buffer_bytes", self.stdin_buffer_bytes, MOST_BYTES),
        ] {
            anyhow::ensure!(
                (1..=most).contains(&value),
                "live.{key} must be 1 to {most}"
            );
        }
        anyhow::ensure!(
            self.kept_output_bytes <= MOST_KEPT_BYTES,
            "live.kept_output_bytes must be 0 to {MOST_KEPT_BYTES}"
        );
        for (key, value) in [
            ("start_timeout_ms", self.start_timeout_ms),
            ("idle_timeout_ms", self.idle_timeout_ms),
            ("ping_interval_ms", self.ping_interval_ms),
            ("peer_timeout_ms", self.peer_timeout_ms),
            ("default_wall_time_ms", self.default_wall_time_ms),
            ("max_wall_time_ms", self.max_wall_time_ms),
        ] {
            anyhow::ensure!(
                (1..=LONGEST_MS).contains(&value),
                "live.{key} must be 1 to {LONGEST_MS}"
            );
        }
        anyhow::ensure!(
            self.peer_timeout_ms > self.ping_interval_ms,
            "live.peer_timeout_ms must be above live.ping_interval_ms"
        );
        anyhow::ensure!(
            self.max_wall_time_ms >= self.default_wall_time_ms,
            "live.max_wall_time_ms must be at least live.default_wall_time_ms"
        );
        Ok(())
    }

    /// [`Self::start_timeout_ms`] as a duration.
    pub fn start_timeout(&self) -> Duration {
        Duration::from_millis(self.start_timeout_ms)
    }

    /// [`Self::idle_timeout_ms`] as a duration.
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    /// [`Self::ping_interval_ms`] as a duration.
    pub fn ping_interval(&self) -> Duration {
        Duration::from_millis(self.ping_interval_ms)
    }

    /// [`Self::peer_timeout_ms`] as a duration.
    pub fn peer_timeout(&self) -> Duration {
        Duration::from_millis(self.peer_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_values_are_named() {
        assert!(LiveConfig::default().check().is_ok());
        let error = |change: fn(&mut LiveConfig)| {
            let mut config = LiveConfig::default();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(error(|c| c.max_sockets = 0).starts_with("live.max_sockets must be 1 to"));
        assert!(error(|c| c.idle_timeout_ms = u64::MAX).contains("live.idle_timeout_ms"));
        assert!(error(|c| c.peer_timeout_ms = 1).contains("live.ping_interval_ms"));
        assert!(error(|c| c.max_wall_time_ms = 1).contains("live.default_wall_time_ms"));
    }
}
