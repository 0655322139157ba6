//! The supervisor: the small parent of server and workers.
//!
//! Theory of operation. `brig serve` checks configuration and profiles, proves with a worker of its
//! own that every layer of isolation holds ([`selfcheck`]), gives up what it will not need, and
//! starts one server and N workers: processes that execute this same binary, each as a user of its
//! own when Brig was started as root. It hands the server one end of every worker's socket. Then
//! it only waits (poll on pidfds, signals and the clock): a worker that ends is started anew and announced to
//! the server; a server that ends takes all workers with it, and everything is started anew, unless it
//! said that this would not help ([`EXIT_REFUSED`]); SIGTERM
//! or SIGINT is passed to the server, which drains, and then all ends. SIGHUP is passed on.
//! A child that ends early again and again is started at a later time ([`backoff`]), which the loop waits for
//! beside all else: it holds up neither the other children nor a signal.
//!
//! It reads no request and parses nothing that comes from outside; it has a single thread. Should it
//! be killed, its children die with it (PR_SET_PDEATHSIG).

mod backoff;

use std::ffi::CString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use brig_sandbox::capabilities;
use brig_sandbox::cgroup::Version;
use brig_sandbox::cgroup::cpuset::own_cpus;
use brig_sandbox::cgroup::host::{Hierarchies, WorkerCaps};
use brig_sandbox::client::Client;
use brig_sandbox::identity::{Identity, MAX_WORKERS};
use brig_sandbox::init::keep_only;
use brig_sandbox::layers::Layers;
use brig_sandbox::policy::{self, Compiled};
use brig_sandbox::prepared;
use brig_sandbox::prestart;
use brig_sandbox::protocol::Control;
use brig_sandbox::rootfs::RootfsSpec;
use brig_sandbox::selfcheck::{self, Finding};
use brig_sandbox::shelf;
use brig_sandbox::spawn::{Launcher, WorkerProcess};
use brig_sandbox::sys::clone::{Forked, fork};
use brig_sandbox::sys::exec::{StringArray, execve};
use brig_sandbox::sys::memfd;
use brig_sandbox::sys::process::{be_child, exit_now, reap_pidfd, signal_pidfd};
use brig_sandbox::wire::Channel;
use caps::Capability;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Gid, Uid, dup2_stdin, setgroups, setresgid, setresuid};

use self::backoff::Backoff;
use crate::config::{Config, Host, Layer, ServeArgs, ServerConfig};
use crate::language::Registry;
use crate::logging;
use crate::run::Catalog;
use crate::server_process::{EXIT_REFUSED, SERVER_COMMAND};
use crate::store::{DataDir, Held};

/// What a restart of a child needs, and nothing else (capabilities(7)).
const KEPT: [Capability; 5] = [
    Capability::CAP_SETUID,
    Capability::CAP_SETGID,
    Capability::CAP_SETPCAP,
    Capability::CAP_CHOWN,
    Capability::CAP_KILL,
];
/// Held in reserve, not in effect, for one thing at the very end: removing the service's own cgroup
/// takes writing to its parent, and the root of a hierarchy is read-only even for root (mode 0555).
const FOR_THE_END: Capability = Capability::CAP_DAC_OVERRIDE;
/// Memory of a worker's group beyond what its program may use: the worker, its inits, and files on
/// their way in and out.
const WORKER_OVERHEAD_BYTES: u64 = 512 << 20;
/// Processes of a worker's group beyond those of its program.
const WORKER_OVERHEAD_PROCESSES: u64 = 64;
/// Beyond the drain time, before a server that does not end is killed.
const DRAIN_GRACE: Duration = Duration::from_secs(7);

/// Is the supervisor, until a signal ends the service.
pub fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let config = args.load()?;
    logging::start_lines(&config.log)?;
    let signals = take_signals()?;
    let listener = TcpListener::bind(config.listen)
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let workers = config.worker_count().get();
    if workers > MAX_WORKERS {
        bail!("{workers} workers are more than {MAX_WORKERS}");
    }
    let (launcher, server_config, _data) = prepare(&config)?;
    if launcher.identity != Identity::Shared {
        capabilities::keep_only(&KEPT, &[FOR_THE_END]).context("giving up capabilities")?;
    }
    prctl::set_no_new_privs()?;
    let mut supervisor = Supervisor {
        launcher,
        server_config,
        listener,
        signals,
        server: Child::default(),
        workers: (0..workers).map(|_| Child::default()).collect(),
        ending: None,
    };
    let result = supervisor.watch();
    supervisor.kill_all();
    // Where it is not to be had, the next start removes what this one leaves.
    let _ = capabilities::raise(FOR_THE_END);
    result
}

