//! The same bytes. What differs is compared on by its tokens, from the first difference on: an output
//! that is right but for its white space has another verdict than a wrong one.

use std::io;

use super::Match;
use super::bytes;
use super::difference::{Difference, Unit};
use super::expected::Expected;
use super::output::Output;
use super::tokens::Tokens;

pub(super) struct Exact {
    differs: Option<Differs>,
}

struct Differs {
    first: Difference,
    tokens: Tokens,
}

impl Exact {
    pub(super) fn new() -> Self {
        Self { differs: None }
    }

    /// Gives the first difference once it is known that the tokens differ too.
    pub(super) fn feed(
        &mut self,
        output: &mut Output<'_>,
        expected: &mut Expected,
    ) -> io::Result<Option<Difference>> {
        if let Some(differs) = &mut self.differs {
            differs.first.got.excerpt.push(output.rest());
        }
        while self.differs.is_none() && output.next().is_some() {
            let common = bytes::common_prefix(output.rest(), expected.ahead(1)?, false);
            output.advance(common);
            expected.advance(common);
            if common == 0 {
                let first = here(output, expected)?;
                let tokens = tokens_from_here(expected);
                self.differs = Some(Differs { first, tokens });
            }
        }
        let Some(Differs { first, tokens }) = &mut self.differs else {
            return Ok(None);
        };
        let different = tokens.feed(output, expected)?.is_some();
        Ok(different.then(|| first.clone()))
    }

    /// The output has ended.
    pub(super) fn finish(
        self,
        output: &Output<'_>,
        expected: &mut Expected,
    ) -> io::Result<(Match, Option<String>)> {
        let Differs { first, tokens } = match self.differs {
            Some(differs) => differs,
            None if expected.next()?.is_none() => return Ok((Match::Same, None)),
            None => Differs {
                first: here(output, expected)?.output_ended(),
                tokens: tokens_from_here(expected),
            },
        };
        let message = first.to_string();
        Ok(match tokens.finish(output, expected)? {
            Some(_) => (Match::Different, Some(message)),
            None => (
                Match::PresentationOnly,
                Some(format!("only white space differs: {message}")),
            ),
        })
    }
}

fn here(output: &Output<'_>, expected: &mut Expected) -> io::Result<Difference> {
    let shared = output.place().column - 1;
    Difference::here(output, expected, Unit::Bytes, shared)
}

fn tokens_from_here(expected: &Expected) -> Tokens {
    let last = expected.behind(1).first();
    Tokens::from_here(last.is_some_and(|b| !bytes::is_white(*b)))
}
