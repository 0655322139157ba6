//! What `brig run` and `brig submit` have in common: a program, and how it is compiled and called.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::failure::Failure;
use super::limits::{self, CompileLimitFlags, LimitFlags};
use super::sources::{self, Known, Program};

/// The program.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ProgramFlags {
    /// The program's files
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Language, such as cpp or python@3.11 [default: by the extension of the first FILE that tells]
    #[arg(short, long, value_name = "ID")]
    pub(super) language: Option<String>,
    /// The file that starts, if it is not clear
    #[arg(long, value_name = "PATH")]
    entry: Option<String>,
    /// Argument of the program; may be repeated
    #[arg(
        long = "args",
        visible_alias = "arg",
        value_name = "ARG",
        allow_hyphen_values = true
    )]
    args: Vec<String>,
    /// Variable of the program's environment; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Argument of the compiler; may be repeated
    #[arg(long = "compiler-arg", value_name = "ARG", allow_hyphen_values = true)]
    compiler_args: Vec<String>,
    /// Policy of the sandbox, if not the language's own
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
}

/// The same as fields of a request.
#[derive(Debug, Serialize)]
pub(super) struct ProgramRequest<'a> {
    language: String,
    #[serde(flatten)]
    program: Program,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<&'a str>,
    args: Vec<&'a str>,
    env: BTreeMap<&'a str, &'a str>,
    compiler_args: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<&'a LimitFlags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compile_limits: Option<&'a CompileLimitFlags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
}

/// `NAME=VALUE`.
fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("NAME=VALUE is wanted".to_owned()),
    }
}

impl ProgramFlags {
    /// The request's fields. `rest` are more arguments of the program, `known` the languages, as far as they
    /// are needed: where none was named.
    pub(super) fn request<'a>(
        &'a self,
        rest: &'a [String],
        (limits, compile_limits): (&'a LimitFlags, &'a CompileLimitFlags),
        known: &[Known],
    ) -> Result<ProgramRequest<'a>, Failure> {
        let language = match &self.language {
            Some(language) => language.clone(),
            None => sources::language_of(&self.files, known, "--language")?,
        };
        let args = self.args.iter().chain(rest);
        let env = self.env.iter();
        Ok(ProgramRequest {
            language,
            program: sources::read_program(&self.files)?,
            entry: self.entry.as_deref(),
            args: args.map(String::as_str).collect(),
            env: env.map(|(k, v)| (k.as_str(), v.as_str())).collect(),
            compiler_args: &self.compiler_args,
            limits: limits.given(),
            compile_limits: compile_limits.given(),
            policy: self.policy.as_deref(),
        })
    }

    /// What the caller wrote for these parts of a JSON pointer of the request.
    pub(super) fn flag(&self, pointer: &[&str]) -> Option<String> {
        Some(match pointer {
            ["limits", field] => limits::flag(field)?.to_owned(),
            ["compile_limits", field] => limits::compile_flag(field)?.to_owned(),
            ["source", ..] => self.files.first()?.display().to_string(),
            ["files", index, ..] => {
                let index = index.parse::<usize>().ok()?;
                self.files.get(index)?.display().to_string()
            }
            ["env", name] => format!("--env {name}"),
            ["compiler_args", ..] => "--compiler-arg".to_owned(),
            ["args", ..] => "--args".to_owned(),
            [name @ ("language" | "entry" | "policy" | "env")] => format!("--{name}"),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn flags(args: &[&str]) -> ProgramFlags {
        let command = ProgramFlags::augment_args(clap::Command::new("test"));
        let matches = command.get_matches_from([&["test"], args].concat());
        ProgramFlags::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn pointers_are_flags_and_files() {
        let flags = flags(&["a.py", "b.py"]);
        let flag = |pointer: &str| {
            let parts: Vec<_> = pointer.split('/').skip(1).collect();
            flags.flag(&parts).unwrap_or_default()
        };
        assert_eq!(flag("/limits/memory_bytes"), "--memory");
        assert_eq!(flag("/compile_limits/cpu_time_ms"), "--compile-cpu-time");
        assert_eq!(flag("/files/1/path"), "b.py");
        assert_eq!(flag("/source"), "a.py");
        assert_eq!(flag("/env/X"), "--env X");
        assert_eq!(flag("/language"), "--language");
        for none in ["/files/9", "", "/new"] {
            assert_eq!(flag(none), "");
        }
    }

    #[test]
    fn variables() {
        assert_eq!(
            variable("A=b=c").unwrap(),
            ("A".to_owned(), "b=c".to_owned())
        );
        assert!(variable("A").is_err() && variable("=x").is_err());
    }
}
