//! What Prometheus scrapes.
//!
//! Label values are bounded: languages and layers come from profiles, statuses and routes from
//! code, system calls from the kernel's table (see [`syscall_label`]).

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use brig_sandbox::report::StageReport;

use crate::api::RunStatus;
use crate::blob::BlobMetrics;
use crate::cache::CacheMetrics;
use crate::judge::JudgingMetrics;
use crate::pool::{PoolMetrics, StageOutput, Stats};
use crate::recent::Recent;
use crate::run::RunResult;
use crate::store::StoreMetrics;
use crate::telemetry;

/// Every metric of the service.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    described: Vec<Described>,
    runs: IntCounterVec,
    refused: IntCounter,
    cpu: HistogramVec,
    wall: HistogramVec,
    memory: HistogramVec,
    setup: HistogramVec,
    total: Histogram,
    oom_kills: IntCounter,
    violations: IntCounterVec,
    prepared: IntCounterVec,
    http: IntCounterVec,
    http_time: HistogramVec,
    auth: IntCounterVec,
    key_requests: IntCounterVec,
    insecure: IntGauge,
    queue_depth: IntGauge,
    running: IntGauge,
    warm: IntGauge,
    prestarted: IntGauge,
    starts: IntCounterVec,
    workers: IntGauge,
    ready: IntGauge,
    pub(crate) live_sockets: IntGauge,
    pub(crate) blobs: BlobMetrics,
    pub(crate) judging: JudgingMetrics,
    pub(crate) cache: CacheMetrics,
    pub(crate) pool: PoolMetrics,
    pub(crate) store: StoreMetrics,
    pub(crate) recent: Arc<Recent>,
    webhooks: IntCounterVec,
    webhook_time: Histogram,
    webhooks_owed: IntGauge,
}

/// 100 µs to 3 minutes.
pub(crate) const TIME_BUCKETS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0, 180.0,
];
/// 1 MiB to 4 GiB.
const MEMORY_BUCKETS: &[f64] = &[
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    33_554_432.0,
    67_108_864.0,
    134_217_728.0,
    268_435_456.0,
    536_870_912.0,
    1_073_741_824.0,
    2_147_483_648.0,
    4_294_967_296.0,
];

/// Makes metrics and registers them. Names and labels are constants, so the first test that makes
/// a [`Metrics`] shows that none of this can fail.
#[derive(Default)]
pub(crate) struct Maker {
    registry: Registry,
    described: RefCell<Vec<Described>>,
    /// What counts for people, beside what Prometheus counts.
    pub(crate) recent: Arc<Recent>,
}

/// A metric's name and its labels.
type Described = (String, Vec<String>);

impl Maker {
    /// Registers what was made elsewhere.
    pub(crate) fn collect(&self, metrics: impl Collector + 'static) {
        let described = metrics.desc().into_iter();
        let described =
            described.map(|about| (about.fq_name.clone(), about.variable_labels.clone()));
        self.described.borrow_mut().extend(described);
        self.registry
            .register(Box::new(metrics))
            .expect("a name of its own");
    }

    fn register<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let metric = made.expect("a valid metric");
        self.collect(metric.clone());
        metric
    }

    pub(crate) fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.register(IntCounter::new(name, help))
    }

    pub(crate) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(IntCounterVec::new(Opts::new(name, help), labels))
    }

    pub(crate) fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.register(IntGauge::new(name, help))
    }

    pub(crate) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    pub(crate) fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.register(Histogram::with_opts(options))
    }

    pub(crate) fn histograms(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        labels: &[&str],
    ) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.register(HistogramVec::new(options, labels))
    }
}

