//! A load test from its first request to its last.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::{Shared, Stop, Window, connection_count, slice};
use crate::baseline::{BareTimes, Baseline, measure};
use crate::client::{Connection, Failure, Target, ask, perform};
use crate::host::{CpuSample, CpuUse, MemoryReport, Service};
use crate::scenario::{Load, Plan};
use crate::stats::{Recent, Recorder};

/// How long one point of the time series is, at least.
const SHORTEST_POINT: Duration = Duration::from_secs(1);
/// The most points of a time series.
const MAX_POINTS: u32 = 1200;

/// How the load goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) duration: Duration,
    pub(crate) warmup: Duration,
    /// Operations of the first group, at most.
    pub(crate) requests: u64,
    /// Time between two slices of bare processes, if these are wanted.
    pub(crate) baseline: Option<Duration>,
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) recorder: Recorder,
    /// How long the load lasted, without warm-up and baseline.
    pub(crate) elapsed: Duration,
    pub(crate) bare: Option<BareTimes>,
    pub(crate) cpu: CpuUse,
    pub(crate) memory: Option<MemoryReport>,
    pub(crate) series: Vec<SeriesPoint>,
    pub(crate) interrupted: bool,
}

/// The first group's results during a short time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SeriesPoint {
    /// Of the point's end, since the load's begin, baseline included.
    pub(crate) at_s: f64,
    /// How long it is.
    pub(crate) seconds: f64,
    pub(crate) ok: u64,
    pub(crate) errors: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
    /// CPUs that were busy; null where that cannot be seen.
    pub(crate) system_cpus: Option<f64>,
    pub(crate) service_cpus: Option<f64>,
    pub(crate) service_rss_bytes: Option<u64>,
}

/// What a view shows.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) point: SeriesPoint,
    pub(crate) warming_up: bool,
    /// Until now, without warm-up.
    pub(crate) ok: u64,
    pub(crate) errors: u64,
    pub(crate) done: Duration,
    pub(crate) duration: Duration,
}

/// Whoever shows how far the load is.
pub(crate) type Observer = Box<dyn Fn(Shown)>;

/// A service and the connections to it.
pub(crate) struct Session<'a> {
    runtime: Runtime,
    shared: Shared<'a>,
    connections: Vec<Vec<Connection>>,
    target: Arc<Target>,
    service: Option<Service>,
    stop: Stop,
    observer: Observer,
    /// What the service says of itself.
    pub(crate) info: Value,
}

impl<'a> Session<'a> {
    /// Asks the service what it is, and does every operation once: what cannot work is told now.
    pub(crate) fn open(
        plan: &'a Plan,
        target: Target,
        service: Option<Service>,
        stop: Stop,
        observer: Observer,
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let target = Arc::new(target);
        let info = runtime.block_on(async {
            ask(&target, "/readyz").await?;
            ask(&target, "/v1/info").await
        })?;
        let mut session = Self {
            runtime,
            shared: Shared::new(plan, 0),
            connections: Vec::new(),
            target,
            service,
            stop,
            observer,
            info,
        };
        session.try_out()?;
        session.connect();
        Ok(session)
    }

    fn try_out(&mut self) -> anyhow::Result<()> {
        let mut connection = Connection::new(Arc::clone(&self.target));
        let shared = &self.shared;
        let stop = &self.stop;
        self.runtime.block_on(async {
            let jobs = shared.plan.groups.iter().flat_map(|g| &g.jobs);
            for job in jobs {
                let unique = shared
                    .unique
                    .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let done = tokio::select! {
                    done = perform(&mut connection, job, unique) => done,
                    () = stop.wait() => return Ok(()),
                };
                if let Err(Failure { kind, text }) = done.result {
                    anyhow::bail!("operation {:?} does not work: {kind}: {text}", job.name);
                }
            }
            Ok(())
        })
    }

    /// Makes the connections that the plan's loads need.
    fn connect(&mut self) {
        let make = |load: Load| {
            let one = |_| Connection::new(Arc::clone(&self.target));
            (0..connection_count(load)).map(one).collect()
        };
        let groups = self.shared.plan.groups.iter();
        self.connections = groups.map(|group| make(group.load)).collect();
    }

