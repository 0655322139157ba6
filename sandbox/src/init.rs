//! PID 1 of a sandbox: our code, between the worker and the program.
//!
//! Theory of operation. A worker forks init into fresh namespaces. Init maps the ids, mounts what
//! must be fresh, starts the program's process (which waits for a job, [`crate::program`]), gives up
//! its capabilities, and then only waits: until that process has executed the program, if they share memory
//! until then ([`share`]), and for the worker's commands, for children to reap, for the filter's listener to
//! announce a forbidden call. When the first process of the program ends,
//! init kills whatever is left, reaps it, and reports. When the worker's end of the channel closes,
//! init exits, and the kernel kills everything in its pid namespace (pid_namespaces(7)).
//!
//! Init is not dumpable, so the program can neither trace it nor look into it; as PID 1 without
//! signal handlers it cannot be killed from inside.
//!
//! A sandbox may be made for an interpreter that is started before its job is known: then init traces the
//! program's process until the interpreter is held, and lets it go when the worker says so
//! ([`crate::prestart`]).

use std::fs;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, killpg, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::Mode;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, sethostname};

use crate::capabilities;
use crate::cgroup::Entry;
use crate::collect;
use crate::inside::{Ended, FromInit, FromProgram, Resources, ToInit, ToProgram};
use crate::layers::Layers;
use crate::limits::Limits;
use crate::policy::ProcMount;
use crate::prestart::Release;
use crate::prestart::hold::{self, Held};
use crate::program::{self, Inheritance, Memory};
use crate::report::SandboxFault;
use crate::step::Step;
use crate::sys::clone::{Forked, fork};
use crate::sys::open::close_range;
use crate::sys::process::{be_child, exit_now, kill_all_others, try_reap};
use crate::sys::ptrace;
use crate::sys::seccomp::next_stopped_call;
use crate::sys::share::{self, Gone, Watched};
use crate::sys::shared::Marks;
use crate::wire::{Channel, encode};
use crate::worker::Context;

/// What a sandbox is made for; the rest arrives with the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// What `/proc` is.
    pub proc: ProcMount,
    /// Layers left out.
    pub off: Layers,
    /// Until `execve` the program's process has memory of its own, and what it writes to files is charged to its
    /// cgroup. Otherwise it shares init's, which is quicker, and it is charged as what init writes.
    pub own_memory: bool,
}

/// What the worker gives init by forking it.
pub struct Birth<'a> {
    /// The worker's policies and settings.
    pub context: &'a Context,
    /// What kind of sandbox.
    pub shape: Shape,
    /// How the program's process enters its cgroup.
    pub entry: Entry<'a>,
    /// To the worker.
    pub worker: &'a Channel,
    /// The program's process takes its job here.
    pub jobs: &'a Channel,
    /// Written by the program's process.
    pub marks: &'a Marks,
    /// The policy that its job will probably name.
    pub expected: Option<&'a str>,
    /// The script at which to hold what the program's process executes, if it is to be held.
    pub script: Option<&'a str>,
}

/// The id that the program sees as its own user and group.
const INSIDE_ID: u32 = 1000;

/// Is init. Runs in the child of the worker's fork.
pub fn run(birth: &Birth<'_>) -> ! {
    match boot(birth) {
        Ok(mut init) => {
            // Without a worker nobody is left to tell.
            let _ = init.serve();
        }
        Err(fault) => {
            let _ = birth.worker.send(&FromInit::Failed(fault), &[]);
        }
    }
    exit_now(0)
}

