//! From one side's stdout to the other's stdin.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::unix::pipe;
use tokio::time::sleep;

use super::conversation::{Conversation, Stream};
use super::{Role, What};

/// What is read from a side before it is passed on: the default capacity of a pipe (pipe(7)).
const BUFFER_BYTES: usize = 64 << 10;
/// How long the end of a side's stdout is kept from the other side, if the side does not end. It
/// takes less to hear of an end than this; a side that closes its stdout and lives on is rare.
const END_HELD_BACK: Duration = Duration::from_millis(200);
/// How long after a side's end its pipes may stay open.
const CLOSED_WITHIN: Duration = Duration::from_secs(2);

impl Conversation {
    /// Passes on what `from` says until it has said everything.
    pub(super) async fn relay(
        &self,
        from: Role,
        mut source: pipe::Receiver,
        sink: Option<pipe::Sender>,
    ) {
        let to = from.other();
        let mut sink = sink.map(Arc::new);
        if let Some(sink) = &sink {
            self.state().stdins[to.index()] = Arc::downgrade(sink);
        }
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Some(len) = self.read(from, &mut source, &mut buffer).await {
            let within = self.wrote(from, Stream::Stdout, &buffer[..len]);
            if let Some(open) = sink.as_deref()
                && within
                && !self.hand_on(to, open, &buffer[..len]).await
            {
                self.note(to, What::ClosedInput);
                sink = None;
            }
        }
        if sink.is_some() {
            tokio::select! {
                () = self.ended(from) => {}
                () = sleep(END_HELD_BACK) => {}
            }
            self.note(to, What::EndOfInput);
        }
    }

    /// Reads all that `role` writes to stderr.
    pub(super) async fn collect(&self, role: Role, mut stderr: pipe::Receiver) {
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Some(len) = self.read(role, &mut stderr, &mut buffer).await {
            self.wrote(role, Stream::Stderr, &buffer[..len]);
        }
    }

    /// What `role` has written. `None`: it has closed the stream.
    async fn read(
        &self,
        role: Role,
        source: &mut (impl AsyncRead + Unpin),
        buffer: &mut [u8],
    ) -> Option<usize> {
        tokio::select! {
            biased;
            len = source.read(buffer) => len.ok().filter(|len| *len > 0),
            () = self.gone(role) => {
                self.leaks(role);
                None
            }
        }
    }

    /// Waits until `to` has taken `bytes`. `false`: it has closed its stdin.
    async fn hand_on(&self, to: Role, sink: &pipe::Sender, bytes: &[u8]) -> bool {
        let from = to.other().index();
        let mut left = bytes;
        self.state().held[from] = true;
        while !left.is_empty() {
            let taken = tokio::select! {
                biased;
                taken = write(sink, left) => taken,
                () = self.gone(to) => Err(ErrorKind::BrokenPipe.into()),
            };
            let Ok(taken) = taken else { break };
            left = &left[taken..];
            self.state().moved();
        }
        self.state().held[from] = false;
        left.is_empty()
    }

    /// Waits until nobody can have a reason to hold `role`'s pipes open.
    async fn gone(&self, role: Role) {
        self.ended(role).await;
        sleep(CLOSED_WITHIN).await;
    }
}

async fn write(sink: &pipe::Sender, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match sink.try_write(bytes) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => sink.writable().await?,
            answer => return answer,
        }
    }
}
