//! A worker: the unprivileged process that owns one slot and runs one stage at a time.
//!
//! Theory of operation. The supervisor starts a worker ([`crate::spawn`]) as a user of its own, in
//! user, pid, mount, net, ipc and uts namespaces of its own, and gives it a socket whose other end
//! the server holds, and a cgroup it may make groups in. The worker builds the file tree that its
//! sandboxes share, makes it its own root, gives up every capability, and then serves: it keeps
//! sandboxes ready ([`pool`]), takes a job, watches it ([`stage`]), reports, by which it is ready for the next
//! one, and cleans up.
//!
//! It is straight-line blocking code around poll(2). When the server's end of the socket closes, the
//! worker exits. When the worker dies, for whatever reason, the kernel kills all that is in its pid
//! namespace, inits and programs included.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl;
use nix::unistd::{Pid, pipe2};
use serde::{Deserialize, Serialize};

use crate::capabilities;
use crate::cgroup::{WorkerGroup, WorkerPaths};
use crate::init::Shape;
use crate::inside::ProgramJob;
use crate::landlock;
use crate::layers::Layers;
use crate::policy::{Compiled, ProcMount};
use crate::prepared;
use crate::protocol::{self, FromWorker, PIPES, Prepared, ToWorker};
use crate::report::SandboxFault;
use crate::rootfs::{self, RootfsSpec};
use crate::shelf::Shelf;
use crate::started::LastStarted;
use crate::step::Step;
use crate::sys::clone::assert_single_threaded;
use crate::sys::process::trim_heap;
use crate::sys::seccomp::Program;
use crate::sys::share::ChildStack;
use crate::wire::Channel;

mod pool;
mod prestarted;
mod sandbox;
mod stage;
mod waiting;

use pool::Pool;
use prestarted::Prestarts;
use stage::Equipment;

/// What the supervisor tells a worker at its start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// Its slot, from 0.
    pub index: u32,
    /// Its user and group id, in its own user namespace and in its parent.
    pub uid: u32,
    /// See `uid`.
    pub gid: u32,
    /// Its cgroup.
    pub cgroup: WorkerPaths,
    /// What the sandboxes show of the host.
    pub rootfs: RootfsSpec,
    /// The policies that its jobs may name.
    pub policies: Vec<Compiled>,
    /// Layers that every sandbox goes without.
    pub off: Layers,
    /// Sandboxes of each recently used shape to keep ready.
    pub warm: u32,
    /// The CPU that it and its programs are kept on.
    pub cpu: Option<u32>,
    /// Interpreters to keep started ahead of their jobs ([`crate::prestart`]).
    pub prestarted: u32,
}

/// A policy that programs can be put under.
#[derive(Debug)]
pub struct ReadyPolicy {
    /// What `/proc` is.
    pub proc: ProcMount,
    /// Its system call part.
    pub filter: Program,
    /// Whether that lets programs execute others.
    pub allows_execve: bool,
    /// Its file part.
    pub files: landlock::Rules,
}

/// What a worker knows, and its inits after it.
#[derive(Debug)]
pub struct Context {
    /// Its user id.
    pub uid: u32,
    /// Its group id.
    pub gid: u32,
    /// By name.
    pub policies: BTreeMap<String, ReadyPolicy>,
    /// Layers that every sandbox goes without.
    pub off: Layers,
    /// Where its sandboxes' groups go.
    pub group: WorkerGroup,
    /// For the program's process of each sandbox, while that shares init's memory.
    pub stack: ChildStack,
}

impl Context {
    /// The policy called `name`.
    pub fn policy(&self, name: &str) -> Result<&ReadyPolicy, SandboxFault> {
        self.policies.get(name).ok_or_else(|| SandboxFault {
            step: "find the policy".to_owned(),
            detail: format!("there is no policy {name:?}"),
            errno: None,
            started: false,
        })
    }

    /// The descriptors that sandboxes take from their worker.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.policies.values().flat_map(|policy| policy.files.fds())
    }

    fn shape(&self, policy: &str, off: Layers, own_memory: bool) -> Result<Shape, SandboxFault> {
        Ok(Shape {
            proc: self.policy(policy)?.proc,
            off: self.off | off,
            own_memory,
        })
    }
}

