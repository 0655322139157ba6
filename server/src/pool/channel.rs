//! A worker channel that async code can wait on.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use brig_sandbox::wire::Channel;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::spawn_blocking;

/// How long a thread waits, in milliseconds, before it sees whether anybody still waits for it.
const LOOK_EVERY_MS: u16 = 1000;

/// [`Channel`] registered with the reactor of the current runtime, for reading only: the kernel would announce room
/// for writing each time that the other end takes a message, and wake a thread for nothing.
#[derive(Debug)]
pub(crate) struct AsyncChannel(AsyncFd<Channel>);

impl AsyncChannel {
    pub(crate) fn new(channel: Channel) -> io::Result<Self> {
        channel.set_nonblocking(true)?;
        // SAFETY: a `Channel` owns its descriptor, always answers with that one, and has no way to
        // close or replace it before it is dropped; and nothing takes it out of the `AsyncFd`.
        let registered = unsafe { AsyncFd::register_with_interest(channel, Interest::READABLE)? };
        Ok(Self(registered))
    }

    /// Sends one message. Cancel-safe: it is sent whole or not at all.
    pub(crate) async fn send<T: Serialize>(
        &self,
        message: &T,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        loop {
            match self.0.get_ref().send(message, fds) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                answer => return answer,
            }
        }
    }

    /// Waits for room, or a while. Hardly ever called: the other end takes messages as they come.
    async fn writable(&self) -> io::Result<()> {
        let fd = self.0.get_ref().as_fd().try_clone_to_owned()?;
        let wait = move || {
            let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
            poll(&mut fds, PollTimeout::from(LOOK_EVERY_MS))
        };
        match spawn_blocking(wait).await.map_err(io::Error::other)? {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Receives one message; `None` when the other end is closed. Cancel-safe.
    pub(crate) async fn recv<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        loop {
            let mut guard = self.0.readable().await?;
            if let Ok(answer) = guard.try_io(|channel| channel.get_ref().recv()) {
                return answer;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_finds_no_room_is_sent_when_there_is() {
        let (ours, theirs) = Channel::pair().unwrap();
        let ours = AsyncChannel::new(ours).unwrap();
        let message = vec![7u8; 50_000];
        let mut sent = 0;
        while let Ok(done) =
            tokio::time::timeout(Duration::from_millis(50), ours.send(&message, &[])).await
        {
            done.unwrap();
            sent += 1;
        }
        // The one that had to wait was not sent at all.
        let late = tokio::spawn(async move { ours.send(&vec![8u8; 50_000], &[]).await });
        let taken = spawn_blocking(move || {
            let next = || theirs.recv::<Vec<u8>>().unwrap().map(|(bytes, _)| bytes[0]);
            (0..=sent).map(|_| next().unwrap()).collect::<Vec<_>>()
        });
        let taken = taken.await.unwrap();
        late.await.unwrap().unwrap();
        assert!(sent > 0);
        let mut expected = vec![7; sent];
        expected.push(8);
        assert_eq!(taken, expected);
    }
}
