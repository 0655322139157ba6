//! seccomp(2) and its user notifications (seccomp_unotify(2)).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use serde::{Deserialize, Serialize};

use super::check;

/// A compiled filter: BPF instructions as the kernel takes them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct Program(Vec<libc::sock_filter>);

impl TryFrom<Vec<u8>> for Program {
    type Error = &'static str;

    fn try_from(bytes: Vec<u8>) -> Result<Self, Self::Error> {
        Self::from_bytes(&bytes).ok_or("these bytes are no filter")
    }
}

impl From<Program> for Vec<u8> {
    fn from(program: Program) -> Self {
        program.to_bytes()
    }
}

impl Program {
    /// Reads instructions from `bytes` as `seccomp_export_bpf(3)` writes them: 8 bytes each.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if !bytes.len().is_multiple_of(8) {
            return None;
        }
        let instruction = |b: &[u8]| libc::sock_filter {
            code: u16::from_ne_bytes([b[0], b[1]]),
            jt: b[2],
            jf: b[3],
            k: u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
        };
        Self::of(bytes.chunks_exact(8).map(instruction).collect())
    }

    /// As [`Program::from_bytes`] reads it.
    fn to_bytes(&self) -> Vec<u8> {
        let instruction = |i: &libc::sock_filter| {
            let (code, k) = (i.code.to_ne_bytes(), i.k.to_ne_bytes());
            [&code[..], &[i.jt, i.jf], &k[..]].concat()
        };
        self.0.iter().flat_map(instruction).collect()
    }

    /// Its instructions.
    pub(crate) fn instructions(&self) -> &[libc::sock_filter] {
        &self.0
    }

    /// The one of these instructions, if it is not too long to be one.
    pub(crate) fn of(instructions: Vec<libc::sock_filter>) -> Option<Self> {
        (1..=usize::from(u16::MAX))
            .contains(&instructions.len())
            .then_some(Self(instructions))
    }
}

/// Puts the calling thread under `program` for good and returns the listener on which forbidden
/// calls are announced. Needs no_new_privs.
pub fn install(program: &Program) -> io::Result<OwnedFd> {
    let prog = libc::sock_fprog {
        len: u16::try_from(program.0.len()).map_err(io::Error::other)?,
        // The kernel only reads; the field is not const for historical reasons.
        filter: program.0.as_ptr().cast_mut(),
    };
    // SAFETY: `prog` and the instructions it points to outlive the call; `len` is their number.
    let fd = check(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const prog,
        )
    })?;
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: with NEW_LISTENER the answer is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A call that the filter stopped; its thread is blocked in it.
#[derive(Clone, Copy, Debug)]
pub struct StoppedCall {
    /// `AUDIT_ARCH_*` of the ABI it was made through.
    pub arch: u32,
    /// Its number.
    pub number: i32,
}

/// One announcement of a stopped call.
#[derive(Clone, Copy, Debug)]
pub struct Notification {
    /// What its answer must name.
    pub id: u64,
    /// The thread, as the pid namespace of the listener's reader numbers it.
    pub thread: u32,
    /// The call.
    pub call: StoppedCall,
}

/// Takes the next stopped call from `listener`, blocking until there is one.
pub fn next_stopped_call(listener: BorrowedFd<'_>) -> io::Result<StoppedCall> {
    next_notification(listener).map(|notification| notification.call)
}

/// The same, for those who mean to answer.
pub fn next_notification(listener: BorrowedFd<'_>) -> io::Result<Notification> {
    // SAFETY: all-zero is a valid `seccomp_notif` (integers only), and the ioctl demands it so.
    let mut notification: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one `seccomp_notif` (the size is part of the request's number) to
    // `notification`, which outlives the call.
    let answer = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_RECV,
            &raw mut notification,
        )
    };
    check(answer.into())?;
    Ok(Notification {
        id: notification.id,
        thread: notification.pid,
        call: StoppedCall {
            arch: notification.data.arch,
            number: notification.data.nr,
        },
    })
}

/// Makes `fd` the descriptor `number` of the process whose call `id` is stopped, open across
/// `execve`, in place of what it has there.
pub fn install_fd(
    listener: BorrowedFd<'_>,
    id: u64,
    fd: BorrowedFd<'_>,
    number: u32,
) -> io::Result<()> {
    let request = libc::seccomp_notif_addfd {
        id,
        // A constant of 1, declared with another type.
        flags: u32::try_from(libc::SECCOMP_ADDFD_FLAG_SETFD).map_err(io::Error::other)?,
        srcfd: fd.as_raw_fd().cast_unsigned(),
        newfd: number,
        newfd_flags: 0,
    };
    // SAFETY: the kernel reads one `seccomp_notif_addfd` (the size is part of the request's
    // number), which outlives the call.
    let answer = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_ADDFD,
            &raw const request,
        )
    };
    check(answer.into()).map(|_| ())
}

/// Lets the stopped call `id` answer `value`, without having been made.
pub fn answer(listener: BorrowedFd<'_>, id: u64, value: i64) -> io::Result<()> {
    let response = libc::seccomp_notif_resp {
        id,
        val: value,
        error: 0,
        flags: 0,
    };
    // SAFETY: the kernel reads one `seccomp_notif_resp` (the size is part of the request's number),
    // which outlives the call.
    let answer = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SEND,
            &raw const response,
        )
    };
    check(answer.into()).map(|_| ())
}
