//! Limits as flags.

use serde::Serialize;

use super::units;

/// Limits of a run or of every test; what is not given is the language's default.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Limits (defaults and maxima: GET /v1/languages)")]
pub(super) struct LimitFlags {
    /// CPU time of all processes together, such as 2s or 500ms
    #[arg(long = "cpu-time", value_name = "TIME", value_parser = units::time_ms)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_time_ms: Option<u64>,
    /// Time on the clock
    #[arg(long = "wall-time", value_name = "TIME", value_parser = units::time_ms)]
    #[serde(skip_serializing_if = "Option::is_none")]
    wall_time_ms: Option<u64>,
    /// Memory of all processes together, such as 256M
    #[arg(long = "memory", value_name = "SIZE", value_parser = units::size)]
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
    /// Stack
    #[arg(long = "stack", value_name = "SIZE", value_parser = units::size)]
    #[serde(skip_serializing_if = "Option::is_none")]
    stack_bytes: Option<u64>,
    /// Processes and threads at once
    #[arg(long, value_name = "N", value_parser = units::count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<u64>,
    /// Open files
    #[arg(long, value_name = "N", value_parser = units::count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    open_files: Option<u64>,
    /// The largest file it may write
    #[arg(long = "file-size", value_name = "SIZE", value_parser = units::size)]
    #[serde(skip_serializing_if = "Option::is_none")]
    file_size_bytes: Option<u64>,
    /// Files that it may keep, together
    #[arg(long = "disk", value_name = "SIZE", value_parser = units::size)]
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_bytes: Option<u64>,
    /// How many files that may be
    #[arg(long, value_name = "N", value_parser = units::count)]
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_inodes: Option<u64>,
    /// What it may write to each of stdout and stderr
    #[arg(long = "output", value_name = "SIZE", value_parser = units::size)]
    #[serde(skip_serializing_if = "Option::is_none")]
    output_bytes: Option<u64>,
    /// CPUs that it can keep busy at once, such as 0.5
    #[arg(long, value_name = "N", value_parser = units::cpus)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cpus: Option<f64>,
}

/// The compiler's limits.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Limits of the compiler")]
pub(super) struct CompileLimitFlags {
    /// CPU time of the compiler
    #[arg(id = "compile-cpu-time", long, value_name = "TIME", value_parser = units::time_ms)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_time_ms: Option<u64>,
    /// Time on the clock of the compiler
    #[arg(id = "compile-wall-time", long, value_name = "TIME", value_parser = units::time_ms)]
    #[serde(skip_serializing_if = "Option::is_none")]
    wall_time_ms: Option<u64>,
    /// Memory of the compiler
    #[arg(id = "compile-memory", long, value_name = "SIZE", value_parser = units::size)]
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
}

impl LimitFlags {
    /// The limits, unless none is given.
    pub(super) fn given(&self) -> Option<&Self> {
        (*self != Self::default()).then_some(self)
    }
}

impl CompileLimitFlags {
    /// The limits, unless none is given.
    pub(super) fn given(&self) -> Option<&Self> {
        (*self != Self::default()).then_some(self)
    }
}

/// The flag that sets the limit called `field` in a request.
pub(super) fn flag(field: &str) -> Option<&'static str> {
    Some(match field {
        "cpu_time_ms" => "--cpu-time",
        "wall_time_ms" => "--wall-time",
        "memory_bytes" => "--memory",
        "stack_bytes" => "--stack",
        "processes" => "--processes",
        "open_files" => "--open-files",
        "file_size_bytes" => "--file-size",
        "disk_bytes" => "--disk",
        "disk_inodes" => "--disk-inodes",
        "output_bytes" => "--output",
        "cpus" => "--cpus",
        _ => return None,
    })
}

/// The flag that sets the compiler's limit called `field` in a request.
pub(super) fn compile_flag(field: &str) -> Option<&'static str> {
    Some(match field {
        "cpu_time_ms" => "--compile-cpu-time",
        "wall_time_ms" => "--compile-wall-time",
        "memory_bytes" => "--compile-memory",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};
    use serde_json::{Value, json};

    use super::*;

    /// What a request would have for `arguments`.
    fn parsed(arguments: &[&str]) -> (Value, Value) {
        let command = Command::new("brig").no_binary_name(true);
        let command = CompileLimitFlags::augment_args(LimitFlags::augment_args(command));
        let matches = command.try_get_matches_from(arguments).unwrap();
        let limits = LimitFlags::from_arg_matches(&matches).unwrap();
        let compile = CompileLimitFlags::from_arg_matches(&matches).unwrap();
        (json!(limits.given()), json!(compile.given()))
    }

    #[test]
    fn flags_become_fields_of_the_request() {
        assert_eq!(parsed(&[]), (Value::Null, Value::Null));
        let (limits, compile) = parsed(&[
            "--memory=256M",
            "--cpu-time=2s",
            "--cpus=0.5",
            "--compile-cpu-time=10s",
        ]);
        assert_eq!(
            limits,
            json!({"memory_bytes": 268_435_456, "cpu_time_ms": 2000, "cpus": 0.5})
        );
        assert_eq!(compile, json!({"cpu_time_ms": 10_000}));
    }

    #[test]
    fn every_field_has_its_flag() {
        let arguments = [
            "--cpu-time=1s",
            "--wall-time=1s",
            "--memory=1M",
            "--stack=1M",
            "--processes=1",
            "--open-files=1",
            "--file-size=1M",
            "--disk=1M",
            "--disk-inodes=1",
            "--output=1M",
            "--cpus=1",
            "--compile-cpu-time=1s",
            "--compile-wall-time=1s",
            "--compile-memory=1M",
        ];
        let (limits, compile) = parsed(&arguments);
        let known = |value: &Value, flag: fn(&str) -> Option<&'static str>| {
            let fields = value.as_object().unwrap().keys();
            fields.filter_map(|field| flag(field)).count()
        };
        assert_eq!(known(&limits, flag), 11);
        assert_eq!(known(&compile, compile_flag), 3);
        for name in limits.as_object().unwrap().keys().filter_map(|f| flag(f)) {
            assert!(arguments.iter().any(|a| a.starts_with(name)), "{name}");
        }
        // Everything that the API can limit can be given.
        let api: crate::api::LimitsRequest = serde_json::from_value(limits).unwrap();
        assert!(api.disk_inodes.is_some() && api.cpus.is_some());
    }
}