fn take_signals() -> anyhow::Result<SignalFd> {
    let mut mask = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        mask.add(signal);
    }
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)?;
    Ok(SignalFd::with_flags(
        &mask,
        SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
    )?)
}

/// Checks everything that can be wrong, before anything is started.
fn prepare(config: &Config) -> anyhow::Result<(Launcher, ServerConfig, Held)> {
    let allowed = allowed_to_degrade(config)?;
    let languages = Catalog::load(config)?.languages;
    let secrets = config.webhooks.load_secrets()?;
    let identity = identify(config)?;
    let hierarchies = Hierarchies::detect(None)?;
    let missing = selfcheck::layers_of_controllers(&hierarchies.missing());
    refuse(missing - allowed, &[])?;
    let (memory_bytes, processes) = most_of_all(&languages);
    let prestarted = u64::from(config.prestarted);
    let mut launcher = Launcher {
        base: hierarchies.create_base()?,
        identity,
        caps: WorkerCaps {
            memory_bytes: memory_bytes
                + WORKER_OVERHEAD_BYTES
                + shelf::MAX_BYTES
                + prestarted * prestart::MAX_BYTES,
            processes: processes + WORKER_OVERHEAD_PROCESSES + prestarted * prestart::MAX_PROCESSES,
        },
        rootfs: RootfsSpec {
            mounts: languages.mounts(),
            binds: Vec::new(),
            prepared: false,
        },
        policies: Compiled::all(policy::load(config.policies_dir()?.as_deref())?)?,
        off: missing,
        warm: 1,
        cpus: Vec::new(),
        prestarted: config.prestarted,
        prepared: None,
    };
    if config.pin_workers {
        launcher.cpus = own_cpus().context("finding the CPUs to keep workers on")?;
        if let Err(error) = launcher.base.prepare_pinning() {
            eprintln!("brig: programs may leave their worker's CPU by sched_setaffinity: {error}");
        }
    }
    let findings = check(&launcher, missing)?;
    let failed = selfcheck::failed(&findings);
    refuse(failed - allowed, &findings)?;
    launcher.off = failed;
    let data = DataDir::choose(config.data.as_deref())?.hold(identity.of_server())?;
    let prepared = prepared::Directory::new(data.prepared.try_clone()?);
    launcher.prepared = Some(prepared.context("the working directory")?);
    let server_config = ServerConfig {
        data: data.dir.root().to_owned(),
        config: config.clone(),
        secrets,
        host: host(&launcher)?,
        layers: findings.iter().map(layer).collect(),
        degraded: failed.names().into_iter().map(str::to_owned).collect(),
    };
    Ok((launcher, server_config, data))
}

/// Who server and workers are to be; warns if somebody else seems to be these.
fn identify(config: &Config) -> anyhow::Result<Identity> {
    let workers = config.worker_count().get();
    let identity = Identity::detect(config.uid_base, workers)?;
    if let Some((pid, uid)) = identity.in_use(workers) {
        tracing::warn!(
            "process {pid} runs as user id {uid} already; if that is another Brig's, give this one ids of its \
             own with --uid-base"
        );
    }
    Ok(identity)
}

/// The most memory and processes that any language may have.
fn most_of_all(languages: &Registry) -> (u64, u64) {
    let maxima = languages
        .all()
        .iter()
        .flat_map(|l| [l.run_maxima(), l.compile_maxima()]);
    maxima.fold((0, 0), |(memory, processes), m| {
        (
            memory.max(m.memory_bytes),
            processes.max(m.processes.into()),
        )
    })
}

