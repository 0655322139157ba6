//! Messages with descriptors over a `SOCK_SEQPACKET` socket pair.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recv,
    recvmsg, sendmsg, socketpair,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::protocol::{MAX_FDS, MAX_MESSAGE_BYTES};
use crate::sys;

/// One end of a message channel.
#[derive(Debug)]
pub struct Channel(OwnedFd);

impl Channel {
    /// Two connected ends, both blocking and close-on-exec.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        Ok((Self(a), Self(b)))
    }

    /// Makes calls on this end answer `WouldBlock` instead of waiting, or not.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        let flags = if nonblocking {
            OFlag::O_NONBLOCK
        } else {
            OFlag::empty()
        };
        fcntl(&self.0, FcntlArg::F_SETFL(flags))?;
        Ok(())
    }

    /// Sends one message, whole or not at all.
    pub fn send<T: Serialize>(&self, message: &T, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = encode(message)?;
        if bytes.len() > MAX_MESSAGE_BYTES || fds.len() > MAX_FDS {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "a message of {} bytes and {} descriptors is too large",
                    bytes.len(),
                    fds.len()
                ),
            ));
        }
        let raw: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
        let parts = [IoSlice::new(&bytes)];
        retry(|| {
            sendmsg::<()>(
                self.0.as_raw_fd(),
                &parts,
                control,
                MsgFlags::MSG_NOSIGNAL,
                None,
            )
        })?;
        Ok(())
    }

    /// Receives one message. `None`: the other end is closed.
    pub fn recv<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut buffer = vec![0; self.next_len()?.min(MAX_MESSAGE_BYTES)];
        let (len, fds, cut) = self.recv_raw(&mut buffer)?;
        if len == 0 {
            return Ok(None);
        }
        if cut {
            return Err(invalid("a message was cut short"));
        }
        match postcard::from_bytes(&buffer[..len]) {
            Ok(message) => Ok(Some((message, fds))),
            Err(e) => Err(invalid(&format!("a message cannot be read: {e}"))),
        }
    }

    /// How long the next message is; waits for it. Memory for the longest that there may be would
    /// have to be mapped, zeroed and given back each time.
    fn next_len(&self) -> io::Result<usize> {
        let look = MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC;
        loop {
            match recv(self.0.as_raw_fd(), &mut [], look) {
                // See `recv_raw`.
                Err(Errno::EINTR | Errno::ECONNRESET) => {}
                answer => return Ok(answer?),
            }
        }
    }

    fn recv_raw(&self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>, bool)> {
        let mut control = cmsg_space!([std::os::fd::RawFd; MAX_FDS]);
        let fd = self.0.as_raw_fd();
        let mut parts = [IoSliceMut::new(buffer)];
        let message = loop {
            match recvmsg::<()>(
                fd,
                &mut parts,
                Some(&mut control),
                MsgFlags::MSG_CMSG_CLOEXEC,
            ) {
                // A peer that died with unread messages resets the connection, which is told once (unix(7));
                // what it had sent before is still there, then comes the end.
                Err(Errno::EINTR | Errno::ECONNRESET) => {}
                answer => break answer?,
            }
        };
        let mut fds = Vec::new();
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(raw) = control {
                fds.extend(raw.into_iter().map(sys::open::received));
            }
        }
        let cut = message
            .flags
            .intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC);
        Ok((message.bytes, fds, cut))
    }
}

/// A message as [`Channel::send`] sends it.
pub fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    postcard::to_stdvec(message).map_err(io::Error::other)
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

impl From<OwnedFd> for Channel {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        channel.0
    }
}

fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            answer => return answer,
        }
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}