/// Is a worker, until the server's end of `server` closes. The error is for the log.
pub fn run(mut settings: Settings, server: Channel) -> Result<(), SandboxFault> {
    assert_single_threaded();
    prctl::set_name(c"brig-worker").step("set the process name")?;
    let (context, shelf) = lock_in(&mut settings)?;
    let mut worker = Worker {
        pool: Pool::new(settings.warm),
        prestarts: Prestarts::new(settings.prestarted),
        shelf,
        context,
        server,
        started: LastStarted::new().step("make the note of the last start")?,
        spare: None,
        untold: false,
    };
    let Some(mut pipes) = worker.greet(settings.index)? else {
        return Ok(());
    };
    while let Some(next) = worker.serve_one(pipes)? {
        pipes = next;
    }
    Ok(())
}

/// Everything that takes rights, then the end of all rights.
fn lock_in(settings: &mut Settings) -> Result<(Context, Shelf), SandboxFault> {
    let group = WorkerGroup::open(&settings.cgroup).step("open the worker's cgroup")?;
    if let Some(cpu) = settings.cpu {
        stay_on(cpu).step("stay on one CPU")?;
    }
    let shelf = rootfs::enter(&settings.rootfs, settings.off)?;
    let policies = look_up(policies_of(settings));
    capabilities::drop_all().step("drop the worker's capabilities")?;
    prctl::set_no_new_privs().step("set no_new_privs")?;
    trim_heap();
    let context = Context {
        uid: settings.uid,
        gid: settings.gid,
        policies,
        off: settings.off,
        group,
        stack: ChildStack::new().step("map a stack")?,
    };
    Ok((context, Shelf::new(shelf)))
}

/// What is forked from here on inherits it.
fn stay_on(cpu: u32) -> nix::Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu as usize)?;
    sched_setaffinity(Pid::from_raw(0), &cpus)
}

fn policies_of(settings: &mut Settings) -> Vec<Compiled> {
    let mut policies = std::mem::take(&mut settings.policies);
    // Whoever has a host path shown to languages' tools wants them to read it.
    let shown = settings.rootfs.mounted_paths();
    for policy in &mut policies {
        policy.landlock.read_execute.extend_from_slice(&shown);
        if settings.rootfs.prepared {
            policy.landlock.read.push(prepared::PATH.to_owned());
        }
    }
    policies
}

/// Looks up what `policies` are about in the file tree that sandboxes will have.
fn look_up(policies: Vec<Compiled>) -> BTreeMap<String, ReadyPolicy> {
    let mut lookup = landlock::Lookup::default();
    let ready = |policy: Compiled| {
        let ready = ReadyPolicy {
            files: lookup.rules(&policy.landlock),
            proc: policy.proc,
            filter: policy.filter,
            allows_execve: policy.allows_execve,
        };
        (policy.name, ready)
    };
    policies.into_iter().map(ready).collect()
}

struct Worker {
    context: Context,
    pool: Pool,
    prestarts: Prestarts,
    shelf: Shelf,
    server: Channel,
    started: LastStarted,
    /// For the job after the next one, made while there was time.
    spare: Option<PipePairs>,
    /// Whether the server does not know of sandboxes that wait.
    untold: bool,
}

/// The program's ends of its pipes; the server has the others.
struct Pipes {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

/// The pipes of one job.
struct PipePairs {
    program: Pipes,
    /// As [`FromWorker::Ready`] carries them.
    server: [OwnedFd; PIPES],
}

impl PipePairs {
    /// The pipes belong to the worker's user, which is the program's: so a program can open its own
    /// `/dev/stdout`.
    fn new() -> std::io::Result<Self> {
        let (stdin, to_stdin) = pipe2(OFlag::O_CLOEXEC)?;
        let (from_stdout, stdout) = pipe2(OFlag::O_CLOEXEC)?;
        let (from_stderr, stderr) = pipe2(OFlag::O_CLOEXEC)?;
        let server = [to_stdin, from_stdout, from_stderr];
        for end in &server {
            nix::fcntl::fcntl(end, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self {
            program: Pipes {
                stdin,
                stdout,
                stderr,
            },
            server,
        })
    }
}

impl Worker {
    /// Says hello and offers to take a job, whose pipes are returned. `None`: the server is gone.
    fn greet(&mut self, index: u32) -> Result<Option<Pipes>, SandboxFault> {
        const STEP: &str = "greet the server";
        let hello = FromWorker::Hello {
            version: protocol::VERSION,
            index,
        };
        let PipePairs { program, server } = PipePairs::new().step(STEP)?;
        let ready = FromWorker::Ready(self.prepared());
        let said = self
            .server
            .send(&hello, &[self.started.as_fd()])
            .and_then(|()| {
                self.server
                    .send(&ready, &server.each_ref().map(AsFd::as_fd))
            });
        match said {
            Err(e) if is_disconnected(&e) => Ok(None),
            answer => answer.step(STEP).map(|()| Some(program)),
        }
    }

