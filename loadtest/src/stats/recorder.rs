//! Where all results of a load come together.

use std::collections::BTreeMap;
use std::time::Duration;

use super::latencies::Latencies;

/// Kinds of errors that are told apart; more count as one.
const MAX_KINDS: usize = 64;
const OTHER_KINDS: &str = "other";
/// How much of an error's text is kept.
const MAX_EXAMPLE_CHARS: usize = 400;

/// A part of an operation that takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// At the client, from when the request should have been sent to the whole answer.
    Client,
    /// At the service, from accepting it to its end.
    Total,
    /// Waiting for workers.
    Queue,
    /// Compiling, or finding the compiled program.
    Compile,
    /// From a worker's receipt of the job to the program's start.
    Setup,
    /// From the program's `execve` to its end.
    Run,
    /// Live: from the request to `started`.
    Started,
    /// Live: from something said to the answer to it.
    Turn,
    /// Open loop, and within `Client`: from when the request should have been sent to its sending, for
    /// want of a connection or by this program's own delay.
    Late,
}

impl Phase {
    /// All, in the order of reports.
    pub(crate) const ALL: [Self; 9] = [
        Self::Client,
        Self::Total,
        Self::Queue,
        Self::Compile,
        Self::Setup,
        Self::Run,
        Self::Started,
        Self::Turn,
        Self::Late,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Total => "total",
            Self::Queue => "queue",
            Self::Compile => "compile",
            Self::Setup => "setup",
            Self::Run => "run",
            Self::Started => "started",
            Self::Turn => "turn",
            Self::Late => "late",
        }
    }
}

/// The times of one operation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phases(pub(crate) Vec<(Phase, Duration)>);

impl Phases {
    pub(crate) fn add(&mut self, phase: Phase, time: Duration) {
        self.0.push((phase, time));
    }
}

/// Errors by kind, with an example of each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Errors(pub(crate) BTreeMap<String, (u64, String)>);

impl Errors {
    fn count(&mut self, kind: &str, example: &str, times: u64) {
        let known = self.0.contains_key(kind) || self.0.len() < MAX_KINDS;
        let kind = if known { kind } else { OTHER_KINDS };
        if let Some((count, _)) = self.0.get_mut(kind) {
            *count += times;
            return;
        }
        let example = example.chars().take(MAX_EXAMPLE_CHARS).collect();
        self.0.insert(kind.to_owned(), (times, example));
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.values().map(|(count, _)| count).sum()
    }

    fn add(&mut self, other: &Self) {
        for (kind, (count, example)) in &other.0 {
            self.count(kind, example, *count);
        }
    }
}

/// What was measured of one operation.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobStats {
    /// Right answers.
    pub(crate) ok: u64,
    /// Of these, how many compiles the cache spared.
    pub(crate) cached: u64,
    /// How many of them fell into the time that was measured; those that were half done when it was
    /// over count half.
    pub(crate) in_window: f64,
    pub(crate) errors: Errors,
    phases: [Latencies; Phase::ALL.len()],
}

impl JobStats {
    pub(crate) fn phase(&self, phase: Phase) -> &Latencies {
        &self.phases[phase as usize]
    }

    fn add(&mut self, other: &Self) {
        self.ok += other.ok;
        self.cached += other.cached;
        self.in_window += other.in_window;
        self.errors.add(&other.errors);
        for (own, others) in self.phases.iter_mut().zip(&other.phases) {
            own.add(others);
        }
    }
}

/// What was measured of one group.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupStats {
    /// In the order of the group's operations.
    pub(crate) jobs: Vec<JobStats>,
    /// Operations that the open loop should have sent and did not before the end.
    pub(crate) unsent: u64,
}

impl GroupStats {
    pub(crate) fn new(jobs: usize) -> Self {
        Self {
            jobs: vec![JobStats::default(); jobs],
            unsent: 0,
        }
    }

    /// All operations together.
    pub(crate) fn all(&self) -> JobStats {
        let mut all = JobStats::default();
        for job in &self.jobs {
            all.add(job);
        }
        all
    }
}

