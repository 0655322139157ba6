//! Two thousand runs of every kind leave nothing behind.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::harness::{BOUND, Service, comm, eventually, groups_of, proc_status, request, within};

const RUNS: usize = 2000;
const CLIENTS: usize = 4;
const WORKERS: u32 = 2;
/// Each worker keeps a sandbox ready for each kind of `/proc` that it was asked for; programs with the
/// policies `default` and `strict` ask for both kinds there are.
const WARM: f64 = 2.0 * WORKERS as f64;
/// Of this service only, so that what belongs to them is its.
const UIDS: std::ops::RangeInclusive<u32> = 60_900..=60_900 + WORKERS;
const MODES: [(&str, &str); 10] = [
    ("ok", "ok"),
    ("strict", "ok"),
    ("exit", "runtime_error"),
    ("crash", "runtime_error"),
    ("spin", "time_limit_exceeded"),
    ("hog", "memory_limit_exceeded"),
    ("bomb", "time_limit_exceeded"),
    ("flood", "output_limit_exceeded"),
    ("daemon", "ok"),
    ("cancelled", ""),
];

/// What could be left behind, counted.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    /// Processes of the service, sandboxes and programs included.
    processes: usize,
    cgroups: usize,
    namespaces: usize,
    mounts: usize,
    descriptors: usize,
    temporary_files: usize,
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let lists = tasks.map(|task| fs::read_to_string(task.path().join("children")));
    lists
        .flat_map(|list| {
            let list = list.unwrap_or_default();
            let pids = list.split_whitespace().map(str::parse::<u32>);
            pids.filter_map(Result::ok).collect::<Vec<_>>()
        })
        .collect()
}

fn descendants(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(pid) = all.get(next) {
        all.extend(children(*pid));
        next += 1;
    }
    all
}

/// The open descriptors of a process, but for the control files of sandboxes' cgroups that there are: those are
/// opened when they are needed, and go with the group.
fn descriptors(pid: u32) -> usize {
    let fds = fs::read_dir(format!("/proc/{pid}/fd"));
    let targets = fds
        .into_iter()
        .flatten()
        .flatten()
        .map(|fd| fs::read_link(fd.path()));
    let of_group = |target: &std::path::Path| {
        let target = target.to_string_lossy();
        target.contains("/s-") && !target.ends_with(" (deleted)")
    };
    targets
        .filter(|target| !target.as_deref().is_ok_and(of_group))
        .count()
}

fn directories_below(path: &std::path::Path) -> usize {
    let below = fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
    below.map(|e| 1 + directories_below(&e.path())).sum()
}

fn traces(service: &Service) -> Traces {
    let family = descendants(service.pid());
    let mut namespaces = BTreeSet::new();
    for pid in &family {
        for entry in fs::read_dir(format!("/proc/{pid}/ns"))
            .into_iter()
            .flatten()
            .flatten()
        {
            namespaces.extend(fs::read_link(entry.path()));
        }
    }
    let long_lived: Vec<_> = family.iter().filter(|p| comm(**p) != "brig-init").collect();
    let lines = |pid: &&u32| {
        fs::read_to_string(format!("/proc/{pid}/mountinfo")).map_or(0, |t| t.lines().count())
    };
    let is_ours = |e: &fs::DirEntry| e.metadata().is_ok_and(|m| UIDS.contains(&m.uid()));
    Traces {
        processes: family.len(),
        cgroups: groups_of(service.pid())
            .iter()
            .map(|g| directories_below(g))
            .sum(),
        namespaces: namespaces.len(),
        mounts: long_lived.iter().map(lines).sum(),
        descriptors: long_lived.iter().map(|pid| descriptors(**pid)).sum(),
        temporary_files: ["/tmp", "/dev/shm"]
            .iter()
            .map(|d| {
                fs::read_dir(d)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .filter(is_ours)
                    .count()
            })
            .sum(),
    }
}

/// Resident memory of the long-lived processes, in KiB.
fn memory_kib(service: &Service) -> u64 {
    let family = descendants(service.pid());
    let long_lived = family.into_iter().filter(|p| comm(*p) != "brig-init");
    let kib = |pid| {
        proc_status(pid, "VmRSS")
            .trim_end_matches(" kB")
            .trim()
            .parse::<u64>()
            .unwrap()
    };
    long_lived.map(kib).sum()
}

/// Mixed runs from several clients at once, every kind in turn.
fn exercise(service: &Service, runs: usize) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= runs {
                        return;
                    }
                    one_run(service, MODES[n % MODES.len()]);
                }
            });
        }
    });
    eventually("all runs are over", || {
        service.metric("brig_running") < 1.0 && service.metric("brig_queue_depth") < 1.0
    });
}

fn one_run(service: &Service, (mode, status): (&str, &str)) {
    if mode == "cancelled" {
        let stream = service.begin(&request("sleep"));
        // Hang up at any moment: queued, being set up, running.
        std::thread::yield_now();
        drop(stream);
        return;
    }
    let request = match mode {
        "strict" => {
            let mut request = request("ok");
            request["policy"] = mode.into();
            request
        }
        _ => request(mode),
    };
    let answer: Value = service.run(&request);
    assert_eq!(answer["status"], status, "{mode}: {answer}");
}

/// Whether there is a leaf for each sandbox, and no other: those that are kept to be quicker under load
/// are given up by an idle worker.
fn is_tidy(service: &Service) -> bool {
    let family = descendants(service.pid());
    let workers = family.iter().filter(|pid| comm(**pid) == "brig-worker");
    let sandboxes: usize = workers.map(|pid| children(*pid).len()).sum();
    groups_of(service.pid()).iter().all(|group| {
        let of_workers = (0..WORKERS).map(|n| group.join(format!("worker-{n}")));
        of_workers.map(|g| directories_below(&g)).sum::<usize>() == sandboxes
    })
}

/// The traces of a service that has nothing to do and has prepared all that it prepares.
fn settled(service: &Service) -> Traces {
    eventually("all sandboxes are prepared", || {
        (service.metric("brig_warm_sandboxes") - WARM).abs() < 0.5
    });
    eventually("the workers are tidy", || is_tidy(service));
    let mut last = traces(service);
    eventually("the service settles", || {
        let now = traces(service);
        let settled = now == last;
        last = now;
        settled
    });
    last
}

#[test]
fn two_thousand_mixed_runs_leave_nothing_behind() {
    let (workers, uid_base) = (WORKERS.to_string(), UIDS.start().to_string());
    let service = Service::settled(&["--workers", &workers, "--uid-base", &uid_base]);
    exercise(&service, 200);
    let before = settled(&service);
    let memory_before = memory_kib(&service);
    exercise(&service, RUNS);
    let mut after = settled(&service);
    // What has ended may take the kernel a moment to be gone.
    within(BOUND, || {
        after = traces(&service);
        after == before
    });
    assert_eq!(after, before, "{:#?}", service.log_so_far());
    let grown = memory_kib(&service).saturating_sub(memory_before);
    println!(
        "memory before {memory_before} KiB, grown by {grown} KiB after {RUNS} runs; {after:?}"
    );
    // Less than a page a run: allocators keep a little, leaks grow with the runs.
    assert!(grown < RUNS as u64 * 4, "memory grew by {grown} KiB");
    let pid = service.pid();
    assert!(service.stop().success());
    assert_eq!(groups_of(pid), Vec::<std::path::PathBuf>::new());
}
