//! The secrets that sign deliveries: where they come from, and how they reach the server.
//!
//! The supervisor reads them at start-up, as a user that may, and hands them to the server in the
//! memory that the configuration comes in. No file or variable that holds one is open to the server.
//! Neither `Debug` nor `Display` shows one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// Signatures of one delivery: the secret in use and, while it is replaced, another.
const MOST_VALUES: usize = 2;
/// A shorter secret could be guessed.
const LEAST_BYTES: usize = 16;
/// A longer one is a mistake, such as the wrong file.
const MOST_BYTES: usize = 4096;
/// The longest id of a secret.
const MOST_ID_BYTES: usize = 64;

/// Where one value of a secret is read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    /// `"file:/etc/brig/hook.secret"`: a file's content, less the newline at its end.
    File(PathBuf),
    /// `"env:BRIG_HOOK_SECRET"`: a variable of the environment `brig serve` is started in.
    Env(String),
}

impl TryFrom<String> for Source {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("file", path)) if Path::new(path).is_absolute() => Ok(Self::File(path.into())),
            Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0']) => {
                Ok(Self::Env(name.to_owned()))
            }
            // What was given may be the secret itself: it is not repeated.
            _ => Err("a secret is given as \"file:/absolute/path\" or \"env:NAME\"".to_owned()),
        }
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        match source {
            Source::File(path) => format!("file:{}", path.display()),
            Source::Env(name) => format!("env:{name}"),
        }
    }
}

impl Source {
    fn read(&self) -> anyhow::Result<Secret> {
        let bytes = match self {
            Self::File(path) => {
                read_file(path).with_context(|| format!("the secret's file {}", path.display()))?
            }
            Self::Env(name) => std::env::var_os(name)
                .with_context(|| format!("the environment has no variable {name}"))?
                .into_vec(),
        };
        ensure!(
            (LEAST_BYTES..=MOST_BYTES).contains(&bytes.len()),
            "a secret has {LEAST_BYTES} to {MOST_BYTES} bytes, this one has {}; \
             `openssl rand -hex 32` makes a good one",
            bytes.len()
        );
        Ok(Secret(bytes))
    }
}

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = MOST_BYTES as u64 + 2; // so that a longer one is seen to be
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Ok(bytes)
}

