//! The process that becomes the program.
//!
//! Init starts it ahead of time; it sits in the program's cgroup and waits for a job. Then it walks
//! the lock-down, whose order [`Process::lock_down`] shows on one screen, and executes the program.
//! Each step that fails is named and reported through init; nothing is skipped silently.

use std::ffi::CString;
use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, UsageWho, getrusage, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::stat::{Mode, umask};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{chdir, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use crate::archive::Reader;
use crate::attach;
use crate::capabilities;
use crate::cgroup::Entry;
use crate::init::{Birth, keep_only, now_ns};
use crate::inside::{FromProgram, FromProgramToWorker, ProgramJob, Resources, ToProgram};
use crate::landlock::Domain;
use crate::layers::Layers;
use crate::limits::Limits;
use crate::policy::seccomp::{EXECUTABLE_FD, LISTENER_SOCKET_FD};
use crate::probe;
use crate::protocol::{Job, WindowSize};
use crate::report::SandboxFault;
use crate::shelf;
use crate::step::Step;
use crate::sys::exec::{StringArray, execve, execve_fd};
use crate::sys::open::close_range;
use crate::sys::process::{exit_now, reset_signal};
use crate::sys::seccomp;
use crate::sys::share;
use crate::sys::shared::Mark;
use crate::sys::terminal::make_controlling;
use crate::terminal::{self, Terminal};
use crate::wire::{Channel, encode};
use crate::worker::ReadyPolicy;

/// What the program's process has from init.
#[derive(Clone, Copy, Debug)]
pub struct Inheritance<'a> {
    /// The channel to it.
    pub init: &'a Channel,
    /// The worker's shelf ([`crate::shelf`]), below `/box`.
    pub shelf: BorrowedFd<'a>,
}

/// Whose memory the program's process has.
#[derive(Clone, Copy, Debug)]
pub enum Memory {
    /// A copy of all its memory, and its own time namespace: nanoseconds which, added to this process's
    /// CLOCK_MONOTONIC, give the host's.
    Copied(u64),
    /// The memory itself ([`crate::sys::share`]). Time namespaces go with memory, so the clock is the host's.
    Shared,
}

/// Is the program's process. Runs in a child of init.
///
/// If what it executes is to be held ([`crate::prestart`]), it first waits for init to trace it.
pub fn run(birth: &Birth<'_>, inheritance: Inheritance<'_>, memory: Memory) -> ! {
    let Inheritance { init, shelf } = inheritance;
    let process = Process {
        birth,
        init,
        shelf,
        memory,
    };
    let Err(fault) = process.prepare_and_run();
    let message = encode(&FromProgram::Failed(fault)).unwrap_or_default();
    // Init may go on as soon as it hears, so the message is not freed.
    share::say(init.as_fd(), &message);
    exit_now(1)
}

/// The rules for files of a policy, ready before the job has named it.
struct Ahead<'a> {
    policy: &'a ReadyPolicy,
    domain: Domain,
}

/// What [`Process::prepare_and_run`] returns when all goes well.
enum Never {}

/// How far RLIMIT_CPU is beyond the limit that the worker enforces.
const RLIMIT_CPU_SLACK_SECONDS: u64 = 2;

/// RLIMIT_CPU of a program that may use `cpu_time_ms` besides what setting up took: the kernel counts
/// both together, and on a slow host that is seconds.
pub fn rlimit_cpu_seconds(cpu_time_ms: u64, setup_cpu_ns: u64) -> u64 {
    (cpu_time_ms + setup_cpu_ns / 1_000_000).div_ceil(1000) + RLIMIT_CPU_SLACK_SECONDS
}

struct Process<'a> {
    birth: &'a Birth<'a>,
    init: &'a Channel,
    shelf: BorrowedFd<'a>,
    memory: Memory,
}

