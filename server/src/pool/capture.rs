//! What a program writes to stdout or stderr: the first bytes are kept, all are counted.

use std::io;
use std::os::fd::OwnedFd;

use tokio::net::unix::pipe;

/// What a stream carried.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Captured {
    /// Its first bytes, at most the limit.
    pub kept: Vec<u8>,
    /// How many bytes there were in all.
    pub total_bytes: u64,
}

impl Captured {
    /// Whether there was more than was kept.
    pub fn truncated(&self) -> bool {
        self.total_bytes > self.kept.len() as u64
    }
}

/// The read end of a pipe on its way to being [`Captured`].
#[derive(Debug)]
pub(super) struct Capture {
    pipe: Option<pipe::Receiver>,
    limit_bytes: u64,
    captured: Captured,
}

/// Reads from one stream before the others get their turn.
const READS_PER_TURN: usize = 8;

impl Capture {
    pub(super) fn new(fd: OwnedFd, limit_bytes: u64) -> io::Result<Self> {
        let pipe = Some(pipe::Receiver::from_owned_fd(fd)?);
        Ok(Self {
            pipe,
            limit_bytes,
            captured: Captured::default(),
        })
    }

    /// Whether every writer is gone and everything was read.
    pub(super) fn ended(&self) -> bool {
        self.pipe.is_none()
    }

    pub(super) fn over_limit(&self) -> bool {
        self.captured.total_bytes > self.limit_bytes
    }

    /// Ends the stream although somebody still holds its other end.
    pub(super) fn abandon(&mut self) {
        self.pipe = None;
    }

    pub(super) fn into_captured(self) -> Captured {
        self.captured
    }

    /// Waits until there is something to read; forever once the stream has ended.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match &self.pipe {
            Some(pipe) => pipe.readable().await,
            None => std::future::pending().await,
        }
    }

    /// Takes what is there now, through `buffer`.
    pub(super) fn drain(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        for _ in 0..READS_PER_TURN {
            let Some(pipe) = &self.pipe else {
                return Ok(());
            };
            match pipe.try_read(buffer) {
                Ok(0) => self.pipe = None,
                Ok(len) => self.take(&buffer[..len]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) {
        self.captured.total_bytes += bytes.len() as u64;
        let room = self
            .limit_bytes
            .saturating_sub(self.captured.kept.len() as u64);
        let keep = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        self.captured.kept.extend_from_slice(&bytes[..keep]);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    async fn capture(limit_bytes: u64, content: &[u8]) -> Capture {
        let (read, write) = std::io::pipe().unwrap();
        nix::fcntl::fcntl(
            &read,
            nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK),
        )
        .unwrap();
        let mut capture = Capture::new(read.into(), limit_bytes).unwrap();
        let mut write = write;
        write.write_all(content).unwrap();
        drop(write);
        let mut buffer = [0; 16];
        while !capture.ended() {
            capture.readable().await.unwrap();
            capture.drain(&mut buffer).unwrap();
        }
        capture
    }

    #[tokio::test]
    async fn exactly_the_limit_is_not_over_it() {
        let capture = capture(20, &[7; 20]).await;
        assert!(!capture.over_limit());
        let captured = capture.into_captured();
        assert_eq!(captured.kept, [7; 20]);
        assert!(!captured.truncated());
    }

    #[tokio::test]
    async fn everything_is_counted_and_the_beginning_kept() {
        let content: Vec<u8> = (0..=255).collect();
        let capture = capture(20, &content).await;
        assert!(capture.over_limit());
        let captured = capture.into_captured();
        assert_eq!(captured.kept, content[..20]);
        assert_eq!(captured.total_bytes, 256);
        assert!(captured.truncated());
    }
}
