//! How outputs are compared: `--checker` and `--interactor`.

use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;

use super::failure::Failure;
use super::sources::{self, Known, Program};

const FORM: &str = "a checker is exact, lines, tokens, tokens_ci, sorted_lines, float:TOLERANCE, \
float:abs=TOLERANCE,rel=TOLERANCE or program:FILE";

/// `--checker` as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum CheckerFlag {
    /// Its type is all there is to say.
    Plain(&'static str),
    Float {
        absolute: Option<f64>,
        relative: Option<f64>,
    },
    Program(PathBuf),
}

impl FromStr for CheckerFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        let plain = ["exact", "lines", "tokens", "tokens_ci", "sorted_lines"];
        match (plain.iter().find(|name| **name == kind), kind, rest) {
            (Some(name), _, None) => Ok(Self::Plain(name)),
            (None, "float", Some(rest)) => float(rest),
            (None, "program", Some(rest)) if !rest.is_empty() => Ok(Self::Program(rest.into())),
            _ => Err(FORM.to_owned()),
        }
    }
}

fn float(text: &str) -> Result<CheckerFlag, String> {
    let tolerance = |text: &str| match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(Some(value)),
        _ => Err(format!("{text:?} is no tolerance such as 1e-6")),
    };
    if !text.contains('=') {
        let both = tolerance(text)?;
        return Ok(CheckerFlag::Float {
            absolute: both,
            relative: both,
        });
    }
    let (mut absolute, mut relative) = (None, None);
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("abs", value)) => absolute = tolerance(value)?,
            Some(("rel", value)) => relative = tolerance(value)?,
            _ => return Err(FORM.to_owned()),
        }
    }
    Ok(CheckerFlag::Float { absolute, relative })
}

/// How a checker or interactor is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(super) enum Protocol {
    /// testlib: verdict by exit codes 0 to 7
    Testlib,
    /// ICPC and Kattis: exit codes 42 and 43, feedback directory
    Icpc,
}

/// `checker` of a request.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Checker {
    Exact,
    Lines,
    Tokens,
    TokensCi,
    SortedLines,
    Float {
        #[serde(skip_serializing_if = "Option::is_none")]
        absolute: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        relative: Option<f64>,
    },
    Program(Judge),
}

/// A program that judges: a checker or an interactor.
#[derive(Debug, Serialize)]
pub(super) struct Judge {
    language: String,
    #[serde(flatten)]
    program: Program,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<String>,
    protocol: Protocol,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<String>,
}

impl CheckerFlag {
    /// The program's file, if it is one.
    pub(super) fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::Program(file) => Some(file),
            _ => None,
        }
    }

    /// As a request has it. `judge` makes the program.
    pub(super) fn request(
        &self,
        judge: impl FnOnce(&PathBuf) -> Result<Judge, Failure>,
    ) -> Result<Checker, Failure> {
        Ok(match self {
            Self::Plain("exact") => Checker::Exact,
            Self::Plain("tokens") => Checker::Tokens,
            Self::Plain("tokens_ci") => Checker::TokensCi,
            Self::Plain("sorted_lines") => Checker::SortedLines,
            Self::Plain(_) => Checker::Lines,
            Self::Float { absolute, relative } => Checker::Float {
                absolute: *absolute,
                relative: *relative,
            },
            Self::Program(file) => Checker::Program(judge(file)?),
        })
    }
}

/// Reads a judge's files: `file` is the one that starts, `more` lie beside it.
pub(super) fn judge(
    file: &PathBuf,
    more: &[PathBuf],
    language: Option<&String>,
    protocol: Protocol,
    args: &[String],
    known: &[Known],
) -> Result<Judge, Failure> {
    let files: Vec<PathBuf> = std::iter::once(file).chain(more).cloned().collect();
    let language = match language {
        Some(language) => language.clone(),
        None => sources::language_of(&files, known, "--judge-language")?,
    };
    let entry = if more.is_empty() {
        None
    } else {
        sources::names(&files)?.into_iter().next()
    };
    Ok(Judge {
        language,
        program: sources::read_program(&files)?,
        entry,
        protocol,
        args: args.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(text: &str) -> serde_json::Value {
        let flag: CheckerFlag = text.parse().unwrap();
        let judge = |file: &PathBuf| {
            Ok(Judge {
                language: "cpp".to_owned(),
                program: sources::read_program(std::slice::from_ref(file))?,
                entry: None,
                protocol: Protocol::Icpc,
                args: vec!["x".to_owned()],
            })
        };
        serde_json::to_value(flag.request(judge).unwrap()).unwrap()
    }

    #[test]
    fn flags_become_checkers() {
        for plain in ["exact", "lines", "tokens", "tokens_ci", "sorted_lines"] {
            assert_eq!(request(plain), json!({"type": plain}));
        }
        assert_eq!(
            request("float:1e-6"),
            json!({"type": "float", "absolute": 1e-6, "relative": 1e-6})
        );
        assert_eq!(
            request("float:rel=1e-9"),
            json!({"type": "float", "relative": 1e-9})
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "int main;").unwrap();
        assert_eq!(
            request(&format!("program:{}", file.path().display())),
            json!({"type": "program", "language": "cpp", "source": "int main;", "source_encoding": "utf-8",
                   "protocol": "icpc", "args": ["x"]})
        );
    }

    #[test]
    fn other_words_are_refused() {
        for wrong in [
            "",
            "token",
            "tokens:",
            "tokens:x",
            "float",
            "float:",
            "float:x",
            "float:-1",
            "float:NaN",
            "float:abs=1,foo=2",
            "program",
            "program:",
            "Exact",
        ] {
            assert!(wrong.parse::<CheckerFlag>().is_err(), "{wrong}");
        }
    }
}
