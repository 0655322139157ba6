//! What a key is good for, as it is stored.

use std::fmt;
use std::num::NonZeroU32;

use brig_sandbox::limits::LimitsPatch;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{RateLimit, Scopes};

/// What a key is good for. Unknown fields make it unreadable, and the key useless: what a newer
/// Brig restricted must not be unrestricted for an older one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What it may do.
    pub scopes: Scopes,
    /// How many requests it may make; without it as many as it likes.
    pub rate: Option<RateLimit>,
    /// How many runs it may have in progress at once.
    pub concurrency: Option<NonZeroU32>,
    /// How many of its submissions may wait for their result.
    pub queue: Option<NonZeroU32>,
    /// How far its requests may go.
    #[serde(default)]
    pub maxima: KeyLimits,
    /// From when on it is of no use.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
}

/// The most that a key's requests may ask for; what is not set is bounded by the language alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyLimits {
    /// For each stage but compiling.
    pub run: LimitsPatch,
    /// For compiling.
    pub compile: LimitsPatch,
}

/// What makes a limit one of compiling.
const COMPILE: &str = "compile.";

impl KeyLimits {
    /// Limits from `name=value` pairs such as `cpu_time_ms=2000` and
    /// `compile.memory_bytes=1073741824`.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let (mut run, mut compile) = (Map::new(), Map::new());
        for pair in pairs {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                format!("{pair:?} is not a limit and its maximum; cpu_time_ms=2000 is")
            })?;
            let number = number(value)
                .ok_or_else(|| format!("{name}: {value:?} is not a number above 0"))?;
            let (limits, limit) = match name.strip_prefix(COMPILE) {
                Some(limit) => (&mut compile, limit),
                None => (&mut run, name),
            };
            if limits.insert(limit.to_owned(), number).is_some() {
                return Err(format!("{name} is given twice"));
            }
        }
        Ok(Self {
            run: patch(run)?,
            compile: patch(compile)?,
        })
    }
}

fn number(text: &str) -> Option<Value> {
    let above_zero = match text.parse::<u64>() {
        Ok(number) => (number > 0).then(|| number.into()),
        Err(_) => text
            .parse::<f64>()
            .ok()
            .filter(|n| *n > 0.0)
            .map(Value::from),
    };
    // Infinity has no JSON.
    above_zero.filter(Value::is_number)
}

fn patch(limits: Map<String, Value>) -> Result<LimitsPatch, String> {
    serde_json::from_value(Value::Object(limits)).map_err(|e| e.to_string())
}

impl fmt::Display for KeyLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (prefix, limits) in [("", &self.run), (COMPILE, &self.compile)] {
            let Ok(Value::Object(limits)) = serde_json::to_value(limits) else {
                continue;
            };
            for (name, value) in limits.iter().filter(|(_, value)| !value.is_null()) {
                write!(f, "{separator}{prefix}{name}={value}")?;
                separator = " ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maxima_from_the_command_line() {
        let pairs = ["cpu_time_ms=2000", "cpus=0.5", "compile.processes=64"];
        let maxima = KeyLimits::parse(pairs).unwrap();
        assert_eq!(maxima.run.cpu_time_ms, Some(2000));
        assert_eq!(maxima.run.cpus, Some(0.5));
        assert_eq!(maxima.run.processes, None);
        assert_eq!(maxima.compile.processes, Some(64));
        assert_eq!(KeyLimits::parse(maxima.to_string().split(' ')), Ok(maxima));
        assert_eq!(KeyLimits::default().to_string(), "");
    }

    #[test]
    fn mistakes_say_what_is_allowed() {
        let error = |pair: &str| KeyLimits::parse([pair]).unwrap_err();
        assert!(
            error("cpu_time=2").contains("`cpu_time_ms`"),
            "{}",
            error("cpu_time=2")
        );
        assert!(error("compile.cpu=2").contains("`cpu_time_ms`"));
        assert!(error("cpu_time_ms").contains("cpu_time_ms=2000 is"));
        for value in ["0", "-1", "x", "", "inf", "nan", "1e400"] {
            let text = error(&format!("cpu_time_ms={value}"));
            assert!(text.contains("not a number above 0"), "{text}");
        }
        assert!(KeyLimits::parse(["cpu_time_ms=1.5"]).is_err());
        assert!(KeyLimits::parse(["cpus=1", "cpus=2"]).is_err());
    }

    #[test]
    fn what_is_not_understood_is_not_ignored() {
        let json = serde_json::to_string(&Settings::default()).unwrap();
        assert_eq!(
            serde_json::from_str::<Settings>(&json).unwrap(),
            Settings::default()
        );
        let newer = json.replacen('{', r#"{"networks":["10.0.0.0/8"],"#, 1);
        assert!(serde_json::from_str::<Settings>(&newer).is_err());
    }
}
