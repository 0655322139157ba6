//! clone3(2) as a fork with flags.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sched::CloneFlags;
use nix::unistd::Pid;

use super::check;

const CLONE_PIDFD: u64 = 0x1000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// `struct clone_args` (linux/sched.h), all 88 bytes of version 2.
#[repr(C, align(8))]
#[derive(Default)]
pub(super) struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

impl CloneArgs {
    /// For a child that tells its end by SIGCHLD and starts in `cgroup` (a directory of a v2 hierarchy) if
    /// given. The flags are bits; the sign of the type they are declared with means nothing.
    pub(super) fn new(flags: i32, cgroup: Option<BorrowedFd<'_>>) -> Self {
        let mut args = Self {
            flags: u64::from(flags.cast_unsigned()),
            exit_signal: libc::SIGCHLD as u64,
            ..Self::default()
        };
        if let Some(cgroup) = cgroup {
            args.flags |= CLONE_INTO_CGROUP;
            args.cgroup = u64::try_from(cgroup.as_raw_fd()).unwrap_or(u64::MAX);
        }
        args
    }

    /// Gives the child a stack of its own, which begins at `base`.
    pub(super) fn set_stack(&mut self, base: u64, bytes: u64) {
        (self.stack, self.stack_size) = (base, bytes);
    }
}

/// Which side of a [`fork`] this is.
#[derive(Debug)]
pub enum Forked {
    /// The new process.
    Child,
    /// The old one.
    Parent {
        /// The child's pid as this process sees it.
        pid: Pid,
        /// A descriptor that becomes readable when the child ends (pidfd_open(2)).
        pidfd: OwnedFd,
    },
}

/// Forks with namespaces `flags` new for the child, which starts in `cgroup` (a directory of a v2
/// hierarchy) if given.
///
/// Only for processes with a single thread: a fork copies the locks that other threads hold. The
/// supervisor, workers and inits never start a thread; see [`assert_single_threaded`].
pub fn fork(flags: CloneFlags, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Forked> {
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs::new(flags.bits(), cgroup);
    args.flags |= CLONE_PIDFD;
    args.pidfd = (&raw mut pidfd) as u64;
    // SAFETY: without CLONE_VM the child gets its own copy of this memory and stack, as with
    // fork(); callers are single-threaded, so no lock is held by a thread that the child lacks;
    // `args` and `pidfd` outlive the call, and the size passed is that of `args`.
    let pid =
        check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) })?;
    if pid == 0 {
        return Ok(Forked::Child);
    }
    // SAFETY: the call succeeded with CLONE_PIDFD, so `pidfd` is a descriptor nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let pid = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
    Ok(Forked::Parent { pid, pidfd })
}

/// Panics unless this process has exactly one thread. Called once where a process that forks
/// starts its work.
pub fn assert_single_threaded() {
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    assert_eq!(threads, 1, "a process that forks must be single-threaded");
}
