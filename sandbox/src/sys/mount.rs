//! The mount calls that work on descriptors: open_tree(2), move_mount(2), mount_setattr(2).

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::check;

const OPEN_TREE_CLONE: u32 = 1;
const AT_RECURSIVE: u32 = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x4;

/// `MOUNT_ATTR_RDONLY` (linux/mount.h).
pub const READ_ONLY: u64 = 0x1;
/// `MOUNT_ATTR_NOSUID`.
pub const NO_SUID: u64 = 0x2;
/// `MOUNT_ATTR_NOEXEC`.
pub const NO_EXEC: u64 = 0x8;
/// `MOUNT_ATTR_NODEV`.
pub const NO_DEV: u64 = 0x4;

/// `struct mount_attr` (linux/mount.h).
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// A detached copy of the mounts at and below `path`.
pub fn clone_tree(path: &CStr) -> io::Result<OwnedFd> {
    open_tree(libc::AT_FDCWD, path, AT_RECURSIVE)
}

/// A detached copy of the mount at `path` below `dir`, and of none below it.
pub fn clone_tree_at(dir: BorrowedFd<'_>, path: &CStr) -> io::Result<OwnedFd> {
    open_tree(dir.as_raw_fd(), path, 0)
}

fn open_tree(dir: RawFd, path: &CStr, flags: u32) -> io::Result<OwnedFd> {
    let flags = OPEN_TREE_CLONE | flags | libc::O_CLOEXEC.cast_unsigned();
    // SAFETY: `path` is NUL-terminated.
    let fd = check(unsafe { libc::syscall(libc::SYS_open_tree, dir, path.as_ptr(), flags) })?;
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the call succeeded, so `fd` is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches the detached `tree` at `target`.
pub fn attach(tree: impl AsFd, target: &CStr) -> io::Result<()> {
    // SAFETY: both paths are NUL-terminated.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    })?;
    Ok(())
}

/// Sets `attributes` on every mount of `tree`, and takes all of them out of propagation.
pub fn set_attributes(tree: impl AsFd, attributes: u64) -> io::Result<()> {
    let attr = MountAttr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    // SAFETY: the path is NUL-terminated, `attr` outlives the call and the size passed is its own.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            AT_RECURSIVE | libc::AT_EMPTY_PATH.cast_unsigned(),
            &raw const attr,
            size_of::<MountAttr>(),
        )
    })?;
    Ok(())
}
