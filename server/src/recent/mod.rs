//! What the service did in the last minutes, for `GET /v1/stats`.
//!
//! A ring of slots, each of which counts [`SLOT`]; counting locks the slot of the present, looking
//! locks one after the other, so nobody waits for longer than it takes to add up one slot.

mod histogram;

use std::array;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::histogram::Histogram;
use crate::api::{CacheStats, History, Latency, Rate, RunStatus, Verdict};

/// What one slot counts.
const SLOT: Duration = Duration::from_secs(2);
/// Slots of the longest window, five minutes.
const SLOTS: usize = 150;
/// Windows of rates, in seconds.
const RATES: [u64; 3] = [10, 60, 300];
/// Windows of latencies, in seconds.
const LATENCIES: [u64; 2] = [60, 300];
/// The window of everything else, in seconds.
pub(crate) const WINDOW_S: u64 = 300;

/// The counts of one slot, or of several.
#[derive(Clone, Debug, Default)]
struct Counts {
    runs: u64,
    tests: u64,
    statuses: BTreeMap<&'static str, u64>,
    verdicts: BTreeMap<&'static str, u64>,
    lookups: u64,
    hits: u64,
    total: Histogram,
    queued: Histogram,
    setup: Histogram,
}

/// A slot, and which stretch of time it counts.
#[derive(Debug, Default)]
struct Slot {
    number: u64,
    counts: Counts,
}

/// What was done in the last minutes.
#[derive(Debug)]
pub(crate) struct Recent {
    begun: Instant,
    slots: [Mutex<Slot>; SLOTS],
}

/// It, added up.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) rates: Vec<Rate>,
    pub(crate) latency: Vec<Latency>,
    pub(crate) statuses: BTreeMap<&'static str, u64>,
    pub(crate) verdicts: BTreeMap<&'static str, u64>,
    pub(crate) compile_cache: CacheStats,
    pub(crate) history: History,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            slots: array::from_fn(|_| Mutex::default()),
        }
    }
}

impl Recent {
    /// A run ended, this long after it came.
    pub(crate) fn run(&self, status: RunStatus, total: Option<Duration>) {
        self.count(|counts| {
            counts.runs += 1;
            *counts.statuses.entry(status.as_str()).or_default() += 1;
            if let Some(total) = total {
                counts.total.add(total);
            }
        });
    }

    /// A test has its verdict.
    pub(crate) fn test(&self, verdict: Verdict) {
        self.count(|counts| {
            *counts.verdicts.entry(verdict.as_str()).or_default() += 1;
            counts.tests += u64::from(verdict != Verdict::Skipped);
        });
    }

    /// A stage had a worker after this long.
    pub(crate) fn waited(&self, time: Duration) {
        self.count(|counts| counts.queued.add(time));
    }

    /// A program was started this long after its worker knew of it.
    pub(crate) fn set_up(&self, time: Duration) {
        self.count(|counts| counts.setup.add(time));
    }

    /// Something was to be compiled; whether the cache had it.
    pub(crate) fn lookup(&self, hit: bool) {
        self.count(|counts| {
            counts.lookups += 1;
            counts.hits += u64::from(hit);
        });
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        let number = number(self.begun.elapsed());
        let mut slot = self.slot(number);
        slot.turn(number);
        change(&mut slot.counts);
    }

    #[allow(clippy::cast_possible_truncation)] // below SLOTS
    fn slot(&self, number: u64) -> MutexGuard<'_, Slot> {
        let slot = &self.slots[(number % SLOTS as u64) as usize];
        // What is half counted is of no great harm.
        slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was done lately.
    pub(crate) fn summary(&self) -> Summary {
        self.summary_at(self.begun.elapsed())
    }

    fn summary_at(&self, now: Duration) -> Summary {
        let (mut all, mut rates, mut latency) = (Counts::default(), Vec::new(), Vec::new());
        let (mut runs, mut tests) = (Vec::with_capacity(SLOTS), Vec::with_capacity(SLOTS));
        let last = number(now);
        for (age, number) in (0..=last).rev().take(SLOTS).enumerate() {
            let before = (all.runs, all.tests);
            let slot = self.slot(number);
            if slot.number == number {
                all.merge(&slot.counts);
            }
            drop(slot);
            runs.push(all.runs - before.0);
            tests.push(all.tests - before.1);
            let reached = |seconds: &&u64| **seconds == (age as u64 + 1) * SLOT.as_secs();
            let short =
                |seconds: &&u64| number == 0 && **seconds > (age as u64 + 1) * SLOT.as_secs();
            for seconds in RATES.iter().filter(|s| reached(s) || short(s)) {
                rates.push(all.rate(*seconds, covered(now, age)));
            }
            for seconds in LATENCIES.iter().filter(|s| reached(s) || short(s)) {
                latency.push(all.latency(*seconds));
            }
        }
        runs.reverse();
        tests.reverse();
        Summary {
            rates,
            latency,
            statuses: all.statuses,
            verdicts: all.verdicts,
            compile_cache: CacheStats {
                lookups: all.lookups,
                hits: all.hits,
            },
            history: History {
                step_ms: u64::try_from(SLOT.as_millis()).unwrap_or(u64::MAX),
                runs,
                tests,
            },
        }
    }
}