fn allowed_to_degrade(config: &Config) -> anyhow::Result<Layers> {
    let mut allowed = Layers::empty();
    for name in &config.allow_degraded {
        let layer = Layers::by_name(name).map_err(anyhow::Error::msg)?;
        if !Layers::DEGRADABLE.contains(layer) {
            let names = Layers::DEGRADABLE.names().join(", ");
            bail!("a sandbox cannot do without the layer {name}; --allow-degraded takes {names}");
        }
        allowed |= layer;
    }
    Ok(allowed)
}

/// Refuses to start because of `layers`, if there are any.
fn refuse(layers: Layers, findings: &[Finding]) -> anyhow::Result<()> {
    if layers.is_empty() {
        return Ok(());
    }
    let mut text = String::from("this host does not enforce every layer of isolation:");
    for (layer, name, does) in layers.described() {
        let found = findings.iter().find(|f| f.layer == layer);
        let why = found.map_or("the cgroup controller is missing", |f| f.detail.as_str());
        let remedy = found
            .and_then(|f| f.remedy)
            .unwrap_or(selfcheck::remedy(layer));
        let _ = write!(
            text,
            "\n  {name} ({does})\n    reason: {why}\n    remedy: {remedy}"
        );
        if Layers::DEGRADABLE.contains(layer) {
            text += "\n    or start without it, in every answer's sight: --allow-degraded ";
            text += name;
        }
    }
    bail!(text)
}

fn check(launcher: &Launcher, missing: Layers) -> anyhow::Result<Vec<Finding>> {
    let explain = |fault| {
        let remedy = selfcheck::remedy_for_fault(&fault);
        anyhow::Error::new(fault).context(format!("no sandbox can be made here; remedy: {remedy}"))
    };
    let worker = launcher.launch(0).map_err(explain)?;
    let mut client = Client::new(worker.channel);
    let findings = selfcheck::run(&mut client, worker.pid, missing);
    drop(client);
    let _ = reap_pidfd(worker.pidfd.as_fd());
    launcher.base.remove_worker(0);
    findings.map_err(explain)
}

fn host(launcher: &Launcher) -> anyhow::Result<Host> {
    let uname = nix::sys::utsname::uname()?;
    Ok(Host {
        kernel: uname.release().to_string_lossy().into_owned(),
        arch: uname.machine().to_string_lossy().into_owned(),
        cgroup: match launcher.base.version() {
            Version::V1 => "v1".to_owned(),
            Version::V2 => "v2".to_owned(),
        },
        rootless: launcher.identity == Identity::Shared,
    })
}

fn layer(finding: &Finding) -> Layer {
    Layer {
        name: finding.name.to_owned(),
        enforced: finding.enforced,
        detail: finding.detail.clone(),
    }
}

struct Supervisor {
    launcher: Launcher,
    server_config: ServerConfig,
    /// Outlives every server: while one is restarted, connections wait.
    listener: TcpListener,
    signals: SignalFd,
    server: Child<ServerProcess>,
    workers: Vec<Child<OwnedFd>>,
    /// When the service must be gone, once it was told to end.
    ending: Option<Instant>,
}

struct ServerProcess {
    pidfd: OwnedFd,
    control: Channel,
}

/// A child process, or the place of one.
struct Child<T> {
    process: Option<T>,
    /// When it was started last.
    started: Instant,
    /// When it is to be started, if that must wait.
    due: Option<Instant>,
    backoff: Backoff,
}

impl<T> Default for Child<T> {
    fn default() -> Self {
        Self {
            process: None,
            started: Instant::now(),
            due: None,
            backoff: Backoff::default(),
        }
    }
}

impl<T> Child<T> {
    fn start(&mut self, process: T) {
        self.process = Some(process);
        self.started = Instant::now();
        self.due = None;
    }

    /// Notes that it has ended, and sets the time at which it is started anew.
    fn restart_later(&mut self) {
        let wait = self.backoff.after_end(self.started.elapsed());
        self.due = Some(Instant::now() + wait);
    }

    fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }
}

impl Supervisor {
    fn watch(&mut self) -> anyhow::Result<()> {
        self.start_all()?;
        loop {
            let (signals, server, workers) = self.wait()?;
            if signals {
                self.on_signals()?;
            }
            if server {
                self.on_server_end()?;
            }
            for index in workers {
                self.on_worker_end(index);
            }
            let Some(end) = self.ending else {
                self.start_due()?;
                continue;
            };
            if self.server.process.is_none() {
                return Ok(());
            }
            if Instant::now() >= end {
                bail!("the server did not end within its drain time, and was killed");
            }
        }
    }

