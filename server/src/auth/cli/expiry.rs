//! Until when a key works, as people write it.

use std::str::FromStr;

use anyhow::ensure;
use time::format_description::well_known::{Iso8601, Rfc3339};
use time::{Date, Duration, OffsetDateTime, Time};

/// A time, or how long from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    In(Duration),
    At(OffsetDateTime),
}

const EXAMPLES: &str = "30min, 12h, 90d, 8w, 2027-01-31 and 2027-01-31T12:00:00Z are times";

impl FromStr for Expiry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
            return Ok(Self::At(at));
        }
        if let Ok(date) = Date::parse(text, &Iso8601::DATE) {
            return Ok(Self::At(date.with_time(Time::MIDNIGHT).assume_utc()));
        }
        duration(text)
            .map(Self::In)
            .ok_or_else(|| format!("{text:?} is no time; {EXAMPLES}"))
    }
}

fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    let number: u32 = number.parse().ok()?;
    let one = match unit {
        "min" => Duration::MINUTE,
        "h" => Duration::HOUR,
        "d" => Duration::DAY,
        "w" => Duration::WEEK,
        _ => return None,
    };
    one.checked_mul(number.try_into().ok()?)
}

impl Expiry {
    /// The time, which must come after `now`.
    pub(super) fn after(self, now: OffsetDateTime) -> anyhow::Result<OffsetDateTime> {
        let at = match self {
            Self::At(at) => Some(at),
            Self::In(duration) => now.checked_add(duration),
        };
        let at = at.filter(|at| at.year() <= 9999);
        ensure!(at.is_some(), "that is after the year 9999");
        ensure!(at > Some(now), "that is over already; {EXAMPLES}");
        Ok(at.unwrap_or(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let now = OffsetDateTime::parse("2026-11-24T00:00:00Z", &Rfc3339).unwrap();
        let after = |text: &str| text.parse::<Expiry>().unwrap().after(now).unwrap();
        assert_eq!(after("90d"), now + Duration::days(90));
        assert_eq!(after("30min"), now + Duration::minutes(30));
        assert_eq!(after("2026-11-25"), now + Duration::DAY);
        assert_eq!(
            after("2026-11-25T00:00:00+01:00"),
            now + Duration::hours(23)
        );
        for text in [
            "",
            "d",
            "90",
            "90y",
            "-1d",
            "1.5d",
            "2026-13-01",
            "tomorrow",
            "99999999999d",
        ] {
            assert!(
                text.parse::<Expiry>().unwrap_err().contains("90d"),
                "{text}"
            );
        }
        for text in ["0d", "2020-01-01", "200000000w"] {
            assert!(
                text.parse::<Expiry>().unwrap().after(now).is_err(),
                "{text}"
            );
        }
    }
}
