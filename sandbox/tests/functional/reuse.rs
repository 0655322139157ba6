//! Groups that are used again: nothing of one program is to be seen in the next one's figures.

use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use brig_sandbox::cgroup::host::{Base, Hierarchies, WorkerCaps};
use brig_sandbox::cgroup::{Counters, Entry, Leaf, Leaves, Version, WorkerGroup, WorkerPaths};
use brig_sandbox::layers::Layers;
use brig_sandbox::limits::Limits;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

/// How long the kernel may take to give back what a dead program had.
const BOUND: Duration = Duration::from_mins(1);

struct Groups {
    group: WorkerGroup,
    paths: WorkerPaths,
    leaves: Leaves,
    _base: Base,
}

impl Groups {
    fn new() -> Self {
        let base = Hierarchies::detect(None).unwrap().create_base().unwrap();
        let caps = WorkerCaps {
            memory_bytes: 1 << 30,
            processes: 100,
        };
        let uid = nix::unistd::getuid().as_raw();
        let paths = base.create_worker(0, uid, caps).unwrap();
        Self {
            group: WorkerGroup::open(&paths).unwrap(),
            paths,
            leaves: Leaves::default(),
            _base: base,
        }
    }

    fn used_again(&self) -> bool {
        self.paths.version == Version::V1
    }

    /// The directories of leaves that there are.
    fn names(&self) -> Vec<String> {
        let dir: &PathBuf = self.paths.memory.as_ref().unwrap();
        let names = std::fs::read_dir(dir).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("s-")).collect()
    }

    /// Takes a leaf, and says whether it was there before.
    fn take(&mut self) -> (Box<dyn Leaf>, bool) {
        let before = self.names();
        let leaf = self.leaves.take(&self.group).unwrap();
        let known = self.names().iter().all(|name| before.contains(name));
        (leaf, known)
    }

    /// Runs `command` in a new leaf, which then rests.
    fn run_and_rest(&mut self, command: &str) -> Counters {
        let (leaf, known) = self.take();
        assert!(!known);
        let counters = run(&*leaf, command);
        self.leaves.give_back(leaf).unwrap();
        counters
    }

    /// Runs `command` in one leaf after the other until one comes back that was used before. The first
    /// ones may keep page cache that the command brought in.
    fn take_used(&mut self, command: &str) -> Box<dyn Leaf> {
        let end = Instant::now() + BOUND;
        loop {
            let (leaf, known) = self.take();
            if known {
                return leaf;
            }
            run(&*leaf, command);
            self.leaves.give_back(leaf).unwrap();
            assert!(Instant::now() < end, "no leaf is used again");
        }
    }

    /// Takes leaves until all that were used are gone; none of them may be given out.
    fn until_none_is_left(&mut self) {
        let end = Instant::now() + BOUND;
        while !self.names().is_empty() {
            let (leaf, known) = self.take();
            assert!(!known, "a leaf is used again that is not as new");
            self.leaves.give_back(leaf).unwrap();
            assert!(Instant::now() < end, "a leaf is kept for ever");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Runs `command` as the only process in `leaf`, under limits.
fn run(leaf: &dyn Leaf, command: &str) -> Counters {
    leaf.apply(&Limits::DEFAULT, Layers::empty()).unwrap();
    assert!(enter_and_run(leaf, command).success());
    leaf.counters().unwrap()
}

fn enter_and_run(leaf: &dyn Leaf, command: &str) -> ExitStatus {
    let mut child = Command::new("sh")
        .args(["-c", &format!("read go; {command}")])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id().to_string();
    match leaf.entry().unwrap() {
        Entry::Clone(dir) => {
            let procs = openat(dir, "cgroup.procs", OFlag::O_WRONLY, Mode::empty()).unwrap();
            nix::unistd::write(procs.as_fd(), pid.as_bytes()).unwrap();
        }
        Entry::Write(files) => {
            for file in files {
                nix::unistd::write(file, pid.as_bytes()).unwrap();
            }
        }
    }
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    child.wait().unwrap()
}

#[test]
fn a_used_group_starts_from_nothing() {
    let mut groups = Groups::new();
    let large = "exec dd if=/dev/zero of=/dev/null bs=64M count=2 status=none";
    let first = groups.run_and_rest(large);
    assert!(first.memory_peak_bytes > Some(64 << 20), "{first:?}");
    if !groups.used_again() {
        return groups.until_none_is_left();
    }
    let leaf = groups.take_used(large);
    let fresh = leaf.counters().unwrap();
    for figure in [
        fresh.cpu_ns,
        fresh.user_ns,
        fresh.system_ns,
        fresh.memory_peak_bytes,
        fresh.oom_kills,
        fresh.throttled_us,
        fresh.throttled_periods,
    ] {
        assert_eq!(figure, Some(0), "{fresh:?}");
    }
    let second = run(&*leaf, "exec true");
    assert!(second.memory_peak_bytes < Some(8 << 20), "{second:?}");
    assert!(second.cpu_ns < first.cpu_ns, "{second:?}");
    assert_eq!(second.processes_peak.unwrap_or(1), 1, "{second:?}");
    leaf.remove().unwrap();
}

#[test]
fn a_used_group_has_no_limits_before_it_is_given_any() {
    let mut groups = Groups::new();
    if !groups.used_again() {
        return;
    }
    // Each of these is below what the second command takes.
    let small = Limits {
        memory_bytes: 4 << 20,
        processes: 1,
        ..Limits::DEFAULT
    };
    let end = Instant::now() + BOUND;
    let leaf = loop {
        let (leaf, known) = groups.take();
        if known {
            break leaf;
        }
        leaf.apply(&small, Layers::empty()).unwrap();
        assert!(enter_and_run(&*leaf, "exec true").success());
        leaf.counters().unwrap();
        groups.leaves.give_back(leaf).unwrap();
        assert!(Instant::now() < end, "no leaf is used again");
    };
    let command = "dd if=/dev/zero of=/dev/null bs=64M count=1 status=none && true";
    assert!(enter_and_run(&*leaf, command).success());
    assert_eq!(leaf.counters().unwrap().oom_kills, Some(0));
    leaf.remove().unwrap();
}

#[test]
fn what_outlives_a_program_keeps_its_group_from_being_used_again() {
    let mut groups = Groups::new();
    let file = PathBuf::from(format!("/dev/shm/brig-reuse-{}", std::process::id()));
    let command = format!(
        "exec dd if=/dev/zero of={} bs=1M count=4 status=none",
        file.display()
    );
    groups.run_and_rest(&command);
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 4 << 20);
    groups.until_none_is_left();
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn a_group_whose_peak_cannot_be_set_back_goes_at_once() {
    let mut groups = Groups::new();
    let counters = groups.run_and_rest("sleep 0 & sleep 0 & wait");
    assert_ne!(counters.processes_peak, Some(1), "{counters:?}");
    if counters.processes_peak.is_some() {
        assert_eq!(groups.names(), Vec::<String>::new());
    }
}

#[test]
fn a_group_with_a_process_in_it_is_not_used_again() {
    let mut groups = Groups::new();
    let (leaf, _) = groups.take();
    run(&*leaf, "exec true");
    // In the group without having been seen by anybody who reads its counters.
    let mut sleeper = Command::new("sleep").arg("600").spawn().unwrap();
    if let Entry::Write(files) = leaf.entry().unwrap() {
        for file in files {
            nix::unistd::write(file, sleeper.id().to_string().as_bytes()).unwrap();
        }
        assert!(!leaf.renew().unwrap());
    }
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    leaf.remove().unwrap();
}
