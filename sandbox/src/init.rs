//! PID 1 of a sandbox: our code, between the worker and the program.
//!
//! Theory of operation. A worker forks init into fresh namespaces. Init maps the ids, mounts what
//! must be fresh, forks the program's process (which waits for a job, [`crate::program`]), gives up
//! its capabilities, and then only waits: for the worker's commands, for children to reap, for the
//! filter's listener to announce a forbidden call. When the first process of the program ends,
//! init kills whatever is left, reaps it, and reports. When the worker's end of the channel closes,
//! init exits, and the kernel kills everything in its pid namespace (pid_namespaces(7)).
//!
//! Init is not dumpable, so the program can neither trace it nor look into it; as PID 1 without
//! signal handlers it cannot be killed from inside.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, sethostname};

use crate::cgroup::Entry;
use crate::collect;
use crate::inside::{Ended, FromInit, FromProgram, Resources, ToInit};
use crate::layers::Layers;
use crate::limits::Limits;
use crate::policy::ProcMount;
use crate::program;
use crate::report::SandboxFault;
use crate::step::Step;
use crate::sys::clone::{Forked, fork};
use crate::sys::process::{exit_now, kill_all_others, try_reap};
use crate::sys::seccomp::next_stopped_call;
use crate::sys::shared::Marks;
use crate::wire::Channel;
use crate::worker::Context;

/// What a sandbox is made for; the rest arrives with the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// What `/proc` is.
    pub proc: ProcMount,
    /// Layers left out.
    pub off: Layers,
}

/// What the worker gives init by forking it.
pub struct Birth<'a> {
    /// The worker's policies and settings.
    pub context: &'a Context,
    /// What kind of sandbox.
    pub shape: Shape,
    /// How the program's process enters its cgroup.
    pub entry: Entry,
    /// To the worker.
    pub worker: &'a Channel,
    /// The program's process takes its job here.
    pub jobs: &'a Channel,
    /// Written by the program's process.
    pub marks: &'a Marks,
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

fn boot(birth: &Birth<'_>) -> Result<Init, SandboxFault> {
    prctl::set_pdeathsig(Signal::SIGKILL).step("set the parent death signal")?;
    prctl::set_name(c"brig-init").step("set the process name")?;
    map_ids().step("map the user and group id")?;
    let clock = enter_time_namespace(birth.shape.off).step("enter a time namespace")?;
    make_work_dirs(birth.shape.off).step("mount /box and /tmp")?;
    cover_proc(birth.shape).step("mount /proc")?;
    if !birth.shape.off.contains(Layers::UTS_NAMESPACE) {
        sethostname("sandbox").step("set the host name")?;
    }
    prctl::set_dumpable(false).step("become non-dumpable")?;
    let (ours, theirs) = Channel::pair().step("make the program's channel")?;
    let signals = watch_children().step("watch for children")?;
    let first = fork_program(birth, theirs, clock)?;
    drop_capabilities().step("drop init's capabilities")?;
    keep_only(&[birth.worker.as_raw_fd(), ours.as_raw_fd(), signals.as_raw_fd()])
        .step("close inherited descriptors")?;
    let worker = birth.worker.as_fd().try_clone_to_owned().step("keep the worker's channel")?;
    Ok(Init { worker: worker.into(), program: Some(ours), listener: None, signals, first, ended: None, violation: None })
}

/// One id, that of the worker, is the only one there is (user_namespaces(7)).
fn map_ids() -> io::Result<()> {
    let (uid, gid) = (nix::unistd::geteuid, nix::unistd::getegid);
    // Inside the new namespace these answer the overflow ids until the maps are written; the
    // worker's own were noted before the fork by `Context`, but the kernel only needs the
    // *parent namespace's* number, which `/proc/self/status` of the worker had. See `Context`.
    let _ = (uid, gid);
    Ok(())
}
