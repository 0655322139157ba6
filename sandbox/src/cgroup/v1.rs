//! One hierarchy per controller (Documentation/admin-guide/cgroup-v1/).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};

use super::{
    CPU_PERIOD_US, Counters, Entry, InUse, Leaf, WorkerPaths, cpu_quota_us, members, named,
    open_dir, read_file, read_number_if_any, remove_dir, value_of, write_file,
};
use crate::layers::Layers;
use crate::limits::Limits;

/// One directory per controller. Controllers mounted together share one, opened once for each.
#[derive(Debug)]
struct Dirs {
    memory: Option<OwnedFd>,
    cpu: Option<OwnedFd>,
    cpuacct: Option<OwnedFd>,
    pids: Option<OwnedFd>,
}

impl Dirs {
    fn all(&self) -> impl Iterator<Item = &OwnedFd> {
        [&self.memory, &self.cpu, &self.cpuacct, &self.pids]
            .into_iter()
            .flatten()
    }

    fn map(&self, each: impl Fn(&OwnedFd) -> io::Result<OwnedFd>) -> io::Result<Self> {
        let each = |dir: &Option<OwnedFd>| dir.as_ref().map(&each).transpose();
        Ok(Self {
            memory: each(&self.memory)?,
            cpu: each(&self.cpu)?,
            cpuacct: each(&self.cpuacct)?,
            pids: each(&self.pids)?,
        })
    }
}

/// A worker's directories.
#[derive(Debug)]
pub struct Group {
    dirs: Dirs,
}

impl Group {
    pub(super) fn open(paths: &WorkerPaths) -> io::Result<Self> {
        let open = |path: &Option<std::path::PathBuf>| {
            path.as_ref()
                .map(|p| File::open(p).map(OwnedFd::from))
                .transpose()
        };
        Ok(Self {
            dirs: Dirs {
                memory: open(&paths.memory)?,
                cpu: open(&paths.cpu)?,
                cpuacct: open(&paths.cpuacct)?,
                pids: open(&paths.pids)?,
            },
        })
    }

    pub(super) fn create_leaf(&self, name: &str) -> io::Result<LeafV1> {
        for dir in self.dirs.all() {
            match mkdirat(dir, name, Mode::from_bits_truncate(0o755)) {
                // Made through another controller of the same hierarchy.
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(e) => return Err(named(name, e.into())),
            }
        }
        Ok(LeafV1 {
            parents: self.dirs.map(OwnedFd::try_clone)?,
            dirs: self.dirs.map(|dir| open_dir(dir, name))?,
            name: name.to_owned(),
        })
    }
}

/// One sandbox's directories.
#[derive(Debug)]
pub(super) struct LeafV1 {
    parents: Dirs,
    dirs: Dirs,
    name: String,
}

impl LeafV1 {
    fn limit_memory(dir: BorrowedFd<'_>, bytes: u64) -> io::Result<()> {
        let bytes = bytes.to_string();
        write_file(dir, "memory.limit_in_bytes", &bytes)?;
        // Memory plus swap no larger than memory: no swap. Absent without swap accounting; then
        // swappiness keeps the group's pages out of swap.
        match write_file(dir, "memory.memsw.limit_in_bytes", &bytes) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                write_file(dir, "memory.swappiness", "0")
            }
            answer => answer,
        }
    }
}

impl Leaf for LeafV1 {
    fn entry(&self) -> io::Result<Entry> {
        let open = |dir: &OwnedFd| {
            let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
            Ok(File::from(openat(
                dir,
                "cgroup.procs",
                flags,
                Mode::empty(),
            )?))
        };
        self.dirs
            .all()
            .map(open)
            .collect::<io::Result<_>>()
            .map(Entry::Write)
    }

    fn apply(&self, limits: &Limits, off: Layers) -> io::Result<()> {
        if let Some(dir) = self
            .dirs
            .memory
            .as_ref()
            .filter(|_| !off.contains(Layers::MEMORY_LIMIT))
        {
            Self::limit_memory(dir.as_fd(), limits.memory_bytes)?;
        }
        if let Some(dir) = self
            .dirs
            .pids
            .as_ref()
            .filter(|_| !off.contains(Layers::PIDS_LIMIT))
        {
            write_file(dir.as_fd(), "pids.max", &limits.processes.to_string())?;
        }
        if let Some(dir) = self
            .dirs
            .cpu
            .as_ref()
            .filter(|_| !off.contains(Layers::CPU_QUOTA))
            && let Some(quota) = cpu_quota_us(limits.cpus)
        {
            write_file(dir.as_fd(), "cpu.cfs_period_us", &CPU_PERIOD_US.to_string())?;
            write_file(dir.as_fd(), "cpu.cfs_quota_us", &quota.to_string())?;
        }
        Ok(())
    }

    fn cpu_ns(&self) -> io::Result<Option<u64>> {
        number(self.dirs.cpuacct.as_ref(), "cpuacct.usage")
    }

    fn oom_kills(&self) -> io::Result<Option<u64>> {
        match &self.dirs.memory {
            Some(dir) => Ok(value_of(
                &read_file(dir.as_fd(), "memory.oom_control")?,
                "oom_kill",
            )),
            None => Ok(None),
        }
    }

    fn in_use(&self) -> io::Result<InUse> {
        Ok(InUse {
            memory_bytes: number(self.dirs.memory.as_ref(), "memory.usage_in_bytes")?,
            processes: number(self.dirs.pids.as_ref(), "pids.current")?,
        })
    }

    fn members(&self) -> io::Result<Vec<i32>> {
        // All directories have the same.
        match self.dirs.all().next() {
            Some(dir) => members(dir.as_fd()),
            None => Ok(Vec::new()),
        }
    }

    fn counters(&self) -> io::Result<Counters> {
        let throttling = match &self.dirs.cpu {
            Some(dir) => read_file(dir.as_fd(), "cpu.stat")?,
            None => String::new(),
        };
        Ok(Counters {
            cpu_ns: self.cpu_ns()?,
            user_ns: number(self.dirs.cpuacct.as_ref(), "cpuacct.usage_user")?,
            system_ns: number(self.dirs.cpuacct.as_ref(), "cpuacct.usage_sys")?,
            memory_peak_bytes: number(self.dirs.memory.as_ref(), "memory.max_usage_in_bytes")?,
            processes_peak: number(self.dirs.pids.as_ref(), "pids.peak")?,
            oom_kills: self.oom_kills()?,
            // In nanoseconds here, unlike v2 (scheduler/sched-bwc.rst).
            throttled_us: value_of(&throttling, "throttled_time").map(|ns| ns / 1000),
            throttled_periods: value_of(&throttling, "nr_throttled"),
        })
    }

    fn kill(&self) -> io::Result<bool> {
        Ok(false)
    }

    fn remove(&self) -> io::Result<()> {
        self.parents
            .all()
            .try_for_each(|parent| remove_dir(parent.as_fd(), &self.name))
    }
}

fn number(dir: Option<&OwnedFd>, name: &str) -> io::Result<Option<u64>> {
    match dir {
        Some(dir) => read_number_if_any(dir.as_fd(), name),
        None => Ok(None),
    }
}
