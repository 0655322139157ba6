//! Traces: spans of requests, runs and submissions, sent to an OpenTelemetry collector.
//!
//! Spans that carry an id (`request`, `run`, `submission`, `test`, `webhook`) are at the level ERROR, so
//! that every line of the log has the ids whatever the log's filter is. Spans that only say what
//! took how long are at the level DEBUG, and cost nothing unless traces or such a log are wanted.
//!
//! Without a configured collector nothing here does anything. With one, a bounded queue takes the
//! spans that have ended, and a thread sends them in batches: what does not fit or cannot be sent is
//! dropped, and nobody waits for it.

mod config;
mod context;
mod export;

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider,
};
use tracing::Metadata;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::{Layer, Registry};

pub use config::TelemetryConfig;
pub(crate) use context::{adopt, answered, continue_from, current, recall, remember, waited};
pub(crate) use export::SPANS;

/// Spans that wait to be sent; more are dropped.
const QUEUED_SPANS: usize = 8192;
/// Spans of one batch.
const BATCH_SPANS: usize = 512;
/// The longest that spans wait for their batch to be full.
const BATCH_EVERY: Duration = Duration::from_secs(2);
/// How long sending a batch may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the spans of the service's last moments may take.
const LAST_EXPORT: Duration = Duration::from_secs(2);

/// Once spans are sent.
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// A layer of the process's subscriber.
pub(crate) type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Sends spans as long as it is there.
#[derive(Debug, Default)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Whether spans are sent at all.
pub(crate) fn active() -> bool {
    PROVIDER.get().is_some()
}

/// What makes spans of `tracing`'s, if a collector is configured. Needs a tokio runtime.
pub(crate) fn layer(config: &TelemetryConfig) -> anyhow::Result<(Telemetry, Option<BoxedLayer>)> {
    if !config.is_on() {
        return Ok((Telemetry::default(), None));
    }
    let provider = provider(config).context("preparing traces")?;
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("brig"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(filter_fn(is_ours));
    let provider = Some(provider);
    Ok((Telemetry { provider }, Some(layer.boxed())))
}

impl Telemetry {
    /// To be called once the layer is in use.
    pub(crate) fn begin(&self) {
        if let Some(provider) = &self.provider {
            // The process's subscriber is set once, and so is this.
            let _ = PROVIDER.set(provider.clone());
        }
    }

    /// Sends what waits, if that does not take long.
    pub async fn end(self) {
        let Some(provider) = self.provider else {
            return;
        };
        let last = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST_EXPORT));
        // What could not be sent was told by the exporter.
        let _ = tokio::time::timeout(LAST_EXPORT, last).await;
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("brig_server")
}

fn provider(config: &TelemetryConfig) -> anyhow::Result<SdkTracerProvider> {
    let client = reqwest::Client::builder()
        .user_agent(concat!("brig/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .timeout(EXPORT_TIMEOUT)
        .build()?;
    let mut exporter = SpanExporter::builder().with_http().with_http_client(client);
    // Without it the exporter takes it from the environment.
    if let Some(endpoint) = config.traces_endpoint() {
        exporter = exporter.with_endpoint(endpoint);
    }
    let exporter = export::OnRuntime::new(exporter.build()?);
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUED_SPANS)
        .with_max_export_batch_size(BATCH_SPANS)
        .with_scheduled_delay(BATCH_EVERY)
        .build();
    let processor = BatchSpanProcessor::builder(exporter)
        .with_batch_config(batches)
        .build();
    let mut provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_resource(resource());
    if let Some(ratio) = config.sample_ratio {
        let new_ones = Box::new(Sampler::TraceIdRatioBased(ratio));
        provider = provider.with_sampler(Sampler::ParentBased(new_ones));
    }
    Ok(provider.build())
}

fn resource() -> Resource {
    let resource = Resource::builder().with_attribute(opentelemetry::KeyValue::new(
        "service.version",
        env!("CARGO_PKG_VERSION"),
    ));
    match std::env::var("OTEL_SERVICE_NAME") {
        Ok(_) => resource.build(),
        Err(_) => resource.with_service_name("brig").build(),
    }
}
