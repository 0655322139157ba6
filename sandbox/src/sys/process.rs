//! Waiting, signals and process attributes.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::sys::resource::Resource;
use nix::sys::signal::{SigHandler, Signal};
use nix::unistd::Pid;

use super::check;

/// How a child ended and what it, and the children it waited for, used.
#[derive(Clone, Copy, Debug)]
pub struct Reaped {
    /// Its pid.
    pub pid: i32,
    /// The status as wait4(2) encodes it.
    pub status: i32,
}

impl Reaped {
    /// Its exit code, if it exited.
    pub fn exit_code(&self) -> Option<i32> {
        libc::WIFEXITED(self.status).then(|| libc::WEXITSTATUS(self.status))
    }

    /// The signal that ended it, if one did.
    pub fn signal(&self) -> Option<i32> {
        libc::WIFSIGNALED(self.status).then(|| libc::WTERMSIG(self.status))
    }
}

/// Reaps one ended child. `None`: there are children, but none has ended.
pub fn try_reap() -> io::Result<Option<Reaped>> {
    reap(libc::WNOHANG)
}

fn reap(options: i32) -> io::Result<Option<Reaped>> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    let pid = check(unsafe { libc::waitpid(-1, &raw mut status, options | libc::__WALL) }.into())?;
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    Ok((pid > 0).then_some(Reaped { pid, status }))
}

/// Waits for the child behind `pidfd` and reaps it.
pub fn reap_pidfd(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    let id = libc::id_t::try_from(pidfd.as_raw_fd()).map_err(io::Error::other)?;
    // SAFETY: a null siginfo is allowed (waitid(2)); nothing else is written.
    check(unsafe { libc::waitid(libc::P_PIDFD, id, std::ptr::null_mut(), libc::WEXITED) }.into())?;
    Ok(())
}

/// Sends `signal` to the process behind `pidfd`.
pub fn signal_pidfd(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: a null siginfo means that of kill(2); no memory is touched.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    })?;
    Ok(())
}

/// Sends SIGKILL to every process this one may signal, itself excepted (kill(2) with pid -1).
///
/// For PID 1 of a pid namespace only, where "every" means every other process of that namespace.
/// Refuses elsewhere.
pub fn kill_all_others() -> io::Result<()> {
    assert_eq!(
        std::process::id(),
        1,
        "kill(-1) is for PID 1 of a pid namespace"
    );
    // SAFETY: touches no memory.
    match check(unsafe { libc::kill(-1, libc::SIGKILL) }.into()) {
        // Nobody is left.
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        answer => answer.map(|_| ()),
    }
}

/// Runs `body` as the whole life of a forked child. A panic must not unwind into what the parent was
/// doing when it forked.
pub fn be_child(body: impl FnOnce()) -> ! {
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
    // As a panic ends a process (std::process::ExitCode).
    exit_now(101)
}

/// Ends the calling process at once, without destructors or `atexit` handlers: those belong to the
/// process it was forked from.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: never returns, touches no memory.
    unsafe { libc::_exit(code) }
}

/// Sets what `signal` does to `SIG_DFL` or `SIG_IGN`.
pub fn reset_signal(signal: Signal, handler: SigHandler) -> io::Result<()> {
    assert!(!matches!(
        handler,
        SigHandler::Handler(_) | SigHandler::SigAction(_)
    ));
    // SAFETY: the default and ignoring run no code of this process (asserted above).
    unsafe { nix::sys::signal::signal(signal, handler) }?;
    Ok(())
}

/// Lowers a resource limit of another process of the same user to `value`, the hard one, too.
pub fn limit_process(pid: Pid, resource: Resource, value: u64) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: value,
        rlim_max: value,
    };
    // SAFETY: the kernel reads one `rlimit`, which outlives the call; a null old limit is allowed
    // (prlimit(2)).
    let answer = unsafe {
        libc::prlimit(
            pid.as_raw(),
            resource as _,
            &raw const limit,
            std::ptr::null_mut(),
        )
    };
    check(answer.into()).map(|_| ())
}

/// Gives back free heap memory to the kernel, which the allocator would keep. A fork copies page tables only for what is mapped.
pub fn trim_heap() {
    // SAFETY: malloc_trim is safe to call at any time (malloc_trim(3)).
    unsafe { libc::malloc_trim(0) };
}
