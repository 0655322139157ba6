//! Workers without a server.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use brig_sandbox::archive;
use brig_sandbox::cgroup::host::{Hierarchies, WorkerCaps};
use brig_sandbox::client::{Client, Watch};
use brig_sandbox::identity::{DEFAULT_UID_BASE, Identity};
use brig_sandbox::layers::Layers;
use brig_sandbox::policy::{self, Compiled};
use brig_sandbox::protocol::Job;
use brig_sandbox::report::{Outcome, StageReport};
use brig_sandbox::rootfs::RootfsSpec;
use brig_sandbox::spawn::{Launcher, WorkerProcess};
use brig_sandbox::sys::process::reap_pidfd;

const READY_WITHIN: Duration = Duration::from_mins(1);

pub(crate) struct Workers {
    launcher: Launcher,
    processes: Vec<OwnedFd>,
    clients: Vec<Client>,
    files: OwnedFd,
}

impl Workers {
    pub(crate) fn start(count: u32, program: &Path) -> Self {
        let base = DEFAULT_UID_BASE + 200;
        let launcher = Launcher {
            base: Hierarchies::detect(None).unwrap().create_base().unwrap(),
            identity: Identity::detect(base, count).unwrap(),
            caps: WorkerCaps {
                memory_bytes: 1 << 30,
                processes: 1000,
            },
            rootfs: RootfsSpec::default(),
            policies: Compiled::all(policy::load(None).unwrap()).unwrap(),
            off: Layers::empty(),
            warm: 1,
            cpus: Vec::new(),
            prestarted: 0,
            prepared: None,
        };
        let started: Vec<_> = (0..count).map(|i| launcher.launch(i).unwrap()).collect();
        let (processes, clients) = started
            .into_iter()
            .map(|WorkerProcess { pidfd, channel, .. }| (pidfd, Client::new(channel)))
            .unzip();
        let content = std::fs::read(program).unwrap();
        let files = archive::pack([("main", content.as_slice(), true)]).unwrap();
        let mut workers = Self {
            launcher,
            processes,
            clients,
            files,
        };
        for client in &mut workers.clients {
            client.wait_ready(READY_WITHIN).unwrap();
            run(client, &workers.files);
        }
        workers
    }

    /// Runs the program once, on the first worker.
    pub(crate) fn run_one(&mut self) -> StageReport {
        run(&mut self.clients[0], &self.files)
    }

    /// How many runs all workers together do in `seconds`.
    pub(crate) fn throughput(&mut self, seconds: u64) -> u64 {
        let end = Instant::now() + Duration::from_secs(seconds);
        let files = &self.files;
        std::thread::scope(|scope| {
            let client = |client: &mut Client| {
                let mut runs = 0;
                while Instant::now() < end {
                    run(client, files);
                    runs += 1;
                }
                runs
            };
            let threads: Vec<_> = self
                .clients
                .iter_mut()
                .map(|c| scope.spawn(move || client(c)))
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).sum()
        })
    }

    pub(crate) fn stop(self) {
        drop(self.clients);
        for process in &self.processes {
            reap_pidfd(process.as_fd()).unwrap();
        }
        drop(self.launcher);
    }
}

fn run(client: &mut Client, files: &OwnedFd) -> StageReport {
    let job = Job {
        id: 1,
        policy: "strict".to_owned(),
        argv: vec!["./main".to_owned()],
        env: vec!["PATH=/usr/bin".to_owned()],
        archives: vec![None],
        ..Job::default()
    };
    let watch = Watch {
        stdout: &mut io::sink(),
        stderr: &mut io::sink(),
        cancel: None,
        keyboard: None,
    };
    let done = client.execute(job, &[files.as_fd()], watch).unwrap();
    let report = done.result.unwrap();
    assert_eq!(report.outcome, Outcome::Exited, "{report:?}");
    report
}