    fn start_all(&mut self) -> anyhow::Result<()> {
        let server = self.start_server()?;
        self.server.start(server);
        (0..self.workers.len()).try_for_each(|index| self.start_worker(index))
    }

    /// Starts what waited for its time, which has come. A server brings all workers with it.
    fn start_due(&mut self) -> anyhow::Result<()> {
        if self.server.is_due() {
            return self.start_all();
        }
        let due = |index: &usize| self.workers[*index].is_due();
        let due: Vec<usize> = (0..self.workers.len()).filter(due).collect();
        due.into_iter()
            .try_for_each(|index| self.start_worker(index))
    }

    fn start_worker(&mut self, index: usize) -> anyhow::Result<()> {
        let number = u32::try_from(index)?;
        let WorkerProcess { pidfd, channel, .. } = self
            .launcher
            .launch(number)
            .with_context(|| format!("starting worker {index}"))?;
        self.workers[index].start(pidfd);
        if let Some(server) = &self.server.process {
            // A server that cannot take it is dying, which is noticed by its pidfd.
            let _ = server
                .control
                .send(&Control::Worker { index: number }, &[channel.as_fd()]);
        }
        Ok(())
    }

    fn start_server(&self) -> anyhow::Result<ServerProcess> {
        let (control, servers_end) = Channel::pair()?;
        control.set_nonblocking(true)?;
        let config = memfd::read_only(c"config", &serde_json::to_vec(&self.server_config)?)?;
        match fork(CloneFlags::empty(), None).context("starting the server")? {
            Forked::Parent { pidfd, .. } => Ok(ServerProcess { pidfd, control }),
            Forked::Child => be_child(|| {
                let error = become_server(
                    self.launcher.identity,
                    [servers_end.as_fd(), config.as_fd(), self.listener.as_fd()],
                );
                eprintln!("brig server: {error:#}");
                exit_now(1)
            }),
        }
    }

    /// Which of the signals, the server and the workers have something.
    fn wait(&self) -> anyhow::Result<(bool, bool, Vec<usize>)> {
        let workers: Vec<_> = self
            .workers
            .iter()
            .enumerate()
            .filter_map(|(i, w)| Some((i, w.process.as_ref()?)))
            .collect();
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(
            self.server
                .process
                .iter()
                .map(|s| PollFd::new(s.pidfd.as_fd(), PollFlags::POLLIN)),
        );
        fds.extend(
            workers
                .iter()
                .map(|(_, w)| PollFd::new(w.as_fd(), PollFlags::POLLIN)),
        );
        match poll(&mut fds, until(self.next_time())) {
            Err(nix::errno::Errno::EINTR) => return Ok((false, false, Vec::new())),
            answer => answer?,
        };
        let mut ready = fds.iter().map(|fd| fd.any().unwrap_or(false));
        let signals = ready.next() == Some(true);
        let server = self.server.process.is_some() && ready.next() == Some(true);
        let ended = workers
            .iter()
            .zip(ready)
            .filter(|(_, ready)| *ready)
            .map(|((i, _), _)| *i)
            .collect();
        Ok((signals, server, ended))
    }

    /// When there is something to do although nothing happens.
    fn next_time(&self) -> Option<Instant> {
        if self.ending.is_some() {
            return self.ending;
        }
        let workers = self.workers.iter().filter_map(|worker| worker.due);
        workers.chain(self.server.due).min()
    }

    fn on_signals(&mut self) -> anyhow::Result<()> {
        while let Some(info) = self.signals.read_signal()? {
            let signal = i32::try_from(info.ssi_signo)?;
            if signal == libc::SIGHUP {
                self.signal_server(libc::SIGHUP);
                continue;
            }
            if self.ending.is_some() {
                // The second time means now.
                self.ending = Some(Instant::now());
                continue;
            }
            let drain = self.server_config.config.http.drain_timeout() + DRAIN_GRACE;
            self.ending = Some(Instant::now() + drain);
            self.signal_server(libc::SIGTERM);
        }
        Ok(())
    }

