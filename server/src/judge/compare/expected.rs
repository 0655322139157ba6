//! The expected side: read as far as the output's side has come, through one buffer.

use std::io::{self, Read};

/// Read at once.
const BUFFER_BYTES: usize = 64 << 10;

pub(super) struct Expected {
    source: Box<dyn Read + Send>,
    buffer: Box<[u8]>,
    /// The next byte's place in the buffer.
    at: usize,
    /// How far the buffer is filled.
    end: usize,
    ended: bool,
    /// Bytes that stay in the buffer after they were passed.
    kept_behind: usize,
}

impl Expected {
    /// `kept_behind`: how far [`Self::behind`] can look.
    pub(super) fn new(source: Box<dyn Read + Send>, kept_behind: usize) -> Self {
        Self {
            source,
            buffer: vec![0; BUFFER_BYTES + kept_behind].into_boxed_slice(),
            at: 0,
            end: 0,
            ended: false,
            kept_behind,
        }
    }

    /// What comes next: at least `wanted` bytes (at most `BUFFER_BYTES`), or all there are. Empty at
    /// the end.
    pub(super) fn ahead(&mut self, wanted: usize) -> io::Result<&[u8]> {
        if self.end - self.at < wanted && !self.ended {
            self.refill(wanted)?;
        }
        Ok(&self.buffer[self.at..self.end])
    }

    /// The next byte, `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<u8>> {
        Ok(self.ahead(1)?.first().copied())
    }

    /// Passes `count` of the bytes that [`Self::ahead`] showed.
    pub(super) fn advance(&mut self, count: usize) {
        self.at += count;
    }

    /// The last `count` bytes passed, as far as they were kept.
    pub(super) fn behind(&self, count: usize) -> &[u8] {
        &self.buffer[self.at - count.min(self.kept_behind).min(self.at)..self.at]
    }

    /// Passes what `prefix` takes of the bytes ahead, however much it is; says how much.
    pub(super) fn skip(&mut self, prefix: fn(&[u8]) -> usize) -> io::Result<u64> {
        let mut skipped = 0;
        loop {
            let ahead = self.ahead(1)?;
            let count = prefix(ahead);
            let stopped = count < ahead.len() || ahead.is_empty();
            self.at += count;
            skipped += count as u64;
            if stopped {
                return Ok(skipped);
            }
        }
    }

    fn refill(&mut self, wanted: usize) -> io::Result<()> {
        if self.end == self.buffer.len() || self.buffer.len() - self.at < wanted {
            let keep_from = self.at - self.kept_behind.min(self.at);
            self.buffer.copy_within(keep_from..self.end, 0);
            self.at -= keep_from;
            self.end -= keep_from;
        }
        while self.end - self.at < wanted {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(count) => self.end += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
