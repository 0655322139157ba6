//! Starting workers: what the supervisor does for each, and how a worker process begins.
//!
//! ```text
//! supervisor                            child
//! make cgroup, socket, settings
//! clone3(new user,pid,mnt,net,ipc,uts)
//! write uid_map, gid_map
//! move the child into its cgroup
//! "go" ------------------------------->  become the worker's user, keep a few capabilities over
//!                                        its own namespaces, execve of this same binary
//!                                        -> worker_main()
//! ```
//!
//! A worker is executed, not only forked, so that nothing of the supervisor's memory is in it.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use caps::Capability;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sched::CloneFlags;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Pid, Uid, dup2_stdin, pipe2, setgroups, setresgid, setresuid};

use crate::capabilities;
use crate::cgroup::WorkerPaths;
use crate::cgroup::host::{Base, WorkerCaps};
use crate::identity::Identity;
use crate::init::keep_only;
use crate::layers::Layers;
use crate::policy::Compiled;
use crate::prepared;
use crate::report::SandboxFault;
use crate::rootfs::RootfsSpec;
use crate::step::Step;
use crate::sys::clone::{Forked, assert_single_threaded, fork};
use crate::sys::exec::{StringArray, execve};
use crate::sys::memfd;
use crate::sys::open::inherited;
use crate::sys::process::{be_child, exit_now};
use crate::wire::Channel;
use crate::worker::{self, Settings};

/// First argument of a process that is to be a worker.
pub const WORKER_COMMAND: &str = "__worker";

/// How to start workers.
#[derive(Debug)]
pub struct Launcher {
    /// The service's cgroup.
    pub base: Base,
    /// The workers' users.
    pub identity: Identity,
    /// Hard caps of each worker's cgroup.
    pub caps: WorkerCaps,
    /// What sandboxes show of the host.
    pub rootfs: RootfsSpec,
    /// The policies that jobs may name.
    pub policies: Vec<Compiled>,
    /// Layers that every sandbox goes without.
    pub off: Layers,
    /// Sandboxes of each recently used shape that a worker keeps ready.
    pub warm: u32,
    /// The CPUs that workers are kept on, by turns; none: they run anywhere.
    pub cpus: Vec<u32>,
    /// Interpreters that a worker keeps started ahead of their jobs ([`crate::prestart`]).
    pub prestarted: u32,
    /// Prepared files that sandboxes show.
    pub prepared: Option<prepared::Directory>,
}

/// A worker process, as its supervisor sees it.
#[derive(Debug)]
pub struct WorkerProcess {
    /// Its pid.
    pub pid: Pid,
    /// Becomes readable when it ends.
    pub pidfd: OwnedFd,
    /// The server's end of its socket.
    pub channel: Channel,
}

impl Launcher {
    /// Starts worker `index`. One that was there before under this index must be dead.
    pub fn launch(&self, index: u32) -> Result<WorkerProcess, SandboxFault> {
        assert_single_threaded();
        let (uid, gid) = self.identity.of_worker(index);
        let mut paths = self
            .base
            .create_worker(index, uid, self.caps)
            .step("make the worker's cgroup")?;
        let cpu = self.cpus.iter().copied().cycle().nth(index as usize);
        if let Some(cpu) = cpu {
            self.base
                .pin_worker(index, &mut paths, cpu)
                .step("keep the worker on its CPU")?;
        }
        let settings = Settings {
            index,
            uid,
            gid,
            cgroup: paths.clone(),
            rootfs: RootfsSpec {
                prepared: self.prepared.is_some(),
                ..self.rootfs.clone()
            },
            policies: self.policies.clone(),
            off: self.off,
            warm: self.warm,
            cpu,
            prestarted: self.prestarted,
        };
        let settings = write_settings(&settings).step("write the worker's settings")?;
        let (channel, workers_end) = Channel::pair().step("make the worker's socket")?;
        let (go, start) = pipe2(OFlag::O_CLOEXEC).step("make a pipe")?;
        let flags = CloneFlags::CLONE_NEWUSER
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS;
        let there = self.prepared.as_ref().map(prepared::Directory::enter);
        let there = there.transpose().step("enter the prepared files")?;
        let forked = fork(flags, None).step("clone3 a worker into its own namespaces")?;
        match forked {
            Forked::Child => be_child(|| {
                drop(start);
                let child = Child {
                    identity: self.identity,
                    uid,
                    gid,
                };
                let Err(fault) = child.become_worker(go, &settings, &workers_end);
                let _ = writeln!(io::stderr(), "brig worker {index}: {fault}");
                exit_now(1)
            }),
            Forked::Parent { pid, pidfd } => {
                drop((there, go, workers_end, settings));
                self.admit(pid, uid, gid, &paths, start)?;
                Ok(WorkerProcess {
                    pid,
                    pidfd,
                    channel,
                })
            }
        }
    }

