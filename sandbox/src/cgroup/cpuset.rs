//! Keeping a worker, and all that it starts, on one CPU (Documentation/admin-guide/cgroup-v1/cpusets.rst,
//! cgroup-v2.rst, `cpuset.cpus`).
//!
//! A worker also asks for its CPU by sched_setaffinity(2), which works without this controller; but a
//! program may ask otherwise, and only a cpuset does not let it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// v1: makes `base`, with all that its parent has.
pub(super) fn make_base_v1(base: &Path) -> io::Result<()> {
    let parent = base.parent().unwrap_or(Path::new("/"));
    make(base)?;
    // A new group has neither CPUs nor memory nodes, and nobody can be moved there.
    for file in ["cpuset.cpus", "cpuset.mems"] {
        copy(file, parent, base)?;
    }
    Ok(())
}

/// v1: makes `worker` in `base`, on `cpu` alone.
pub(super) fn make_worker_v1(base: &Path, worker: &Path, cpu: u32) -> io::Result<()> {
    make(worker)?;
    copy("cpuset.mems", base, worker)?;
    fs::write(worker.join("cpuset.cpus"), cpu.to_string())
}

/// v2: has `base` and its parent hand the controller down.
pub(super) fn enable_v2(base: &Path) -> io::Result<()> {
    let parent = base.parent().unwrap_or(Path::new("/"));
    for group in [parent, base] {
        fs::write(group.join("cgroup.subtree_control"), "+cpuset")?;
    }
    Ok(())
}

/// v2: lets `worker` run on `cpu` alone.
pub(super) fn limit_v2(worker: &Path, cpu: u32) -> io::Result<()> {
    fs::write(worker.join("cpuset.cpus"), cpu.to_string())
}

fn copy(file: &str, from: &Path, to: &Path) -> io::Result<()> {
    let value = fs::read_to_string(from.join(file))?;
    fs::write(to.join(file), value.trim())
}

fn make(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        answer => answer,
    }
}

/// The order in which CPUs are given to workers: one of each physical core first, then the others.
/// `siblings` are the lists of CPUs that share a core (`topology/thread_siblings_list`).
pub fn order(siblings: &[(u32, Vec<u32>)]) -> Vec<u32> {
    let rank = |(cpu, of_core): &(u32, Vec<u32>)| {
        let before = of_core.iter().filter(|other| *other < cpu).count();
        (before, *cpu)
    };
    let mut cpus: Vec<_> = siblings.iter().map(rank).collect();
    cpus.sort_unstable();
    cpus.into_iter().map(|(_, cpu)| cpu).collect()
}

/// The CPUs that this process may use, in the order of [`order`].
pub fn own_cpus() -> io::Result<Vec<u32>> {
    use nix::sched::{CpuSet, sched_getaffinity};
    use nix::unistd::Pid;
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let is_allowed = |cpu: &u32| allowed.is_set(*cpu as usize).unwrap_or(false);
    let count = u32::try_from(CpuSet::count()).unwrap_or(u32::MAX);
    let cpus = (0..count).filter(is_allowed);
    let siblings: Vec<_> = cpus
        .map(|cpu| {
            let of_core = siblings_of(cpu).unwrap_or_default();
            (cpu, of_core.into_iter().filter(is_allowed).collect())
        })
        .collect();
    Ok(order(&siblings))
}

fn siblings_of(cpu: u32) -> Option<Vec<u32>> {
    let file = PathBuf::from(format!(
        "/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
    ));
    parse_list(fs::read_to_string(file).ok()?.trim())
}

/// A list as the kernel writes it: `0-1,8`.
fn parse_list(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
        cpus.extend(from..=to);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_core_comes_once_before_any_comes_twice() {
        let cores = |list: &[(u32, &str)]| -> Vec<(u32, Vec<u32>)> {
            let parse = |(cpu, text): &(u32, &str)| (*cpu, parse_list(text).unwrap());
            list.iter().map(parse).collect()
        };
        let neighbours = cores(&[(0, "0-1"), (1, "0-1"), (2, "2-3"), (3, "2-3")]);
        assert_eq!(order(&neighbours), [0, 2, 1, 3]);
        let halves = cores(&[(0, "0,2"), (1, "1,3"), (2, "0,2"), (3, "1,3")]);
        assert_eq!(order(&halves), [0, 1, 2, 3]);
        assert_eq!(order(&[(4, vec![]), (2, vec![])]), [2, 4]);
    }

    #[test]
    fn lists_are_read() {
        assert_eq!(parse_list("0-2,7"), Some(vec![0, 1, 2, 7]));
        assert_eq!(parse_list("5"), Some(vec![5]));
        assert_eq!(parse_list("x"), None);
    }

    #[test]
    fn this_process_has_a_cpu() {
        assert!(!own_cpus().unwrap().is_empty());
    }
}
