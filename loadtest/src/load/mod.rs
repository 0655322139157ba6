//! Putting the service under load.
//!
//! Theory of operation. One thread runs all clients: it sends, waits and reads, and its own work is
//! small beside the service's. The load comes in slices. While a slice lasts, all groups do what
//! their [`Load`] says until its end, and then wait for what is still in progress; with a baseline,
//! bare processes are started between slices, while no request is in progress, so that both see the
//! same machine. A second thread ([`pacer`]) tells when the next operation of an open loop is due:
//! an operation's time counts from then, also if no connection was free or the service was
//! slow to answer earlier ones, so a slow service cannot hide by slowing the load down ("coordinated
//! omission"). A third one waits for Ctrl-C, which ends the load with what was measured so far.

mod closed;
mod open;
mod pacer;
mod session;
mod stop;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};

use crate::client::{Connection, perform};
use crate::scenario::{Load, Plan, PlannedGroup};
use crate::stats::{Phase, Recorder};

pub(crate) use session::{Measured, Observer, Options, SeriesPoint, Session, Shown};
pub(crate) use stop::Stop;

/// How long after its end operations of an open loop are sent that were due before it.
const GRACE: Duration = Duration::from_secs(5);

/// The time that a slice lasts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) begin: Instant,
    pub(crate) end: Instant,
}

impl Window {
    /// From now on.
    pub(crate) fn of(time: Duration) -> Self {
        let begin = Instant::now();
        Self {
            begin,
            end: begin + time,
        }
    }

    /// Which part of the time between `from` and `to` is within.
    fn share(&self, from: Instant, to: Instant) -> f64 {
        let whole = to.saturating_duration_since(from).as_secs_f64();
        let within = to
            .min(self.end)
            .saturating_duration_since(from.max(self.begin));
        if whole <= 0.0 {
            return 1.0;
        }
        (within.as_secs_f64() / whole).min(1.0)
    }
}

/// What all clients share.
#[derive(Debug)]
pub(crate) struct Shared<'a> {
    pub(crate) plan: &'a Plan,
    recorder: Mutex<Recorder>,
    /// Operations of the first group that may still be done.
    budget: AtomicU64,
    /// Numbers that no other request has.
    unique: AtomicU64,
    /// How many operations each group has begun.
    tickets: Vec<AtomicU64>,
    /// The first group's rate, as bits of an `f64`, where it is not the plan's; else 0.
    rate: AtomicU64,
}

impl<'a> Shared<'a> {
    pub(crate) fn new(plan: &'a Plan, budget: u64) -> Self {
        // The clock, so that a second load test finds nothing of the first one in a cache.
        let clock = std::time::SystemTime::UNIX_EPOCH.elapsed();
        let nanoseconds = clock.map_or(0, |time| time.as_nanos() % u128::from(u64::MAX >> 1));
        Self {
            plan,
            recorder: Mutex::new(recorder(plan)),
            budget: AtomicU64::new(budget),
            unique: AtomicU64::new(u64::try_from(nanoseconds).unwrap_or_default()),
            tickets: plan.groups.iter().map(|_| AtomicU64::new(0)).collect(),
            rate: AtomicU64::new(0),
        }
    }

    pub(crate) fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was recorded since the last call.
    pub(crate) fn take(&self) -> Recorder {
        std::mem::replace(&mut *self.recorder(), recorder(self.plan))
    }

    pub(crate) fn set_budget(&self, budget: u64) {
        self.budget.store(budget, Ordering::Relaxed);
    }

    /// From now on the first group, an open loop, has another rate than the plan says.
    pub(crate) fn set_rate(&self, rate: f64) {
        self.rate.store(rate.to_bits(), Ordering::Relaxed);
    }

    /// The load of `group`.
    fn load(&self, group: usize) -> Load {
        let load = self.plan.groups[group].load;
        match (load, self.rate.load(Ordering::Relaxed)) {
            (
                Load::Open {
                    arrivals,
                    connections,
                    ..
                },
                bits,
            ) if group == 0 && bits != 0 => Load::Open {
                rate: f64::from_bits(bits),
                arrivals,
                connections,
            },
            _ => load,
        }
    }

    pub(crate) fn budget_is_spent(&self) -> bool {
        self.budget.load(Ordering::Relaxed) == 0
    }

    /// The number of `group`'s next operation; `None` if it has done enough.
    fn ticket(&self, group: usize) -> Option<u64> {
        if group == 0 {
            let left = self
                .budget
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                });
            left.ok()?;
        }
        Some(self.tickets[group].fetch_add(1, Ordering::Relaxed))
    }

    /// Does `group`'s operation number `ticket`, which was due at `intended`, and records it.
    async fn operate(
        &self,
        connection: &mut Connection,
        group: usize,
        ticket: u64,
        intended: Instant,
        window: Window,
    ) {
        let planned: &PlannedGroup = &self.plan.groups[group];
        let index = planned.job(ticket);
        let unique = self.unique.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let sample = perform(connection, &planned.jobs[index], unique).await;
        let mut recorder = self.recorder();
        match sample.times_since(intended) {
            Ok(mut times) => {
                if matches!(planned.load, Load::Open { .. }) {
                    times.add(Phase::Late, begun.saturating_duration_since(intended));
                }
                let share = window.share(begun, sample.done);
                recorder.right((group, index), &times, sample.cached, share);
            }
            Err(failure) => recorder.wrong((group, index), &failure.kind, &failure.text),
        }
    }
}

fn recorder(plan: &Plan) -> Recorder {
    Recorder::new(plan.groups.iter().map(|group| group.jobs.len()))
}

/// Loads the service for the time of `window`, over `connections` (those of each group), and waits for
/// the last answers.
pub(crate) async fn slice(
    shared: &Shared<'_>,
    connections: &mut [Vec<Connection>],
    window: Window,
) -> anyhow::Result<()> {
    let mut groups: FuturesUnordered<BoxFuture<'_, anyhow::Result<()>>> = FuturesUnordered::new();
    for (at, connections) in connections.iter_mut().enumerate() {
        groups.push(match shared.load(at) {
            Load::Closed { think, .. } => closed::run(shared, at, connections, think, window)
                .map(Ok)
                .boxed(),
            Load::Open { rate, arrivals, .. } => {
                open::run(shared, at, connections, (rate, arrivals), window).boxed()
            }
        });
    }
    while let Some(done) = groups.next().await {
        done?;
    }
    drop(groups);
    if !shared.budget_is_spent() {
        // A rate's last operation may be over before its time is.
        tokio::time::sleep_until(window.end.into()).await;
    }
    Ok(())
}

/// How many connections a group needs.
pub(crate) fn connection_count(load: Load) -> u32 {
    match load {
        Load::Closed { clients, .. } => clients,
        Load::Open { connections, .. } => connections,
    }
}