    fn prepared(&self) -> Prepared {
        Prepared {
            warm: self.pool.len(),
            prestarted: self.prestarts.len(),
        }
    }

    /// Takes a job and runs it with `pipes`. Returns the pipes of the next one. `None`: the server is gone.
    fn serve_one(&mut self, pipes: Pipes) -> Result<Option<Pipes>, SandboxFault> {
        loop {
            self.prepare_while_idle()?;
            match self.server.recv::<ToWorker>().step("receive a job")? {
                None => return Ok(None),
                // It came too late: the job had just ended.
                Some((
                    ToWorker::Stop { .. } | ToWorker::Signal { .. } | ToWorker::Sample { .. },
                    _,
                )) => {}
                Some((ToWorker::Prestart(job), fds)) => {
                    let expected = match fds.first() {
                        Some(stdin) => self.prestarts.expect(&job, stdin.as_fd()),
                        None => false,
                    };
                    if !expected {
                        self.tell_of_warm()?;
                    }
                }
                Some((ToWorker::Execute(job), fds)) => {
                    return self.execute((*job).into(), Layers::empty(), fds, pipes);
                }
                Some((ToWorker::Probe { job, probe, off }, fds)) => {
                    let job = ProgramJob {
                        probe: Some(probe),
                        ..(*job).into()
                    };
                    return self.execute(job, off, fds, pipes);
                }
            }
        }
    }

    /// Fills the pool, one sandbox at a time, for as long as no message comes.
    fn prepare_while_idle(&mut self) -> Result<(), SandboxFault> {
        while let Some(shape) = self.pool.wanted(&self.context) {
            if self.message_within(pool::IDLE_BEFORE_PREPARING)? {
                return Ok(());
            }
            self.pool.prepare(&self.context, shape)?;
            self.untold = true;
        }
        if self.spare.is_none() {
            self.spare = Some(PipePairs::new().step("make the pipes of a job to come")?);
        }
        if self.bury_while_idle()? {
            return Ok(());
        }
        self.prestart_while_idle()
    }

    /// Takes leave of the sandboxes that are on their way out, for as long as no message comes. Whether
    /// one came.
    fn bury_while_idle(&mut self) -> Result<bool, SandboxFault> {
        loop {
            let mut fds = vec![PollFd::new(self.server.as_fd(), PollFlags::POLLIN)];
            let ending = self.pool.ending();
            fds.extend(ending.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
            if fds.len() == 1 {
                return Ok(false);
            }
            match poll(&mut fds, PollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => continue,
                answer => answer.step("wait for a job")?,
            };
            if fds[0].any().unwrap_or(false) {
                return Ok(true);
            }
            self.pool.reap()?;
        }
    }

    /// Starts interpreters that are in demand and ends those that are not, one at a time, for as long
    /// as no message comes.
    fn prestart_while_idle(&mut self) -> Result<(), SandboxFault> {
        loop {
            self.prestarts.discard_unwanted()?;
            if let Some((init, left)) = self.prestarts.starting() {
                if self.message_or(init, left)? {
                    return Ok(());
                }
                self.prestarts.settle()?;
                if self.prestarts.starting().is_none() {
                    self.tell_of_warm()?;
                }
            } else if let Some(key) = self.prestarts.lacking() {
                if self.message_within(IDLE_BEFORE_PRESTARTING)? {
                    return Ok(());
                }
                self.prestarts.begin(&self.context, &mut self.pool, &key);
                if self.prestarts.starting().is_none() {
                    self.tell_of_warm()?;
                }
            } else if self.untold {
                if self.message_within(IDLE_BEFORE_TELLING)? {
                    return Ok(());
                }
                self.tell_of_warm()?;
            } else if self.pool.has_spare_leaves() || !self.shelf.is_empty() {
                if self.message_within(IDLE_BEFORE_TIDYING)? {
                    return Ok(());
                }
                self.pool.drop_spare_leaves()?;
                self.shelf.clear();
            } else if self.prestarts.is_empty() || self.message_within(DISCARD_EVERY)? {
                return Ok(());
            }
        }
    }

    fn tell_of_warm(&mut self) -> Result<(), SandboxFault> {
        self.untold = false;
        let warm = FromWorker::Warm(self.prepared());
        match self.server.send(&warm, &[]) {
            // Noticed where the next job is received.
            Err(e) if is_disconnected(&e) => Ok(()),
            answer => answer.step("tell the server of warm sandboxes"),
        }
    }

    /// Waits for a message of the server, or one on `other`, or that `bound` is over. Whether there is
    /// one of the server.
    fn message_or(&self, other: &Channel, bound: Duration) -> Result<bool, SandboxFault> {
        let mut fds = [
            PollFd::new(self.server.as_fd(), PollFlags::POLLIN),
            PollFd::new(other.as_fd(), PollFlags::POLLIN),
        ];
        let timeout = PollTimeout::try_from(bound).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Err(nix::errno::Errno::EINTR) => Ok(false),
            answer => answer
                .step("wait for a job")
                .map(|_| fds[0].any().unwrap_or(false)),
        }
    }