fn boot<'a>(birth: &Birth<'a>) -> Result<Init<'a>, SandboxFault> {
    prctl::set_pdeathsig(Signal::SIGKILL).step("set the parent death signal")?;
    prctl::set_name(c"brig-init").step("set the process name")?;
    map_ids(birth.context).step("map the user and group id")?;
    if !birth.shape.off.contains(Layers::NESTED_NAMESPACES) {
        forbid_namespaces().step("forbid nested namespaces")?;
    }
    let clock = enter_time_namespace(birth.shape.off).step("enter a time namespace")?;
    let shelf = ManuallyDrop::new(open_shelf().step("open the shelf")?);
    make_work_dirs(birth.shape.off).step("mount /box and /tmp")?;
    cover_proc(birth.shape).step("mount /proc")?;
    if !birth.shape.off.contains(Layers::UTS_NAMESPACE) {
        sethostname("sandbox").step("set the host name")?;
    }
    prctl::set_dumpable(false).step("become non-dumpable")?;
    let (ours, theirs) = Channel::pair().step("make the program's channel")?;
    let signals = watch_children().step("watch for children")?;
    let keeps_capabilities = birth.shape.off.contains(Layers::CAPABILITIES);
    if !keeps_capabilities {
        // The program's process inherits that.
        capabilities::drop_bounding_set().step("empty the capability bounding set")?;
    }
    let own = [
        birth.worker.as_raw_fd(),
        ours.as_raw_fd(),
        signals.as_raw_fd(),
    ];
    let mut programs = vec![
        theirs.as_raw_fd(),
        birth.jobs.as_raw_fd(),
        shelf.as_raw_fd(),
    ];
    programs.extend(birth.entry.fds().iter().map(AsRawFd::as_raw_fd));
    programs.extend(birth.context.fds().map(|fd| fd.as_raw_fd()));
    // First what neither of the two needs: a fork copies every descriptor.
    programs.extend(own);
    keep_only(&programs).step("close inherited descriptors")?;
    let mut init = Init {
        worker: birth.worker,
        program: None,
        listener: None,
        signals,
        first: Pid::this(),
        ended: None,
        violation: None,
        held: None,
        marks: birth.marks,
    };
    // Init needs no capability for what it still does: the program has the same user id.
    let settle = || {
        if keeps_capabilities {
            capabilities::drop_bounding_set().step("empty init's capability bounding set")?;
        }
        capabilities::drop_working_sets().step("drop init's capabilities")?;
        keep_only(&own).step("close the program's descriptors")
    };
    // Of this process's copies of this and the shelf `settle` disposes.
    let theirs = ManuallyDrop::new(theirs);
    let inheritance = Inheritance {
        init: &theirs,
        shelf: shelf.as_fd(),
    };
    let shared = share_with_program(birth, &ours, inheritance, &init.signals, &settle)?;
    init.first = if let Some(first) = shared {
        first
    } else {
        let first = fork_program(birth, inheritance, clock)?;
        drop(ManuallyDrop::into_inner(theirs));
        if birth.script.is_some() {
            trace(first, &ours)?;
        }
        settle()?;
        first
    };
    init.program = Some(ours);
    if let Some(script) = birth.script {
        init.hold(script)?;
    }
    Ok(init)
}

/// One id, that of the worker, is the only one there is (user_namespaces(7)).
fn map_ids(context: &Context) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write(
        "/proc/self/uid_map",
        format!("{INSIDE_ID} {} 1", context.uid),
    )?;
    fs::write(
        "/proc/self/gid_map",
        format!("{INSIDE_ID} {} 1", context.gid),
    )
}

/// A user namespace gives its maker every capability inside, and with them most of the kernel to
/// play with. The limit is this user namespace's own (namespaces(7), `/proc/sys/user`), so nobody
/// inside can lift it without CAP_SYS_RESOURCE.
fn forbid_namespaces() -> io::Result<()> {
    fs::write("/proc/sys/user/max_user_namespaces", "0")
}

/// Makes the clocks of the processes to come start near zero (time_namespaces(7)). Returns how many
/// nanoseconds to add to their CLOCK_MONOTONIC to get the host's.
fn enter_time_namespace(off: Layers) -> io::Result<u64> {
    /// linux/sched.h; nix does not have it, as clone(2) cannot take it.
    const CLONE_NEWTIME: i32 = 0x80;
    if off.contains(Layers::TIME_NAMESPACE) {
        return Ok(0);
    }
    unshare(CloneFlags::from_bits_retain(CLONE_NEWTIME))?;
    let seconds = |clock| clock_gettime(clock).map(|now| now.tv_sec());
    let (monotonic, boottime) = (
        seconds(ClockId::CLOCK_MONOTONIC)?,
        seconds(ClockId::CLOCK_BOOTTIME)?,
    );
    fs::write(
        "/proc/self/timens_offsets",
        format!("monotonic -{monotonic} 0\nboottime -{boottime} 0\n"),
    )?;
    Ok(monotonic.unsigned_abs() * 1_000_000_000)
}

