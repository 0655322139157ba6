//! Sending spans, and what is said of it when that fails.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::trace::SpanKind;
use opentelemetry_otlp::SpanExporter as Otlp;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prometheus::{IntCounterVec, Opts};
use tokio::runtime::Handle;

use super::context::ROUTE;

/// A collector that cannot be reached is spoken of this often.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// Spans by what became of them. The subscriber is the process's, and so is this.
pub(crate) static SPANS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let options = Opts::new(
        "brig_telemetry_spans_total",
        "Spans that were to be sent to the collector, by result: sent or failed",
    );
    IntCounterVec::new(options, &["result"]).expect("a valid metric")
});

/// Sends spans on the service's runtime: the thread that makes batches has none, and the HTTP client
/// needs one.
#[derive(Debug)]
pub(super) struct OnRuntime {
    exporter: Option<Arc<Otlp>>,
    runtime: Handle,
    told: Arc<Mutex<Told>>,
}

#[derive(Debug, Default)]
struct Told {
    last: Option<Instant>,
    failing: bool,
}

impl OnRuntime {
    pub(super) fn new(exporter: Otlp) -> Self {
        Self {
            exporter: Some(Arc::new(exporter)),
            runtime: Handle::current(),
            told: Arc::default(),
        }
    }
}

impl SpanExporter for OnRuntime {
    fn export(&self, mut batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        for span in &mut batch {
            span.span_kind = kind(span);
        }
        let (exporter, told) = (self.exporter.clone(), Arc::clone(&self.told));
        let runtime = self.runtime.clone();
        async move {
            let exporter = exporter.ok_or(OTelSdkError::AlreadyShutdown)?;
            let spans = batch.len() as u64;
            let sent = runtime.spawn(async move { exporter.export(batch).await });
            let result = match sent.await {
                Ok(result) => result,
                Err(error) => Err(OTelSdkError::InternalFailure(error.to_string())),
            };
            let label = if result.is_ok() { "sent" } else { "failed" };
            SPANS.with_label_values(&[label]).inc_by(spans);
            told.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .tell(&result);
            result
        }
    }

    fn shutdown_with_timeout(&mut self, _: Duration) -> OTelSdkResult {
        self.exporter = None;
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Nothing is sent yet, so nobody else has it.
        if let Some(exporter) = self.exporter.as_mut().and_then(Arc::get_mut) {
            exporter.set_resource(resource);
        }
    }
}

impl Told {
    fn tell(&mut self, result: &OTelSdkResult) {
        match result {
            Ok(()) if self.failing => {
                tracing::info!("spans reach the collector again");
                *self = Self::default();
            }
            Ok(()) => {}
            Err(error) => {
                self.failing = true;
                if self.last.is_none_or(|last| last.elapsed() >= TELL_EVERY) {
                    self.last = Some(Instant::now());
                    tracing::warn!("spans do not reach the collector, and are dropped: {error}");
                }
            }
        }
    }
}

/// What kind a span is; `tracing` knows none.
fn kind(span: &SpanData) -> SpanKind {
    if span.attributes.iter().any(|a| a.key.as_str() == ROUTE) {
        SpanKind::Server
    } else if span.name == "webhook" {
        SpanKind::Client
    } else {
        SpanKind::Internal
    }
}
