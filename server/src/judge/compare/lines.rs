//! Lines without the white space at their ends, and without empty lines at the end.
//!
//! The sides go in step as long as their bytes are equal. Where they differ, the difference may
//! yet turn out to be white space that does not count. The expected side can be looked ahead in; the
//! output's side cannot, so until its line ends the difference is kept at hand.

use std::io;

use super::bytes;
use super::difference::{Difference, Excerpt, Unit};
use super::expected::Expected;
use super::output::{Output, Place};

pub(super) struct Lines {
    state: State,
}

enum State {
    /// Both sides are at the same place of a line.
    InStep,
    /// The expected side is behind its line's end. The output's line has to end as well, or the
    /// difference counts.
    LineEnds(Difference),
    /// The expected side has ended, the output has to. The difference is one in the line that both
    /// sides have; in later lines none is needed.
    OutputEnds(Option<Difference>),
}

impl Lines {
    pub(super) fn new() -> Self {
        Self {
            state: State::InStep,
        }
    }

    pub(super) fn feed(
        &mut self,
        output: &mut Output<'_>,
        expected: &mut Expected,
    ) -> io::Result<Option<Difference>> {
        if let Some(difference) = self.pending() {
            difference.got.excerpt.push(output.rest());
        }
        while let Some(next) = output.next() {
            match &mut self.state {
                State::InStep => {
                    let common = bytes::common_prefix(output.rest(), expected.ahead(1)?, false);
                    output.advance(common);
                    expected.advance(common);
                    if common == 0 && !both_lines_end(output, expected)? {
                        let difference = here(output, expected)?;
                        if !bytes::is_white(next) {
                            return Ok(Some(difference));
                        }
                        match end_line(expected, difference)? {
                            Ok(state) => self.state = state,
                            Err(difference) => return Ok(Some(difference)),
                        }
                    }
                }
                State::LineEnds(difference) => match pass_blank(output) {
                    None => {}
                    Some(b'\n') => self.state = State::InStep,
                    Some(_) => return Ok(Some(difference.clone())),
                },
                State::OutputEnds(difference) => match pass_blank(output) {
                    None => {}
                    Some(b'\n') => *difference = None,
                    Some(_) => {
                        let difference = difference.take();
                        return Ok(Some(difference.map_or_else(|| here(output, expected), Ok)?));
                    }
                },
            }
        }
        Ok(None)
    }

    fn pending(&mut self) -> Option<&mut Difference> {
        match &mut self.state {
            State::InStep => None,
            State::LineEnds(difference) => Some(difference),
            State::OutputEnds(difference) => difference.as_mut(),
        }
    }

    /// The output has ended.
    pub(super) fn finish(
        self,
        output: &Output<'_>,
        expected: &mut Expected,
    ) -> io::Result<Option<Difference>> {
        let mut lines = match &self.state {
            State::InStep => 0,
            State::LineEnds(_) => 1,
            State::OutputEnds(_) => return Ok(None),
        };
        let difference = here(output, expected)?.output_ended();
        loop {
            let blank = expected.skip(bytes::blank_prefix)?;
            match expected.next()? {
                None => return Ok(None),
                Some(b'\n') => {
                    expected.advance(1);
                    lines += 1;
                }
                Some(_) if lines == 0 => return Ok(Some(difference)),
                Some(_) => {
                    let mut missing = Difference::here(output, expected, Unit::Line, blank)?;
                    missing.place = Place {
                        line: output.place().line + lines,
                        column: blank + 1,
                    };
                    missing.got.excerpt = Excerpt::new(Unit::Line);
                    return Ok(Some(missing.output_ended()));
                }
            }
        }
    }
}

fn here(output: &Output<'_>, expected: &mut Expected) -> io::Result<Difference> {
    let shared = output.place().column - 1;
    Difference::here(output, expected, Unit::Line, shared)
}

/// If both lines end in what is at hand, passes their ends. This is all there is to a file with
/// `\r\n` against one with `\n`.
fn both_lines_end(output: &mut Output<'_>, expected: &mut Expected) -> io::Result<bool> {
    let end = |bytes: &[u8]| {
        let blank = bytes::blank_prefix(bytes);
        (bytes.get(blank) == Some(&b'\n')).then_some(blank + 1)
    };
    let (Some(output_end), Some(expected_end)) = (end(output.rest()), end(expected.ahead(1)?))
    else {
        return Ok(false);
    };
    output.advance(output_end);
    expected.advance(expected_end);
    Ok(true)
}

/// Passes the end of the expected line; or the difference counts, because the line goes on.
fn end_line(
    expected: &mut Expected,
    difference: Difference,
) -> io::Result<Result<State, Difference>> {
    expected.skip(bytes::blank_prefix)?;
    Ok(match expected.next()? {
        None => Ok(State::OutputEnds(Some(difference))),
        Some(b'\n') => {
            expected.advance(1);
            Ok(State::LineEnds(difference))
        }
        Some(_) => Err(difference),
    })
}

/// Passes the white space of a line and its end; says what byte came after the white space.
fn pass_blank(output: &mut Output<'_>) -> Option<u8> {
    output.advance(bytes::blank_prefix(output.rest()));
    let next = output.next();
    if next == Some(b'\n') {
        output.advance(1);
    }
    next
}
