//! Control groups: the caps a program cannot pass and the counters that say what it used.
//!
//! ```text
//! <own group>/brig-<pid>/worker-<n>/            made by the supervisor, hard caps set there
//!                           |- main             v2 only: the worker and the inits
//!                           `- s-<k>            one sandbox's program, made by the worker
//! ```
//!
//! [`host`] finds the hierarchies and builds the upper part; [`v2`] and [`v1`] are the two drivers
//! that a worker uses for its leaves, behind [`Leaf`]; [`Leaves`] is where it gets them from.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};

use crate::layers::Layers;
use crate::limits::Limits;

pub mod cpuset;
pub mod host;
mod leaves;
mod v1;
mod v2;

pub use leaves::Leaves;

/// Which cgroup interface a host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// One hierarchy per controller, also where v2 is mounted beside them ("hybrid").
    V1,
    /// The unified hierarchy.
    V2,
}

/// The directories of one worker's group, as the supervisor tells the worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerPaths {
    /// Which driver to use.
    pub version: Version,
    /// Per controller its directory; on v2 all are the same. A missing controller is a degraded
    /// layer.
    pub memory: Option<PathBuf>,
    /// See `memory`.
    pub cpu: Option<PathBuf>,
    /// See `memory`.
    pub cpuacct: Option<PathBuf>,
    /// See `memory`.
    pub pids: Option<PathBuf>,
    /// v1: the group that keeps the worker on its CPU, if it has one.
    pub cpuset: Option<PathBuf>,
}

/// What a leaf has counted so far. `None` is a figure this host cannot give.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// CPU time in nanoseconds.
    pub cpu_ns: Option<u64>,
    /// How much of it was in user mode; the split is the kernel's estimate.
    pub user_ns: Option<u64>,
    /// How much of it was in kernel mode.
    pub system_ns: Option<u64>,
    /// Highest memory use in bytes.
    pub memory_peak_bytes: Option<u64>,
    /// Most processes and threads at once.
    pub processes_peak: Option<u64>,
    /// Processes killed for memory.
    pub oom_kills: Option<u64>,
    /// Time held back by the CPU quota, in microseconds.
    pub throttled_us: Option<u64>,
    /// Periods in which it was held back.
    pub throttled_periods: Option<u64>,
}

/// What a leaf uses at the moment. `None` is a figure this host cannot give.
#[derive(Clone, Copy, Debug, Default)]
pub struct InUse {
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
}

/// How a program's process gets into its leaf.
#[derive(Debug)]
pub enum Entry<'a> {
    /// By `CLONE_INTO_CGROUP` with this directory.
    Clone(BorrowedFd<'a>),
    /// By a process with a single thread that writes `0` to each of these `tasks` files.
    Write(Vec<BorrowedFd<'a>>),
}

impl Entry<'_> {
    /// The descriptors that it takes.
    pub fn fds(&self) -> &[BorrowedFd<'_>] {
        match self {
            Self::Clone(dir) => std::slice::from_ref(dir),
            Self::Write(files) => files,
        }
    }
}

/// The group of one sandbox's program.
pub trait Leaf: std::fmt::Debug {
    /// How the program's process gets in.
    fn entry(&self) -> io::Result<Entry<'_>>;
    /// Caps the group, except by the layers in `off`.
    fn apply(&self, limits: &Limits, off: Layers) -> io::Result<()>;
    /// CPU time used so far, in nanoseconds: cheap, for watching.
    fn cpu_ns(&self) -> io::Result<Option<u64>>;
    /// Processes killed for memory so far: cheap, for watching.
    fn oom_kills(&self) -> io::Result<Option<u64>>;
    /// What is in use now: cheap, for watching.
    fn in_use(&self) -> io::Result<InUse>;
    /// Processes in it, as this process's pid namespace numbers them.
    fn members(&self) -> io::Result<Vec<i32>>;
    /// All counters.
    fn counters(&self) -> io::Result<Counters>;
    /// Kills every process in it, where the interface has one call for that. `false`: it has not.
    fn kill(&self) -> io::Result<bool>;
    /// Whether it may be worth a [`Leaf::renew`], as far as the counters show that were read last.
    fn reusable(&self) -> bool;
    /// Closes its files, as it is not used for a while.
    fn rest(&mut self);
    /// Sets it back to what a new one is, and says whether it is: empty of processes and charges, all
    /// counters 0. `false`: it is not, now or for good. Every process must be gone.
    fn renew(&self) -> io::Result<bool>;
    /// Removes it; every process must be gone.
    fn remove(&self) -> io::Result<()>;
}

