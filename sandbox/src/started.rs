//! Which job a worker gave to a sandbox last.
//!
//! A server needs to know that only when it loses the worker: a job whose program cannot have run may be tried once
//! more. So the worker notes it where the server can look, which costs a write; a message for each job would
//! wake the server each time.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use crate::sys::memfd;

/// A note shared by a worker, which writes it, and its server, which reads it.
#[derive(Debug)]
pub struct LastStarted(File);

impl LastStarted {
    /// An empty note, in a memfd: no job has started.
    pub fn new() -> io::Result<Self> {
        let note = Self(memfd::create(c"brig-started")?.into());
        note.set(0)?;
        Ok(note)
    }

    /// Notes that the program of `job` may run from here on. Job ids are never 0.
    pub fn set(&self, job: u64) -> io::Result<()> {
        self.0.write_all_at(&job.to_le_bytes(), 0)
    }

    /// Whether the program of `job`, the last that the worker was given, may have run. A note that cannot be
    /// read says yes.
    pub fn is(&self, job: u64) -> bool {
        let mut bytes = [0; 8];
        match self.0.read_exact_at(&mut bytes, 0) {
            Ok(()) => u64::from_le_bytes(bytes) == job,
            Err(_) => true,
        }
    }
}

impl AsFd for LastStarted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// For a server: takes over what `Hello` brought.
impl From<OwnedFd> for LastStarted {
    fn from(fd: OwnedFd) -> Self {
        Self(fd.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_names_the_last_job_only() {
        let note = LastStarted::new().unwrap();
        let seen = LastStarted::from(note.as_fd().try_clone_to_owned().unwrap());
        assert!(!seen.is(1));
        note.set(1).unwrap();
        note.set(2).unwrap();
        assert!(seen.is(2));
        assert!(!seen.is(1) && !seen.is(3));
    }

    #[test]
    fn a_note_that_was_cut_short_says_yes() {
        let note = LastStarted::new().unwrap();
        note.0.set_len(4).unwrap();
        assert!(note.is(1));
    }
}
