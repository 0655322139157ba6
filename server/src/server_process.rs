//! How the server process begins: `brig __server <control fd> <configuration fd> <listener fd>`,
//! started by the supervisor as a user of its own, without capabilities.

use std::fs::File;
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::os::fd::RawFd;
use std::path::Path;

use anyhow::Context;
use brig_sandbox::capabilities;
use brig_sandbox::sys::open::inherited;
use brig_sandbox::wire::Channel;
use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};

use crate::blob::view::read_only;
use crate::config::{Config, ServerConfig};
use crate::store::DataDir;

/// First argument of a process that is to be the server.
pub const SERVER_COMMAND: &str = "__server";

/// The exit code of a server that would fail again if it were started again as it was.
pub const EXIT_REFUSED: i32 = 3;

/// The context of errors that would come again if the server were started again as it was.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the server does not start")]
pub struct Refused;

/// If this process was started to be the server, is it and returns its exit code.
pub fn main() -> Option<i32> {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some(SERVER_COMMAND) {
        return None;
    }
    let number = |arg: Option<String>| arg.and_then(|a| a.parse::<RawFd>().ok());
    let fds = [
        number(args.next()),
        number(args.next()),
        number(args.next()),
    ];
    let [Some(control), Some(config), Some(listener)] = fds else {
        eprintln!("brig server: {SERVER_COMMAND} is not for use by hand");
        return Some(2);
    };
    match run(control, config, listener) {
        Ok(()) => Some(0),
        Err(error) => {
            eprintln!("brig server: {error:#}");
            let refused = error.downcast_ref::<Refused>().is_some();
            Some(if refused { EXIT_REFUSED } else { 1 })
        }
    }
}

fn run(control: RawFd, config: RawFd, listener: RawFd) -> anyhow::Result<()> {
    nix::sys::prctl::set_name(c"brig-server")?;
    let config: ServerConfig = serde_json::from_reader(File::from(inherited(config)?))
        .context("reading the configuration from the supervisor")?;
    let control = Channel::from(inherited(control)?);
    let listener = TcpListener::from(inherited(listener)?);
    anyhow::ensure!(
        config.host.rootless || capabilities::has_none()?,
        "the server was started with capabilities"
    );
    let data = DataDir::new(config.data.clone());
    data.fill()?;
    // Before the rules for files are in force: they allow no mounts.
    let view = if config.host.rootless {
        let view = read_only(data.root());
        Some(view.context("mounting the data directory read-only, for programs")?)
    } else {
        None
    };
    raise_descriptor_limit(&config)?;
    restrict_files(&config).context("restricting the server's files")?;
    runtime(config.config.http.threads)
        .context("starting the runtime")?
        .block_on(crate::serve(config, view, control, listener))
}

/// Takes as many descriptors as the hard limit allows. The soft one is mostly 1024, for programs that use select(2)
/// (getrlimit(2)); a few hundred runs that wait with their inputs need more.
fn raise_descriptor_limit(config: &ServerConfig) -> anyhow::Result<()> {
    let (_, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).context("asking for the limit of descriptors")?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raising the limit of descriptors")?;
    let needed = descriptors(&config.config);
    if hard < needed {
        eprintln!(
            "brig: the limit of open files is {hard}, but what the configuration allows at once may take {needed}: raise it \
             (LimitNOFILE of systemd, ulimit -Hn), or requests fail when many come together"
        );
    }
    Ok(())
}

/// How many descriptors may be needed at once: a run that waits has its connection, its sources, its input and up to
/// some files; a socket of a live run is a connection, too.
fn descriptors(config: &Config) -> u64 {
    const OF_A_RUN: u64 = 4;
    const OF_A_WORKER: u64 = 32;
    const OF_THE_SERVICE: u64 = 256;
    let runs = (config.queue_length as u64).saturating_mul(OF_A_RUN);
    let workers = u64::from(config.worker_count().get()).saturating_mul(OF_A_WORKER);
    let connections = [config.http.max_connections, config.live.max_sockets];
    let connections = connections.map(|most| most as u64);
    let parts = [runs, workers, OF_THE_SERVICE];
    let parts = parts.into_iter().chain(connections);
    parts.fold(0, u64::saturating_add)
}

/// CPUs whose workers one thread can keep busy: it takes 0.4 ms of CPU time for a run, and the shortest run 2.5 ms of a
/// worker's.
const CPUS_PER_THREAD: usize = 8;

/// As few threads as can do the work: where there are several, one wakes another for each event. With one instead of two on a
/// machine of two CPUs, short programs ran up to a tenth faster and the server used a seventh less CPU time.
/// Long computations are elsewhere ([`crate::offload`]).
fn runtime(threads: Option<NonZeroUsize>) -> std::io::Result<Runtime> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.map_or(cpus.div_ceil(CPUS_PER_THREAD), usize::from);
    let mut runtime = match threads {
        1 => Builder::new_current_thread(),
        threads => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    runtime.enable_all().build()
}

/// Lets the server use its data directory, read its profiles and what any program needs, and nothing
/// else of the host.
fn restrict_files(config: &ServerConfig) -> anyhow::Result<()> {
    const NEWEST: ABI = ABI::V5;
    let read = AccessFs::from_read(NEWEST);
    // The service's own memfds are reopened through /proc/self/fd; time zones and name services.
    let mut paths: Vec<&Path> = [
        "/proc",
        "/usr",
        "/lib",
        "/lib64",
        "/etc",
        "/dev/null",
        "/dev/urandom",
    ]
    .into_iter()
    .map(Path::new)
    .collect();
    paths.extend(config.config.profiles.as_deref());
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .create()?;
    for path in paths {
        if let Ok(fd) = PathFd::new(path) {
            let access: BitFlags<AccessFs> = if path.is_dir() {
                read
            } else {
                AccessFs::ReadFile | AccessFs::WriteFile
            };
            rules = rules.add_rule(PathBeneath::new(fd, access))?;
        }
    }
    let data = PathFd::new(&config.data).context("the data directory")?;
    let status = rules
        .add_rule(PathBeneath::new(
            data,
            AccessFs::from_all(NEWEST) & !AccessFs::Execute,
        ))?
        .restrict_self()?;
    anyhow::ensure!(
        status.ruleset != RulesetStatus::NotEnforced
            || config.degraded.iter().any(|l| l == "landlock"),
        "the kernel has no Landlock; --allow-degraded landlock starts without"
    );
    Ok(())
}
