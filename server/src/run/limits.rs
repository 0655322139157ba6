//! The limits that a request gets: what it asks for, over the language's defaults, within the
//! language's maxima.

use std::fmt::Display;

use brig_sandbox::limits::{Limits, LimitsPatch};

use crate::api::{FieldError, LimitsRequest};

/// The least fraction of a CPU: the kernel's smallest quota is 1 ms (`CONFIG_CFS_BANDWIDTH`), of a
/// period of 100 ms.
const MIN_CPUS: f64 = 0.01;
/// Whose maximum it is, of a language's.
const OF_LANGUAGE: &str = "for this language";

/// What bounds the limits of a stage.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'a> {
    /// What the stage gets where nothing is asked for, as far as it is within the maxima.
    pub(super) defaults: &'a Limits,
    /// The most that the language allows.
    pub(super) language: &'a Limits,
    /// The most that the request's key allows.
    pub(super) key: &'a LimitsPatch,
}

/// The effective limits; every field above its maximum is an error at `pointer`. On errors the
/// limits are the defaults in their place.
pub(super) fn effective(
    asked: &LimitsRequest,
    bounds: Bounds<'_>,
    pointer: &str,
    errors: &mut Vec<FieldError>,
) -> Limits {
    let Bounds { language, key, .. } = bounds;
    let mut within = |name: &str, value: Option<u64>, language: u64, key: Option<u64>| {
        let value = value?;
        let Some((max, whose)) = exceeded(value, language, key) else {
            return Some(value);
        };
        let detail = above(value, max, whose);
        errors.push(FieldError::new(format!("{pointer}/{name}"), detail));
        None
    };
    // Both maxima fit `u32`, so what is within them does too.
    let narrow = |value: Option<u64>| value.and_then(|v| u32::try_from(v).ok());
    macro_rules! within {
        ($field:ident) => {
            within(
                stringify!($field),
                asked.$field,
                language.$field.into(),
                key.$field.map(u64::from),
            )
        };
    }
    let language = &Limits {
        open_files: language.open_files.min(Limits::MAX_OPEN_FILES),
        ..*language
    };
    let mut patch = LimitsPatch {
        cpu_time_ms: within!(cpu_time_ms),
        wall_time_ms: within!(wall_time_ms),
        memory_bytes: within!(memory_bytes),
        stack_bytes: within!(stack_bytes),
        processes: narrow(within!(processes)),
        open_files: narrow(within!(open_files)),
        file_size_bytes: within!(file_size_bytes),
        disk_bytes: within!(disk_bytes),
        disk_inodes: within!(disk_inodes),
        output_bytes: within!(output_bytes),
        cpus: None,
    };
    patch.cpus = cpus(asked.cpus, bounds, pointer, errors);
    let (defaults, maxima) = (at_most(bounds.defaults, key), at_most(language, key));
    patch.wall_time_ms = patch
        .wall_time_ms
        .or_else(|| wall_time_for(&patch, &defaults, &maxima));
    patch.applied_to(&defaults)
}

/// The maximum that `value` is above, and whose it is: the lower one, where it is above both.
fn exceeded<T: PartialOrd + Copy>(
    value: T,
    language: T,
    key: Option<T>,
) -> Option<(T, &'static str)> {
    match key {
        Some(key) if key < language => (value > key).then_some((key, "of this key")),
        _ => (value > language).then_some((language, OF_LANGUAGE)),
    }
}

fn above<T: Display>(value: T, max: T, whose: &str) -> String {
    format!("{value} is above the maximum of {max} {whose}")
}

/// What is said of a CPU time limit at `pointer` that is above a language's maximum, in milliseconds both.
pub(crate) fn cpu_time_above(pointer: &str, asked_ms: u64, max_ms: u64) -> FieldError {
    FieldError::new(pointer, above(asked_ms, max_ms, OF_LANGUAGE))
}

/// `limits`, none of them above `key`.
fn at_most(limits: &Limits, key: &LimitsPatch) -> Limits {
    macro_rules! lower {
        ($($field:ident),*) => {
            Limits { $($field: key.$field.map_or(limits.$field, |key| limits.$field.min(key))),* }
        };
    }
    lower!(
        cpu_time_ms,
        wall_time_ms,
        memory_bytes,
        stack_bytes,
        processes,
        open_files,
        file_size_bytes,
        disk_bytes,
        disk_inodes,
        output_bytes,
        cpus
    )
}

fn cpus(
    asked: Option<f64>,
    bounds: Bounds<'_>,
    pointer: &str,
    errors: &mut Vec<FieldError>,
) -> Option<f64> {
    let asked = asked?;
    let detail = match exceeded(asked, bounds.language.cpus, bounds.key.cpus) {
        Some((max, whose)) => above(asked, max, whose),
        None if asked < MIN_CPUS => format!("{asked} is below the minimum of {MIN_CPUS}"),
        None => return Some(asked),
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
        let limits = effective(
            &asked,
            bounds(&LimitsPatch::default()),
            "/limits",
            &mut errors,
        );
        (limits, errors)
    }

    fn bounds(key: &LimitsPatch) -> Bounds<'_> {
        Bounds {
            defaults: &Limits::DEFAULT,
            language: &MAXIMA,
            key,
        }
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

    #[test]
    fn a_keys_maximum_is_named_as_the_keys() {
        let key = LimitsPatch {
            cpu_time_ms: Some(1_000),
            memory_bytes: Some(u64::MAX),
            processes: Some(4),
            cpus: Some(0.5),
            ..LimitsPatch::default()
        };
        let asked = LimitsRequest {
            cpu_time_ms: Some(1_001),
            memory_bytes: Some(MAXIMA.memory_bytes + 1),
            cpus: Some(0.75),
            ..LimitsRequest::default()
        };
        let mut errors = Vec::new();
        effective(&asked, bounds(&key), "/limits", &mut errors);
        let texts: Vec<_> = errors.iter().map(|e| e.detail.as_str()).collect();
        let language = format!("the maximum of {} for this language", MAXIMA.memory_bytes);
        assert!(
            texts[0].contains(" the maximum of 1000 of this key"),
            "{texts:?}"
        );
        assert!(texts[1].contains(&language), "{texts:?}");
        assert!(
            texts[2].contains("the maximum of 0.5 of this key"),
            "{texts:?}"
        );

        let mut none = Vec::new();
        let limits = effective(&LimitsRequest::default(), bounds(&key), "", &mut none);
        assert_eq!(none, []);
        assert_eq!(
            limits.cpu_time_ms, 1_000,
            "defaults stay within the key's maxima"
        );
        assert_eq!((limits.processes, limits.cpus), (4, 0.5));
        assert_eq!(limits.memory_bytes, Limits::DEFAULT.memory_bytes);
    }
}
