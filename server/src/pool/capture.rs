//! What a program writes to stdout or stderr: the first bytes are kept, all are counted.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};
use serde::{Deserialize, Serialize};
use tokio::net::unix::pipe;

/// What a stream carried.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// Its first bytes.
    pub kept: Vec<u8>,
    /// How many bytes there were in all.
    pub total_bytes: u64,
    /// Whether these are more than there may be.
    pub over_limit: bool,
}

/// Is given a stream piece by piece as it comes, up to its limit. Should not take long: the stream
/// is not read meanwhile.
pub type Tap = Box<dyn FnMut(&[u8]) + Send + Sync>;

/// What becomes of a program's stdout, beside being counted.
#[derive(Default)]
pub struct Reading {
    /// How many of its first bytes are kept; without it as many as there may be.
    pub keep_bytes: Option<u64>,
    /// Who else wants it.
    pub tap: Option<Tap>,
}

impl Captured {
    /// Whether there was more than was kept.
    pub fn truncated(&self) -> bool {
        self.total_bytes > self.kept.len() as u64
    }

    /// Takes what came next, of which there may be `limit_bytes` in all; the first `keep_bytes` are
    /// kept. What is within the limit is returned.
    pub(crate) fn take<'a>(
        &mut self,
        bytes: &'a [u8],
        limit_bytes: u64,
        keep_bytes: u64,
    ) -> &'a [u8] {
        let within = first(bytes, limit_bytes.saturating_sub(self.total_bytes));
        let room = keep_bytes.saturating_sub(self.kept.len() as u64);
        self.kept.extend_from_slice(first(within, room));
        self.total_bytes += bytes.len() as u64;
        self.over_limit |= within.len() < bytes.len();
        within
    }
}

/// The server's end of a stream.
enum Source {
    /// Nobody waits for it: registering costs more than a short program's whole output.
    Idle(File),
    /// It can be waited for.
    Watched(pipe::Receiver),
    /// Every writer is gone and everything was read.
    Ended,
}

impl Source {
    /// Reads what is there, without waiting.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Idle(file) => file.read(buffer),
            Self::Watched(pipe) => pipe.try_read(buffer),
            Self::Ended => Ok(0),
        }
    }
}

/// The read end of a pipe on its way to being [`Captured`].
pub(super) struct Capture {
    source: Source,
    limit_bytes: u64,
    keep_bytes: u64,
    tap: Option<Tap>,
    captured: Captured,
}

/// Reads from one stream before the others get their turn.
const READS_PER_TURN: usize = 8;

impl Capture {
    /// Takes over a pipe's read end. It is not waited for before [`Capture::watch`].
    pub(super) fn new(fd: OwnedFd, limit_bytes: u64, stream: Reading) -> io::Result<Self> {
        let Reading { keep_bytes, tap } = stream;
        Ok(Self {
            source: Source::Idle(non_blocking_pipe(fd)?),
            limit_bytes,
            keep_bytes: keep_bytes.map_or(limit_bytes, |keep| keep.min(limit_bytes)),
            tap,
            captured: Captured::default(),
        })
    }

    /// From here on [`Capture::readable`] waits for the stream.
    pub(super) fn watch(&mut self) -> io::Result<()> {
        if let Source::Idle(file) = std::mem::replace(&mut self.source, Source::Ended) {
            self.source = Source::Watched(pipe::Receiver::from_owned_fd(file.into())?);
        }
        Ok(())
    }

    /// Whether every writer is gone and everything was read.
    pub(super) fn ended(&self) -> bool {
        matches!(self.source, Source::Ended)
    }

    pub(super) fn over_limit(&self) -> bool {
        self.captured.over_limit
    }

    /// Ends the stream although somebody still holds its other end.
    pub(super) fn abandon(&mut self) {
        self.source = Source::Ended;
    }

    pub(super) fn into_captured(self) -> Captured {
        self.captured
    }