/// A worker's own group, in which it makes leaves.
#[derive(Debug)]
pub enum WorkerGroup {
    /// See [`Version::V1`].
    V1(v1::Group),
    /// See [`Version::V2`].
    V2(v2::Group),
}

impl WorkerGroup {
    /// Opens the directories; they stay usable after the worker has left the host's file tree.
    pub fn open(paths: &WorkerPaths) -> io::Result<Self> {
        Ok(match paths.version {
            Version::V1 => Self::V1(v1::Group::open(paths)?),
            Version::V2 => Self::V2(v2::Group::open(paths)?),
        })
    }

    /// Makes the leaf called `name`.
    pub fn create_leaf(&self, name: &str) -> io::Result<Box<dyn Leaf>> {
        Ok(match self {
            Self::V1(group) => Box::new(group.create_leaf(name)?),
            Self::V2(group) => Box::new(group.create_leaf(name)?),
        })
    }
}

/// The scheduling period of CPU quotas in microseconds, the kernel's default
/// (Documentation/admin-guide/cgroup-v2.rst, `cpu.max`).
const CPU_PERIOD_US: u64 = 100_000;

/// CPUs that this process may use. Looked up once: that reads its way through the cgroup file system.
pub fn online_cpus() -> usize {
    static ONLINE: OnceLock<usize> = OnceLock::new();
    *ONLINE.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// The quota in microseconds a period that `cpus` CPUs need; `None` where that is all of them.
fn cpu_quota_us(cpus: f64) -> Option<u64> {
    let online = online_cpus();
    #[allow(clippy::cast_precision_loss)] // CPU counts are small
    if cpus >= online as f64 {
        return None;
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    let quota = (cpus * CPU_PERIOD_US as f64) as u64;
    // 1 ms is the least the kernel takes (min_cfs_quota_period, kernel/sched/core.c).
    Some(quota.max(1_000))
}

fn open_dir(dir: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    Ok(openat(
        dir,
        name,
        OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?)
}

fn write_file(dir: BorrowedFd<'_>, name: &str, value: &str) -> io::Result<()> {
    let fd = openat(dir, name, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|e| named(name, e.into()))?;
    File::from(fd)
        .write_all(value.as_bytes())
        .map_err(|e| named(name, e))
}

fn read_file(dir: BorrowedFd<'_>, name: &str) -> io::Result<String> {
    let fd = openat(dir, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|e| named(name, e.into()))?;
    let mut text = String::new();
    File::from(fd)
        .read_to_string(&mut text)
        .map_err(|e| named(name, e))?;
    Ok(text)
}

/// The number in a file that older kernels do not have.
fn read_number_if_any(dir: BorrowedFd<'_>, name: &str) -> io::Result<Option<u64>> {
    match read_file(dir, name) {
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// The value of `key` in a file of `key value` lines.
fn value_of(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        line.strip_prefix(key)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    })
}

/// The processes in `dir`. A process of another pid namespace is shown as 0 and left out.
fn members(dir: BorrowedFd<'_>) -> io::Result<Vec<i32>> {
    let text = read_file(dir, "cgroup.procs")?;
    let pids = text.lines().filter_map(|line| line.parse().ok());
    Ok(pids.filter(|pid| *pid > 0).collect())
}

fn named(name: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {error}"))
}

/// Removes a directory of a cgroup tree. The kernel may still be taking the last process out of it
/// (its exit is seen before its group is empty), so this tries again for a moment.
fn remove_dir(dir: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    use nix::unistd::{UnlinkatFlags, unlinkat};
    const TRIES: u32 = 200;
    for _ in 0..TRIES {
        match unlinkat(dir, name, UnlinkatFlags::RemoveDir) {
            Err(nix::errno::Errno::EBUSY) => {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            Err(nix::errno::Errno::ENOENT) => return Ok(()),
            answer => return answer.map_err(|e| named(name, e.into())),
        }
    }
    Err(named(name, io::Error::from_raw_os_error(libc::EBUSY)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_is_none_when_all_cpus_are_wanted() {
        assert_eq!(cpu_quota_us(1e6), None);
        assert_eq!(cpu_quota_us(0.5), Some(50_000));
        assert_eq!(cpu_quota_us(0.000_01), Some(1_000));
    }

    #[test]
    fn values_are_found_by_whole_keys() {
        let text = "oom 1\noom_kill 2\nnr_throttled 7\n";
        assert_eq!(value_of(text, "oom"), Some(1));
        assert_eq!(value_of(text, "oom_kill"), Some(2));
        assert_eq!(value_of(text, "throttled"), None);
    }
}
