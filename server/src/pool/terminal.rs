//! The server's side of a program's terminal.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use brig_sandbox::protocol::WindowSize;
use brig_sandbox::sys::terminal;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;

/// The master of a terminal. When its parts are gone the program gets SIGHUP.
#[derive(Debug)]
pub struct Terminal {
    /// What is written here the program reads as typed. Not reading in time makes this wait.
    pub keyboard: pipe::Sender,
    /// What the program shows.
    pub screen: Screen,
    /// Its size.
    pub sizer: Sizer,
}

/// What a program writes to its terminal. Its end is not for good while a program can open the terminal again.
#[derive(Debug)]
pub struct Screen {
    output: pipe::Receiver,
}

/// Changes a terminal's size.
#[derive(Debug)]
pub struct Sizer {
    master: OwnedFd,
}

impl Terminal {
    pub(super) fn new(master: OwnedFd) -> io::Result<Self> {
        // It is no pipe, but like one it is non-blocking and can be polled.
        let keyboard = pipe::Sender::from_owned_fd_unchecked(master.try_clone()?)?;
        let sizer = Sizer {
            master: master.try_clone()?,
        };
        let output = pipe::Receiver::from_owned_fd_unchecked(master)?;
        Ok(Self {
            keyboard,
            screen: Screen { output },
            sizer,
        })
    }
}

impl Sizer {
    /// Sets the size and tells the program (SIGWINCH).
    pub fn resize(&self, size: WindowSize) -> io::Result<()> {
        terminal::resize(self.master.as_fd(), size)
    }
}

impl AsyncRead for Screen {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.output).poll_read(context, buffer) {
            // No program has it open now: the end of file of terminals. Another one may follow.
            Poll::Ready(Err(e)) if e.raw_os_error() == Some(nix::libc::EIO) => Poll::Ready(Ok(())),
            answer => answer,
        }
    }
}