    /// Waits until there is something to read; forever once the stream has ended, or while it is not watched.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match &self.source {
            Source::Watched(pipe) => pipe.readable().await,
            Source::Idle(_) | Source::Ended => std::future::pending().await,
        }
    }

    /// Takes what is there now, through `buffer`.
    pub(super) fn drain(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        for _ in 0..READS_PER_TURN {
            match self.source.read(buffer) {
                Ok(0) => {
                    self.source = Source::Ended;
                    return Ok(());
                }
                Ok(len) => self.take(&buffer[..len]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) {
        let within = self.captured.take(bytes, self.limit_bytes, self.keep_bytes);
        if let Some(tap) = &mut self.tap {
            tap(within);
        }
    }
}

/// Makes sure that reading from `fd` never waits, whatever a worker sent.
fn non_blocking_pipe(fd: OwnedFd) -> io::Result<File> {
    let kind = SFlag::from_bits_truncate(fstat(&fd)?.st_mode) & SFlag::S_IFMT;
    if kind != SFlag::S_IFIFO {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a pipe"));
    }
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(fd.into())
}

/// At most the first `count` of `bytes`.
fn first(bytes: &[u8], count: u64) -> &[u8] {
    &bytes[..bytes
        .len()
        .min(usize::try_from(count).unwrap_or(usize::MAX))]
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    async fn capture(limit_bytes: u64, stream: Reading, content: &[u8]) -> Capture {
        let (read, write) = std::io::pipe().unwrap();
        let mut capture = Capture::new(read.into(), limit_bytes, stream).unwrap();
        let mut write = write;
        write.write_all(content).unwrap();
        drop(write);
        let mut buffer = [0; 16];
        // What is there already takes no watching.
        capture.drain(&mut buffer).unwrap();
        capture.watch().unwrap();
        while !capture.ended() {
            capture.readable().await.unwrap();
            capture.drain(&mut buffer).unwrap();
        }
        capture
    }

    #[tokio::test]
    async fn a_short_stream_is_read_without_being_watched() {
        // It blocks, which a worker should not send.
        let (read, mut write) = std::io::pipe().unwrap();
        let mut capture = Capture::new(read.into(), 100, Reading::default()).unwrap();
        let mut buffer = [0; 16];
        capture.drain(&mut buffer).unwrap();
        assert!(!capture.ended());
        write.write_all(b"short").unwrap();
        drop(write);
        capture.drain(&mut buffer).unwrap();
        assert!(capture.ended());
        assert_eq!(capture.into_captured().kept, b"short");
    }

    #[test]
    fn what_is_no_pipe_is_refused() {
        let file = tempfile::tempfile().unwrap();
        assert!(Capture::new(file.into(), 100, Reading::default()).is_err());
    }

    #[tokio::test]
    async fn exactly_the_limit_is_not_over_it() {
        let capture = capture(20, Reading::default(), &[7; 20]).await;
        assert!(!capture.over_limit());
        let captured = capture.into_captured();
        assert_eq!(captured.kept, [7; 20]);
        assert!(!captured.truncated());
    }

    #[tokio::test]
    async fn everything_is_counted_and_the_beginning_kept() {
        let content: Vec<u8> = (0..=255).collect();
        let capture = capture(20, Reading::default(), &content).await;
        assert!(capture.over_limit());
        let captured = capture.into_captured();
        assert_eq!(captured.kept, content[..20]);
        assert_eq!(captured.total_bytes, 256);
        assert!(captured.truncated());
    }

    #[tokio::test]
    async fn a_tap_sees_all_up_to_the_limit_although_little_is_kept() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let tapped = Arc::clone(&seen);
        let stream = Reading {
            keep_bytes: Some(5),
            tap: Some(Box::new(move |bytes| {
                tapped.lock().unwrap().extend_from_slice(bytes);
            })),
        };
        let content: Vec<u8> = (0..=255).collect();
        let captured = capture(100, stream, &content).await.into_captured();
        assert_eq!(captured.kept, content[..5]);
        assert_eq!(*seen.lock().unwrap(), content[..100]);
        assert!(captured.over_limit && captured.truncated());
    }
}
