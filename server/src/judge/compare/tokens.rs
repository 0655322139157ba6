//! Tokens, and numbers among them.
//!
//! The sides go in step as long as their bytes are equal; then all tokens are too. Where they differ
//! between tokens, white space is passed on both sides. Where they differ within a token, the
//! tokens are different, unless both are numbers that are close: then both are read to their ends,
//! which is why so much of both sides is kept as a number can be long.

use std::io;

use super::bytes;
use super::difference::{Difference, Excerpt, Side, Unit};
use super::expected::Expected;
use super::number::{MAX_NUMBER_BYTES, Number, Tolerance};
use super::output::{Output, Place};

pub(super) struct Tokens {
    ignore_case: bool,
    tolerance: Option<Tolerance>,
    state: State,
    /// Tokens begun.
    count: u64,
    /// How much of a token the sides have just passed; 0 between tokens.
    within: u64,
}

enum State {
    /// Both sides are at the same place of a token, or of white space.
    InStep,
    /// The expected side is at a token or at its end, the output is still in white space.
    WhiteSpace,
    /// The expected side has passed a number, the output is still in its token.
    Number(Pair),
}

/// Two tokens that may be close numbers.
struct Pair {
    place: Place,
    expected: Vec<u8>,
    got: Vec<u8>,
}

impl Tokens {
    pub(super) fn new(ignore_case: bool, tolerance: Option<Tolerance>) -> Self {
        Self {
            ignore_case,
            tolerance,
            state: State::InStep,
            count: 0,
            within: 0,
        }
    }

    /// Plain tokens from a place on that both sides have come to in step; `within_token` is whether
    /// the last byte was of a token.
    pub(super) fn from_here(within_token: bool) -> Self {
        Self {
            within: u64::from(within_token),
            ..Self::new(false, None)
        }
    }

    pub(super) fn feed(
        &mut self,
        output: &mut Output<'_>,
        expected: &mut Expected,
    ) -> io::Result<Option<Difference>> {
        while let Some(next) = output.next() {
            let difference = match &mut self.state {
                State::InStep => self.in_step(next, output, expected)?,
                State::WhiteSpace => {
                    output.advance(bytes::white_prefix(output.rest()));
                    let Some(next) = output.next() else { break };
                    self.token(next, output, expected)?
                }
                State::Number(pair) => {
                    let count = bytes::token_prefix(output.rest());
                    let room = MAX_NUMBER_BYTES + 1 - pair.got.len();
                    pair.got.extend(&output.rest()[..count.min(room)]);
                    output.advance(count);
                    if output.next().is_none() && pair.got.len() <= MAX_NUMBER_BYTES {
                        break;
                    }
                    self.number(expected)?
                }
            };
            if difference.is_some() {
                return Ok(difference);
            }
        }
        Ok(None)
    }

    /// The output has ended.
    pub(super) fn finish(
        mut self,
        output: &Output<'_>,
        expected: &mut Expected,
    ) -> io::Result<Option<Difference>> {
        if self.within > 0 && expected.next()?.is_some_and(|b| !bytes::is_white(b)) {
            let different = self.unequal(output, expected)?;
            if different.is_some() {
                return Ok(different);
            }
        }
        let different = self.number(expected)?;
        if different.is_some() {
            return Ok(different);
        }
        expected.skip(bytes::white_prefix)?;
        if expected.next()?.is_none() {
            return Ok(None);
        }
        self.count += 1;
        self.within = 0;
        Ok(Some(self.here(output, expected)?.output_ended()))
    }

    fn in_step(
        &mut self,
        next: u8,
        output: &mut Output<'_>,
        expected: &mut Expected,
    ) -> io::Result<Option<Difference>> {
        let ahead = expected.ahead(1)?;
        let common = bytes::common_prefix(output.rest(), ahead, self.ignore_case);
        if common > 0 {
            let passed = &output.rest()[..common];
            self.count += bytes::count_token_starts(passed, self.within > 0);
            let within = bytes::token_suffix(passed);
            let before = if within == common { self.within } else { 0 };
            self.within = before + within as u64;
            output.advance(common);
            expected.advance(common);
            return Ok(None);
        }
        let both_end = bytes::is_white(next) && ahead.first().is_none_or(|b| bytes::is_white(*b));
        if self.within > 0 && !both_end {
            return self.unequal(output, expected);
        }
        self.between_tokens(expected)?;
        Ok(None)
    }

