//! Numbers in decimal notation, and when two of them are close.

use std::cmp::Ordering;

/// A longer token is not read as a number.
pub(super) const MAX_NUMBER_BYTES: usize = 4096;
/// An exponent with more digits, leading zeros aside, is not read as one.
const MAX_EXPONENT_DIGITS: usize = 15;

/// How far a number may be off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tolerance {
    pub(super) absolute: f64,
    /// As a part of the expected number.
    pub(super) relative: f64,
}

/// `[+-] digits [. digits] [e [+-] digits]`, with at least one digit before or after the point.
/// `inf`, `nan` and hexadecimal notation are not numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a> {
    text: &'a str,
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Number<'a> {
    pub(super) fn parse(token: &'a [u8]) -> Option<Self> {
        if token.len() > MAX_NUMBER_BYTES {
            return None;
        }
        let text = std::str::from_utf8(token).ok()?;
        let (negative, rest) = sign(token);
        let (whole, rest) = digits(rest);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => digits(rest),
            _ => (&[][..], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => exponent(rest)?,
            _ => return None,
        };
        Some(Self {
            text,
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    /// The nearest double; infinite when there is none.
    fn value(&self) -> f64 {
        self.text.parse().unwrap_or(f64::INFINITY)
    }

    /// The digits from the first to the last that is not 0, and the power of ten before the first.
    /// Zero has none, whatever its sign.
    fn significant(&self) -> (impl Iterator<Item = u8> + use<'a>, i64) {
        let count = self.whole.len() + self.fraction.len();
        let all = self.whole.iter().chain(self.fraction).copied();
        let leading = all.clone().take_while(|d| *d == b'0').count();
        let trailing = all.clone().rev().take_while(|d| *d == b'0').count();
        let digits = all
            .skip(leading)
            .take(count.saturating_sub(leading + trailing));
        let before_point = i64::try_from(self.whole.len()).unwrap_or(i64::MAX)
            - i64::try_from(leading).unwrap_or(i64::MAX);
        (digits, self.exponent + before_point)
    }

    /// Whether both are exactly the same number.
    fn equals(&self, other: &Number<'_>) -> bool {
        let (mine, my_power) = self.significant();
        let (others, other_power) = other.significant();
        let mut mine = mine.peekable();
        let zero = mine.peek().is_none();
        mine.cmp(others) == Ordering::Equal
            && (zero || my_power == other_power && self.negative == other.negative)
    }
}

fn sign(bytes: &[u8]) -> (bool, &[u8]) {
    match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, bytes),
    }
}

fn digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|b| !b.is_ascii_digit());
    bytes.split_at(end.unwrap_or(bytes.len()))
}

fn exponent(bytes: &[u8]) -> Option<i64> {
    let (negative, rest) = sign(bytes);
    let (digits, rest) = digits(rest);
    if digits.is_empty() || !rest.is_empty() {
        return None;
    }
    let leading = digits.iter().take_while(|d| **d == b'0').count();
    let digits = &digits[leading..];
    if digits.len() > MAX_EXPONENT_DIGITS {
        return None;
    }
    let size = digits
        .iter()
        .fold(0, |size, d| size * 10 + i64::from(d - b'0'));
    Some(if negative { -size } else { size })
}

impl Tolerance {
    /// Whether `got` is near enough to `expected`; if not, how far it is off, where a double can say.
    ///
    /// Without any tolerance, and beyond the range of doubles, numbers have to be exactly the same.
    /// Otherwise a difference that equals the tolerance is near enough, although doubles are only
    /// near the decimal numbers that they were read from.
    pub(super) fn check(&self, expected: &Number<'_>, got: &Number<'_>) -> Result<(), Option<f64>> {
        let (a, b) = (expected.value(), got.value());
        let off = (a - b).abs();
        let known = Some(off).filter(|off| off.is_finite());
        let near = if self.is_zero() || known.is_none() {
            expected.equals(got)
        } else {
            let rounding = 2.0 * f64::EPSILON * a.abs().max(b.abs());
            off <= self.absolute + rounding || off <= self.relative * a.abs() + rounding
        };
        if near { Ok(()) } else { Err(known) }
    }

