//! The log: structured lines on stderr.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{LogConfig, LogFormat};

/// Starts logging, unless the process logs already.
pub fn start(config: &LogConfig) -> anyhow::Result<()> {
    let directives = std::env::var("BRIG_LOG")
        .ok()
        .or_else(|| config.filter.clone());
    let filter = EnvFilter::try_new(directives.as_deref().unwrap_or("info"))?;
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    // Failing means that a subscriber is there already, as when several servers share a process.
    let _ = match config.format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}
