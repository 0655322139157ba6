//! The limits that a request gets: what it asks for, over the language's defaults, within the
//! language's maxima.

use brig_sandbox::limits::{Limits, LimitsPatch};

use crate::api::{FieldError, LimitsRequest};

/// The least fraction of a CPU: the kernel's smallest quota is 1 ms (`CONFIG_CFS_BANDWIDTH`), of a
/// period of 100 ms.
const MIN_CPUS: f64 = 0.01;

/// The effective limits; every field above its maximum is an error at `pointer`. On errors the
/// limits are the defaults in their place.
pub(super) fn effective(
    asked: &LimitsRequest,
    defaults: &Limits,
    maxima: &Limits,
    pointer: &str,
    errors: &mut Vec<FieldError>,
) -> Limits {
    let mut within = |name: &str, value: Option<u64>, max: u64| {
        let value = value?;
        if value <= max {
            return Some(value);
        }
        let detail = format!("{value} is above the maximum of {max} for this language");
        errors.push(FieldError::new(format!("{pointer}/{name}"), detail));
        None
    };
    // Both maxima fit `u32`, so what is within them does too.
    let narrow = |value: Option<u64>| value.and_then(|v| u32::try_from(v).ok());
    let max_open_files = maxima.open_files.min(Limits::MAX_OPEN_FILES);
    let mut patch = LimitsPatch {
        cpu_time_ms: within("cpu_time_ms", asked.cpu_time_ms, maxima.cpu_time_ms),
        wall_time_ms: within("wall_time_ms", asked.wall_time_ms, maxima.wall_time_ms),
        memory_bytes: within("memory_bytes", asked.memory_bytes, maxima.memory_bytes),
        stack_bytes: within("stack_bytes", asked.stack_bytes, maxima.stack_bytes),
        processes: narrow(within(
            "processes",
            asked.processes,
            maxima.processes.into(),
        )),
        open_files: narrow(within(
            "open_files",
            asked.open_files,
            max_open_files.into(),
        )),
        file_size_bytes: within(
            "file_size_bytes",
            asked.file_size_bytes,
            maxima.file_size_bytes,
        ),
        disk_bytes: within("disk_bytes", asked.disk_bytes, maxima.disk_bytes),
        disk_inodes: within("disk_inodes", asked.disk_inodes, maxima.disk_inodes),
        output_bytes: within("output_bytes", asked.output_bytes, maxima.output_bytes),
        cpus: None,
    };
    patch.cpus = cpus(asked.cpus, maxima.cpus, pointer, errors);
    patch.wall_time_ms = patch
        .wall_time_ms
        .or_else(|| wall_time_for(&patch, defaults, maxima));
    patch.applied_to(defaults)
}

fn cpus(asked: Option<f64>, max: f64, pointer: &str, errors: &mut Vec<FieldError>) -> Option<f64> {
    let asked = asked?;
    let detail = if asked > max {
        format!("{asked} is above the maximum of {max} for this language")
    } else if asked < MIN_CPUS {
        format!("{asked} is below the minimum of {MIN_CPUS}")
    } else {
        return Some(asked);
    };
    errors.push(FieldError::new(format!("{pointer}/cpus"), detail));
    None
}

/// Who asks for more CPU time but says nothing of wall time would be cut off by the default wall
/// time long before: it grows in proportion, up to its maximum.
fn wall_time_for(patch: &LimitsPatch, defaults: &Limits, maxima: &Limits) -> Option<u64> {
    let asked = patch
        .cpu_time_ms
        .filter(|asked| *asked > defaults.cpu_time_ms)?;
    let grown = u128::from(asked) * u128::from(defaults.wall_time_ms)
        / u128::from(defaults.cpu_time_ms.max(1));
    let grown = u64::try_from(grown).unwrap_or(u64::MAX);
    Some(grown.min(maxima.wall_time_ms).max(defaults.wall_time_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAXIMA: Limits = Limits {
        wall_time_ms: 20_000,
        cpu_time_ms: 10_000,
        ..Limits::DEFAULT
    };

    fn limits(asked: LimitsRequest) -> (Limits, Vec<FieldError>) {
        let mut errors = Vec::new();
        let limits = effective(&asked, &Limits::DEFAULT, &MAXIMA, "/limits", &mut errors);
        (limits, errors)
    }

    #[test]
    fn defaults_where_nothing_is_asked() {
        assert_eq!(limits(LimitsRequest::default()), (Limits::DEFAULT, vec![]));
    }

    #[test]
    fn each_excess_names_its_maximum() {
        let (_, errors) = limits(LimitsRequest {
            cpu_time_ms: Some(10_001),
            processes: Some(u64::MAX),
            open_files: Some(1001),
            cpus: Some(1.5),
            ..LimitsRequest::default()
        });
        let texts: Vec<_> = errors
            .iter()
            .map(|e| format!("{} {}", e.pointer, e.detail))
            .collect();
        assert!(texts[0].starts_with("/limits/cpu_time_ms 10001 is above the maximum of 10000"));
        assert!(texts[1].starts_with("/limits/processes"));
        assert!(texts[2].starts_with("/limits/open_files"));
        assert!(texts[3].contains("maximum of 1 "), "{}", texts[3]);
    }

    #[test]
    fn wall_time_grows_with_cpu_time_unless_it_is_given() {
        let ask = |cpu_time_ms, wall_time_ms| {
            limits(LimitsRequest {
                cpu_time_ms,
                wall_time_ms,
                ..LimitsRequest::default()
            })
            .0
        };
        assert_eq!(ask(Some(4_000), None).wall_time_ms, 12_000);
        assert_eq!(ask(Some(10_000), None).wall_time_ms, 20_000);
        assert_eq!(ask(Some(1_000), None).wall_time_ms, 6_000);
        assert_eq!(ask(Some(10_000), Some(7_000)).wall_time_ms, 7_000);
    }
}
