//! Who the processes are, and what happens when one dies.

use std::io::Read;

use nix::sched::{CloneFlags, setns};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use serde_json::json;

use super::harness::{Service, eventually, groups_of, kill_9, proc_status, python, request};

const NO_CAPABILITIES: &str = "0000000000000000";

#[test]
fn server_and_workers_have_no_rights() {
    let service = Service::start(&["--workers", "2", "--uid-base", "60900"]);
    let (servers, workers) = (
        service.children("brig-server"),
        service.children("brig-worker"),
    );
    assert_eq!((servers.len(), workers.len()), (1, 2));
    let mut users = Vec::new();
    for pid in servers.into_iter().chain(workers) {
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(proc_status(pid, set), NO_CAPABILITIES, "{set} of {pid}");
        }
        assert_eq!(proc_status(pid, "NoNewPrivs"), "1");
        assert_eq!(proc_status(pid, "Groups"), "");
        users.push(proc_status(pid, "Uid"));
    }
    users.sort_unstable();
    let all_four = |uid: u32| vec![uid.to_string(); 4].join("\t");
    assert_eq!(users, [60_900, 60_901, 60_902].map(all_four));
}

/// What the kernel says at `path` to a process in the network namespace of `pid`.
fn said_in_network_of(pid: u32, path: &'static str) -> String {
    let network = std::fs::File::open(format!("/proc/{pid}/ns/net")).unwrap();
    // Only this thread goes there.
    let look = move || {
        setns(network, CloneFlags::CLONE_NEWNET).unwrap();
        std::fs::read_to_string(path).unwrap()
    };
    std::thread::spawn(look).join().unwrap().trim().to_owned()
}

#[test]
fn sandboxes_do_not_share_the_hosts_table_of_tcp_connections() {
    let service = Service::settled(&["--workers", "1"]);
    let worker = service.children("brig-worker")[0];
    let children = || std::fs::read_to_string(format!("/proc/{worker}/task/{worker}/children"));
    let sandbox = || children().ok()?.split_whitespace().next()?.parse().ok();
    eventually("a sandbox is ready", || sandbox().is_some());
    let sandbox = sandbox().unwrap();
    let places = said_in_network_of(sandbox, "/proc/sys/net/ipv4/tcp_ehash_entries");
    // Negative where it is another's.
    assert_eq!(places, "16");
}

#[test]
fn the_server_may_open_as_many_files_as_the_hard_limit_allows() {
    // As after login.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(1024), hard).unwrap();
    let service = Service::start(&["--workers", "1"]);
    let server = service.children("brig-server")[0];
    let limits = std::fs::read_to_string(format!("/proc/{server}/limits")).unwrap();
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let numbers: Vec<u64> = files
        .unwrap()
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    assert_eq!(numbers, [hard, hard]);
}

/// As on machines of many CPUs.
#[test]
fn several_threads_serve_together() {
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), "[http]\nthreads = 4\n").unwrap();
    let config = config.path().to_str().unwrap();
    let service = Service::settled(&["--workers", "2", "--config", config]);
    assert!(service.metric("process_threads") > 4.0);
    std::thread::scope(|scope| {
        for client in 0..6 {
            let service = &service;
            scope.spawn(move || {
                for run in 0..10 {
                    let text = format!("{client} of {run}");
                    let answer = service.run(&python(&format!("print('{text}', end='')")));
                    assert_eq!(answer["run"]["stdout"], text, "{answer}");
                }
            });
        }
    });
    assert!(service.stop().success());
}

#[test]
fn a_worker_killed_in_the_middle_costs_one_run() {
    let service = Service::settled(&["--workers", "1"]);
    let mut stream = service.begin(&request("sleep"));
    eventually("the run is running", || {
        service.metric("brig_running") > 0.0
    });
    // A warm-up of the pool may still be under way; only a started program is not tried again.
    eventually("the program has started", || sleeps_below(service.pid()));
    kill_9(service.children("brig-worker")[0]);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"internal_error\""), "{answer}");
    assert_eq!(service.run(&request("ok"))["status"], "ok");
}

