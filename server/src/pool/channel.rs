//! A worker channel that async code can wait on.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use brig_sandbox::wire::Channel;
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::unix::AsyncFd;

/// [`Channel`] registered with the reactor of the current runtime.
#[derive(Debug)]
pub(crate) struct AsyncChannel(AsyncFd<Channel>);

impl AsyncChannel {
    pub(crate) fn new(channel: Channel) -> io::Result<Self> {
        channel.set_nonblocking(true)?;
        // SAFETY: a `Channel` owns its descriptor, always answers with that one, and has no way to
        // close or replace it before it is dropped; and nothing takes it out of the `AsyncFd`.
        let registered = unsafe { AsyncFd::register(channel)? };
        Ok(Self(registered))
    }

    /// Sends one message. Cancel-safe: it is sent whole or not at all.
    pub(crate) async fn send<T: Serialize>(
        &self,
        message: &T,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        loop {
            let mut guard = self.0.writable().await?;
            if let Ok(answer) = guard.try_io(|channel| channel.get_ref().send(message, fds)) {
                return answer;
            }
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
