//! The unified hierarchy (Documentation/admin-guide/cgroup-v2.rst).

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::stat::{Mode, mkdirat};

use super::{
    CPU_PERIOD_US, Counters, Entry, InUse, Leaf, WorkerPaths, cpu_quota_us, members, named,
    open_dir, read_file, read_number_if_any, remove_dir, value_of, write_file,
};
use crate::layers::Layers;
use crate::limits::Limits;

/// A worker's directory, delegated to it.
#[derive(Debug)]
pub struct Group {
    dir: OwnedFd,
    has: Controllers,
}

#[derive(Clone, Copy, Debug)]
struct Controllers {
    memory: bool,
    cpu: bool,
    pids: bool,
}

impl Group {
    pub(super) fn open(paths: &WorkerPaths) -> io::Result<Self> {
        let any = paths
            .memory
            .as_ref()
            .or(paths.cpu.as_ref())
            .or(paths.pids.as_ref());
        let path = any.ok_or_else(|| io::Error::other("no cgroup controller at all"))?;
        let has = Controllers {
            memory: paths.memory.is_some(),
            cpu: paths.cpu.is_some(),
            pids: paths.pids.is_some(),
        };
        Ok(Self {
            dir: std::fs::File::open(path)?.into(),
            has,
        })
    }

    pub(super) fn create_leaf(&self, name: &str) -> io::Result<LeafV2> {
        mkdirat(&self.dir, name, Mode::from_bits_truncate(0o755))
            .map_err(|e| named(name, e.into()))?;
        Ok(LeafV2 {
            parent: self.dir.try_clone()?,
            dir: open_dir(&self.dir, name)?,
            name: name.to_owned(),
            has: self.has,
        })
    }
}

/// One sandbox's group.
#[derive(Debug)]
pub(super) struct LeafV2 {
    parent: OwnedFd,
    dir: OwnedFd,
    name: String,
    has: Controllers,
}

impl Leaf for LeafV2 {
    fn entry(&self) -> io::Result<Entry<'_>> {
        Ok(Entry::Clone(self.dir.as_fd()))
    }

    fn apply(&self, limits: &Limits, off: Layers) -> io::Result<()> {
        let dir = self.dir.as_fd();
        if self.has.memory && !off.contains(Layers::MEMORY_LIMIT) {
            write_file(dir, "memory.max", &limits.memory_bytes.to_string())?;
            // Absent where the kernel has no swap support, and then there is nothing to forbid.
            match write_file(dir, "memory.swap.max", "0") {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                answer => answer?,
            }
            write_file(dir, "memory.oom.group", "1")?;
        }
        if self.has.pids && !off.contains(Layers::PIDS_LIMIT) {
            write_file(dir, "pids.max", &limits.processes.to_string())?;
        }
        if self.has.cpu
            && !off.contains(Layers::CPU_QUOTA)
            && let Some(quota) = cpu_quota_us(limits.cpus)
        {
            write_file(dir, "cpu.max", &format!("{quota} {CPU_PERIOD_US}"))?;
        }
        Ok(())
    }

    fn cpu_ns(&self) -> io::Result<Option<u64>> {
        // cpu.stat has its first three lines also without the cpu controller.
        let stat = read_file(self.dir.as_fd(), "cpu.stat")?;
        Ok(value_of(&stat, "usage_usec").map(|us| us * 1000))
    }

    fn oom_kills(&self) -> io::Result<Option<u64>> {
        if !self.has.memory {
            return Ok(None);
        }
        let events = read_file(self.dir.as_fd(), "memory.events")?;
        Ok(oom_kills(&events))
    }

    fn in_use(&self) -> io::Result<InUse> {
        let dir = self.dir.as_fd();
        Ok(InUse {
            memory_bytes: read_number_if_any(dir, "memory.current")?,
            processes: read_number_if_any(dir, "pids.current")?,
        })
    }

    fn members(&self) -> io::Result<Vec<i32>> {
        members(self.dir.as_fd())
    }

    fn counters(&self) -> io::Result<Counters> {
        let dir = self.dir.as_fd();
        let stat = read_file(dir, "cpu.stat")?;
        let ns = |key| value_of(&stat, key).map(|us: u64| us * 1000);
        Ok(Counters {
            cpu_ns: ns("usage_usec"),
            user_ns: ns("user_usec"),
            system_ns: ns("system_usec"),
            memory_peak_bytes: read_number_if_any(dir, "memory.peak")?,
            processes_peak: read_number_if_any(dir, "pids.peak")?,
            oom_kills: self.oom_kills()?,
            throttled_us: value_of(&stat, "throttled_usec"),
            throttled_periods: value_of(&stat, "nr_throttled"),
        })
    }

    fn kill(&self) -> io::Result<bool> {
        match write_file(self.dir.as_fd(), "cgroup.kill", "1") {
            // Linux 5.14 has it.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            answer => answer.map(|()| true),
        }
    }

    /// Before Linux 6.12 nothing sets `memory.peak` back.
    fn reusable(&self) -> bool {
        false
    }

    fn rest(&mut self) {}

    fn renew(&self) -> io::Result<bool> {
        Ok(false)
    }

    fn remove(&self) -> io::Result<()> {
        remove_dir(self.parent.as_fd(), &self.name)
    }
}

/// How many processes were killed for memory, from memory.events. With memory.oom.group the kernel kills
/// its victim and then every process of the group, the victim once more, and counts each kill
/// (`oom_kill_process` in mm/oom_kill.c): one too many for each `oom_group_kill`, which Linux 5.17
/// and later count. Before, one group kill is assumed, as nothing of the group outlives it.
fn oom_kills(events: &str) -> Option<u64> {
    let kills = value_of(events, "oom_kill")?;
    let groups = value_of(events, "oom_group_kill").unwrap_or(1);
    Some(kills.saturating_sub(groups).max(kills.min(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_victim_of_a_group_kill_counts_once() {
        let kills = |events| oom_kills(events).unwrap();
        assert_eq!(kills("oom 0\noom_kill 0\noom_group_kill 0\n"), 0);
        assert_eq!(kills("oom 1\noom_kill 2\noom_group_kill 1\n"), 1);
        assert_eq!(kills("oom 1\noom_kill 4\noom_group_kill 1\n"), 3);
        // The victim was gone before the group was killed.
        assert_eq!(kills("oom 1\noom_kill 1\noom_group_kill 1\n"), 1);
        // Without memory.oom.group, and before Linux 5.17.
        assert_eq!(kills("oom 1\noom_kill 2\noom_group_kill 0\n"), 2);
        assert_eq!(kills("oom 0\noom_kill 0\n"), 0);
        assert_eq!(kills("oom 1\noom_kill 2\n"), 1);
    }
}
