//! Stages on workers, without a service around them.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use brig_sandbox::archive;
use brig_sandbox::cgroup::host::{Hierarchies, WorkerCaps};
use brig_sandbox::identity::{DEFAULT_UID_BASE, Identity};
use brig_sandbox::layers::Layers;
use brig_sandbox::policy::{self, Compiled};
use brig_sandbox::protocol::Job;
use brig_sandbox::rootfs::RootfsSpec;
use brig_sandbox::spawn::{Launcher, WorkerProcess};
use brig_sandbox::sys::process::reap_pidfd;
use brig_server::pool::{Archive, Inputs, Pool, Reading, Turn};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

/// Workers of its own, whose user ids are not those of a service beside it.
const UIDS: u32 = DEFAULT_UID_BASE + 1000;

/// Workers that nothing has been asked of.
pub(crate) struct Workers {
    started: Vec<WorkerProcess>,
    /// Removes their groups in the end.
    _launcher: Launcher,
}

impl Workers {
    /// To be called while there is one thread.
    pub(crate) fn launch(count: u32) -> Self {
        let launcher = launcher(count);
        let started = (0..count).map(|i| launcher.launch(i).unwrap()).collect();
        Self {
            started,
            _launcher: launcher,
        }
    }
}

/// Times `passes` passes of `stages` stages of `program`, as many at once as there are workers; between two
/// passes `between` is done.
pub(crate) fn passes(
    program: &[u8],
    args: &[&str],
    mut workers: Workers,
    (stages, passes): (usize, usize),
    mut between: impl FnMut(),
) -> Vec<Duration> {
    let started = std::mem::take(&mut workers.started);
    let at_once = started.len();
    let (pidfds, channels): (Vec<_>, Vec<_>) = started
        .into_iter()
        .map(|WorkerProcess { pidfd, channel, .. }| (pidfd, channel))
        .unzip();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let pool = runtime.block_on(async {
        let pool = Pool::new(1);
        for (index, channel) in (0..).zip(channels) {
            pool.add_worker(index, channel).unwrap();
        }
        pool
    });
    let command = std::iter::once("./main").chain(args.iter().copied());
    let job = Job {
        policy: "default".to_owned(),
        argv: command.map(str::to_owned).collect(),
        ..Job::default()
    };
    let archive = Archive::reusable(archive::pack([("main", program, true)]).unwrap());
    let inputs = Inputs {
        archives: vec![archive],
        ..Inputs::default()
    };
    // Once without being counted, so that everything is warm.
    runtime.block_on(pass(&pool, &job, &inputs, stages, at_once));
    let mut times = Vec::new();
    for _ in 0..passes {
        between();
        times.push(runtime.block_on(pass(&pool, &job, &inputs, stages, at_once)));
    }
    drop((pool, runtime));
    for pidfd in pidfds {
        let _ = reap_pidfd(pidfd.as_fd());
    }
    times
}

fn launcher(workers: u32) -> Launcher {
    let identity = Identity::detect(UIDS, workers).unwrap();
    Launcher {
        base: Hierarchies::detect(None).unwrap().create_base().unwrap(),
        identity,
        caps: WorkerCaps {
            memory_bytes: 2 << 30,
            processes: 512,
        },
        rootfs: RootfsSpec::default(),
        policies: Compiled::all(policy::load(None).unwrap()).unwrap(),
        off: Layers::empty(),
        warm: 1,
        cpus: Vec::new(),
        prestarted: 0,
        prepared: None,
    }
}

async fn pass(pool: &Pool, job: &Job, inputs: &Inputs, stages: usize, at_once: usize) -> Duration {
    let begun = Instant::now();
    let one = || async {
        let lease = pool.lease(Turn::UPKEEP).await.unwrap();
        let output = lease.execute(job.clone(), inputs.clone(), Reading::default());
        let report = output.await.unwrap().report;
        assert_eq!(report.exit_code, Some(0), "{report:?}");
    };
    let mut running = FuturesUnordered::new();
    for _ in 0..stages {
        if running.len() >= at_once {
            running.next().await;
        }
        running.push(one());
    }
    while running.next().await.is_some() {}
    begun.elapsed()
}