    /// Does for the waiting child what only its parent can. If this fails, the child sees `start`
    /// close, and exits.
    fn admit(
        &self,
        pid: Pid,
        uid: u32,
        gid: u32,
        paths: &WorkerPaths,
        start: OwnedFd,
    ) -> Result<(), SandboxFault> {
        if self.identity == Identity::Shared {
            fs::write(format!("/proc/{pid}/setgroups"), "deny").step("forbid setgroups")?;
        }
        fs::write(format!("/proc/{pid}/uid_map"), format!("{uid} {uid} 1"))
            .step("map the worker's user")?;
        fs::write(format!("/proc/{pid}/gid_map"), format!("{gid} {gid} 1"))
            .step("map the worker's group")?;
        Base::enter_worker(paths, pid.as_raw()).step("move the worker into its cgroup")?;
        File::from(start).write_all(b"go").step("start the worker")
    }
}

/// Makes the kernel give each network namespace that is made from this one a table of its own for TCP connections
/// (`tcp_child_ehash_entries`, ip-sysctl; since Linux 6.1). Otherwise they share the host's, all of which is looked through when
/// one of them is taken apart (`tcp_twsk_purge()`): with 262,144 places, on a machine with 24 GB of memory, that took a
/// twentieth of the CPU time that a network namespace takes. Where the setting cannot be had, it goes without.
fn give_sandboxes_tcp_tables() {
    const PLACES: &str = "16";
    let _ = fs::write("/proc/sys/net/ipv4/tcp_child_ehash_entries", PLACES);
}

fn write_settings(settings: &Settings) -> io::Result<OwnedFd> {
    let bytes = postcard::to_stdvec(settings).map_err(io::Error::other)?;
    memfd::read_only(c"settings", &bytes)
}

enum Never {}

/// Between fork and execve.
struct Child {
    identity: Identity,
    uid: u32,
    gid: u32,
}

impl Child {
    fn become_worker(
        &self,
        go: OwnedFd,
        settings: &OwnedFd,
        channel: &Channel,
    ) -> Result<Never, SandboxFault> {
        prctl::set_pdeathsig(Signal::SIGKILL).step("set the parent death signal")?;
        let mut word = [0; 2];
        File::from(go)
            .read_exact(&mut word)
            .step("wait for the supervisor")?;
        give_sandboxes_tcp_tables();
        self.change_user()?;
        // Changing the user clears it (prctl(2)). The supervisor was alive when it wrote the word.
        prctl::set_pdeathsig(Signal::SIGKILL).step("set the parent death signal")?;
        capabilities::make_ambient(&[Capability::CAP_SYS_ADMIN, Capability::CAP_SETPCAP])
            .step("keep the capabilities over the own namespaces")?;
        let null = File::open("/dev/null").step("open /dev/null")?;
        dup2_stdin(&null).step("close stdin")?;
        drop(null);
        for fd in [settings.as_fd(), channel.as_fd()] {
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).step("hand descriptors over")?;
        }
        keep_only(&[settings.as_raw_fd(), channel.as_raw_fd()])
            .step("close inherited descriptors")?;
        let argv = [
            "brig-worker",
            WORKER_COMMAND,
            &settings.as_raw_fd().to_string(),
            &channel.as_raw_fd().to_string(),
        ]
        .map(|a| CString::new(a).unwrap_or_default());
        let error = execve(
            c"/proc/self/exe",
            &StringArray::new(argv.into()),
            &StringArray::new(Vec::new()),
        );
        Err(error).step("execute the worker")
    }

    fn change_user(&self) -> Result<(), SandboxFault> {
        if self.identity == Identity::Shared {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        setgroups(&[]).step("drop supplementary groups")?;
        setresgid(gid, gid, gid).step("change the group")?;
        setresuid(uid, uid, uid).step("change the user")
    }
}

/// If this process was started to be a worker, is one and returns its exit code.
pub fn worker_main() -> Option<i32> {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some(WORKER_COMMAND) {
        return None;
    }
    let number = |arg: Option<String>| arg.and_then(|a| a.parse::<RawFd>().ok());
    let (Some(settings), Some(channel)) = (number(args.next()), number(args.next())) else {
        eprintln!("brig worker: {WORKER_COMMAND} is not for use by hand");
        return Some(2);
    };
    match read_settings(settings).and_then(|s| Ok((s, Channel::from(inherited(channel)?)))) {
        Ok((settings, channel)) => {
            let index = settings.index;
            match worker::run(settings, channel) {
                Ok(()) => Some(0),
                Err(fault) => {
                    eprintln!("brig worker {index}: {fault}");
                    Some(1)
                }
            }
        }
        Err(e) => {
            eprintln!("brig worker: {e}");
            Some(2)
        }
    }
}

fn read_settings(fd: RawFd) -> io::Result<Settings> {
    let mut bytes = Vec::new();
    File::from(inherited(fd)?).read_to_end(&mut bytes)?;
    postcard::from_bytes(&bytes).map_err(io::Error::other)
}
