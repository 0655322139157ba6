//! What became of a stage, in words.

use brig_sandbox::limits::Limits;
use brig_sandbox::report::{Outcome, StageReport, signal_name};

/// One sentence on how a stage ended. `oom`: its runtime ran out of memory and gave up by itself.
pub(crate) fn describe(report: &StageReport, limits: &Limits, oom: bool) -> String {
    let cpu = report.usage.cpu_us();
    let after = cpu.map_or(String::new(), |us| {
        format!(" after {} of CPU time", time(us))
    });
    if oom {
        return format!(
            "ran out of memory{}, limit {} ({})",
            peak(report, "; peak "),
            bytes(limits.memory_bytes),
            ending(report)
        );
    }
    match report.outcome {
        Outcome::Exited | Outcome::Signaled => format!("{}{after}", ending(report)),
        Outcome::CpuTimeLimit => {
            format!(
                "killed{after}, limit {}",
                time(limits.cpu_time_ms.saturating_mul(1000))
            )
        }
        Outcome::WallTimeLimit => {
            let wall = time(report.usage.wall_us);
            let limit = time(limits.wall_time_ms.saturating_mul(1000));
            let cpu = cpu.map_or(String::new(), |us| {
                format!("; it used {} of CPU time", time(us))
            });
            format!("killed after {wall} of wall time, limit {limit}{cpu}")
        }
        Outcome::MemoryLimit => {
            let limit = bytes(limits.memory_bytes);
            format!(
                "killed for using more memory than its limit of {limit}{}",
                peak(report, "; peak ")
            )
        }
        Outcome::OutputLimit => {
            format!(
                "wrote more than its limit of {} to a stream",
                bytes(limits.output_bytes)
            )
        }
        Outcome::PolicyViolation => match &report.violation {
            Some(violation) => {
                format!("ended for a forbidden system call: {}", violation.syscall)
            }
            None => "ended for a forbidden system call".to_owned(),
        },
        Outcome::Cancelled => "cancelled".to_owned(),
    }
}

fn ending(report: &StageReport) -> String {
    match (report.exit_code, report.signal) {
        (_, Some(signal)) => format!("ended by {}{}", signal_name(signal), gloss(signal)),
        (Some(code), None) => format!("exited with code {code}"),
        (None, None) => "ended".to_owned(),
    }
}

/// What the signals that a program brings upon itself mean.
fn gloss(signal: i32) -> &'static str {
    match signal {
        libc::SIGSEGV => " (invalid memory access, or stack overflow)",
        libc::SIGABRT => " (it aborted)",
        libc::SIGFPE => " (arithmetic error, such as division by zero)",
        libc::SIGILL => " (invalid instruction)",
        libc::SIGBUS => " (invalid memory access)",
        libc::SIGXFSZ => " (a file grew over the file size limit)",
        libc::SIGPIPE => " (it wrote to a closed pipe)",
        _ => "",
    }
}

fn peak(report: &StageReport, before: &str) -> String {
    let peak = report.usage.memory_peak_bytes;
    peak.map_or(String::new(), |peak| format!("{before}{}", bytes(peak)))
}

/// Microseconds for people.
#[allow(clippy::cast_precision_loss)] // two decimals are shown
pub(crate) fn time(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

/// Bytes for people.
#[allow(clippy::cast_precision_loss)] // one decimal is shown
pub(crate) fn bytes(bytes: u64) -> String {
    let units = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, size)| bytes >= *size) {
        Some((unit, size)) if bytes.is_multiple_of(*size) => format!("{} {unit}", bytes / size),
        Some((unit, size)) => format!("{:.1} {unit}", bytes as f64 / *size as f64),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use brig_sandbox::report::{Usage, Violation};

    use super::*;

    pub(in crate::run) fn report(outcome: Outcome) -> StageReport {
        StageReport {
            outcome,
            exit_code: None,
            signal: None,
            violation: None,
            usage: Usage {
                cpu_user_us: Some(1_000_000),
                cpu_system_us: Some(4_000),
                wall_us: 6_000_123,
                memory_peak_bytes: Some(200 << 20),
                ..Usage::default()
            },
            setup_us: 100,
            warm: true,
            prestarted: false,
            collect_error: None,
        }
    }

    fn words(report: &StageReport) -> String {
        describe(
            report,
            &Limits {
                cpu_time_ms: 1000,
                ..Limits::DEFAULT
            },
            false,
        )
    }

    #[test]
    fn every_ending_has_its_figures() {
        let exited = StageReport {
            exit_code: Some(3),
            ..report(Outcome::Exited)
        };
        assert_eq!(
            words(&exited),
            "exited with code 3 after 1.00 s of CPU time"
        );
        let signaled = StageReport {
            signal: Some(11),
            ..report(Outcome::Signaled)
        };
        assert!(words(&signaled).starts_with("ended by SIGSEGV (invalid memory access"));
        assert_eq!(
            words(&report(Outcome::CpuTimeLimit)),
            "killed after 1.00 s of CPU time, limit 1.00 s"
        );
        assert_eq!(
            words(&report(Outcome::WallTimeLimit)),
            "killed after 6.00 s of wall time, limit 6.00 s; it used 1.00 s of CPU time"
        );
        assert_eq!(
            words(&report(Outcome::MemoryLimit)),
            "killed for using more memory than its limit of 256 MiB; peak 200 MiB"
        );
        let violation = Some(Violation {
            syscall: "ptrace".to_owned(),
        });
        let violated = StageReport {
            violation,
            ..report(Outcome::PolicyViolation)
        };
        assert_eq!(
            words(&violated),
            "ended for a forbidden system call: ptrace"
        );
    }

    #[test]
    fn unknown_figures_are_left_out() {
        let mut exited = StageReport {
            exit_code: Some(0),
            ..report(Outcome::Exited)
        };
        exited.usage = Usage::default();
        assert_eq!(words(&exited), "exited with code 0");
    }

    #[test]
    fn sizes_and_times() {
        assert_eq!(bytes(1 << 20), "1 MiB");
        assert_eq!(bytes(1_600_000), "1.5 MiB");
        assert_eq!(bytes(12), "12 bytes");
        assert_eq!(time(999), "999 µs");
        assert_eq!(time(3_100), "3 ms");
        assert_eq!(time(2_000_000), "2.00 s");
    }
}
