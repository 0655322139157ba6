//! System calls that nix has no safe wrapper for. All `unsafe` code of the crate is below here.

pub mod capability;
pub mod clone;
pub mod exec;
pub mod memfd;
pub mod mount;
pub mod open;
pub mod pipe;
pub mod process;
pub mod ptrace;
pub mod seccomp;
pub mod share;
pub mod shared;
pub mod terminal;

use std::io;

/// Turns a system call's answer into a `Result`.
fn check(answer: libc::c_long) -> io::Result<libc::c_long> {
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(answer)
    }
}

/// The errno of `error`, if it has one.
pub fn errno_of(error: &io::Error) -> Option<i32> {
    error.raw_os_error()
}
