//! What joins spans to one trace: in a request's headers, with a submission, and until its webhook.

use std::collections::{HashMap, VecDeque};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

use axum::http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{
    Span as _, SpanBuilder, Status, TraceContextExt, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

use super::{PROVIDER, active};

/// Attribute of a request's span, by OpenTelemetry's semantic conventions.
pub(super) const ROUTE: &str = "http.route";
/// The header of W3C Trace Context.
const TRACEPARENT: &str = "traceparent";
/// Submissions that owe a webhook and whose trace is known; of older ones it begins anew.
const REMEMBERED: usize = 10_000;

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}

/// Makes `span`, which was not entered yet, part of the trace that a request's headers name.
pub(crate) fn continue_from(span: &Span, headers: &HeaderMap) {
    if active() && headers.contains_key(TRACEPARENT) {
        parent(span, &Headers(headers));
    }
}

/// Makes `span`, which was not entered yet, part of the trace that [`current`] gave.
pub(crate) fn adopt(span: &Span, traceparent: Option<&str>) {
    if let Some(value) = traceparent.filter(|_| active()) {
        let carrier = HashMap::from([(TRACEPARENT.to_owned(), value.to_owned())]);
        parent(span, &carrier);
    }
}

fn parent(span: &Span, carrier: &dyn Extractor) {
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), carrier);
    if context.span().span_context().is_valid() {
        // Fails where the span is not sent in any case.
        let _ = span.set_parent(context);
    }
}

/// The present span, in the words of W3C Trace Context.
pub(crate) fn current() -> Option<String> {
    if !active() {
        return None;
    }
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Says of a request's span what is known of it.
pub(crate) fn answered(span: &Span, method: &'static str, route: &str, status: u16) {
    if !active() {
        return;
    }
    let context = span.context();
    let span = context.span();
    span.update_name(format!("{method} {route}"));
    span.set_attribute(KeyValue::new(ROUTE, route.to_owned()));
    span.set_attribute(KeyValue::new("http.request.method", method));
    let status_code = i64::from(status);
    span.set_attribute(KeyValue::new("http.response.status_code", status_code));
    if status >= 500 {
        span.set_status(Status::error(""));
    }
}

/// A span below the present one that began at `since` and ends now.
pub(crate) fn waited(name: &'static str, since: SystemTime) {
    let Some(provider) = PROVIDER.get() else {
        return;
    };
    let span = SpanBuilder::from_name(name).with_start_time(since);
    let tracer = provider.tracer("brig");
    tracer
        .build_with_context(span, &Span::current().context())
        .end();
}

/// Which submission's webhook belongs to which trace.
#[derive(Default)]
struct Traces {
    known: HashMap<Uuid, String>,
    order: VecDeque<Uuid>,
}

static TRACES: LazyLock<Mutex<Traces>> = LazyLock::new(Mutex::default);

/// The webhook of `submission` belongs to the present span's trace.
pub(crate) fn remember(submission: Uuid) {
    let Some(trace) = current() else { return };
    let mut traces = TRACES.lock().unwrap_or_else(PoisonError::into_inner);
    if traces.known.insert(submission, trace).is_none() {
        traces.order.push_back(submission);
    }
    while traces.order.len() > REMEMBERED {
        if let Some(oldest) = traces.order.pop_front() {
            traces.known.remove(&oldest);
        }
    }
}

/// The trace that the webhook of `submission` belongs to.
pub(crate) fn recall(submission: Uuid) -> Option<String> {
    if !active() {
        return None;
    }
    let traces = TRACES.lock().unwrap_or_else(PoisonError::into_inner);
    traces.known.get(&submission).cloned()
}