/// What is about to be covered.
fn open_shelf() -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    nix::fcntl::open("/box", flags, Mode::empty())
}

/// One tmpfs serves `/box` and `/tmp`, so that one size caps both. Its root stays hidden below
/// `/box`.
fn make_work_dirs(off: Layers) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let options = program::work_dir_options(&Limits::DEFAULT, off);
    mount(
        Some("tmpfs"),
        "/box",
        Some("tmpfs"),
        flags,
        Some(options.as_str()),
    )?;
    fs::create_dir("/box/box")?;
    fs::create_dir("/box/tmp")?;
    let bind =
        |from: &str, to: &str| mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>);
    bind("/box/tmp", "/tmp")?;
    Ok(bind("/box/box", "/box")?)
}

/// Covers the worker's `/proc`, which must not be seen, with the sandbox's own. `subset=pid` leaves
/// only the process directories; `hidepid=ptraceable` hides init's (proc(5)).
fn cover_proc(shape: Shape) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let (kind, flags, options) = match shape.proc {
        ProcMount::None => (
            "tmpfs",
            flags | MsFlags::MS_RDONLY,
            Some("size=4k,nr_inodes=1"),
        ),
        ProcMount::Private if shape.off.contains(Layers::PROC_MASK) => ("proc", flags, None),
        ProcMount::Private => ("proc", flags, Some("subset=pid,hidepid=ptraceable")),
    };
    Ok(mount(Some(kind), "/proc", Some(kind), flags, options)?)
}

fn watch_children() -> io::Result<SignalFd> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)?;
    Ok(SignalFd::with_flags(
        &mask,
        SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
    )?)
}

fn cgroup_to_start_in<'a>(birth: &Birth<'a>) -> Option<BorrowedFd<'a>> {
    match birth.entry {
        Entry::Clone(dir) => Some(dir),
        Entry::Write(_) => None,
    }
}

fn fork_program(
    birth: &Birth<'_>,
    inheritance: Inheritance<'_>,
    clock: u64,
) -> Result<Pid, SandboxFault> {
    match fork(CloneFlags::empty(), cgroup_to_start_in(birth)).step("fork the program's process")? {
        Forked::Parent { pid, .. } => Ok(pid),
        Forked::Child => be_child(|| program::run(birth, inheritance, Memory::Copied(clock))),
    }
}

/// Starts the program's process in init's memory, and returns when it has executed the program: until then init does
/// nothing but wait for that. `settle` is called while the process waits for init. `None`: it has to be forked.
fn share_with_program(
    birth: &Birth<'_>,
    ours: &Channel,
    inheritance: Inheritance<'_>,
    signals: &SignalFd,
    settle: &dyn Fn() -> Result<(), SandboxFault>,
) -> Result<Option<Pid>, SandboxFault> {
    const STEP: &str = "start the program's process";
    if birth.shape.own_memory || !share::AVAILABLE {
        return Ok(None);
    }
    let watched = Watched {
        child: ours.as_fd(),
        signals: signals.as_fd(),
        supervisor: birth.worker.as_fd(),
        marks: birth.marks,
    };
    let body = || program::run(birth, inheritance, Memory::Shared);
    let (cgroup, stack) = (cgroup_to_start_in(birth), &birth.context.stack);
    let shared = share::share(cgroup, stack, watched, body, |_| {
        settle()?;
        match ours.recv::<FromProgram>().step(STEP)? {
            Some((FromProgram::Parked, _)) => encode(&ToProgram::Go).step(STEP),
            Some((FromProgram::Failed(fault), _)) => Err(fault),
            _ => Err(io::Error::other("it has ended")).step(STEP),
        }
    });
    match shared {
        Ok(Ok((first, Gone::InOrder))) => Ok(Some(first)),
        Ok(Ok((_, Gone::Killed))) => exit_now(0),
        Ok(Err(fault)) => Err(fault),
        // Before Linux 6.1 not for whoever is between two time namespaces (`copy_namespaces()`, kernel/nsproxy.c).
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => Ok(None),
        Err(e) => Err(e).step(STEP),
    }
}

