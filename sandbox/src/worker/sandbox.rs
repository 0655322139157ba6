//! The worker's handle on one sandbox.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;

use super::Context;
use crate::cgroup::Leaf;
use crate::init::{self, Birth, Shape};
use crate::layers::Layers;
use crate::report::SandboxFault;
use crate::step::Step;
use crate::sys::clone::{Forked, fork};
use crate::sys::process::{be_child, reap_pidfd, signal_pidfd};
use crate::sys::shared::Marks;
use crate::wire::Channel;

/// One sandbox, from its making to its end. It serves one stage.
pub(super) struct Sandbox {
    pub(super) shape: Shape,
    pub(super) leaf: Box<dyn Leaf>,
    /// To init; when it closes, init exits.
    pub(super) init: Channel,
    /// To the program's process; closes at its `execve`.
    pub(super) jobs: Channel,
    pub(super) marks: Marks,
    pidfd: OwnedFd,
}

/// How long an init may take to exit after it was killed; a program's memory is freed meanwhile.
const EXIT_BOUND: Duration = Duration::from_secs(20);

impl Sandbox {
    /// Makes a sandbox around `leaf`. Init does its part of the work after this returns; if that
    /// fails, it says so on `init`. With a `script`, what its program's process executes is held there. `expected` is the
    /// policy of the job to come, most likely.
    pub(super) fn create(
        context: &Context,
        shape: Shape,
        leaf: Box<dyn Leaf>,
        script: Option<&str>,
        expected: Option<&str>,
    ) -> Result<Self, SandboxFault> {
        let made = Self::fork_init(context, shape, leaf.as_ref(), script, expected);
        match made {
            Ok((init, jobs, marks, pidfd)) => Ok(Self {
                shape,
                leaf,
                init,
                jobs,
                marks,
                pidfd,
            }),
            Err(fault) => {
                let _ = leaf.remove();
                Err(fault)
            }
        }
    }

    fn fork_init(
        context: &Context,
        shape: Shape,
        leaf: &dyn Leaf,
        script: Option<&str>,
        expected: Option<&str>,
    ) -> Result<(Channel, Channel, Marks, OwnedFd), SandboxFault> {
        let entry = leaf.entry().step("open the sandbox's cgroup")?;
        let (init, inits_end) = Channel::pair().step("make the channel to init")?;
        let (jobs, programs_end) = Channel::pair().step("make the channel to the program")?;
        let marks = Marks::new().step("make the shared page")?;
        match fork(namespaces(shape.off), None).step("clone3 into fresh namespaces")? {
            Forked::Parent { pidfd, .. } => Ok((init, jobs, marks, pidfd)),
            Forked::Child => be_child(|| {
                let birth = Birth {
                    context,
                    shape,
                    entry,
                    worker: &inits_end,
                    jobs: &programs_end,
                    marks: &marks,
                    expected,
                    script,
                };
                init::run(&birth)
            }),
        }
    }

    /// Kills init, and with it all that is left in the sandbox.
    pub(super) fn end(self) -> Ending {
        self.kill();
        Ending {
            pidfd: self.pidfd,
            leaf: self.leaf,
            since: Instant::now(),
        }
    }

    /// Ends the sandbox, waits until it is gone, and removes the cgroup.
    pub(super) fn destroy(self) -> Result<(), SandboxFault> {
        let leaf = self.end().wait()?;
        leaf.remove().step("remove the sandbox's cgroup")
    }

    /// Kills the sandbox outright. Init may have exited by itself.
    pub(super) fn kill(&self) {
        let _ = signal_pidfd(self.pidfd.as_fd(), libc::SIGKILL);
    }
}

/// A sandbox whose init was killed: the kernel takes its namespaces and mounts apart.
pub(super) struct Ending {
    pidfd: OwnedFd,
    leaf: Box<dyn Leaf>,
    since: Instant,
}

impl Ending {
    /// Its end comes as readiness of this.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Waits for the end; what is left is the leaf.
    pub(super) fn wait(self) -> Result<Box<dyn Leaf>, SandboxFault> {
        let left = EXIT_BOUND.saturating_sub(self.since.elapsed());
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        let bound = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        if poll(&mut fds, bound).step("wait for init's end")? == 0 {
            return Err(SandboxFault {
                step: "wait for init's end".to_owned(),
                detail: format!("it is still there {EXIT_BOUND:?} after SIGKILL"),
                errno: None,
                started: true,
            });
        }
        reap_pidfd(self.pidfd.as_fd()).step("reap init")?;
        Ok(self.leaf)
    }
}

/// What is new for init: user, pid and mount namespace always, the others unless switched off. The
/// cgroup and time namespaces are entered later, by the program's process and init.
fn namespaces(off: Layers) -> CloneFlags {
    let mut flags = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
    for (layer, flag) in [
        (Layers::NETWORK_NAMESPACE, CloneFlags::CLONE_NEWNET),
        (Layers::IPC_NAMESPACE, CloneFlags::CLONE_NEWIPC),
        (Layers::UTS_NAMESPACE, CloneFlags::CLONE_NEWUTS),
    ] {
        if !off.contains(layer) {
            flags |= flag;
        }
    }
    flags
}