impl Process<'_> {
    fn prepare_and_run(&self) -> Result<Never, SandboxFault> {
        let off = self.birth.shape.off;
        if self.birth.script.is_some() {
            self.be_traced()?;
        }
        let cpu_before_ns = self.enter_cgroup().step("enter the program's cgroup")?;
        let mut keep = vec![
            self.init.as_raw_fd(),
            self.birth.jobs.as_raw_fd(),
            self.shelf.as_raw_fd(),
        ];
        keep.extend(self.birth.context.fds().map(|fd| fd.as_raw_fd()));
        keep_only(&keep).step("close inherited descriptors")?;
        let ahead = self.rules_ahead()?;
        if let Memory::Shared = self.memory {
            self.park()?;
        }
        let Some((ProgramJob { job, shown, probe }, fds)) =
            self.birth.jobs.recv().step("receive the job")?
        else {
            // This sandbox is not needed any more.
            exit_now(0)
        };
        let policy = self.birth.context.policy(&job.policy)?;
        let Descriptors {
            stdio,
            archives,
            files,
        } = Descriptors::split(fds, &job)?;
        fit_work_dirs(&job.limits, off).step("resize /box and /tmp")?;
        for archive in archives {
            Reader::open(archive)
                .and_then(|files| unpack(&files))
                .step("write the job's files to /box")?;
        }
        for (file, path) in files.into_iter().zip(&job.files) {
            attach::copy_in(file, Path::new("/box"), path)
                .step("copy the attached files to /box")?;
        }
        for file in &shown {
            shelf::show(self.shelf, file, Path::new("/box"))
                .step("show the compiled files in /box")?;
        }
        let stdio = match job.pty {
            Some(size) => self.make_terminal(size)?,
            None => stdio,
        };
        let executable = Executable::find(&job, policy);
        // The announcement is the last that has to do with the heap: whoever is killed while using it spoils what is
        // shared, and init takes the memory of a process that has announced itself to be in order.
        let (argv, envp) = (strings(job.argv.clone())?, strings(job.env.clone())?);
        self.lock_down(&job, policy, ahead, stdio, &executable)?;
        self.announce(policy, cpu_before_ns)?;
        if let Some(probe) = probe {
            exit_now(probe::run(probe));
        }
        let error = executable.run(&argv, &envp);
        give_up(job.argv.first().map_or("", String::as_str), &error)
    }

    /// Looks up the rules for files that the job will probably be under: that takes some sixty system calls.
    fn rules_ahead(&self) -> Result<Option<Ahead<'_>>, SandboxFault> {
        let off = self.birth.shape.off.contains(Layers::LANDLOCK);
        let Some(expected) = self.birth.expected.filter(|_| !off) else {
            return Ok(None);
        };
        let policy = self.birth.context.policy(expected)?;
        let domain = policy.files.domain(false)?;
        Ok(Some(Ahead { policy, domain }))
    }

    /// Lets init trace this process. As non-dumpable as init it could not: the memory still belongs to the
    /// worker's user namespace, in which init has no rights.
    fn be_traced(&self) -> Result<(), SandboxFault> {
        const STEP: &str = "let init trace the program's process";
        prctl::set_dumpable(true).step(STEP)?;
        self.init.send(&FromProgram::Traceable, &[]).step(STEP)?;
        self.init.recv::<ToProgram>().step(STEP).map(|_| ())
    }

    /// Lets init finish its own preparations, for which it needs the memory that it shares.
    fn park(&self) -> Result<(), SandboxFault> {
        const STEP: &str = "wait for init";
        // Freed when init no longer runs.
        let message = encode(&FromProgram::Parked).step(STEP)?;
        share::park(self.init.as_fd(), &message);
        match self.init.recv::<ToProgram>().step(STEP)? {
            Some((ToProgram::Go, _)) => Ok(()),
            None => exit_now(0),
        }
    }

    /// Gives the worker the terminal's master and returns the program's standard streams.
    fn make_terminal(&self, size: WindowSize) -> Result<[OwnedFd; 3], SandboxFault> {
        const STEP: &str = "make a terminal";
        let Terminal { master, program } = terminal::make(size).step(STEP)?;
        let sent = self
            .birth
            .jobs
            .send(&FromProgramToWorker::Terminal, &[master.as_fd()]);
        sent.step("hand over the terminal")?;
        let copy = || program.try_clone().step(STEP);
        Ok([copy()?, copy()?, copy()?])
    }

    /// The whole set-up after the mounts, in order. From the end of it on, the only descriptors
    /// are 0 to 2 and ours beyond what a program can own.
    fn lock_down(
        &self,
        job: &Job,
        policy: &ReadyPolicy,
        ahead: Option<Ahead<'_>>,
        stdio: [OwnedFd; 3],
        executable: &Executable,
    ) -> Result<(), SandboxFault> {
        let off = self.birth.shape.off;
        let on = |layer| !off.contains(layer);
        reset_signals().step("reset signals")?;
        setsid().step("start a session")?;
        umask(Mode::from_bits_truncate(0o022));
        chdir("/box").step("enter /box")?;
        set_stdio(stdio).step("set stdin, stdout and stderr")?;
        if job.pty.is_some() {
            make_controlling(io::stdin().as_fd()).step("take control of the terminal")?;
        }
        move_beyond(self.init.as_fd(), LISTENER_SOCKET_FD).step("move init's channel")?;
        move_beyond(self.birth.jobs.as_fd(), LISTENER_SOCKET_FD + 2)
            .step("move the worker's channel")?;
        if let Executable::Open(file) = executable {
            move_beyond(file.as_fd(), EXECUTABLE_FD).step("move the executable")?;
        }
        if on(Layers::RLIMITS) {
            set_rlimits(&job.limits).step("set resource limits")?;
        }
        if on(Layers::CAPABILITIES) {
            // The bounding set was emptied by init.
            capabilities::drop_working_sets().step("drop capabilities")?;
        } else {
            capabilities::keep_over_execve().step("keep capabilities")?;
        }
        if on(Layers::NO_NEW_PRIVS) {
            prctl::set_no_new_privs().step("set no_new_privs")?;
        }
        if on(Layers::LANDLOCK) {
            let fits = |ahead: &Ahead<'_>| ptr::eq(ahead.policy, policy) && job.pty.is_none();
            let domain = match ahead.filter(fits) {
                Some(ahead) => ahead.domain,
                None => policy.files.domain(job.pty.is_some())?,
            };
            domain.enter()?;
        }
        close_range(3, LISTENER_SOCKET_FD.unsigned_abs() - 1).step("close descriptors")
    }

    /// The filter goes on, its listener goes to init, and the program's clock starts. Once the mark is set, the heap is
    /// left alone.
    fn announce(&self, policy: &ReadyPolicy, cpu_before_ns: u64) -> Result<(), SandboxFault> {
        let on = !self.birth.shape.off.contains(Layers::SECCOMP);
        let listener = if on {
            Some(seccomp::install(&policy.filter).step("install the seccomp filter")?)
        } else {
            None
        };
        let fds: Vec<_> = listener.iter().map(AsFd::as_fd).collect();
        send_from_beyond(&FromProgram::Locked, &fds).step("hand over the seccomp listener")?;
        drop(fds);
        drop(listener);
        let usage = getrusage(UsageWho::RUSAGE_SELF).step("read the usage so far")?;
        let cpu_ns = cpu_ns().step("read the CPU time so far")?;
        self.birth.marks.set(&Mark {
            execve_at_ns: now_ns().step("read the clock")? + self.clock_offset(),
            setup_cpu_ns: cpu_ns.saturating_sub(cpu_before_ns),
            resources: Resources::from_usage(&usage),
        });
        Ok(())
    }

    fn clock_offset(&self) -> u64 {
        match self.memory {
            Memory::Copied(offset) => offset,
            Memory::Shared => 0,
        }
    }

    /// Returns the CPU time that this process used before its group began to count.
    fn enter_cgroup(&self) -> io::Result<u64> {
        let before = match &self.birth.entry {
            // It counted from the first instruction.
            Entry::Clone(_) => 0,
            Entry::Write(files) => {
                for file in files {
                    nix::unistd::write(file, b"0")?;
                }
                cpu_ns()?
            }
        };
        if !self.birth.shape.off.contains(Layers::CGROUP_NAMESPACE) {
            unshare(CloneFlags::CLONE_NEWCGROUP)?;
        }
        Ok(before)
    }
}