/// Traces the program's process from before its lock-down on.
fn trace(first: Pid, program: &Channel) -> Result<(), SandboxFault> {
    const STEP: &str = "trace the program's process";
    match program.recv::<FromProgram>().step(STEP)? {
        Some((FromProgram::Failed(fault), _)) => return Err(fault),
        Some((FromProgram::Traceable, _)) => {}
        _ => return Err(io::Error::other("it has ended")).step(STEP),
    }
    ptrace::seize(first).step(STEP)?;
    program.send(&ToProgram::Go, &[]).step(STEP)
}

/// Closes every descriptor from 3 on but these. Owners of others must never be used again.
pub fn keep_only(fds: &[RawFd]) -> io::Result<()> {
    let mut keep: Vec<u32> = fds
        .iter()
        .filter_map(|fd| u32::try_from(*fd).ok())
        .filter(|fd| *fd >= 3)
        .collect();
    keep.sort_unstable();
    let mut first = 3;
    for fd in keep {
        if fd > first {
            close_range(first, fd - 1)?;
        }
        first = first.max(fd + 1);
    }
    close_range(first, u32::MAX)
}

struct Init<'a> {
    worker: &'a Channel,
    /// Until the program's process has said that it is about to execute, or is gone.
    program: Option<Channel>,
    listener: Option<OwnedFd>,
    signals: SignalFd,
    /// The first process of the program.
    first: Pid,
    /// How the first process ended, while others are still being reaped.
    ended: Option<Ended>,
    violation: Option<(u32, i32)>,
    /// An interpreter that waits for its job.
    held: Option<Held>,
    marks: &'a Marks,
}

/// Whether anything is left to do.
enum Next {
    Continue,
    Exit,
}