/// Where a secret comes from: one source, or two while it is replaced; each delivery is then signed
/// with both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Sources(Vec<Source>);

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrTwo;

        impl<'de> Visitor<'de> for OneOrTwo {
            type Value = Sources;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(
                    "\"file:/absolute/path\" or \"env:NAME\", or a list of one or two of these",
                )
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Sources, E> {
                let source = Source::try_from(text.to_owned()).map_err(E::custom)?;
                Ok(Sources(vec![source]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Sources, A::Error> {
                let mut sources = Vec::new();
                while let Some(source) = list.next_element()? {
                    sources.push(source);
                    if sources.len() > MOST_VALUES {
                        return Err(de::Error::invalid_length(sources.len(), &self));
                    }
                }
                if sources.is_empty() {
                    return Err(de::Error::invalid_length(0, &self));
                }
                Ok(Sources(sources))
            }
        }
        deserializer.deserialize_any(OneOrTwo)
    }
}

/// One value of a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Secret(Vec<u8>);

impl Secret {
    #[cfg(test)]
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// All secrets, by id. Serialised only on the way from the supervisor to the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secrets(BTreeMap<String, Vec<Secret>>);

impl Secrets {
    /// Reads every secret. An error names the secret and its source, never a value.
    pub fn load(sources: &BTreeMap<String, Sources>) -> anyhow::Result<Self> {
        let load = |(id, Sources(sources)): (&String, &Sources)| {
            let secrets = sources.iter().map(Source::read);
            let secrets = secrets
                .collect::<anyhow::Result<_>>()
                .with_context(|| format!("webhooks.secrets.{id}"))?;
            Ok((id.clone(), secrets))
        };
        sources
            .iter()
            .map(load)
            .collect::<anyhow::Result<_>>()
            .map(Self)
    }

    #[cfg(test)]
    pub(super) fn of(id: &str, values: &[&str]) -> Self {
        let values = values.iter().map(|v| Secret(v.as_bytes().to_vec()));
        Self(BTreeMap::from([(id.to_owned(), values.collect())]))
    }

    /// The values of the secret `id`.
    pub(super) fn get(&self, id: &str) -> Option<&[Secret]> {
        self.0.get(id).map(Vec::as_slice)
    }
}

/// Whether `id` can be the id of a secret.
pub(super) fn check_id(id: &str) -> anyhow::Result<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    ensure!(
        (1..=MOST_ID_BYTES).contains(&id.len()) && id.bytes().all(allowed),
        "webhooks.secrets: {id:?} is no id: 1 to {MOST_ID_BYTES} of a-z, A-Z, 0-9, - and _"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const VALUE: &str = "0123456789abcdef-the-secret";

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn sources(value: serde_json::Value) -> Result<BTreeMap<String, Sources>, String> {
        serde_json::from_value(value).map_err(|e| e.to_string())
    }

    #[test]
    fn secrets_come_from_files_and_the_environment_and_show_nowhere() {
        let (unix, dos) = (
            file(format!("{VALUE}\n").as_bytes()),
            file(format!("{VALUE}\r\n").as_bytes()),
        );
        let list = sources(serde_json::json!({
            "main": format!("file:{}", unix.path().display()),
            "other": [format!("file:{}", dos.path().display()), "env:CARGO_MANIFEST_DIR"],
        }))
        .unwrap();
        let secrets = Secrets::load(&list).unwrap();
        assert_eq!(secrets.get("main").unwrap()[0].bytes(), VALUE.as_bytes());
        let other = secrets.get("other").unwrap();
        assert_eq!(other[0].bytes(), VALUE.as_bytes());
        assert_eq!(other[1].bytes(), env!("CARGO_MANIFEST_DIR").as_bytes());
        assert!(secrets.get("none").is_none());
        assert!(!format!("{secrets:?}").contains("0123456789"));
        assert!(!format!("{secrets:?}").contains("48, 49"));
        let json = serde_json::to_string(&secrets).unwrap();
        assert_eq!(serde_json::from_str::<Secrets>(&json).unwrap(), secrets);
    }

    #[test]
    fn a_secret_that_cannot_be_read_is_named() {
        let (short, long) = (file(b"short\n"), file(&[b'x'; MOST_BYTES + 1]));
        for (source, expected) in [
            ("file:/nonexistent".to_owned(), "/nonexistent"),
            (
                "env:BRIG_NO_SUCH_VARIABLE".to_owned(),
                "BRIG_NO_SUCH_VARIABLE",
            ),
            (
                format!("file:{}", short.path().display()),
                "16 to 4096 bytes, this one has 5",
            ),
            (
                format!("file:{}", long.path().display()),
                "this one has 4097",
            ),
        ] {
            let list = sources(serde_json::json!({ "main": source })).unwrap();
            let error = format!("{:#}", Secrets::load(&list).unwrap_err());
            assert!(
                error.contains("webhooks.secrets.main") && error.contains(expected),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_no_source_is_refused_and_not_repeated() {
        for bad in [
            serde_json::json!(VALUE),
            serde_json::json!("file:relative"),
            serde_json::json!("env:"),
            serde_json::json!([]),
            serde_json::json!(["env:A", "env:B", "env:C"]),
            serde_json::json!(7),
        ] {
            let error = sources(serde_json::json!({ "main": bad })).unwrap_err();
            assert!(error.contains("file:") && !error.contains(VALUE), "{error}");
        }
        assert!(check_id("main-2_B").is_ok());
        assert!(
            check_id("").is_err() && check_id("a b").is_err() && check_id(&"x".repeat(65)).is_err()
        );
    }
}
