//! Times as people write and read them.

use std::time::Duration;

/// `10s`, `500ms`, `250us`, `2min`, `1h`.
pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        _ => {
            return Err(format!(
                "{text:?} is no time like 250us, 500ms, 10s or 2min"
            ));
        }
    };
    let number: f64 = number
        .parse()
        .map_err(|_| format!("{text:?} does not begin with a number"))?;
    Duration::try_from_secs_f64(number * seconds).map_err(|error| format!("{text:?}: {error}"))
}

/// Microseconds, with three digits and a unit.
pub(crate) fn show_us(us: f64) -> String {
    let (value, unit) = match us {
        us if us < 1e3 => (us, "µs"),
        us if us < 1e6 => (us / 1e3, "ms"),
        us => (us / 1e6, "s"),
    };
    format!("{} {unit}", three_digits(value))
}

/// A number with three digits, or all before the point.
pub(crate) fn three_digits(value: f64) -> String {
    match value {
        v if v < 10.0 => format!("{v:.2}"),
        v if v < 100.0 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

/// Bytes in MiB.
pub(crate) fn show_mib(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss)]
    let mib = bytes as f64 / 1_048_576.0;
    format!("{} MiB", three_digits(mib))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(parse_time("1.5s").unwrap(), Duration::from_millis(1500));
        assert_eq!(parse_time("250us").unwrap(), Duration::from_micros(250));
        assert_eq!(parse_time("2min").unwrap(), Duration::from_mins(2));
        for wrong in ["", "10", "s", "-1s", "1 day", "1e3s", "1.2.3s"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn figures_are_shown_with_three_digits() {
        assert_eq!(show_us(371.26), "371 µs");
        assert_eq!(show_us(1234.0), "1.23 ms");
        assert_eq!(show_us(12_345_678.0), "12.3 s");
        assert_eq!(show_mib(3 << 20), "3.00 MiB");
    }
}
