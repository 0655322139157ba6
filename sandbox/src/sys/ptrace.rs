//! ptrace(2), as far as holding a program back needs it.

use std::io::{self, IoSliceMut};

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A system call that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number.
    pub number: i64,
    /// Its arguments, whether it takes that many or not.
    pub arguments: [u64; 6],
}

/// Why a traced process stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// `execve` succeeded; nothing of the new program has run.
    Executed,
    /// Before a system call, and before the seccomp filter sees it (seccomp(2), "ptrace").
    Entering(Call),
    /// After a system call.
    Left,
    /// A signal is about to be delivered.
    Signal(Signal),
    /// It does not stand still: it is over.
    Ended,
    /// Something else, such as being stopped as a group.
    Other,
}

/// `PTRACE_SYSCALL_INFO_ENTRY` and `PTRACE_SYSCALL_INFO_EXIT` (linux/ptrace.h).
const INFO_ENTRY: u8 = 1;
const INFO_EXIT: u8 = 2;

/// Starts tracing child `pid`, which goes on running until its `execve`. It dies with its tracer.
pub fn seize(pid: Pid) -> io::Result<()> {
    let options =
        Options::PTRACE_O_EXITKILL | Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_TRACESYSGOOD;
    Ok(ptrace::seize(pid, options)?)
}

/// Waits until `pid`, and no other child, stands still or is over.
pub fn next_stop(pid: Pid) -> io::Result<Stop> {
    let status = loop {
        match waitpid(pid, Some(WaitPidFlag::__WALL)) {
            Err(nix::errno::Errno::EINTR) => {}
            answer => break answer?,
        }
    };
    Ok(match status {
        WaitStatus::PtraceEvent(_, _, event) if event == libc::PTRACE_EVENT_EXEC => Stop::Executed,
        WaitStatus::PtraceSyscall(_) => system_call(pid)?,
        WaitStatus::Stopped(_, signal) => Stop::Signal(signal),
        WaitStatus::Exited(..) | WaitStatus::Signaled(..) => Stop::Ended,
        _ => Stop::Other,
    })
}

fn system_call(pid: Pid) -> io::Result<Stop> {
    let info = ptrace::syscall_info(pid)?;
    Ok(match info.op {
        INFO_ENTRY => {
            // SAFETY: `op` says that `entry` is the member the kernel filled in (ptrace(2)).
            let entry = unsafe { info.u.entry };
            Stop::Entering(Call {
                number: entry.nr.cast_signed(),
                arguments: entry.args,
            })
        }
        INFO_EXIT => Stop::Left,
        _ => Stop::Other,
    })
}

/// Lets `pid` go on to its next stop, with `signal` delivered to it.
pub fn go_on(pid: Pid, signal: Option<Signal>) -> io::Result<()> {
    Ok(ptrace::syscall(pid, signal)?)
}

/// Lets `pid`, which stands before `call`, make call `number` instead, and go on to its next stop, which
/// is after that call. If it answers the value that this returns, the process then makes `call`, as if
/// nothing had happened.
#[cfg(target_arch = "x86_64")]
pub fn divert(pid: Pid, call: &Call, number: u32) -> io::Result<i64> {
    /// Of the `syscall` instruction, which the instruction pointer is already past.
    const INSTRUCTION_BYTES: u64 = 2;
    let mut registers = ptrace::getregs(pid)?;
    registers.rip -= INSTRUCTION_BYTES;
    registers.orig_rax = number.into();
    ptrace::setregs(pid, registers)?;
    ptrace::syscall(pid, None)?;
    // A call's answer is in the register that holds the next one's number. The other registers
    // that a call may change, rcx and r11, are changed by the call made again.
    Ok(call.number)
}

/// Not written for this architecture: which registers have to be what differs.
#[cfg(not(target_arch = "x86_64"))]
pub fn divert(_: Pid, _: &Call, _: u32) -> io::Result<i64> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Traces `pid`, which stands still, no longer, and lets it go on.
pub fn detach(pid: Pid) -> io::Result<()> {
    Ok(ptrace::detach(pid, None)?)
}

/// The bytes up to the first NUL at `address` in `pid`. `None`: there is no such string there of at
/// most `max` bytes.
pub fn read_string(pid: Pid, address: u64, max: usize) -> Option<Vec<u8>> {
    /// No page is smaller, and a piece must not reach into a page that may not be there.
    const PAGE: usize = 4096;
    let mut string = Vec::new();
    let mut at = usize::try_from(address).ok()?;
    while string.len() <= max {
        let mut piece = [0; 256];
        let len = piece.len().min(PAGE - at % PAGE);
        let remote = [RemoteIoVec { base: at, len }];
        let read = process_vm_readv(pid, &mut [IoSliceMut::new(&mut piece[..len])], &remote);
        let read = read.ok().filter(|read| *read > 0)?;
        let piece = &piece[..read];
        if let Some(end) = piece.iter().position(|byte| *byte == 0) {
            string.extend_from_slice(&piece[..end]);
            return (string.len() <= max).then_some(string);
        }
        string.extend_from_slice(piece);
        at += read;
    }
    None
}
