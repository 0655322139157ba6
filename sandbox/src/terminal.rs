//! The terminal of a program that asks for one: a pseudo-terminal of a file system that belongs to
//! its sandbox alone (Documentation/filesystems/devpts.rst).
//!
//! The program gets the side that programs use, as stdin, stdout, stderr and `/dev/tty`. The other
//! side, the master, goes to the server and is never left open in the sandbox. There is room for this
//! one terminal only, and nobody but our own code, before it gives up its capabilities, may open
//! `ptmx`: so programs cannot use up the host's terminals or pair up with one of their own.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::mount::{MsFlags, mount};
use nix::sys::termios::{InputFlags, SetArg, tcgetattr, tcsetattr};

use crate::protocol::WindowSize;
use crate::sys::terminal::{open_peer, resize, unlock};

/// The program's terminal as a path, the first and only one of its file system.
pub const PATH: &str = "/dev/pts/0";

/// Both sides of a fresh terminal.
pub struct Terminal {
    /// For the server; non-blocking.
    pub master: OwnedFd,
    /// For the program.
    pub program: OwnedFd,
}

/// Mounts the file system and opens its terminal. Needs CAP_SYS_ADMIN and CAP_DAC_OVERRIDE over the
/// sandbox.
pub fn make(size: WindowSize) -> io::Result<Terminal> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    let options = Some("mode=0600,ptmxmode=0000,max=1");
    mount(Some("devpts"), "/dev/pts", Some("devpts"), flags, options)?;
    let master = OwnedFd::from(
        File::options()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
            .open("/dev/pts/ptmx")?,
    );
    unlock(master.as_fd())?;
    let program = open_peer(master.as_fd())?;
    resize(master.as_fd(), size)?;
    // What is sent is UTF-8: erasing takes away whole characters.
    let mut modes = tcgetattr(&program)?;
    modes.input_flags |= InputFlags::IUTF8;
    tcsetattr(&program, SetArg::TCSANOW, &modes)?;
    Ok(Terminal { master, program })
}