/// Whether a program that sleeps forever is among the descendants of `ancestor`.
fn sleeps_below(ancestor: u32) -> bool {
    let parent = |pid: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_whitespace().nth(1)?.parse().ok()
    };
    let descends =
        |pid: u32| std::iter::successors(Some(pid), |pid| parent(*pid)).any(|p| p == ancestor);
    let is_it = |pid: u32| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| c == b"./main\0sleep\0")
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let mut pids = entries.filter_map(|e| e.file_name().to_str()?.parse().ok());
    pids.any(|pid| is_it(pid) && descends(pid))
}

#[test]
fn a_killed_server_is_started_anew() {
    let service = Service::start(&["--workers", "1"]);
    let before = service.children("brig-server")[0];
    kill_9(before);
    eventually("another server is ready", || {
        service
            .children("brig-server")
            .first()
            .is_some_and(|pid| *pid != before)
            && service.status("/readyz") == 200
    });
    assert_eq!(service.run(&request("ok"))["status"], "ok");
}

#[test]
fn nothing_outlives_a_killed_supervisor() {
    let mut service = Service::start(&["--workers", "2"]);
    let pid = service.pid();
    let mut family = service.children("brig-server");
    family.extend(service.children("brig-worker"));
    let _running = service.begin(&request("sleep"));
    eventually("the run is running", || {
        service.metric("brig_running") > 0.0
    });
    service.signal(Signal::SIGKILL);
    service.wait();
    let alive = |pid: &u32| std::path::Path::new(&format!("/proc/{pid}")).exists();
    eventually("server and workers are dead", || !family.iter().any(alive));
    // The groups are found and removed by the next start.
    let next = Service::start(&["--workers", "1"]);
    eventually("the groups are gone", || groups_of(pid).is_empty());
    drop(next);
}

#[test]
fn sigterm_lets_runs_finish_and_leaves_nothing() {
    let service = Service::settled(&["--workers", "1"]);
    let pid = service.pid();
    let mut stream = service.begin(&python("import time; time.sleep(0.7); print('finished')"));
    eventually("the run is running", || {
        service.metric("brig_running") > 0.0
    });
    assert!(service.stop().success());
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("finished\\n"), "{answer}");
    assert_eq!(groups_of(pid), Vec::<std::path::PathBuf>::new());
}

#[test]
fn languages_are_read_again_on_sighup() {
    let dir = tempfile::tempdir().unwrap();
    let languages = dir.path().join("languages");
    std::fs::create_dir(&languages).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.path(), mode).unwrap();
    let service = Service::start(&["--workers", "1", "--profiles", dir.path().to_str().unwrap()]);
    let request = json!({"language": "echo", "source": "hello"});
    assert_eq!(service.try_run(&request).unwrap().0, 422);
    let profile = "id = \"echo\"\nname = \"Echo\"\nextensions = [\"txt\"]\nsource_name = \"main.txt\"\nexample = \"x\"\n\
        packages = []\n[version]\ncommand = [\"/bin/cat\", \"--version\"]\npattern = '([0-9.]+)'\nformat = \"{1}\"\n\
        [run]\npolicy = \"default\"\ncommand = [\"/bin/cat\", \"{entry}\"]\n";
    std::fs::write(languages.join("echo.toml"), profile).unwrap();
    service.signal(Signal::SIGHUP);
    eventually("the new language is there", || {
        service
            .try_run(&request)
            .is_some_and(|(status, _)| status == 200)
    });
    assert_eq!(service.run(&request)["run"]["stdout"], "hello");
    std::fs::write(languages.join("echo.toml"), "id = \"echo\"\nnonsense = 1\n").unwrap();
    service.signal(Signal::SIGHUP);
    assert!(
        service.logs("echo.toml:2"),
        "the mistake is named with file and line"
    );
    assert_eq!(
        service.run(&request)["run"]["stdout"],
        "hello",
        "the old profiles stay"
    );
}
