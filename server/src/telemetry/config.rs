//! Configuration of traces.

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

/// Where OTLP over HTTP takes spans, below a collector's address.
const TRACES_PATH: &str = "v1/traces";

/// Traces (`[telemetry]`). Off unless there is a collector. The standard environment variables
/// `OTEL_*` are heard too, of the service's own process; what is set here goes before them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// Address of a collector that speaks OTLP over HTTP, such as `http://localhost:4318`; spans go to
    /// `/v1/traces` below it. Without it the environment's `OTEL_EXPORTER_OTLP_ENDPOINT` or
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is used.
    pub endpoint: Option<String>,
    /// Of the traces that begin here, the part that is sent, 0 to 1; a request that comes with a
    /// `traceparent` brings the decision along.
    pub sample_ratio: Option<f64>,
}

impl TelemetryConfig {
    /// Whether every value is in its range; the error names the key and the range.
    pub fn check(&self) -> anyhow::Result<()> {
        if let Some(endpoint) = &self.endpoint {
            let url = reqwest::Url::parse(endpoint)
                .with_context(|| format!("telemetry.endpoint: {endpoint:?} is not a URL"))?;
            ensure!(
                matches!(url.scheme(), "http" | "https"),
                "telemetry.endpoint must begin with http:// or https://"
            );
        }
        ensure!(
            self.sample_ratio.is_none_or(|r| (0.0..=1.0).contains(&r)),
            "telemetry.sample_ratio must be 0 to 1"
        );
        Ok(())
    }

    pub(super) fn is_on(&self) -> bool {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if set("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true")) {
            return false;
        }
        self.endpoint.is_some()
            || set("OTEL_EXPORTER_OTLP_ENDPOINT").is_some()
            || set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").is_some()
    }

    pub(super) fn traces_endpoint(&self) -> Option<String> {
        let base = self.endpoint.as_deref()?.trim_end_matches('/');
        Some(format!("{base}/{TRACES_PATH}"))
    }
}

#[cfg(test)]
mod tests {
    use brig_sandbox::policy::parse_toml;

    use super::*;

    fn read(text: &str) -> Result<TelemetryConfig, String> {
        let config: TelemetryConfig = parse_toml("x.toml", text).map_err(|e| e.to_string())?;
        config.check().map_err(|e| e.to_string())?;
        Ok(config)
    }

    #[test]
    fn spans_go_below_the_collectors_address() {
        let config = read("endpoint = \"http://localhost:4318/\"\nsample_ratio = 0.1").unwrap();
        let endpoint = config.traces_endpoint().unwrap();
        assert_eq!(endpoint, "http://localhost:4318/v1/traces");
        assert!(config.is_on());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("endpoint = \"localhost\"", "telemetry.endpoint"),
            ("endpoint = \"grpc://localhost:4317\"", "http://"),
            (
                "sample_ratio = 1.5",
                "telemetry.sample_ratio must be 0 to 1",
            ),
            ("ratio = 1", "ratio"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