impl Metrics {
    /// All metrics at zero; `degraded` layers are shown for good.
    pub fn new(degraded: &[String]) -> Self {
        let make = Maker::default();
        make.collect(ProcessCollector::for_self());
        make.collect(telemetry::SPANS.clone());
        let build = make.gauges(
            "brig_build_info",
            "Always 1; the label is the version",
            &["version"],
        );
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let layers = make.gauges(
            "brig_degraded",
            "1 for a layer that is not enforced",
            &["layer"],
        );
        for layer in degraded {
            layers.with_label_values(&[layer]).set(1);
        }
        let stage = &["language", "stage"];
        Self {
            runs: make.counters("brig_runs_total", "Runs by result", &["language", "status"]),
            refused: make.counter("brig_runs_refused_total", "Runs refused for want of a worker"),
            cpu: make.histograms("brig_stage_cpu_seconds", "CPU time of a stage", TIME_BUCKETS, stage),
            wall: make.histograms("brig_stage_wall_seconds", "Wall time of a stage", TIME_BUCKETS, stage),
            memory: make.histograms("brig_stage_memory_bytes", "Peak memory of a stage", MEMORY_BUCKETS, stage),
            setup: make.histograms(
                "brig_sandbox_setup_seconds",
                "From a worker's receipt of a job to the program's start; warm: a sandbox was waiting",
                TIME_BUCKETS,
                &["warm"],
            ),
            total: make.histogram("brig_run_seconds", "A whole run, queue included", TIME_BUCKETS),
            oom_kills: make.counter("brig_oom_kills_total", "Processes killed for memory"),
            prepared: make.counters(
                "brig_prepared_files_total",
                "Files for compiles to start from: made, failed; compiles: lent one, missing one, redone without",
                &["language", "event"],
            ),
            violations: make.counters("brig_violations_total", "Programs ended for a system call", &["syscall"]),
            http: make.counters("brig_http_requests_total", "Requests", &["method", "route", "status"]),
            http_time: make.histograms(
                "brig_http_request_seconds",
                "Time to a request's response head",
                TIME_BUCKETS,
                &["route"],
            ),
            auth: make.counters(
                "brig_auth_total",
                "Requests by result of authentication: ok, or why they were turned away",
                &["result"],
            ),
            key_requests: make.counters(
                "brig_key_requests_total",
                "Requests let in, by id of their key; none: without a key",
                &["key"],
            ),
            insecure: make.gauge(
                "brig_insecure_no_keys",
                "1 while whoever reaches the service can use it without a key",
            ),
            queue_depth: make.gauge("brig_queue_depth", "Runs waiting for a worker"),
            running: make.gauge("brig_running", "Stages running"),
            warm: make.gauge("brig_warm_sandboxes", "Sandboxes prepared and waiting"),
            prestarted: make.gauge(
                "brig_prestarted_interpreters",
                "Interpreters started ahead of their jobs and waiting",
            ),
            starts: make.counters(
                "brig_starts_total",
                "Stages by what they found: an interpreter already started, a sandbox, or nothing",
                &["found"],
            ),
            workers: make.gauge("brig_workers", "Workers connected"),
            ready: make.gauge("brig_ready", "1 when /readyz is green"),
            live_sockets: make.gauge("brig_live_sockets", "Sockets of live runs that are open"),
            blobs: BlobMetrics::new(&make),
            judging: JudgingMetrics::new(&make),
            cache: CacheMetrics::new(&make),
            pool: PoolMetrics::new(&make),
            store: StoreMetrics::new(&make),
            webhooks: make.counters(
                "brig_webhook_deliveries_total",
                "Attempts to deliver a webhook by result",
                &["result"],
            ),
            webhook_time: make.histogram(
                "brig_webhook_seconds",
                "Time of an attempt to deliver a webhook",
                TIME_BUCKETS,
            ),
            webhooks_owed: make.gauge(
                "brig_webhooks_owed",
                "Webhooks that are neither delivered nor given up",
            ),
            recent: make.recent,
            described: make.described.into_inner(),
            registry: make.registry,
        }
    }

    /// Name and labels of every metric, whether it has a value or not.
    pub fn described(&self) -> impl Iterator<Item = (&str, &[String])> {
        let described = self.described.iter();
        described.map(|(name, labels)| (name.as_str(), labels.as_slice()))
    }

    /// How many webhooks are neither delivered nor given up.
    pub(crate) fn owed(&self, webhooks: u64) {
        self.webhooks_owed
            .set(i64::try_from(webhooks).unwrap_or(i64::MAX));
    }

