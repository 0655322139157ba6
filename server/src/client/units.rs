//! Sizes and times as people write them in flags.

/// Suffixes of sizes: `K` and `KiB` are 1024 bytes, `KB` 1000, as in `dd`.
const SIZES: [(&str, u64); 12] = [
    ("b", 1),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("kb", 1_000),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
    ("t", 1 << 40),
    ("tib", 1 << 40),
];
/// Suffixes of times, in microseconds.
const TIMES_US: [(&str, u64); 8] = [
    ("us", 1),
    ("µs", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("sec", 1_000_000),
    ("m", 60_000_000),
    ("min", 60_000_000),
    ("h", 3_600_000_000),
];
/// More digits than that are a slip, and could overflow what they are computed in.
const MAX_DIGITS: usize = 18;

/// Bytes, of a number that may have a fraction and a suffix.
pub(super) fn size(text: &str) -> Result<u64, String> {
    const FORM: &str = "a size is a number with an optional unit, such as 65536, 256M or 1.5GiB";
    let (number, unit) = split(text).ok_or(FORM)?;
    let factor = if unit.is_empty() {
        1
    } else {
        let unit = unit.to_ascii_lowercase();
        let known = SIZES.iter().find(|(name, _)| *name == unit);
        known
            .ok_or_else(|| format!("{unit:?} is no unit; {FORM}"))?
            .1
    };
    let bytes = times(number, factor).ok_or(FORM)?;
    above_zero(bytes)
}

/// Milliseconds, of a number that may have a fraction and must have a unit.
pub(super) fn time_ms(text: &str) -> Result<u64, String> {
    const FORM: &str = "a time is a number with its unit, such as 500ms, 2s or 1.5min";
    let (number, unit) = split(text).ok_or(FORM)?;
    if unit.is_empty() {
        return Err(format!("the unit is missing; {FORM}"));
    }
    let known = TIMES_US.iter().find(|(name, _)| *name == unit);
    let factor_us = known
        .ok_or_else(|| format!("{unit:?} is no unit; {FORM}"))?
        .1;
    let us = times(number, factor_us).ok_or(FORM)?;
    if us % 1000 != 0 {
        return Err("limits count whole milliseconds".to_owned());
    }
    above_zero(us / 1000)
}

/// A count, which has no unit.
pub(super) fn count(text: &str) -> Result<u64, String> {
    let count = text.parse().map_err(|_| "a whole number is wanted")?;
    above_zero(count)
}

/// A number of CPUs, such as `0.5`.
pub(super) fn cpus(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(cpus) if cpus.is_finite() && cpus > 0.0 => Ok(cpus),
        _ => Err("a number above 0 is wanted, such as 0.5".to_owned()),
    }
}

fn above_zero(value: u64) -> Result<u64, String> {
    match value {
        0 => Err("must be above 0".to_owned()),
        value => Ok(value),
    }
}

/// The number and what follows it.
fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (!number.is_empty()).then_some((number, unit.trim_start()))
}

/// `number` times `factor` exactly; `None` if it is no number, does not come out even, or is too large.
fn times(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || digits.len() > MAX_DIGITS {
        return None;
    }
    let product = digits.parse::<u128>().ok()? * u128::from(factor);
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    (product % scale == 0).then(|| u64::try_from(product / scale).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("65536", 65536),
            ("256M", 256 << 20),
            ("256m", 256 << 20),
            ("1.5GiB", 3 << 29),
            ("64 KiB", 64 << 10),
            ("10MB", 10_000_000),
            ("1b", 1),
            ("0.5K", 512),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "M",
            "-1",
            "0",
            "1X",
            "1..5M",
            "1.0001",
            "1e6",
            "99999999999999999999",
            "99999999T",
            ".",
            "१M",
            "1 0M",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_of_flags() {
        for (text, ms) in [
            ("2s", 2_000),
            ("500ms", 500),
            ("1.5s", 1_500),
            ("2 min", 120_000),
            ("1h", 3_600_000),
            ("3000us", 3),
            ("0.001s", 1),
        ] {
            assert_eq!(time_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "2", "0s", "0.5ms", "s", "2S", "2 sec onds", "-2s"] {
            assert!(time_ms(text).is_err(), "{text}");
        }
        assert!(time_ms("2").unwrap_err().contains("unit is missing"));
    }

    #[test]
    fn counts_and_fractions() {
        assert_eq!(count("3"), Ok(3));
        assert!(count("0").is_err() && count("-1").is_err() && count("1.5").is_err());
        assert_eq!(cpus("0.5"), Ok(0.5));
        assert!(cpus("0").is_err() && cpus("NaN").is_err() && cpus("inf").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = (size(&text), time_ms(&text), count(&text), cpus(&text));
        }

        #[test]
        fn whole_sizes_survive(n in 1u64..1 << 40) {
            proptest::prop_assert_eq!(size(&format!("{n}")), Ok(n));
            proptest::prop_assert_eq!(size(&format!("{n}K")), Ok(n * 1024));
        }
    }
}
