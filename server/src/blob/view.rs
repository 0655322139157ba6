//! A read-only way to the data directory, for descriptors that programs get in rootless mode.
//!
//! There, programs have the user id that owns the files. A program that is given a descriptor of a
//! file of its own user can make the file writable (fchmod(2)), reopen it through `/proc/self/fd` and
//! write to it, whatever mode the descriptor has. Through a read-only mount it cannot: mode, times,
//! attributes and content are refused with EROFS, even after the mount is gone. No copy is made and
//! no memory is used.
//!
//! The mount is a detached copy (open_tree(2)) made in a short-lived child that has the right to do
//! so in a user and mount namespace of its own; what comes back is its descriptor.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use brig_sandbox::sys::clone::{Forked, assert_single_threaded, fork};
use brig_sandbox::sys::mount::{NO_DEV, NO_EXEC, NO_SUID, READ_ONLY, clone_tree, set_attributes};
use brig_sandbox::sys::process::{be_child, exit_now, reap_pidfd};
use brig_sandbox::wire::Channel;
use nix::sched::CloneFlags;

/// A descriptor of `directory` on a read-only mount of its own. Only for processes with a single
/// thread.
pub(crate) fn read_only(directory: &Path) -> anyhow::Result<OwnedFd> {
    assert_single_threaded();
    let path = CString::new(directory.as_os_str().as_bytes())?;
    let (ours, childs) = Channel::pair()?;
    let namespaces = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS;
    let pidfd = match fork(namespaces, None)? {
        Forked::Child => be_child(|| {
            let tree = mount(&path);
            let failure = tree.as_ref().err().map(ToString::to_string);
            let fds: Vec<_> = tree.iter().map(AsFd::as_fd).collect();
            exit_now(i32::from(childs.send(&failure, &fds).is_err()));
        }),
        Forked::Parent { pidfd, .. } => pidfd,
    };
    drop(childs);
    let answer = ours.recv::<Option<String>>();
    reap_pidfd(pidfd.as_fd())?;
    match answer? {
        Some((None, mut fds)) if !fds.is_empty() => Ok(fds.remove(0)),
        Some((Some(failure), _)) => anyhow::bail!(failure),
        _ => anyhow::bail!("the process that mounts it died"),
    }
}

fn mount(path: &CString) -> io::Result<OwnedFd> {
    let tree = clone_tree(path)?;
    set_attributes(&tree, READ_ONLY | NO_SUID | NO_DEV | NO_EXEC)?;
    Ok(tree)
}