    /// A request was answered.
    pub fn request(&self, method: &str, route: &str, status: u16, time: Duration) {
        self.http
            .with_label_values(&[method, route, &status.to_string()])
            .inc();
        self.http_time
            .with_label_values(&[route])
            .observe(time.as_secs_f64());
    }

    /// A request was let in, with the key that is called `label`.
    pub fn admitted(&self, label: &str) {
        self.auth.with_label_values(&["ok"]).inc();
        self.key_requests.with_label_values(&[label]).inc();
    }

    /// A request was turned away for `reason`.
    pub fn denied(&self, reason: &str) {
        self.auth.with_label_values(&[reason]).inc();
    }

    /// Whether whoever reaches the service can use it.
    pub fn insecure(&self, insecure: bool) {
        self.insecure.set(i64::from(insecure));
    }

    /// An attempt to deliver a webhook ended with `result`: `delivered`, `retried` (it will be),
    /// `gone` (unwanted) or `expired` (given up).
    pub(crate) fn webhook(&self, result: &'static str, time: Duration) {
        self.webhooks.with_label_values(&[result]).inc();
        self.webhook_time.observe(time.as_secs_f64());
    }

    /// A stage was executed.
    pub(crate) fn started(&self, report: &StageReport) {
        let found = match report {
            StageReport {
                prestarted: true, ..
            } => "interpreter",
            StageReport { warm: true, .. } => "sandbox",
            _ => "nothing",
        };
        self.starts.with_label_values(&[found]).inc();
    }

    /// Everything, in Prometheus' text format.
    pub fn render(&self, pool: Stats, ready: bool) -> String {
        let set =
            |gauge: &IntGauge, value: usize| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.queue_depth, pool.queued);
        set(&self.running, pool.running);
        set(&self.warm, pool.warm);
        set(&self.prestarted, pool.prestarted);
        set(&self.workers, pool.workers);
        self.ready.set(i64::from(ready));
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!("metrics cannot be rendered: {error}");
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    fn finished(&self, result: &RunResult) {
        let language = result.language.id.as_str();
        self.runs
            .with_label_values(&[language, result.status.as_str()])
            .inc();
        self.total.observe(result.total.as_secs_f64());
        self.recent.run(result.status, Some(result.total));
        for (name, stage) in [("compile", &result.compile), ("run", &result.run)] {
            // What the cache had was counted when it was compiled.
            let done = stage.as_ref().filter(|stage| !stage.cached);
            if let Some(output) = done.and_then(|s| s.output.as_ref()) {
                self.stage(language, name, output);
            }
        }
    }

    /// What came of a file for compiles of `language` to start from; see the metric for the events.
    pub(crate) fn prepared(&self, language: &str, event: &str) {
        self.prepared.with_label_values(&[language, event]).inc();
    }

    /// A worker has done a stage for `language`; `stage` is `compile`, `run`, `test`, `checker` or
    /// `interactor`.
    pub(crate) fn stage(&self, language: &str, stage: &str, output: &StageOutput) {
        let labels = &[language, stage];
        let report = &output.report;
        let usage = &report.usage;
        if let Some(cpu) = usage.cpu_us() {
            self.cpu.with_label_values(labels).observe(seconds(cpu));
        }
        self.wall
            .with_label_values(labels)
            .observe(seconds(usage.wall_us));
        if let Some(peak) = usage.memory_peak_bytes {
            #[allow(clippy::cast_precision_loss)] // for a bucket
            self.memory.with_label_values(labels).observe(peak as f64);
        }
        let warm = if report.warm { "true" } else { "false" };
        self.setup
            .with_label_values(&[warm])
            .observe(seconds(report.setup_us));
        self.recent.set_up(Duration::from_micros(report.setup_us));
        self.oom_kills.inc_by(usage.oom_kills.unwrap_or_default());
        if let Some(violation) = &report.violation {
            self.violations
                .with_label_values(&[syscall_label(&violation.syscall)])
                .inc();
        }
    }
}

fn seconds(us: u64) -> f64 {
    Duration::from_micros(us).as_secs_f64()
}

/// A program can call any number; those without a name share one label.
fn syscall_label(name: &str) -> &str {
    let named = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_:".contains(&b));
    if named { name } else { "unnamed" }
}

