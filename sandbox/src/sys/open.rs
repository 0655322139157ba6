//! openat2(2) and close_range(2).

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::check;

/// `struct open_how` (linux/openat2.h).
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
const RESOLVE_NO_SYMLINKS: u64 = 0x04;
const RESOLVE_BENEATH: u64 = 0x08;

/// Opens `path` below `dir` without following any symbolic link or leaving `dir`: the only way in
/// which a path that a program may have prepared is ever opened.
pub fn beneath(dir: BorrowedFd<'_>, path: &CStr, flags: i32, mode: u32) -> io::Result<OwnedFd> {
    let how = OpenHow {
        flags: u64::from((flags | libc::O_CLOEXEC).cast_unsigned()),
        mode: u64::from(mode),
        resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    // SAFETY: `path` is NUL-terminated, `how` outlives the call and the size passed is its own.
    let fd = check(unsafe {
        libc::syscall(
            libc::SYS_openat2,
            dir.as_raw_fd(),
            path.as_ptr(),
            &raw const how,
            size_of::<OpenHow>(),
        )
    })?;
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the call succeeded, so `fd` is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Closes every descriptor from `first` to `last`, both included.
///
/// For processes about to `execve` or to drop every descriptor they know: `OwnedFd`s of that range
/// must not be used or dropped afterwards.
pub fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: touches no memory. Callers leave no owner of a closed descriptor behind (see above).
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })?;
    Ok(())
}

/// Takes ownership of descriptor `fd`, which the parent process announced as this process's own
/// (on its command line).
pub fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl touches no memory; it fails if `fd` is not open.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }.into())?;
    // SAFETY: it is open, and was left open for this process alone; each number is taken once.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Takes ownership of descriptor `fd`, which recvmsg(2) has just installed in this process.
pub(crate) fn received(fd: RawFd) -> OwnedFd {
    // SAFETY: the kernel installed it for this one message, which is read once; nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