/// Sends over the channel's copy at [`LISTENER_SOCKET_FD`], the only one that the filter lets
/// through and that is still open.
fn send_from_beyond(message: &FromProgram, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let channel = ManuallyDrop::new(Channel::from(crate::sys::open::inherited(
        LISTENER_SOCKET_FD,
    )?));
    channel.send(message, fds)
}

/// What gets executed.
enum Executable {
    /// By its path, which may also be a script.
    Path(CString),
    /// By descriptor: the policy forbids `execve`, so the filter lets one `execveat` through, on a
    /// descriptor that the program cannot own.
    Open(File),
    /// Nothing: it cannot be opened.
    Missing(io::Error),
}

impl Executable {
    fn find(job: &Job, policy: &ReadyPolicy) -> Self {
        let Some(name) = job.argv.first() else {
            return Self::Missing(io::Error::from_raw_os_error(libc::ENOENT));
        };
        let path = look_up(name, &job.env);
        if policy.allows_execve {
            return CString::new(path).map_or_else(|e| Self::Missing(e.into()), Self::Path);
        }
        let path = Path::new("/box").join(path);
        match open(&path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()) {
            Ok(fd) => Self::Open(fd.into()),
            Err(e) => Self::Missing(e.into()),
        }
    }

    /// Returns only on failure.
    fn run(self, argv: &StringArray, envp: &StringArray) -> io::Error {
        match self {
            Self::Path(path) => execve(&path, argv, envp),
            // The original descriptor is closed; its copy is where the filter wants it.
            Self::Open(file) => {
                let _ = ManuallyDrop::new(file);
                execve_fd(EXECUTABLE_FD, argv, envp)
            }
            Self::Missing(error) => error,
        }
    }
}

