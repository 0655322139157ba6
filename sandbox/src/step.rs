//! Naming the step that failed.

use std::fmt::Display;
use std::io;

use crate::report::SandboxFault;

/// Turns errors into [`SandboxFault`]s that say at which step they came.
pub trait Step<T> {
    /// The value, or a fault of `step`.
    fn step(self, step: &str) -> Result<T, SandboxFault>;
}

/// Errors that may carry an errno.
pub trait HasErrno: Display {
    /// It, if there is one.
    fn errno(&self) -> Option<i32>;
}

impl HasErrno for io::Error {
    fn errno(&self) -> Option<i32> {
        self.raw_os_error()
    }
}

impl HasErrno for nix::errno::Errno {
    fn errno(&self) -> Option<i32> {
        Some(*self as i32)
    }
}

impl<T, E: HasErrno> Step<T> for Result<T, E> {
    fn step(self, step: &str) -> Result<T, SandboxFault> {
        self.map_err(|e| SandboxFault {
            step: step.to_owned(),
            detail: e.to_string(),
            errno: e.errno(),
            started: false,
        })
    }
}

impl HasErrno for caps::errors::CapsError {
    fn errno(&self) -> Option<i32> {
        None
    }
}

impl HasErrno for landlock::RulesetError {
    fn errno(&self) -> Option<i32> {
        None
    }
}

impl HasErrno for crate::cgroup::host::CgroupError {
    fn errno(&self) -> Option<i32> {
        None
    }
}
