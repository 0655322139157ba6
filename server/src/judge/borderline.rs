//! Programs whose time is up about when they end: busy neighbours can make the difference, so they are
//! run once more, alone, and that run counts.
//!
//! To tell them from programs that would never end, the first run may go on a little beyond the limit.

use std::sync::atomic::{AtomicU32, Ordering};

use brig_sandbox::limits::Limits;
use brig_sandbox::report::{Outcome, StageReport};

use super::config::JudgingConfig;

/// What a submission may still ask for.
pub(super) struct Reruns {
    margin_percent: u32,
    left: AtomicU32,
}

impl Reruns {
    pub(super) fn new(config: &JudgingConfig) -> Self {
        let left = if config.rerun_margin_percent == 0 {
            0
        } else {
            config.max_reruns
        };
        Self {
            margin_percent: config.rerun_margin_percent,
            left: AtomicU32::new(left),
        }
    }

    /// The limits of a first run.
    pub(super) fn stretched(&self, limits: Limits) -> Limits {
        if self.left.load(Ordering::Relaxed) == 0 {
            return limits;
        }
        let margin = limits.cpu_time_ms * u64::from(self.margin_percent) / 100;
        Limits {
            cpu_time_ms: limits.cpu_time_ms + margin,
            ..limits
        }
    }

    /// Takes one of those that are left.
    pub(super) fn take(&self) -> bool {
        let take = |left: u32| left.checked_sub(1);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }
}

/// The CPU time in microseconds of a program that ended by itself, but after its time under `limits`.
pub(super) fn late(report: &StageReport, limits: &Limits) -> Option<u64> {
    let by_itself = matches!(report.outcome, Outcome::Exited | Outcome::Signaled);
    let used = report.usage.cpu_us()?;
    (by_itself && used > limits.cpu_time_ms * 1000).then_some(used)
}

/// Makes a program that ended late one whose time was up.
pub(super) fn time_out(report: &mut StageReport) {
    report.outcome = Outcome::CpuTimeLimit;
    report.exit_code = None;
}

#[cfg(test)]
mod tests {
    use brig_sandbox::report::Usage;

    use super::*;

    fn reruns(rerun_margin_percent: u32, max_reruns: u32) -> Reruns {
        Reruns::new(&JudgingConfig {
            rerun_margin_percent,
            max_reruns,
            ..JudgingConfig::default()
        })
    }

    fn stretched(reruns: &Reruns) -> u64 {
        reruns.stretched(Limits::DEFAULT).cpu_time_ms
    }

    #[test]
    fn first_runs_get_the_margin_as_long_as_a_rerun_is_left() {
        let reruns = reruns(10, 1);
        assert_eq!(stretched(&reruns), 2200);
        assert!(reruns.take());
        assert!(!reruns.take());
        assert_eq!(stretched(&reruns), 2000);
    }

    #[test]
    fn without_a_margin_or_reruns_the_limit_is_the_limit() {
        for reruns in [reruns(0, 3), reruns(10, 0)] {
            assert_eq!(stretched(&reruns), 2000);
            assert!(!reruns.take());
        }
    }

    #[test]
    fn only_what_ended_by_itself_is_late() {
        let report = |outcome, cpu_user_us| StageReport {
            outcome,
            usage: Usage {
                cpu_user_us: Some(cpu_user_us),
                cpu_system_us: Some(0),
                ..Usage::default()
            },
            exit_code: Some(0),
            signal: None,
            violation: None,
            setup_us: 0,
            warm: true,
            prestarted: false,
            collect_error: None,
        };
        let late = |outcome, us| late(&report(outcome, us), &Limits::DEFAULT);
        assert_eq!(late(Outcome::Exited, 2_000_001), Some(2_000_001));
        assert_eq!(late(Outcome::Signaled, 2_100_000), Some(2_100_000));
        assert_eq!(late(Outcome::Exited, 2_000_000), None);
        assert_eq!(late(Outcome::CpuTimeLimit, 2_300_000), None);
        assert_eq!(late(Outcome::MemoryLimit, 2_100_000), None);
    }
}
