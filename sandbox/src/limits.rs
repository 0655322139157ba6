//! What one stage may use.

use serde::{Deserialize, Serialize};

/// The limits of one stage, all of them always set.
///
/// Field names are those of the HTTP API.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(description = "The limits of one stage, all of them.")
)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// CPU time of the whole process tree, user plus system, in milliseconds.
    pub cpu_time_ms: u64,
    /// Time from `execve` to the end of the first process, in milliseconds.
    pub wall_time_ms: u64,
    /// Memory of the whole process tree as its cgroup counts it: anonymous pages, files on the
    /// sandbox's tmpfs, page tables and other kernel memory. In bytes.
    pub memory_bytes: u64,
    /// `RLIMIT_STACK`, in bytes.
    pub stack_bytes: u64,
    /// Processes and threads alive at once.
    pub processes: u32,
    /// `RLIMIT_NOFILE`: one more than the highest descriptor number, at most 1000.
    pub open_files: u32,
    /// `RLIMIT_FSIZE`: the largest file the program can write, in bytes.
    pub file_size_bytes: u64,
    /// Size of the tmpfs behind `/box` and `/tmp`, in bytes.
    pub disk_bytes: u64,
    /// Files, directories and links that tmpfs can hold.
    pub disk_inodes: u64,
    /// Bytes the program may write to each of stdout and stderr.
    pub output_bytes: u64,
    /// CPUs that the process tree can keep busy at once; fractions are allowed.
    pub cpus: f64,
}

impl Limits {
    /// Descriptor numbers from here on are used by the engine between lock-down and `execve`, and
    /// the seccomp filters let only those through; a program must never be able to own one.
    pub const MAX_OPEN_FILES: u32 = 1000;

    /// What a stage gets where nothing else is said.
    pub const DEFAULT: Self = Self {
        cpu_time_ms: 2_000,
        wall_time_ms: 6_000,
        memory_bytes: 256 << 20,
        stack_bytes: 64 << 20,
        processes: 32,
        open_files: 64,
        file_size_bytes: 16 << 20,
        disk_bytes: 64 << 20,
        disk_inodes: 4096,
        output_bytes: 1 << 20,
        cpus: 1.0,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Limits of which some are set, as requests and profiles carry them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)] // each field is documented at its namesake in `Limits`
pub struct LimitsPatch {
    pub cpu_time_ms: Option<u64>,
    pub wall_time_ms: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub stack_bytes: Option<u64>,
    pub processes: Option<u32>,
    pub open_files: Option<u32>,
    pub file_size_bytes: Option<u64>,
    pub disk_bytes: Option<u64>,
    pub disk_inodes: Option<u64>,
    pub output_bytes: Option<u64>,
    pub cpus: Option<f64>,
}

impl LimitsPatch {
    /// `base` with every set field of `self` in its place.
    pub fn applied_to(&self, base: &Limits) -> Limits {
        Limits {
            cpu_time_ms: self.cpu_time_ms.unwrap_or(base.cpu_time_ms),
            wall_time_ms: self.wall_time_ms.unwrap_or(base.wall_time_ms),
            memory_bytes: self.memory_bytes.unwrap_or(base.memory_bytes),
            stack_bytes: self.stack_bytes.unwrap_or(base.stack_bytes),
            processes: self.processes.unwrap_or(base.processes),
            open_files: self.open_files.unwrap_or(base.open_files),
            file_size_bytes: self.file_size_bytes.unwrap_or(base.file_size_bytes),
            disk_bytes: self.disk_bytes.unwrap_or(base.disk_bytes),
            disk_inodes: self.disk_inodes.unwrap_or(base.disk_inodes),
            output_bytes: self.output_bytes.unwrap_or(base.output_bytes),
            cpus: self.cpus.unwrap_or(base.cpus),
        }
    }
}
