//! The log: structured lines on stderr, with the ids of what they belong to.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use crate::config::{LogConfig, LogFormat};
use crate::telemetry::{self, BoxedLayer, Telemetry, TelemetryConfig};

/// Starts logging and, if it is configured, sending traces, unless the process logs already. Needs a
/// tokio runtime.
pub fn start(config: &LogConfig, traces: &TelemetryConfig) -> anyhow::Result<Telemetry> {
    let (telemetry, layer) = telemetry::layer(traces)?;
    let layers: Vec<_> = std::iter::once(lines(config)?).chain(layer).collect();
    // Failing means that a subscriber is there already, as when several servers share a process.
    if registry().with(layers).try_init().is_ok() {
        telemetry.begin();
    }
    Ok(telemetry)
}

/// Starts logging alone.
pub(crate) fn start_lines(config: &LogConfig) -> anyhow::Result<()> {
    let _ = registry().with(lines(config)?).try_init();
    Ok(())
}

fn lines(config: &LogConfig) -> anyhow::Result<BoxedLayer> {
    let directives = std::env::var("BRIG_LOG")
        .ok()
        .or_else(|| config.filter.clone());
    let filter = EnvFilter::try_new(directives.as_deref().unwrap_or("info"))?;
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    Ok(match config.format {
        LogFormat::Text => lines.with_ansi(false).with_filter(filter).boxed(),
        // All spans, outermost first, have the current one too.
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_filter(filter)
            .boxed(),
    })
}
