//! The output's side: chunks as they come, and what is remembered of the chunks before.

use super::bytes;

/// A place in the output, counted from 1. Columns are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
}

impl Place {
    fn advance(&mut self, bytes: &[u8]) {
        let lines = bytes::count_newlines(bytes);
        if lines > 0 {
            self.line += lines;
            self.column = 1;
        }
        let newline = (lines > 0).then(|| bytes.iter().rposition(|b| *b == b'\n'));
        let in_line = newline
            .flatten()
            .map_or(bytes.len(), |at| bytes.len() - at - 1);
        self.column += in_line as u64;
    }
}

/// What is known of the output that has passed.
pub(super) struct History {
    pub(super) place: Place,
    /// The last bytes, at least `kept` of them if there were as many.
    tail: Vec<u8>,
    kept: usize,
}

impl History {
    pub(super) fn new(kept: usize) -> Self {
        Self {
            place: Place { line: 1, column: 1 },
            tail: Vec::with_capacity(2 * kept),
            kept,
        }
    }

    fn remember(&mut self, passed: &[u8]) {
        let passed = &passed[passed.len().saturating_sub(self.kept)..];
        if self.tail.len() + passed.len() > 2 * self.kept {
            // Moves `kept` bytes once in `kept` bytes, also when they come one by one.
            let forgotten = self.tail.len().saturating_sub(self.kept - passed.len());
            self.tail.drain(..forgotten);
        }
        self.tail.extend_from_slice(passed);
    }
}

/// One chunk on its way.
pub(super) struct Output<'a> {
    history: &'a mut History,
    chunk: &'a [u8],
    at: usize,
}

impl<'a> Output<'a> {
    pub(super) fn new(history: &'a mut History, chunk: &'a [u8]) -> Self {
        Self {
            history,
            chunk,
            at: 0,
        }
    }

    /// What is left of the chunk.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.chunk[self.at..]
    }

    /// The next byte, if it is in this chunk.
    pub(super) fn next(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// Where the next byte is.
    pub(super) fn place(&self) -> Place {
        self.history.place
    }

    pub(super) fn advance(&mut self, count: usize) {
        self.history.place.advance(&self.rest()[..count]);
        self.at += count;
    }

    /// The last `count` bytes before the next one, as far as they are remembered: those of earlier
    /// chunks, then those of this one.
    pub(super) fn behind(&self, count: usize) -> (&[u8], &[u8]) {
        let here = &self.chunk[self.at.saturating_sub(count)..self.at];
        let tail = &self.history.tail;
        let earlier = (count - here.len()).min(self.history.kept).min(tail.len());
        (&tail[tail.len() - earlier..], here)
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        self.history.remember(&self.chunk[..self.at]);
    }
}