/// A name without a slash is looked for in `PATH`, as execvp(3) does.
fn look_up(name: &str, env: &[String]) -> String {
    if name.contains('/') {
        return name.to_owned();
    }
    let path = env
        .iter()
        .find_map(|e| e.strip_prefix("PATH="))
        .unwrap_or("/usr/local/bin:/usr/bin:/bin");
    path.split(':')
        .map(|dir| format!("{dir}/{name}"))
        .find(|candidate| Path::new(candidate).is_file())
        .unwrap_or_else(|| name.to_owned())
}

/// A program that cannot be executed is the caller's mistake, not the sandbox's: it is told the way
/// shells tell it (POSIX, "Exit Status for Commands").
fn give_up(name: &str, error: &io::Error) -> ! {
    let error_words = Words(error);
    let _ = writeln!(io::stderr(), "brig: cannot execute {name}: {error_words}");
    exit_now(if error.raw_os_error() == Some(libc::ENOENT) {
        127
    } else {
        126
    })
}

/// Says an error as its own `Display` does, but takes no memory for it.
struct Words<'a>(&'a io::Error);

impl Display for Words<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.raw_os_error() {
            Some(number) => write!(f, "{} (os error {number})", Errno::from_raw(number).desc()),
            None => self.0.fmt(f),
        }
    }
}

/// What comes with a job, by its use.
struct Descriptors {
    stdio: [OwnedFd; 3],
    archives: Vec<OwnedFd>,
    files: Vec<OwnedFd>,
}

impl Descriptors {
    fn split(mut fds: Vec<OwnedFd>, job: &Job) -> Result<Self, SandboxFault> {
        let archives = job.archives.len();
        if fds.len() != 3 + archives + job.files.len() {
            return Err(SandboxFault {
                step: "receive the job".to_owned(),
                detail: "the number of descriptors does not fit the job".to_owned(),
                errno: None,
                started: false,
            });
        }
        let files = fds.split_off(3 + archives);
        let archives = fds.split_off(3);
        let stdio = <[OwnedFd; 3]>::try_from(fds)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
            .step("receive the job")?;
        Ok(Self {
            stdio,
            archives,
            files,
        })
    }
}

/// Mount options of the tmpfs behind `/box` and `/tmp`.
pub fn work_dir_options(limits: &Limits, off: Layers) -> String {
    /// The tmpfs's root, `/box` and `/tmp` are inodes, too.
    const OWN_INODES: u64 = 3;
    if off.contains(Layers::DISK_LIMIT) {
        return "mode=0755,size=0,nr_inodes=0".to_owned();
    }
    // A size of 0 would mean no limit (tmpfs(5)).
    let size = limits.disk_bytes.max(1);
    format!(
        "mode=0755,size={size},nr_inodes={}",
        limits.disk_inodes + OWN_INODES
    )
}

