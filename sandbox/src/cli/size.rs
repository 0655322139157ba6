//! Sizes and times as people write them.

use brig_sandbox::protocol::WindowSize;

/// Bytes: a number with an optional `K`, `M` or `G` (powers of 1024), and an optional `iB` or `B`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let factor: u64 = match unit.trim_end_matches("iB").trim_end_matches('B') {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return Err(format!("unknown unit {unit:?}; use K, M or G, as in 64M")),
    };
    scaled(number, factor)
}

/// Milliseconds: a number with `ms` or `s`; a bare number counts seconds.
pub(super) fn milliseconds(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    match unit {
        "ms" => scaled(number, 1),
        "" | "s" => scaled(number, 1000),
        "m" | "min" => scaled(number, 60_000),
        _ => Err(format!(
            "unknown unit {unit:?}; use ms, s or m, as in 1500ms or 1.5s"
        )),
    }
}

/// The size of a terminal: `24x80`.
pub(super) fn window(text: &str) -> Result<WindowSize, String> {
    let parts = text.split_once('x');
    let size = parts.and_then(|(rows, cols)| {
        Some(WindowSize {
            rows: rows.parse().ok()?,
            cols: cols.parse().ok()?,
        })
    });
    size.ok_or_else(|| format!("{text:?} is not of the form ROWSxCOLS, as in 24x80"))
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

fn scaled(number: &str, factor: u64) -> Result<u64, String> {
    let bad = || format!("{number:?} is not a number of a sensible size");
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(bad);
    }
    let value: f64 = number.parse().map_err(|_| bad())?;
    #[allow(clippy::cast_precision_loss)] // factors are small powers
    let scaled = value * factor as f64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked right here
    if (0.0..9e15).contains(&scaled) {
        Ok(scaled as u64)
    } else {
        Err(bad())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_understood() {
        assert_eq!(bytes("64M"), Ok(64 << 20));
        assert_eq!(bytes("1.5KiB"), Ok(1536));
        assert_eq!(bytes("10"), Ok(10));
        assert_eq!(milliseconds("2"), Ok(2000));
        assert_eq!(milliseconds("1.5s"), Ok(1500));
        assert_eq!(milliseconds("20 ms"), Ok(20));
        assert_eq!(window("24x80"), Ok(WindowSize { rows: 24, cols: 80 }));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "M", "-1", "1x", "99999999999999999999G", "1.2.3"] {
            assert!(bytes(text).is_err(), "{text}");
            assert!(milliseconds(text).is_err(), "{text}");
            assert!(window(text).is_err(), "{text}");
        }
    }
}
