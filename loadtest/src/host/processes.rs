//! `/proc`: the service's processes and what they use (proc_pid_stat(5), proc_stat(5)).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::MemoryOf;

/// The most processes of a service that are looked at.
const MAX_PROCESSES: usize = 10_000;
/// `st` of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// The processes of the service.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    /// The one that all others come from.
    root: u32,
}

/// What they have used until now, and hold now.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceSample {
    /// With that of processes that have ended.
    pub(crate) cpu: Duration,
    /// By the names of those that live.
    by_name: BTreeMap<String, Duration>,
    pub(crate) rss_bytes: u64,
}

impl ServiceSample {
    /// CPU time of the processes called `name` themselves.
    pub(crate) fn cpu_of(&self, name: &str) -> Duration {
        self.by_name.get(name).copied().unwrap_or_default()
    }
}

impl Service {
    /// The service whose first process is `pid`.
    pub(crate) fn of_pid(pid: u32) -> anyhow::Result<Self> {
        anyhow::ensure!(
            Path::new(&format!("/proc/{pid}")).exists(),
            "there is no process {pid}"
        );
        Ok(Self { root: pid })
    }

    /// The service that listens on `port` of this machine, if its processes can be seen.
    pub(crate) fn listening_on(port: u16) -> Option<Self> {
        let inodes = listening(port);
        let owners: BTreeSet<u32> = pids().filter(|pid| owns(*pid, &inodes)).collect();
        // The supervisor hands its socket on to the server.
        let topmost = |pid: &&u32| stat(**pid).is_some_and(|s| !owners.contains(&s.parent));
        let root = owners.iter().find(topmost)?;
        Some(Self { root: *root })
    }

    /// The processes of the service.
    fn processes(&self) -> Vec<(u32, Stat)> {
        let mut children: BTreeMap<u32, Vec<(u32, Stat)>> = BTreeMap::new();
        for pid in pids() {
            if let Some(stat) = stat(pid) {
                children.entry(stat.parent).or_default().push((pid, stat));
            }
        }
        let mut found: Vec<(u32, Stat)> = stat(self.root)
            .map(|s| (self.root, s))
            .into_iter()
            .collect();
        let mut next = 0;
        while next < found.len() && found.len() < MAX_PROCESSES {
            let own = children.remove(&found[next].0).unwrap_or_default();
            found.extend(own);
            next += 1;
        }
        found
    }

    pub(crate) fn sample(&self) -> ServiceSample {
        let mut sample = ServiceSample::default();
        for (_, stat) in self.processes() {
            // The time of a child goes over to its parent when the parent has waited for it.
            sample.cpu += stat.cpu + stat.waited_cpu;
            sample.rss_bytes += stat.rss_bytes;
            *sample.by_name.entry(stat.name).or_default() += stat.cpu;
        }
        sample
    }

    /// Memory by names of processes.
    pub(crate) fn memory(&self) -> BTreeMap<String, MemoryOf> {
        let mut by_name: BTreeMap<String, MemoryOf> = BTreeMap::new();
        for (pid, stat) in self.processes() {
            let memory = by_name.entry(stat.name).or_insert(MemoryOf {
                pss_bytes: Some(0),
                ..MemoryOf::default()
            });
            memory.processes += 1;
            memory.rss_bytes += stat.rss_bytes;
            memory.pss_bytes = memory.pss_bytes.zip(pss(pid)).map(|(sum, own)| sum + own);
        }
        by_name
    }
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Of `/proc/<pid>/stat`.
#[derive(Clone, Debug, PartialEq)]
struct Stat {
    name: String,
    parent: u32,
    cpu: Duration,
    waited_cpu: Duration,
    rss_bytes: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    parsed_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parsed_stat(text: &str) -> Option<Stat> {
    // A name may hold anything, parentheses too.
    let (before, after) = text.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = after.split_whitespace().collect();
    // Field 3, the state, is the first after the name.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        name,
        parent: u32::try_from(field(4)?).ok()?,
        cpu: ticks(field(14)? + field(15)?),
        waited_cpu: ticks(field(16)? + field(17)?),
        rss_bytes: field(24)? * page_bytes(),
    })
}

/// Clock ticks as time. Their length is part of the kernel's interface (`USER_HZ`): 10 ms.
fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 10)
}

fn page_bytes() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    size.ok().flatten().map_or(4096, i64::unsigned_abs)
}

fn pss(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("Pss:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// CPU time of the whole machine that was neither idle nor taken by others of its host.
pub(super) fn system_busy() -> Option<Duration> {
    parsed_busy(&fs::read_to_string("/proc/stat").ok()?)
}

fn parsed_busy(text: &str) -> Option<Duration> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line
        .split_whitespace()
        .filter_map(|f| f.parse().ok())
        .collect();
    // user, nice, system, (idle, iowait), irq, softirq; guest time is part of user.
    let busy = [0, 1, 2, 5, 6].iter().map(|at| fields.get(*at).copied());
    Some(ticks(busy.sum::<Option<u64>>()?))
}

/// Inodes of the sockets that listen on `port`.
fn listening(port: u16) -> BTreeSet<u64> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let text = read("/proc/net/tcp") + &read("/proc/net/tcp6");
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = fields.get(1)?.rsplit_once(':')?.1;
        let matches = fields.get(3) == Some(&LISTEN)
            && u16::from_str_radix(local, 16).is_ok_and(|found| found == port);
        matches.then(|| fields.get(9)?.parse().ok()).flatten()
    };
    text.lines().filter_map(inode).collect()
}

fn owns(pid: u32, inodes: &BTreeSet<u64>) -> bool {
    let entries = fs::read_dir(format!("/proc/{pid}/fd"));
    let is_one = |path: std::path::PathBuf| {
        let inode = path.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        Some(inodes.contains(&inode.parse().ok()?))
    };
    entries.into_iter().flatten().flatten().any(|entry| {
        let target = fs::read_link(entry.path());
        target.is_ok_and(|path| is_one(path) == Some(true))
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn stat_is_read_whatever_the_name() {
        let text = "12 (a) (b c) S 7 12 12 0 -1 4194304 100 0 0 0 5 3 20 10 20 0 1 0 100 1000000 25 18446744073709551615";
        let stat = parsed_stat(text).unwrap();
        assert_eq!((stat.name.as_str(), stat.parent), ("a) (b c", 7));
        assert_eq!(stat.cpu, Duration::from_millis(80));
        assert_eq!(stat.waited_cpu, Duration::from_millis(300));
        assert_eq!(stat.rss_bytes, 25 * page_bytes());
        assert_eq!(parsed_stat("nonsense"), None);
    }

    #[test]
    fn the_machine_is_busy_but_not_when_idle() {
        let text = "cpu  100 1 20 5000 300 4 5 600 70 0\ncpu0 1 2 3 4\n";
        assert_eq!(parsed_busy(text), Some(Duration::from_millis(1300)));
        assert!(system_busy().unwrap() > Duration::ZERO);
    }

    #[test]
    fn a_service_is_found_by_its_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let service = Service::listening_on(port).unwrap();
        assert_eq!(service.root, std::process::id());
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let found: Vec<u32> = service.processes().iter().map(|(pid, _)| *pid).collect();
        let memory = service.memory();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.contains(&child.id()), "{found:?}");
        assert!(service.sample().rss_bytes > 0 && !memory.is_empty());
        drop(listener);
        assert!(Service::listening_on(port).is_none());
    }
}