/// Counts a run, whatever becomes of it: one that is dropped before its end was cancelled.
#[derive(Debug)]
pub(crate) struct RunGuard {
    metrics: Option<Arc<Metrics>>,
    language: String,
}

impl RunGuard {
    pub(crate) fn new(metrics: Arc<Metrics>, language: &str) -> Self {
        Self {
            metrics: Some(metrics),
            language: language.to_owned(),
        }
    }

    pub(crate) fn finished(mut self, result: &RunResult) {
        if let Some(metrics) = self.metrics.take() {
            metrics.finished(result);
        }
    }

    pub(crate) fn refused(mut self) {
        if let Some(metrics) = self.metrics.take() {
            metrics.refused.inc();
        }
    }
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        if let Some(metrics) = &self.metrics {
            metrics.recent.run(RunStatus::Cancelled, None);
            let status = RunStatus::Cancelled.as_str();
            metrics
                .runs
                .with_label_values(&[self.language.as_str(), status])
                .inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_dropped_counts_as_cancelled() {
        let metrics = Arc::new(Metrics::new(&["landlock".to_owned()]));
        drop(RunGuard::new(Arc::clone(&metrics), "c"));
        let text = metrics.render(
            Stats {
                workers: 2,
                ..Stats::default()
            },
            true,
        );
        assert!(
            text.contains(r#"brig_runs_total{language="c",status="cancelled"} 1"#),
            "{text}"
        );
        assert!(text.contains(r#"brig_degraded{layer="landlock"} 1"#));
        assert!(text.contains("brig_workers 2"));
    }

    /// The names that a table of the documentation gives to metrics, with their labels.
    fn documented(page: &str) -> Vec<(String, Vec<String>)> {
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let first = rows.filter_map(|row| row.split('|').nth(1));
        let names = first.flat_map(|cell| cell.split('`').skip(1).step_by(2));
        let metrics = names.filter(|n| n.starts_with("brig_") || n.starts_with("process_"));
        let split = metrics.map(|metric| match metric.split_once('{') {
            Some((name, labels)) => (name, labels.trim_end_matches('}')),
            None => (metric, ""),
        });
        let labels = |text: &str| {
            let labels = text.split(',').filter(|label| !label.is_empty());
            labels.map(str::to_owned).collect()
        };
        split
            .map(|(name, text)| (name.to_owned(), labels(text)))
            .collect()
    }

    #[test]
    fn every_metric_is_documented_and_nothing_else_is() {
        let metrics = Metrics::new(&[]);
        let documented = documented(include_str!("../../docs/operations.md"));
        let there: Vec<_> = metrics
            .described()
            .map(|(name, labels)| (name.to_owned(), labels.to_vec()))
            .collect();
        for metric in &there {
            assert!(
                documented.contains(metric),
                "docs/operations.md lacks {metric:?}"
            );
        }
        for metric in &documented {
            assert!(there.contains(metric), "there is no {metric:?}");
        }
    }

    /// What of `text` looks like the name of one of Brig's metrics.
    fn named(text: &str) -> impl Iterator<Item = &str> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.filter(|word| word.starts_with("brig_") || word.starts_with("process_"))
    }

    #[test]
    fn alerts_and_dashboard_know_the_metrics() {
        let metrics = Metrics::new(&[]);
        let there: Vec<_> = metrics.described().map(|(name, _)| name).collect();
        let alerts = include_str!("../../docker/alerts.yml");
        let dashboard = include_str!("../../docker/grafana/dashboards/brig.json");
        for name in named(alerts).chain(named(dashboard)) {
            let of_histogram = ["_bucket", "_sum", "_count"];
            let mut of_histogram = of_histogram.iter().filter_map(|end| name.strip_suffix(end));
            assert!(
                there.contains(&name) || of_histogram.any(|name| there.contains(&name)),
                "there is no {name}"
            );
        }
        assert!(named(dashboard).count() > 20);
    }

    #[test]
    fn programs_cannot_make_up_labels() {
        assert_eq!(syscall_label("i386:ptrace"), "i386:ptrace");
        assert_eq!(syscall_label("#123456"), "unnamed");
        assert_eq!(syscall_label("x32:#9"), "unnamed");
    }
}