impl Init<'_> {
    fn serve(&mut self) -> io::Result<()> {
        while let Next::Continue = self.step()? {}
        Ok(())
    }

    /// Waits for one thing to happen, and deals with it.
    fn step(&mut self) -> io::Result<Next> {
        let (worker, program, listener, signals) = self.wait()?;
        if listener.contains(PollFlags::POLLIN) {
            self.on_forbidden_call()?;
        } else if listener.contains(PollFlags::POLLHUP) {
            // Every process under the filter is gone, so there is no call to come.
            self.listener = None;
        }
        if program {
            self.on_program_message()?;
        }
        if signals {
            self.on_child()?;
        }
        if worker {
            self.on_command()
        } else {
            Ok(Next::Continue)
        }
    }

    fn wait(&self) -> io::Result<(bool, bool, PollFlags, bool)> {
        let always = [self.worker.as_fd(), self.signals.as_fd()];
        let mut fds: Vec<PollFd<'_>> = always
            .iter()
            .map(|fd| PollFd::new(*fd, PollFlags::POLLIN))
            .collect();
        fds.extend(
            self.program
                .as_ref()
                .map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)),
        );
        fds.extend(
            self.listener
                .as_ref()
                .map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)),
        );
        match poll(&mut fds, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => {
                return Ok((false, false, PollFlags::empty(), false));
            }
            answer => answer?,
        };
        let mut answers = fds
            .iter()
            .map(|fd| fd.revents().unwrap_or(PollFlags::all()));
        let mut next = || answers.next().unwrap_or(PollFlags::empty());
        let (worker, signals) = (!next().is_empty(), !next().is_empty());
        let program = self.program.is_some() && !next().is_empty();
        let listener = match self.listener {
            Some(_) => next(),
            None => PollFlags::empty(),
        };
        Ok((worker, program, listener, signals))
    }

    fn on_command(&mut self) -> io::Result<Next> {
        match self.worker.recv::<ToInit>()? {
            None => Ok(Next::Exit),
            Some((ToInit::Kill, _)) => kill_all_others().map(|()| Next::Continue),
            Some((ToInit::Signal(signal), _)) => {
                // It may have ended meanwhile; as long as it is not reaped its id is its own.
                if self.ended.is_none() {
                    let _ = killpg(self.first, Signal::try_from(signal)?);
                }
                Ok(Next::Continue)
            }
            Some((ToInit::Collect(what), _)) => {
                let (error, archive) = match collect::collect(&what) {
                    Ok(archive) => (None, Some(archive)),
                    Err(e) => (Some(e.to_string()), None),
                };
                let fds: Vec<_> = archive.iter().map(AsFd::as_fd).collect();
                self.worker.send(&FromInit::Collected { error }, &fds)?;
                Ok(Next::Continue)
            }
            Some((ToInit::Release(release), fds)) => self.release(&release, fds),
        }
    }

    /// Waits until the interpreter is held.
    fn hold(&mut self, script: &str) -> Result<(), SandboxFault> {
        let Some(program) = self.program.take() else {
            return Ok(());
        };
        let (held, listener) = hold::hold(self.first, &program, script)?;
        // What was noted before its `execve`; the one that counts is yet to come.
        self.marks.clear();
        self.held = Some(held);
        self.listener = Some(listener);
        self.worker
            .send(&FromInit::Held, &[])
            .step("tell the worker that the interpreter is held")
    }

    fn release(&mut self, release: &Release, fds: Vec<OwnedFd>) -> io::Result<Next> {
        let (Some(held), Some(listener)) = (self.held.take(), &self.listener) else {
            return Ok(Next::Exit);
        };
        match held.release(self.first, listener.as_fd(), release, fds, self.marks) {
            Ok(()) => {
                self.worker.send(&FromInit::Released, &[])?;
                Ok(Next::Continue)
            }
            Err(fault) => {
                self.worker.send(&FromInit::Failed(fault), &[])?;
                Ok(Next::Exit)
            }
        }
    }

    fn on_program_message(&mut self) -> io::Result<()> {
        let Some(program) = self.program.take() else {
            return Ok(());
        };
        match program.recv::<FromProgram>()? {
            Some((FromProgram::Locked, mut fds)) => self.listener = fds.pop(),
            Some((FromProgram::Failed(fault), _)) => {
                self.worker.send(&FromInit::Failed(fault), &[])?;
            }
            // These come before all others, and are taken there. Without any it ended; how is told by its exit
            // status.
            Some((FromProgram::Traceable | FromProgram::Parked, _)) | None => {}
        }
        Ok(())
    }

    fn on_forbidden_call(&mut self) -> io::Result<()> {
        let Some(listener) = &self.listener else {
            return Ok(());
        };
        match next_stopped_call(listener.as_fd()) {
            Ok(call) => {
                self.violation.get_or_insert((call.arch, call.number));
                kill_all_others()
            }
            // The caller is gone.
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn on_child(&mut self) -> io::Result<()> {
        while self.signals.read_signal()?.is_some() {}
        loop {
            match try_reap() {
                Ok(Some(child)) if child.pid == self.first.as_raw() => {
                    self.ended = Some(Ended {
                        exit_code: child.exit_code(),
                        signal: child.signal(),
                        at_ns: now_ns()?,
                        resources: Resources::default(),
                        violation: None,
                    });
                    kill_all_others()?;
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(e) if e.raw_os_error() == Some(libc::ECHILD) => return self.report(),
                Err(e) => return Err(e),
            }
        }
    }

    /// Every process of the program is dead and reaped.
    fn report(&mut self) -> io::Result<()> {
        let Some(mut ended) = self.ended.take() else {
            return Ok(());
        };
        // A last word that came together with the end.
        self.on_program_message()?;
        self.listener = None;
        ended.resources = Resources::from_usage(&getrusage(UsageWho::RUSAGE_CHILDREN)?);
        ended.violation = self.violation;
        self.worker.send(&FromInit::Ended(ended), &[])
    }
}

/// CLOCK_MONOTONIC of this process in nanoseconds.
pub fn now_ns() -> io::Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    Ok(u64::try_from(now.tv_sec()).unwrap_or(0) * 1_000_000_000
        + u64::try_from(now.tv_nsec()).unwrap_or(0))
}
