//! Pipes, beyond reading and writing.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::check;

/// How many bytes a pipe holds that were written and not read; `pipe` is either of its ends.
pub fn unread_bytes(pipe: impl AsFd) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD (ioctl_fionread(2const)) writes one int, to `bytes`, which lives past the call.
    let answer = unsafe { libc::ioctl(pipe.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut bytes) };
    check(answer.into())?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn both_ends_know_what_is_unread() {
        let (mut read, mut write) = io::pipe().unwrap();
        assert_eq!(unread_bytes(&read).unwrap(), 0);
        write.write_all(b"four").unwrap();
        assert_eq!(unread_bytes(&read).unwrap(), 4);
        assert_eq!(unread_bytes(&write).unwrap(), 4);
        read.read_exact(&mut [0; 3]).unwrap();
        assert_eq!(unread_bytes(&write).unwrap(), 1);
    }

    #[test]
    fn what_is_no_pipe_is_an_error() {
        assert!(unread_bytes(std::fs::File::open("/dev/null").unwrap()).is_err());
    }
}