    fn is_zero(&self) -> bool {
        self.absolute == 0.0 && self.relative == 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<Number<'_>> {
        Number::parse(text.as_bytes())
    }

    fn near(absolute: f64, relative: f64, expected: &str, got: &str) -> bool {
        let tolerance = Tolerance { absolute, relative };
        let (expected, got) = (number(expected).unwrap(), number(got).unwrap());
        tolerance.check(&expected, &got).is_ok()
    }

    #[test]
    fn what_is_a_number() {
        for text in [
            "0",
            "-0",
            "+7",
            "007",
            "1.",
            ".5",
            "-.5",
            "1.50",
            "1e5",
            "1E+5",
            "1.e-05",
            "1e0000000000000000000001",
        ] {
            let number = number(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(
                number.value().to_bits(),
                text.parse::<f64>().unwrap().to_bits(),
                "{text}"
            );
        }
        for text in [
            "",
            "-",
            "+-1",
            ".",
            "e5",
            ".e5",
            "1e",
            "1e+",
            "1e5.",
            "1..2",
            "1,5",
            "0x10",
            "inf",
            "-inf",
            "nan",
            "Infinity",
            "1f",
            "1_000",
            "--1",
            "1\0",
            "1e1000000000000000",
            "\u{661}",
        ] {
            assert!(number(text).is_none(), "{text}");
        }
        assert!(Number::parse(b"1\xff").is_none());
        assert!(number(&"1".repeat(MAX_NUMBER_BYTES)).is_some());
        assert!(number(&"1".repeat(MAX_NUMBER_BYTES + 1)).is_none());
    }

    #[test]
    fn without_tolerance_numbers_are_compared_exactly() {
        for (a, b) in [
            ("0", "-0.00"),
            ("0e5", "0"),
            ("1", "1.0"),
            ("1", "+001"),
            ("1000", "1e3"),
            ("0.001", "1e-3"),
            ("0.00120", "12e-4"),
            ("1e400", "10e399"),
            (
                "123456789012345678901234567890",
                "1.2345678901234567890123456789e29",
            ),
        ] {
            assert!(near(0.0, 0.0, a, b) && near(0.0, 0.0, b, a), "{a} {b}");
        }
        for (a, b) in [
            ("1", "-1"),
            ("1", "10"),
            ("1", "0"),
            ("0", "1"),
            ("100000000000000000000001", "100000000000000000000002"),
            ("0.1", "0.10000000000000000000000000000000001"),
            ("1e400", "1e401"),
        ] {
            assert!(!near(0.0, 0.0, a, b) && !near(0.0, 0.0, b, a), "{a} {b}");
        }
    }

    #[test]
    fn a_difference_may_be_as_large_as_the_tolerance() {
        assert!(near(0.1, 0.0, "0.3", "0.4"));
        assert!(near(1e-6, 0.0, "0.3", "0.300001"));
        assert!(near(1e-6, 0.0, "1000000", "999999.999999"));
        assert!(!near(1e-6, 0.0, "0.3", "0.3000011"));
        assert!(near(0.0, 1e-6, "1000000", "1000001"));
        assert!(!near(0.0, 1e-6, "1000000", "1000001.1"));
        assert!(near(1e-9, 0.01, "-200", "-198"));
        assert!(near(3.0, 0.0, "-200", "-198"));
        assert!(!near(1e-9, 0.001, "-200", "200"));
    }

    #[test]
    fn the_relative_tolerance_is_of_the_expected_number() {
        assert!(near(0.0, 0.5, "100", "50"));
        assert!(!near(0.0, 0.5, "50", "100"));
        assert!(!near(0.0, 0.5, "0", "1e-300"));
    }

    #[test]
    fn beyond_the_range_of_doubles_numbers_are_compared_exactly() {
        assert!(near(1.0, 1.0, "1e400", "10e399"));
        assert!(!near(1.0, 1.0, "1e400", "2e400"));
        assert!(!near(1.0, 1.0, "1", "1e400"));
        assert!(!near(f64::MAX, 0.0, "1e308", "-1e308"));
    }
}
