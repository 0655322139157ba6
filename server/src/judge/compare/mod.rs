//! Output against expected output, as it comes.
//!
//! A [`Comparer`] is fed the output in chunks of any size and reads the expected side as far as the
//! output has come. It holds one buffer of the expected side and a few kilobytes more, whatever
//! either side consists of: one line of gigabytes, no text at all, tokens without end. Only lines in any
//! order take memory, and only for the expected side's, up to a bound (`sorted`).
//!
//! ```text
//! feed(chunk) --> Exact   bytes in step; behind the first difference, tokens
//!                 Lines   bytes in step; white space at ends of lines passed
//!                 Tokens  bytes in step; white space between tokens passed; numbers read whole
//!                 Sorted  a balance of lines by their hashes
//!             --> the first difference: where, both sides quoted (`difference`)
//! ```
//!
//! Going in step makes equal bytes cheap for every kind of comparison: they are compared in bulk.

mod bytes;
mod difference;
mod exact;
mod expected;
mod lines;
mod number;
mod output;
mod sorted;
#[cfg(test)]
mod tests;
mod tokens;

use std::io::{self, Read};

use difference::{CONTEXT_BYTES, Difference};
use exact::Exact;
use expected::Expected;
use lines::Lines;
use number::Tolerance;
use output::{History, Output};
use sorted::SortedLines;
use tokens::Tokens;

/// What makes an output right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Comparison {
    /// The same bytes.
    Exact,
    /// The same lines, less white space at their ends and empty lines at the end.
    Lines,
    /// The same tokens, whatever white space is between them.
    Tokens {
        /// Whether `a` to `z` are the same as `A` to `Z`.
        ignore_case: bool,
    },
    /// The same tokens, but numbers need only be close: within one of the tolerances, or equal if both
    /// are 0. Neither is negative or NaN.
    Float {
        /// How far a number may be off.
        absolute: f64,
        /// The same as a part of the expected number.
        relative: f64,
    },
    /// The same lines that are not empty, in any order, less white space at their ends.
    SortedLines,
}

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Whether the output is right.
    pub verdict: Match,
    /// Where it is not, with both sides quoted, cut and escaped; one line.
    pub message: Option<String>,
}

/// Whether an output is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// It is.
    Same,
    /// Only of [`Comparison::Exact`]: it would be, by its tokens.
    PresentationOnly,
    /// It is not.
    Different,
}

/// A comparison under way.
pub struct Comparer {
    expected: Expected,
    history: History,
    state: State,
}

enum State {
    Exact(Exact),
    Lines(Lines),
    Tokens(Tokens),
    Sorted(SortedLines),
    /// The rest of the output changes nothing but the end of the quotation.
    Different(Difference),
    DifferentLines(String),
}

impl Comparer {
    /// Compares with what `expected` reads.
    pub fn new(comparison: Comparison, expected: Box<dyn Read + Send>) -> Self {
        let plain = |ignore_case| State::Tokens(Tokens::new(ignore_case, None));
        let mut kept_bytes = CONTEXT_BYTES;
        let state = match comparison {
            Comparison::Exact => State::Exact(Exact::new()),
            Comparison::Lines => State::Lines(Lines::new()),
            Comparison::Tokens { ignore_case } => plain(ignore_case),
            Comparison::Float { absolute, relative } => {
                kept_bytes = number::MAX_NUMBER_BYTES;
                let tolerance = Tolerance { absolute, relative };
                State::Tokens(Tokens::new(false, Some(tolerance)))
            }
            Comparison::SortedLines => State::Sorted(SortedLines::new()),
        };
        Self {
            expected: Expected::new(expected, kept_bytes),
            history: History::new(kept_bytes),
            state,
        }
    }

    /// Takes the next piece of the output, of any length. Errors are those of reading the expected side.
    pub fn feed(&mut self, output: &[u8]) -> io::Result<()> {
        if let State::Sorted(sorted) = &mut self.state {
            if let Some(message) = sorted.feed(output, &mut self.expected)? {
                self.state = State::DifferentLines(message);
            }
            return Ok(());
        }
        let expected = &mut self.expected;
        let mut output = Output::new(&mut self.history, output);
        let found = match &mut self.state {
            State::Exact(exact) => exact.feed(&mut output, expected)?,
            State::Lines(lines) => lines.feed(&mut output, expected)?,
            State::Tokens(tokens) => tokens.feed(&mut output, expected)?,
            State::Different(difference) => {
                difference.got.excerpt.push(output.rest());
                None
            }
            State::Sorted(_) | State::DifferentLines(_) => None,
        };
        if let Some(difference) = found {
            self.state = State::Different(difference);
        }
        Ok(())
    }

    /// The output has ended. Errors as of [`Self::feed`].
    pub fn finish(mut self) -> io::Result<Compared> {
        let expected = &mut self.expected;
        let output = Output::new(&mut self.history, b"");
        let (verdict, message) = match self.state {
            State::Exact(exact) => exact.finish(&output, expected)?,
            State::Lines(lines) => different(lines.finish(&output, expected)?),
            State::Tokens(tokens) => different(tokens.finish(&output, expected)?),
            State::Sorted(sorted) => different(sorted.finish(expected)?),
            State::Different(difference) => different(Some(difference)),
            State::DifferentLines(message) => different(Some(message)),
        };
        Ok(Compared { verdict, message })
    }
}

fn different(difference: Option<impl ToString>) -> (Match, Option<String>) {
    match difference {
        None => (Match::Same, None),
        Some(difference) => (Match::Different, Some(difference.to_string())),
    }
}