    fn message_within(&self, bound: Duration) -> Result<bool, SandboxFault> {
        let timeout = PollTimeout::try_from(bound).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.server.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Err(nix::errno::Errno::EINTR) => Ok(false),
            answer => Ok(answer.step("wait for a job")? > 0),
        }
    }

    /// Runs one stage and reports it. Returns the pipes of the next one. `None`: the server is gone.
    fn execute(
        &mut self,
        job: ProgramJob,
        off: Layers,
        fds: Vec<OwnedFd>,
        pipes: Pipes,
    ) -> Result<Option<Pipes>, SandboxFault> {
        let id = job.job.id;
        let equipment = Equipment {
            context: &self.context,
            pool: &mut self.pool,
            prestarts: &mut self.prestarts,
            shelf: &mut self.shelf,
            server: &self.server,
            started: &self.started,
        };
        let done = stage::execute(equipment, job, off, fds, pipes);
        let (result, archive, sandbox) = match done {
            Ok(stage::Done::ServerGone) => return Ok(None),
            Ok(stage::Done::Finished {
                report,
                archive,
                sandbox,
            }) => (Ok(report), archive, Some(sandbox)),
            Err(fault) => (Err(fault), None, None),
        };
        let next = self.spare.take().map_or_else(PipePairs::new, Ok);
        let PipePairs { program, server } = next.step("make the next job's pipes")?;
        let fds: Vec<_> = archive.iter().chain(&server).map(AsFd::as_fd).collect();
        let finished = FromWorker::Finished {
            job: id,
            result,
            collected: archive.is_some(),
            prepared: self.prepared(),
        };
        match self.server.send(&finished, &fds) {
            Err(e) if is_disconnected(&e) => return Ok(None),
            answer => answer.step("report to the server")?,
        }
        drop(server);
        // The answer is on its way; only now comes what nobody needs to wait for.
        if let Some(sandbox) = sandbox {
            self.pool.retire(sandbox)?;
        }
        Ok(Some(program))
    }
}

fn is_disconnected(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPIPE | libc::ECONNRESET))
}

/// How long a worker is idle before it starts an interpreter: that takes as much CPU time as many a job,
/// which under load is better spent on the next one.
const IDLE_BEFORE_PRESTARTING: Duration = Duration::from_millis(2);
/// How long a worker is idle before it says how many sandboxes it has ready. The server only shows that, and hearing
/// it costs as much as a tenth of a short run.
const IDLE_BEFORE_TELLING: Duration = Duration::from_millis(20);
/// How long a worker is idle before it gives up what it keeps only to be quicker under load.
const IDLE_BEFORE_TIDYING: Duration = Duration::from_secs(1);
/// How often an idle worker looks for interpreters that nobody asks for any more.
const DISCARD_EVERY: Duration = Duration::from_mins(1);

/// The shape that is prepared before any job has shown what is needed.
const FIRST_SHAPE: ProcMount = ProcMount::Private;