fn number(since: Duration) -> u64 {
    since.as_secs() / SLOT.as_secs()
}

/// The time that the slot of the present and `age` more have counted.
fn covered(now: Duration, age: usize) -> Duration {
    let begun = number(now).saturating_sub(age as u64) * SLOT.as_secs();
    now.saturating_sub(Duration::from_secs(begun))
}

impl Slot {
    /// From now on it counts stretch `number`.
    fn turn(&mut self, number: u64) {
        if self.number != number {
            self.number = number;
            self.counts.clear();
        }
    }
}

impl Counts {
    fn clear(&mut self) {
        let Self {
            total,
            queued,
            setup,
            ..
        } = self;
        let mut kept = [total, queued, setup].map(std::mem::take);
        kept.iter_mut().for_each(Histogram::clear);
        let [total, queued, setup] = kept;
        *self = Self {
            runs: 0,
            tests: 0,
            statuses: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            lookups: 0,
            hits: 0,
            total,
            queued,
            setup,
        };
    }

    fn merge(&mut self, other: &Self) {
        self.runs += other.runs;
        self.tests += other.tests;
        self.lookups += other.lookups;
        self.hits += other.hits;
        for (sums, more) in [
            (&mut self.statuses, &other.statuses),
            (&mut self.verdicts, &other.verdicts),
        ] {
            for (name, count) in more {
                *sums.entry(name).or_default() += count;
            }
        }
        self.total.merge(&other.total);
        self.queued.merge(&other.queued);
        self.setup.merge(&other.setup);
    }

    #[allow(clippy::cast_precision_loss)] // for people
    fn rate(&self, window_s: u64, covered: Duration) -> Rate {
        let seconds = covered.as_secs_f64().max(1.0);
        Rate {
            window_s,
            runs_per_s: self.runs as f64 / seconds,
            tests_per_s: self.tests as f64 / seconds,
        }
    }

    fn latency(&self, window_s: u64) -> Latency {
        Latency {
            window_s,
            total: self.total.percentiles(),
            queued: self.queued.percentiles(),
            setup: self.setup.percentiles(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(recent: &Recent, second: u64, runs: u64) {
        let number = number(Duration::from_secs(second));
        let mut slot = recent.slot(number);
        slot.turn(number);
        slot.counts.runs += runs;
        slot.counts.total.add(Duration::from_millis(second));
    }

    #[test]
    fn windows_forget() {
        let recent = Recent::default();
        at(&recent, 1, 100);
        at(&recent, 250, 50);
        at(&recent, 299, 20);
        let rates = |now: u64| {
            let now = Duration::from_millis(now * 1000 + 999);
            let rates = recent.summary_at(now).rates;
            let seconds: Vec<_> = rates.iter().map(|rate| rate.window_s).collect();
            assert_eq!(seconds, RATES);
            let slots = [5, 30, 150].map(|slots| covered(now, slots - 1).as_secs_f64());
            let counts = rates
                .iter()
                .zip(slots)
                .map(|(rate, s)| (rate.runs_per_s * s).round());
            counts.collect::<Vec<_>>()
        };
        assert_eq!(rates(1), [100.0, 100.0, 100.0]);
        assert_eq!(rates(299), [20.0, 70.0, 170.0]);
        assert_eq!(rates(301), [20.0, 70.0, 70.0]);
        // The slot of the first second was used again, and is no longer the old one.
        at(&recent, 301, 1);
        assert_eq!(rates(301), [21.0, 71.0, 71.0]);
        let summary = recent.summary_at(Duration::from_secs(301));
        assert_eq!(summary.history.runs.len(), SLOTS);
        assert_eq!(summary.history.runs[SLOTS - 2..], [20, 1]);
        assert_eq!(summary.latency[0].total.unwrap().count, 3);
        assert_eq!(rates(2000), [0.0, 0.0, 0.0]);
        assert!(
            recent.summary_at(Duration::from_secs(2000)).latency[1]
                .total
                .is_none()
        );
    }

    #[test]
    fn everything_is_counted() {
        let recent = Recent::default();
        recent.run(RunStatus::Ok, Some(Duration::from_millis(3)));
        recent.run(RunStatus::Cancelled, None);
        recent.test(Verdict::Accepted);
        recent.test(Verdict::Skipped);
        recent.waited(Duration::from_micros(40));
        recent.set_up(Duration::from_micros(400));
        recent.lookup(true);
        recent.lookup(false);
        let summary = recent.summary();
        let counts = |of: [(&'static str, u64); 2]| BTreeMap::from(of);
        assert_eq!(summary.statuses, counts([("ok", 1), ("cancelled", 1)]));
        assert_eq!(summary.verdicts, counts([("accepted", 1), ("skipped", 1)]));
        assert_eq!(
            (summary.compile_cache.lookups, summary.compile_cache.hits),
            (2, 1)
        );
        assert_eq!(summary.history.runs.iter().sum::<u64>(), 2);
        assert_eq!(summary.history.tests.iter().sum::<u64>(), 1);
        let all = summary.latency[0];
        assert_eq!(all.total.unwrap().max_us, 3000);
        assert_eq!(all.queued.unwrap().max_us, 40);
        assert_eq!(all.setup.unwrap().max_us, 400);
    }
}
