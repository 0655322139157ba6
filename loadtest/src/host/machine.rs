//! What machine this is, for reports: figures of different machines are not to be compared.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The machine that the load comes from, which is the service's too unless it is remote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
    /// `v2`, `hybrid` or `none`.
    pub(crate) cgroup: String,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let memory = value_of(&read("/proc/meminfo"), "MemTotal");
        let memory = memory.split(' ').next().and_then(|kib| kib.parse().ok());
        let exists = |path: &str| Path::new(path).exists();
        let cgroup = match (
            exists("/sys/fs/cgroup/cgroup.controllers"),
            exists("/sys/fs/cgroup/memory"),
        ) {
            (true, _) => "v2",
            (false, true) => "hybrid",
            (false, false) => "none",
        };
        Self {
            cpu: value_of(&read("/proc/cpuinfo"), "model name"),
            cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_bytes: memory.unwrap_or(0) * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            cgroup: cgroup.to_owned(),
        }
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        format!(
            "{} CPUs ({}), {} GiB, Linux {}, cgroup {}",
            self.cpus,
            self.cpu,
            self.memory_bytes >> 30,
            self.kernel,
            self.cgroup
        )
    }
}

/// The first value called `name` in a text of `name: value` lines.
fn value_of(text: &str, name: &str) -> String {
    let found = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described() {
        let machine = Machine::here();
        assert!(machine.cpus > 0 && machine.memory_bytes > 0 && !machine.kernel.is_empty());
        assert!(machine.line().contains(&machine.kernel));
        assert_eq!(value_of("a\t: 1\nb: 2 kB\nb: 3", "b"), "2 kB");
    }
}
