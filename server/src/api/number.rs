//! Numbers of requests, with errors that say what is wanted.

use std::fmt;

use serde::de::{Deserializer, Error, Unexpected, Visitor};

const EXPECTED: &str = "a whole number of at least 1";

/// A limit that counts something: an integer above 0, or null for "not given".
pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    deserializer.deserialize_any(CountVisitor)
}

struct CountVisitor;

impl Visitor<'_> for CountVisitor {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        match value {
            0 => Err(E::invalid_value(Unexpected::Unsigned(0), &self)),
            value => Ok(Some(value)),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        match u64::try_from(value) {
            Ok(value) => self.visit_u64(value),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(value), &self)),
        }
    }
}

/// A fraction of CPUs, above 0, or null for "not given".
pub(super) fn fraction<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    deserializer.deserialize_any(FloatVisitor {
        expected: "a number above 0",
        fits: |value| value > 0.0,
    })
}

/// How far a number may be off, or how many points there are: at least 0, or null for "not given".
pub(super) fn at_least_zero<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    deserializer.deserialize_any(FloatVisitor {
        expected: "a number of at least 0",
        fits: |value| value >= 0.0,
    })
}

/// Reads a finite number that fits.
struct FloatVisitor {
    expected: &'static str,
    fits: fn(f64) -> bool,
}

impl Visitor<'_> for FloatVisitor {
    type Value = Option<f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        if value.is_finite() && (self.fits)(value) {
            Ok(Some(value))
        } else {
            Err(E::invalid_value(Unexpected::Float(value), &self))
        }
    }

    #[allow(clippy::cast_precision_loss)] // nobody asks for 2^53 CPUs
    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        self.visit_f64(value as f64)
    }

    #[allow(clippy::cast_precision_loss)]
    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        self.visit_f64(value as f64)
    }
}
