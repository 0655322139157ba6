//! Anonymous files (memfd_create(2)): how bytes enter and leave a sandbox.

use std::ffi::CStr;
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// An empty, sealable memfd.
pub fn create(name: &CStr) -> io::Result<OwnedFd> {
    Ok(memfd_create(
        name,
        MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING,
    )?)
}

/// Makes the content immutable for everybody, this process included, and the seals final.
pub fn seal(fd: &OwnedFd) -> io::Result<()> {
    let seals = SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_SEAL;
    fcntl(fd, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(())
}

/// A sealed, read-only descriptor of `content` at offset 0, fit to be a program's stdin: it can be
/// mapped and sought like a file, and nobody can write to it or reopen it for writing (its mode is
/// 0444, and seals hold even for its owner).
pub fn read_only(name: &CStr, content: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(create(name)?);
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(0o444))?;
    let fd = OwnedFd::from(file);
    seal(&fd)?;
    reopen_read_only(&fd)
}

/// A new open file description of `fd`, read-only and at offset 0.
pub fn reopen_read_only(fd: &OwnedFd) -> io::Result<OwnedFd> {
    File::open(format!("/proc/self/fd/{}", fd.as_raw_fd())).map(OwnedFd::from)
}
