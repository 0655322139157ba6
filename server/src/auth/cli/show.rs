//! What `brig keys` prints.

use std::io::Write;

use console::{Alignment, measure_text_width, pad_str, style};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::auth::{Settings, Token};
use crate::store::Key;

/// Says what was made. The token alone goes to stdout, for scripts.
pub(super) fn created(key: &Key, token: &Token, first: bool, json: bool) -> anyhow::Result<()> {
    if json {
        let mut shown = as_json(key);
        shown["token"] = token.reveal().into();
        return print(&format!("{shown}\n"));
    }
    eprintln!(
        "Key {} ({}). It is shown this once; keep it where secrets are kept:",
        key.id, key.name
    );
    print(&format!("{}\n", token.reveal()))?;
    eprintln!("Requests send it as `Authorization: Bearer brig_...`; it works at once.");
    if first {
        let note = "It is the first: from now on every request needs a key, also on loopback.";
        eprintln!("{note}");
    }
    Ok(())
}

/// Says that a key was revoked.
pub(super) fn revoked(id: Uuid, json: bool) -> anyhow::Result<()> {
    if json {
        return print(&format!("{}\n", json!({ "id": id, "state": "revoked" })));
    }
    eprintln!("Key {id} is revoked; a running service refuses it within a second.");
    Ok(())
}

/// Prints all keys.
pub(super) fn list(keys: &[Key], json: bool) -> anyhow::Result<()> {
    if json {
        let keys: Vec<_> = keys.iter().map(as_json).collect();
        return print(&format!("{}\n", serde_json::to_string_pretty(&keys)?));
    }
    if keys.is_empty() {
        eprintln!("There are no keys; `brig keys create` makes one.");
        return Ok(());
    }
    let mut rows = vec![HEADINGS.map(|heading| style(heading).bold().to_string())];
    rows.extend(keys.iter().map(row));
    print(&table(&rows))
}

const HEADINGS: [&str; 9] = [
    "ID", "NAME", "STATE", "SCOPES", "RATE", "RUNS", "QUEUE", "EXPIRES", "MAXIMA",
];

fn row(key: &Key) -> [String; HEADINGS.len()] {
    let settings = settings(key).unwrap_or_default();
    let number =
        |number: Option<_>| number.map_or_else(none, |n: std::num::NonZeroU32| n.to_string());
    let rate = settings.rate.map_or_else(none, |rate| {
        format!("{}, burst {}", rate.per_second, rate.burst)
    });
    let maxima = settings.maxima.to_string();
    let expires = settings
        .expires_at
        .map_or_else(none, |at| at.date().to_string());
    let state = State::of(key);
    let cells = [
        key.id.to_string(),
        key.name.clone(),
        state.name().to_owned(),
        settings.scopes.to_string(),
        rate,
        number(settings.concurrency),
        number(settings.queue),
        expires,
        if maxima.is_empty() { none() } else { maxima },
    ];
    match state {
        State::Active => cells,
        _ => cells.map(|cell| style(cell).dim().to_string()),
    }
}

fn none() -> String {
    "-".to_owned()
}

/// Columns as wide as their widest cell, two spaces apart.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| measure_text_width(&row[column]));
        widths.max().unwrap_or_default()
    };
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            // The last one needs no room behind it.
            let width = if column + 1 == N {
                0
            } else {
                width(column) + 2
            };
            text += &pad_str(cell, width, Alignment::Left, None);
        }
        text.push('\n');
    }
    text
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Active,
    Expired,
    Revoked,
    /// Made by a newer Brig.
    Unreadable,
}

impl State {
    fn of(key: &Key) -> Self {
        let now = OffsetDateTime::now_utc();
        match settings(key) {
            _ if key.revoked_at.is_some() => Self::Revoked,
            None => Self::Unreadable,
            Some(settings) if settings.expires_at.is_some_and(|end| end <= now) => Self::Expired,
            Some(_) => Self::Active,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Unreadable => "unreadable",
        }
    }
}

fn settings(key: &Key) -> Option<Settings> {
    serde_json::from_slice(&key.settings).ok()
}

fn as_json(key: &Key) -> Value {
    let time = |at: Option<OffsetDateTime>| at.and_then(|at| at.format(&Rfc3339).ok());
    let settings = settings(key).unwrap_or_default();
    json!({
        "id": key.id,
        "name": key.name,
        "state": State::of(key).name(),
        "scopes": settings.scopes,
        "rate": settings.rate,
        "concurrency": settings.concurrency,
        "queue": settings.queue,
        "maxima": settings.maxima,
        "created_at": time(Some(key.created_at)),
        "expires_at": time(settings.expires_at),
        "revoked_at": time(key.revoked_at),
    })
}

/// A reader that has had enough is no failure.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, settings: &str) -> Key {
        Key {
            id: Uuid::from_u128(7),
            hash: [0; 32],
            name: name.to_owned(),
            settings: settings.as_bytes().to_vec(),
            created_at: OffsetDateTime::UNIX_EPOCH,
            revoked_at: None,
        }
    }

    #[test]
    fn columns_line_up_also_with_wide_names() {
        let settings = serde_json::to_string(&Settings::default()).unwrap();
        let rows: Vec<_> = ["oj", "日本語"]
            .map(|name| row(&key(name, &settings)))
            .into();
        let text = table(&rows);
        let at = |line: &str| measure_text_width(&line[..line.find("active").unwrap()]);
        let columns: Vec<_> = text.lines().map(at).collect();
        assert_eq!(columns[0], columns[1], "{text}");
    }

    #[test]
    fn a_key_of_a_newer_brig_is_shown_as_unreadable() {
        let key = key("new", r#"{"scopes": [], "beyond": 1}"#);
        assert_eq!(State::of(&key), State::Unreadable);
        assert_eq!(as_json(&key)["state"], "unreadable");
        let revoked = Key {
            revoked_at: Some(OffsetDateTime::UNIX_EPOCH),
            ..key
        };
        assert_eq!(State::of(&revoked), State::Revoked);
        assert_eq!(as_json(&revoked)["revoked_at"], "1970-01-01T00:00:00Z");
    }
}