    fn signal_server(&self, signal: i32) {
        if let Some(server) = &self.server.process {
            let _ = signal_pidfd(server.pidfd.as_fd(), signal);
        }
    }

    fn on_server_end(&mut self) -> anyhow::Result<()> {
        let pidfd = self.server.process.take().map(|server| server.pidfd);
        let status = pidfd.map(|fd| waitid(Id::PIDFd(fd.as_fd()), WaitPidFlag::WEXITED));
        if self.ending.is_some() {
            return Ok(());
        }
        if let Some(Ok(WaitStatus::Exited(_, EXIT_REFUSED))) = status {
            bail!("the server cannot work like this; why, it said above");
        }
        tracing::warn!("the server has ended; it and the workers are started anew");
        self.kill_all();
        self.server.restart_later();
        Ok(())
    }

    fn on_worker_end(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        // The end of the server may have ended it since.
        let Some(pidfd) = worker.process.take() else {
            return;
        };
        let _ = reap_pidfd(pidfd.as_fd());
        if self.ending.is_none() {
            tracing::warn!(worker = index, "a worker has ended; it is started anew");
            worker.restart_later();
        }
    }

    /// Ends all children at once and removes their cgroups; none is to be started any more.
    fn kill_all(&mut self) {
        let server = self.server.process.take().map(|s| s.pidfd);
        let workers = self.workers.iter_mut().filter_map(|worker| {
            worker.due = None;
            worker.process.take()
        });
        let children: Vec<_> = server.into_iter().chain(workers).collect();
        for pidfd in &children {
            let _ = signal_pidfd(pidfd.as_fd(), libc::SIGKILL);
        }
        for pidfd in &children {
            let _ = reap_pidfd(pidfd.as_fd());
        }
        for index in 0..self.workers.len() {
            self.launcher
                .base
                .remove_worker(u32::try_from(index).unwrap_or(u32::MAX));
        }
    }
}

/// How long to wait for `time`, rounded up; for ever without one.
fn until(time: Option<Instant>) -> PollTimeout {
    let Some(time) = time else {
        return PollTimeout::NONE;
    };
    let left = time.saturating_duration_since(Instant::now());
    let left_ms = left.as_nanos().div_ceil(1_000_000);
    PollTimeout::try_from(left_ms).unwrap_or(PollTimeout::MAX)
}

/// Runs in the forked child; returns only on failure.
fn become_server(identity: Identity, fds: [BorrowedFd<'_>; 3]) -> anyhow::Error {
    match try_become_server(identity, fds) {
        Ok(error) => anyhow::Error::new(error).context("executing the server"),
        Err(error) => error,
    }
}

fn try_become_server(
    identity: Identity,
    fds: [BorrowedFd<'_>; 3],
) -> anyhow::Result<std::io::Error> {
    if let Identity::Separate { base } = identity {
        let (uid, gid) = (Uid::from_raw(base), Gid::from_raw(base));
        setgroups(&[])?;
        setresgid(gid, gid, gid)?;
        // CAP_SETPCAP, which leaving the bounding set takes, would go with the user.
        drop_bounding_set()?;
        setresuid(uid, uid, uid)?;
    }
    capabilities::drop_working_sets()?;
    prctl::set_no_new_privs()?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    dup2_stdin(File::open("/dev/null")?)?;
    for fd in fds {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    let numbers = fds.map(|fd| fd.as_raw_fd());
    keep_only(&numbers)?;
    let args = ["brig-server".to_owned(), SERVER_COMMAND.to_owned()]
        .into_iter()
        .chain(numbers.map(|n| n.to_string()))
        .map(|a| CString::new(a).unwrap_or_default())
        .collect();
    let env = std::env::vars()
        .filter(|(key, _)| {
            key.starts_with("BRIG_") || key.starts_with("OTEL_") || key == "RUST_BACKTRACE"
        })
        .filter_map(|(key, value)| CString::new(format!("{key}={value}")).ok())
        .collect();
    let _ = std::io::stderr().flush();
    Ok(execve(
        c"/proc/self/exe",
        &StringArray::new(args),
        &StringArray::new(env),
    ))
}

fn drop_bounding_set() -> anyhow::Result<()> {
    caps::clear(None, caps::CapSet::Bounding)?;
    Ok(())
}