/// The sandbox was made with the default limits.
fn fit_work_dirs(limits: &Limits, off: Layers) -> io::Result<()> {
    let fits = limits.disk_bytes == Limits::DEFAULT.disk_bytes
        && limits.disk_inodes == Limits::DEFAULT.disk_inodes;
    if fits || off.contains(Layers::DISK_LIMIT) {
        return Ok(());
    }
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    Ok(mount(
        None::<&str>,
        "/box",
        None::<&str>,
        flags,
        Some(work_dir_options(limits, off).as_str()),
    )?)
}

/// Writes `files` below `/box`.
pub fn unpack(files: &Reader) -> io::Result<()> {
    files.for_each(|entry, content| {
        let path = Path::new("/box").join(&entry.path);
        // `/box` itself is there.
        if let Some(parent) = path.parent().filter(|_| entry.path.contains('/')) {
            fs::create_dir_all(parent)?;
        }
        let mode = if entry.executable { 0o755 } else { 0o644 };
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&path)?;
        io::copy(content, &mut file).map(|_| ())
    })
}

fn set_stdio([stdin, stdout, stderr]: [OwnedFd; 3]) -> io::Result<()> {
    dup2_stdin(&stdin)?;
    dup2_stdout(&stdout)?;
    Ok(dup2_stderr(&stderr)?)
}

/// A close-on-exec copy of `fd` at `number`.
fn move_beyond(fd: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    match fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(number)) {
        Ok(got) if got == number => Ok(()),
        Ok(_) => Err(Errno::EBUSY.into()),
        Err(e) => Err(e.into()),
    }
}

/// Blocked and ignored signals would survive `execve`: init blocks SIGCHLD, Rust ignores SIGPIPE.
fn reset_signals() -> io::Result<()> {
    reset_signal(Signal::SIGPIPE, SigHandler::SigDfl)?;
    Ok(sigprocmask(
        SigmaskHow::SIG_SETMASK,
        Some(&SigSet::empty()),
        None,
    )?)
}

/// The limits that only setrlimit(2) has, and a second line behind the cgroup's CPU time.
fn set_rlimits(limits: &Limits) -> io::Result<()> {
    let cpu_seconds = rlimit_cpu_seconds(limits.cpu_time_ms, cpu_ns()?);
    let all = [
        // Not 0: where the host pipes core dumps to a handler, which runs as root outside, only 1
        // keeps it from being started (core(5); "special value" in fs/coredump.c). No ELF core
        // fits in a byte either.
        (Resource::RLIMIT_CORE, 1),
        (Resource::RLIMIT_CPU, cpu_seconds),
        (Resource::RLIMIT_FSIZE, limits.file_size_bytes),
        (Resource::RLIMIT_NOFILE, limits.open_files.into()),
        (Resource::RLIMIT_STACK, limits.stack_bytes),
        (Resource::RLIMIT_MSGQUEUE, 0),
        // Counted per host user, whom in rootless mode all workers share.
        (Resource::RLIMIT_SIGPENDING, 1024),
        (Resource::RLIMIT_NICE, 0),
        (Resource::RLIMIT_RTPRIO, 0),
        (Resource::RLIMIT_MEMLOCK, 64 << 10),
    ];
    for (resource, value) in all {
        setrlimit(resource, value, value)?;
    }
    Ok(())
}

fn strings(list: Vec<String>) -> Result<StringArray, SandboxFault> {
    let strings = list
        .into_iter()
        .map(CString::new)
        .collect::<Result<Vec<_>, _>>();
    Ok(StringArray::new(
        strings
            .map_err(io::Error::from)
            .step("prepare arguments and environment")?,
    ))
}

/// CPU time of this process, all threads, in nanoseconds.
fn cpu_ns() -> io::Result<u64> {
    let used = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    Ok(u64::try_from(used.tv_sec()).unwrap_or(0) * 1_000_000_000
        + u64::try_from(used.tv_nsec()).unwrap_or(0))
}
