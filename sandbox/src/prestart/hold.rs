//! Init's part: starting, holding and releasing.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::resource::Resource;
use nix::unistd::Pid;

use super::paths::{LookedAt, Meaning};
use super::{MAX_FILES_BYTES, Release};
use crate::archive::Reader;
use crate::init::now_ns;
use crate::inside::FromProgram;
use crate::program::unpack;
use crate::report::SandboxFault;
use crate::step::Step;
use crate::sys::process::limit_process;
use crate::sys::ptrace::{self, Call, Stop};
use crate::sys::seccomp;
use crate::sys::shared::{Mark, Marks};
use crate::wire::Channel;

/// The most stops on the way to the script: an interpreter that makes more calls is not held.
const MAX_STOPS: u32 = 200_000;

/// A call that every policy stops: through the x32 ABI (`__X32_SYSCALL_BIT`, asm/unistd.h), with a number
/// that nothing has.
pub const DIVERSION: u32 = 0x4000_0000 | 0xfff;

/// An interpreter that waits to be released.
#[derive(Debug)]
pub struct Held {
    /// Of its stopped call.
    id: u64,
    /// The answer that makes it go on.
    answer: i64,
    looked_at: LookedAt,
}

/// Takes process `first`, which is traced and about to execute, to where it is held. `program` is its
/// channel until it executes. Also returns its filter's listener.
pub fn hold(first: Pid, program: &Channel, script: &str) -> Result<(Held, OwnedFd), SandboxFault> {
    const STEP: &str = "hold the interpreter at its script";
    let mut looked_at = LookedAt::new(script)
        .ok_or_else(|| io::Error::other("the script is not in /box"))
        .step(STEP)?;
    until_executed(first).step(STEP)?;
    let listener = match program.recv::<FromProgram>().step(STEP)? {
        Some((FromProgram::Failed(fault), _)) => return Err(fault),
        Some((FromProgram::Locked, mut fds)) => fds.pop(),
        Some((FromProgram::Traceable | FromProgram::Parked, _)) | None => None,
    };
    let listener = listener
        .ok_or_else(|| io::Error::other("it has no seccomp filter"))
        .step(STEP)?;
    let call = until_script(first, &mut looked_at).step(STEP)?;
    let answer = ptrace::divert(first, &call, DIVERSION).step(STEP)?;
    let notification = seccomp::next_notification(listener.as_fd()).step(STEP)?;
    if notification.thread != first.as_raw().unsigned_abs()
        || notification.call.number.cast_unsigned() != DIVERSION
    {
        return Err(io::Error::other("it made a forbidden call of its own")).step(STEP);
    }
    let held = Held {
        id: notification.id,
        answer,
        looked_at,
    };
    Ok((held, listener))
}

/// Up to `execve`, or to the end of the process, which then has told why.
fn until_executed(first: Pid) -> io::Result<()> {
    loop {
        match ptrace::next_stop(first)? {
            Stop::Executed | Stop::Ended => return Ok(()),
            Stop::Signal(signal) => ptrace::go_on(first, Some(signal))?,
            _ => return Err(io::Error::other("it was stopped before it began")),
        }
    }
}

fn until_script(first: Pid, looked_at: &mut LookedAt) -> io::Result<Call> {
    for _ in 0..MAX_STOPS {
        ptrace::go_on(first, None)?;
        match ptrace::next_stop(first)? {
            Stop::Entering(call) => match looked_at.note(first, &call) {
                Meaning::Script => return Ok(call),
                Meaning::Unfit(why) => return Err(io::Error::other(why)),
                Meaning::None => {}
            },
            Stop::Left => {}
            Stop::Ended => return Err(io::Error::other("it ended without reading its script")),
            Stop::Signal(_) => return Err(io::Error::other("it got a signal")),
            Stop::Executed | Stop::Other => return Err(io::Error::other("it was stopped")),
        }
    }
    Err(io::Error::other("it makes too many system calls"))
}

impl Held {
    /// Lets the interpreter go, with the job's streams and files. An error means that it was not.
    pub fn release(
        self,
        first: Pid,
        listener: BorrowedFd<'_>,
        release: &Release,
        mut fds: Vec<OwnedFd>,
        marks: &Marks,
    ) -> Result<(), SandboxFault> {
        if fds.len() < 3 {
            return Err(io::Error::other("streams are missing")).step("receive the job");
        }
        for archive in fds.split_off(3) {
            self.unpack(archive).step("write the job's files to /box")?;
        }
        limit_process(first, Resource::RLIMIT_CPU, release.cpu_seconds)
            .step("set resource limits")?;
        for (fd, number) in fds.iter().zip(0..) {
            seccomp::install_fd(listener, self.id, fd.as_fd(), number)
                .step("set stdin, stdout and stderr")?;
        }
        marks.set(&Mark {
            execve_at_ns: now_ns().step("read the clock")?,
            setup_cpu_ns: release.start_up_cpu_ns,
            resources: release.start_up,
        });
        self.let_go(first, listener).step("release the interpreter")
    }

    /// Ends the diverted call, and the tracing once it has been left.
    fn let_go(&self, first: Pid, listener: BorrowedFd<'_>) -> io::Result<()> {
        seccomp::answer(listener, self.id, self.answer)?;
        match ptrace::next_stop(first)? {
            Stop::Left => ptrace::detach(first),
            _ => Err(io::Error::other("it has ended meanwhile")),
        }
    }

    fn unpack(&self, archive: OwnedFd) -> io::Result<()> {
        let reader = Reader::open(archive)?;
        let bytes: u64 = reader.entries().iter().map(|entry| entry.len).sum();
        if bytes > MAX_FILES_BYTES {
            return Err(io::Error::other("the files are too large"));
        }
        let mut paths = reader.entries().iter().map(|entry| &entry.path);
        if let Some(path) = paths.find(|path| self.looked_at.concerns(path)) {
            let why = format!("the interpreter has already looked for {path}");
            return Err(io::Error::other(why));
        }
        unpack(&reader)
    }
}