    fn between_tokens(&mut self, expected: &mut Expected) -> io::Result<()> {
        self.within = 0;
        expected.skip(bytes::white_prefix)?;
        self.state = State::WhiteSpace;
        Ok(())
    }

    /// The output is at a token that begins with `next`, the expected side at a token or its end.
    fn token(
        &mut self,
        next: u8,
        output: &Output<'_>,
        expected: &mut Expected,
    ) -> io::Result<Option<Difference>> {
        let same =
            |other: u8| next == other || self.ignore_case && next.eq_ignore_ascii_case(&other);
        let wanted = expected.next()?;
        if wanted.is_some_and(same) {
            self.state = State::InStep;
            return Ok(None);
        }
        self.count += 1;
        match wanted {
            None => self.here(output, expected).map(Some),
            Some(_) => self.unequal(output, expected),
        }
    }

    /// The tokens differ at the next byte. They are different, unless both turn out to be close numbers.
    fn unequal(
        &mut self,
        output: &Output<'_>,
        expected: &mut Expected,
    ) -> io::Result<Option<Difference>> {
        let within = usize::try_from(self.within).unwrap_or(usize::MAX);
        if self.tolerance.is_none() || within > MAX_NUMBER_BYTES {
            return self.here(output, expected).map(Some);
        }
        let rest = bytes::token_prefix(expected.ahead(MAX_NUMBER_BYTES + 1)?);
        let mut wanted = expected.behind(within).to_vec();
        wanted.extend(&expected.ahead(1)?[..rest]);
        if Number::parse(&wanted).is_none() {
            return self.here(output, expected).map(Some);
        }
        expected.advance(rest);
        let (earlier, here) = output.behind(within);
        let mut place = output.place();
        place.column -= self.within;
        self.state = State::Number(Pair {
            place,
            expected: wanted,
            got: [earlier, here].concat(),
        });
        Ok(None)
    }

    /// The output has passed the token as well, if both were at numbers.
    fn number(&mut self, expected: &mut Expected) -> io::Result<Option<Difference>> {
        let pair = match std::mem::replace(&mut self.state, State::WhiteSpace) {
            State::Number(pair) => pair,
            other => {
                self.state = other;
                return Ok(None);
            }
        };
        self.between_tokens(expected)?;
        let tolerance = self.tolerance.unwrap_or(Tolerance {
            absolute: 0.0,
            relative: 0.0,
        });
        let note = match (Number::parse(&pair.expected), Number::parse(&pair.got)) {
            (Some(expected), Some(got)) => match tolerance.check(&expected, &got) {
                Ok(()) => return Ok(None),
                Err(off) => describe(off, tolerance),
            },
            _ if pair.got.len() > MAX_NUMBER_BYTES => {
                format!("more than {MAX_NUMBER_BYTES} bytes are not read as a number")
            }
            _ => "not a number".to_owned(),
        };
        let side = |token: &[u8]| Side {
            excerpt: Excerpt::of(token, Unit::Token),
            ends: false,
        };
        Ok(Some(Difference {
            place: pair.place,
            token: Some(self.count),
            expected: side(&pair.expected),
            got: side(&pair.got),
            note,
        }))
    }

    fn here(&self, output: &Output<'_>, expected: &mut Expected) -> io::Result<Difference> {
        let mut difference = Difference::here(output, expected, Unit::Token, self.within)?;
        difference.place.column -= self.within;
        difference.token = Some(self.count);
        Ok(difference)
    }
}

fn describe(off: Option<f64>, tolerance: Tolerance) -> String {
    let Tolerance { absolute, relative } = tolerance;
    let off = off.map_or(String::new(), |off| format!("off by {off:.3e}, "));
    match (absolute > 0.0, relative > 0.0) {
        (false, false) => "they have to be equal".to_owned(),
        (true, false) => format!("{off}allowed are {absolute:e}"),
        (false, true) => format!("{off}allowed are {relative:e} of the expected number"),
        (true, true) => {
            format!("{off}allowed are {absolute:e}, or {relative:e} of the expected number")
        }
    }
}