    /// Puts the service under load.
    pub(crate) fn measure(&mut self, options: &Options) -> anyhow::Result<Measured> {
        let mut measured = Measured {
            memory: self.service.as_ref().map(|service| MemoryReport {
                before: service.memory(),
                ..MemoryReport::default()
            }),
            ..Measured::default()
        };
        let begun = Instant::now();
        if !options.warmup.is_zero() {
            self.shared.set_budget(u64::MAX);
            self.slice(options.warmup, begun, options, &mut measured, true)?;
        }
        measured = Measured {
            memory: measured.memory,
            ..Measured::default()
        };
        drop(self.shared.take());
        self.shared.set_budget(options.requests);
        let begun = Instant::now();
        while measured.elapsed < options.duration
            && !self.stop.came()
            && !self.shared.budget_is_spent()
        {
            let left = options.duration.saturating_sub(measured.elapsed);
            let time = options.baseline.unwrap_or(left).min(left);
            self.slice(time, begun, options, &mut measured, false)?;
            if options.baseline.is_some() && !self.stop.came() {
                self.bare(time, &mut measured)?;
            }
        }
        measured.recorder = self.shared.take();
        measured.interrupted = self.stop.came();
        if let (Some(memory), Some(service)) = (&mut measured.memory, &self.service) {
            memory.after = service.memory();
        }
        Ok(measured)
    }

    /// From now on the first group, an open loop, has another rate than the plan says.
    pub(crate) fn set_rate(&mut self, rate: f64) {
        self.shared.set_rate(rate);
    }

    fn slice(
        &mut self,
        time: Duration,
        begun: Instant,
        options: &Options,
        measured: &mut Measured,
        warming_up: bool,
    ) -> anyhow::Result<()> {
        let length = (options.duration / MAX_POINTS).max(SHORTEST_POINT);
        let Self {
            runtime,
            shared,
            connections,
            service,
            stop,
            observer,
            ..
        } = self;
        let shared = &*shared;
        let service = service.as_ref();
        let first = CpuSample::take(service);
        runtime.block_on(async {
            let window = Window::of(time);
            let mut last = (window.begin, first.clone());
            let load = slice(shared, connections, window);
            tokio::pin!(load);
            let mut ticks = tokio::time::interval_at((window.begin + length).into(), length);
            let mut working = true;
            while working {
                tokio::select! {
                    done = &mut load => {
                        done?;
                        working = false;
                    }
                    () = stop.wait() => working = false,
                    _ = ticks.tick() => {}
                }
                let now = (Instant::now(), CpuSample::take(service));
                let mut recorder = shared.recorder();
                let recent = recorder.recent();
                if working || recent.ok + recent.errors > 0 {
                    let point = point(&recent, begun, &last, &now);
                    if let (Some(memory), Some(rss)) =
                        (&mut measured.memory, point.service_rss_bytes)
                    {
                        memory.peak_rss_bytes = memory.peak_rss_bytes.max(rss);
                    }
                    let all = recorder.groups[0].all();
                    drop(recorder);
                    observer(Shown {
                        point: point.clone(),
                        warming_up,
                        ok: all.ok,
                        errors: all.errors.total(),
                        done: measured.elapsed + window.begin.elapsed(),
                        duration: if warming_up { time } else { options.duration },
                    });
                    measured.series.push(point);
                }
                last = now;
            }
            measured.elapsed += window.begin.elapsed().min(time);
            measured.cpu.add(&last.1.since(&first));
            anyhow::Ok(())
        })
    }

    /// Bare processes for `time`, as many at once as there are clients.
    fn bare(&self, time: Duration, measured: &mut Measured) -> anyhow::Result<()> {
        let group = self.shared.plan.main();
        let all: Vec<&Baseline> = group
            .jobs
            .iter()
            .filter_map(|j| j.baseline.as_ref())
            .collect();
        anyhow::ensure!(
            !all.is_empty(),
            "the scenario says nothing about a baseline"
        );
        let pick = |ticket: u64| {
            let job = &group.jobs[group.job(ticket)];
            let at = usize::try_from(ticket).unwrap_or_default() % all.len();
            job.baseline.as_ref().unwrap_or(all[at])
        };
        let (threads, think) = match group.load {
            Load::Closed { clients, think } => (clients, think),
            Load::Open { .. } => (1, Duration::ZERO),
        };
        let times = measure(pick, threads, think, time, self.stop.flag())?;
        measured.bare.get_or_insert_default().add(&times);
        Ok(())
    }
}

fn point(
    recent: &Recent,
    begun: Instant,
    last: &(Instant, CpuSample),
    now: &(Instant, CpuSample),
) -> SeriesPoint {
    let seconds = now.0.duration_since(last.0).as_secs_f64();
    let used = now.1.since(&last.1);
    let cpus = |time: Option<Duration>| time.map(|t| t.as_secs_f64() / seconds.max(1e-9));
    SeriesPoint {
        at_s: now.0.duration_since(begun).as_secs_f64(),
        seconds,
        ok: recent.ok,
        errors: recent.errors,
        p50_us: recent.p50_us,
        p99_us: recent.p99_us,
        max_us: recent.max_us,
        system_cpus: cpus(used.system),
        service_cpus: cpus(used.service),
        service_rss_bytes: now.1.service().map(|s| s.rss_bytes),
    }
}