/// Where clients put their results.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) groups: Vec<GroupStats>,
    /// The first group's times since somebody last took them.
    recent: Latencies,
    recent_ok: u64,
    recent_errors: u64,
}

/// Results of the first group since the last look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent {
    pub(crate) ok: u64,
    pub(crate) errors: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
}

impl Recorder {
    /// An empty one for groups of so many operations.
    pub(crate) fn new(jobs: impl Iterator<Item = usize>) -> Self {
        Self {
            groups: jobs.map(GroupStats::new).collect(),
            ..Self::default()
        }
    }

    /// A right answer to operation `job` of `group`.
    pub(crate) fn right(
        &mut self,
        (group, job): (usize, usize),
        phases: &Phases,
        cached: bool,
        in_window: f64,
    ) {
        let stats = &mut self.groups[group].jobs[job];
        stats.ok += 1;
        stats.cached += u64::from(cached);
        stats.in_window += in_window;
        for (phase, time) in &phases.0 {
            stats.phases[*phase as usize].record(*time);
            if group == 0 && *phase == Phase::Client {
                self.recent.record(*time);
                self.recent_ok += 1;
            }
        }
    }

    /// No answer, or a wrong one.
    pub(crate) fn wrong(&mut self, (group, job): (usize, usize), kind: &str, example: &str) {
        let stats = &mut self.groups[group].jobs[job];
        stats.errors.count(kind, example, 1);
        if group == 0 {
            self.recent_errors += 1;
        }
    }

    /// Results of the first group since the last call.
    pub(crate) fn recent(&mut self) -> Recent {
        let recent = Recent {
            ok: self.recent_ok,
            errors: self.recent_errors,
            p50_us: self.recent.at(0.5),
            p99_us: self.recent.at(0.99),
            max_us: self.recent.at(1.0),
        };
        self.recent.clear();
        (self.recent_ok, self.recent_errors) = (0, 0);
        recent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phases(us: u64) -> Phases {
        Phases(vec![(Phase::Client, Duration::from_micros(us))])
    }

    #[test]
    fn operations_merge_to_their_group() {
        let mut one = Recorder::new([2, 1].into_iter());
        one.right((0, 0), &phases(100), false, 1.0);
        one.right((0, 0), &phases(200), true, 0.5);
        one.right((0, 1), &phases(300), false, 1.0);
        one.wrong((1, 0), "http 503", "full");
        one.wrong((1, 0), "http 503", "still full");
        let all = one.groups[0].all();
        assert_eq!((all.ok, all.cached), (3, 1));
        assert!((all.in_window - 2.5).abs() < 1e-9);
        assert_eq!(all.phase(Phase::Client).count(), 3);
        assert_eq!(all.phase(Phase::Run).count(), 0);
        let errors = &one.groups[1].jobs[0].errors;
        assert_eq!(errors.0["http 503"], (2, "full".to_owned()));
    }

    #[test]
    fn recent_results_are_the_first_groups_and_are_taken_once() {
        let mut recorder = Recorder::new([1, 1].into_iter());
        recorder.right((0, 0), &phases(100), false, 1.0);
        recorder.right((1, 0), &phases(900), false, 1.0);
        recorder.wrong((0, 0), "x", "y");
        let recent = recorder.recent();
        assert_eq!((recent.ok, recent.errors), (1, 1));
        assert!((recent.max_us - 100.0).abs() < 1.0);
        assert_eq!(recorder.recent().ok, 0);
    }

    #[test]
    fn kinds_of_errors_are_bounded() {
        let mut errors = Errors::default();
        for kind in 0..1000 {
            errors.count(&format!("kind {kind}"), &"x".repeat(1000), 1);
        }
        assert_eq!(errors.0.len(), MAX_KINDS + 1);
        assert_eq!(errors.total(), 1000);
        assert_eq!(errors.0["kind 1"].1.len(), MAX_EXAMPLE_CHARS);
    }
}
