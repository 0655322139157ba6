//! The first difference, in words that are safe to show: both sides quoted, cut and escaped.

use std::fmt::{self, Write};

use super::bytes;
use super::expected::Expected;
use super::output::{Output, Place};

/// A quotation has up to this many bytes of its source,
const QUOTED_BYTES: usize = 60;
/// of which so many are what the two sides have in common before they differ.
pub(super) const CONTEXT_BYTES: usize = 20;

/// Where a quotation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// With the line, whose end is quoted too.
    Bytes,
    /// Before the line's end.
    Line,
    /// Before white space.
    Token,
}

/// A piece of one side around the difference. Filled as the bytes come.
#[derive(Clone, Debug)]
pub(super) struct Excerpt {
    text: [u8; QUOTED_BYTES],
    len: usize,
    unit: Unit,
    cut_before: bool,
    cut_after: bool,
    complete: bool,
}

impl Excerpt {
    pub(super) fn new(unit: Unit) -> Self {
        Self {
            text: [0; QUOTED_BYTES],
            len: 0,
            unit,
            cut_before: false,
            cut_after: false,
            complete: false,
        }
    }

    /// Adds `bytes` as far as the unit and the room go.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.complete {
            return;
        }
        let room = QUOTED_BYTES - self.len;
        let window = &bytes[..bytes.len().min(room + 1)];
        let newline = || window.iter().position(|b| *b == b'\n');
        let end = match self.unit {
            Unit::Bytes => newline().map(|at| at + 1),
            Unit::Line => newline(),
            Unit::Token => Some(bytes::token_prefix(window)).filter(|at| *at < window.len()),
        };
        let taken = end.unwrap_or(window.len()).min(room);
        self.text[self.len..self.len + taken].copy_from_slice(&bytes[..taken]);
        self.len += taken;
        self.cut_after = end.unwrap_or(window.len()) > room;
        self.complete = end.is_some() || self.cut_after;
    }

    /// A quotation of all of `text`, or of its beginning.
    pub(super) fn of(text: &[u8], unit: Unit) -> Self {
        let mut excerpt = Self::new(unit);
        excerpt.push(text);
        excerpt.complete = true;
        excerpt
    }

    fn text(&self) -> &[u8] {
        let text = &self.text[..self.len];
        match self.unit {
            Unit::Line if !self.cut_after => bytes::trim_end(text),
            _ => text,
        }
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dots = |cut| if cut { "..." } else { "" };
        write!(f, "{}\"", dots(self.cut_before))?;
        escape(f, self.text(), self.cut_before, self.cut_after)?;
        write!(f, "\"{}", dots(self.cut_after))
    }
}

/// Text stays readable in any script; what is not text, or does not show, becomes an escape. A
/// character that a cut went through is left out.
fn escape(
    f: &mut fmt::Formatter<'_>,
    text: &[u8],
    cut_before: bool,
    cut_after: bool,
) -> fmt::Result {
    let is_rest = |b: &u8| b & 0b1100_0000 == 0b1000_0000;
    let torn = text.iter().take(3).take_while(|b| is_rest(b)).count();
    let text = if cut_before { &text[torn..] } else { text };
    let mut chunks = text.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        for char in chunk.valid().chars() {
            match char {
                '\'' => f.write_char(char)?,
                _ => write!(f, "{}", char.escape_debug())?,
            }
        }
        let torn = cut_after && chunks.peek().is_none() && begins_character(chunk.invalid());
        for byte in chunk.invalid().iter().filter(|_| !torn) {
            write!(f, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

/// Whether more bytes could make a character of `bytes`.
fn begins_character(bytes: &[u8]) -> bool {
    matches!(std::str::from_utf8(bytes), Err(e) if e.error_len().is_none())
}

/// One side of a difference.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) excerpt: Excerpt,
    /// Whether the side ends where they differ.
    pub(super) ends: bool,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { excerpt, ends } = self;
        match (excerpt.text().is_empty(), excerpt.unit) {
            (true, _) if *ends => f.write_str("the end of the output"),
            (true, _) => f.write_str("an empty line"),
            (false, Unit::Bytes) if *ends => write!(f, "{excerpt} and then the end of the output"),
            (false, _) => write!(f, "{excerpt}"),
        }
    }
}

/// Where and how output and expected output differ first.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub(super) place: Place,
    /// The token's number in the output, from 1.
    pub(super) token: Option<u64>,
    pub(super) expected: Side,
    pub(super) got: Side,
    /// Why they count as different, if that is not plain.
    pub(super) note: String,
}

impl Difference {
    /// The difference at the next byte of both sides, of which the last `shared` bytes belong to the
    /// same line or token. The chunks to come belong into the quotation as well.
    pub(super) fn here(
        output: &Output<'_>,
        expected: &mut Expected,
        unit: Unit,
        shared: u64,
    ) -> std::io::Result<Self> {
        let context = usize::try_from(shared).map_or(CONTEXT_BYTES, |s| s.min(CONTEXT_BYTES));
        let begun = |parts: [&[u8]; 2]| {
            let mut excerpt = Excerpt::new(unit);
            excerpt.cut_before = shared > CONTEXT_BYTES as u64;
            for part in parts {
                excerpt.push(part);
            }
            excerpt
        };
        let (earlier, here) = output.behind(context);
        let mut got = begun([earlier, here]);
        got.push(output.rest());
        let mut wanted = begun([expected.behind(context), b""]);
        let ahead = expected.ahead(QUOTED_BYTES + 1)?;
        wanted.push(ahead);
        Ok(Self {
            place: output.place(),
            token: None,
            expected: Side {
                excerpt: wanted,
                ends: ahead.is_empty(),
            },
            got: Side {
                excerpt: got,
                ends: false,
            },
            note: String::new(),
        })
    }

    /// The same difference, where the output is over.
    pub(super) fn output_ended(mut self) -> Self {
        self.got.ends = true;
        self
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column } = self.place;
        write!(f, "line {line}, column {column}")?;
        if let Some(token) = self.token {
            write!(f, " (token {token})")?;
        }
        write!(f, ": expected {}, got {}", self.expected, self.got)?;
        if !self.note.is_empty() {
            write!(f, "; {}", self.note)?;
        }
        Ok(())
    }
}
