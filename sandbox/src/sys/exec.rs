//! execve(2) and execveat(2) with ready-made strings.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::RawFd;
use std::ptr;

/// A NULL-terminated array of pointers into strings that it keeps alive.
#[derive(Debug)]
pub struct StringArray {
    pointers: Vec<*const libc::c_char>,
    _strings: Vec<CString>,
}

impl StringArray {
    /// Takes the strings as they are.
    pub fn new(strings: Vec<CString>) -> Self {
        let pointers = strings
            .iter()
            .map(|s| s.as_ptr())
            .chain([ptr::null()])
            .collect();
        Self {
            pointers,
            _strings: strings,
        }
    }
}

/// Replaces this process by the program at `path`; returns only on failure.
pub fn execve(path: &CStr, argv: &StringArray, envp: &StringArray) -> io::Error {
    // SAFETY: `path` is NUL-terminated; both arrays end with NULL and their strings live as long as
    // they do.
    unsafe {
        libc::execve(
            path.as_ptr(),
            argv.pointers.as_ptr(),
            envp.pointers.as_ptr(),
        )
    };
    io::Error::last_os_error()
}

/// Replaces this process by the program that descriptor `fd` refers to; returns only on failure.
pub fn execve_fd(fd: RawFd, argv: &StringArray, envp: &StringArray) -> io::Error {
    // SAFETY: as in `execve`; the path is the empty string, which AT_EMPTY_PATH allows.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            fd,
            c"".as_ptr(),
            argv.pointers.as_ptr(),
            envp.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}
