//! Files that were made once for many stages to start from, such as a precompiled header: one directory of
//! the host, shown read-only in every sandbox of a worker.
//!
//! The directory is bound, not its files: what appears in it later appears in every sandbox, so nothing has
//! to be mounted for a job, and all programs share the same pages of the page cache.
//!
//! It lies where a worker's user cannot get by its path (the data directory is nobody else's business). But a
//! copy of a mount namespace takes the working directory along, on the copied mount: whoever starts a
//! worker stands in the directory while it does ([`Directory::enter`]), and the worker binds where it finds
//! itself ([`tree`]).

use std::io;
use std::os::fd::OwnedFd;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, fchdir};

use crate::sys::mount::{NO_DEV, NO_EXEC, NO_SUID, READ_ONLY, clone_tree, set_attributes};

/// Where sandboxes have the directory.
pub const PATH: &str = "/brig/prepared";

/// The directory, for whoever starts workers.
#[derive(Debug)]
pub struct Directory {
    directory: OwnedFd,
    /// The working directory to come back to.
    home: OwnedFd,
}

/// While it lives, the working directory is the one of prepared files.
pub(crate) struct Entered<'a>(&'a Directory);

impl Directory {
    /// Takes over an open directory. Its own mode must let the workers' users search it.
    pub fn new(directory: OwnedFd) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let home = open(".", flags, Mode::empty())?;
        Ok(Self { directory, home })
    }

    /// Makes it the working directory. Only for processes with a single thread.
    pub(crate) fn enter(&self) -> io::Result<Entered<'_>> {
        fchdir(&self.directory)?;
        Ok(Entered(self))
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        // Rights to it may have been given up since it was opened.
        if fchdir(&self.0.home).is_err() {
            let _ = chdir("/");
        }
    }
}

/// In a worker that was started from there: a copy of the directory's mount, for it to attach.
pub(crate) fn tree(writable: bool) -> io::Result<OwnedFd> {
    let tree = clone_tree(c".")?;
    let read_only = if writable { 0 } else { READ_ONLY };
    set_attributes(&tree, NO_SUID | NO_DEV | NO_EXEC | read_only)?;
    Ok(tree)
}
