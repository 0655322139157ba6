//! Policies: which system calls, files and mounts a program gets.
//!
//! A policy is one TOML file (`profiles/policies/*.toml`). This module reads and checks it;
//! [`seccomp`] compiles the system call part to BPF, [`crate::landlock`] applies the file part.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

mod compiled;
pub mod seccomp;
mod shorten;

pub use compiled::{AllError, Compiled};

/// One policy, as its file says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its name: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// One sentence for `GET /v1/policies`.
    pub description: String,
    /// What `/proc` is.
    #[serde(default)]
    pub proc: ProcMount,
    /// System calls.
    pub seccomp: Seccomp,
    /// Files.
    pub landlock: Landlock,
}

impl Policy {
    /// Whether it lets system call `name` through with any arguments.
    pub fn allows(&self, name: &str) -> bool {
        self.seccomp
            .allow
            .iter()
            .any(|r| r.when.is_empty() && r.syscalls.iter().any(|s| s == name))
    }
}

/// What a sandbox has at `/proc`: `private`, its own process list and the harmless global files, the rest being masked;
/// `none`, an empty directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProcMount {
    /// The sandbox's own process list and the harmless global files; the rest is masked.
    #[default]
    Private,
    /// An empty directory.
    None,
}

/// The system call part: an allow-list by names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seccomp {
    /// What happens to a call that no rule names: `"violation"` ends the program and names the
    /// call; `"errno:NAME"` (such as `errno:ENOSYS`) lets it fail.
    pub default_action: Action,
    /// Calls that go through.
    #[serde(default)]
    pub allow: Vec<Rule>,
    /// Calls that fail with an error number, so that libraries fall back.
    #[serde(default)]
    pub errno: Vec<ErrnoRule>,
    /// Calls that end the program whatever the default action is.
    #[serde(default)]
    pub violation: Vec<Rule>,
}

/// System calls and why they are listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Their names; each exists on this architecture.
    pub syscalls: Vec<String>,
    /// Who needs it (or why it is dangerous).
    pub reason: String,
    /// Only when all of these hold for the call's arguments.
    #[serde(default)]
    pub when: Vec<Condition>,
}

/// A [`Rule`] with the error number its calls answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrnoRule {
    /// Their names.
    pub syscalls: Vec<String>,
    /// The error's name, such as `EPERM`.
    pub errno: String,
    /// Who copes with it.
    pub reason: String,
    /// Only when all of these hold for the call's arguments.
    #[serde(default)]
    pub when: Vec<Condition>,
}

/// A comparison of one system call argument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Which argument, from 0.
    pub arg: u32,
    /// How it is compared.
    pub op: Compare,
    /// Compared with this. TOML integers are signed 64-bit and may be hexadecimal.
    pub value: i64,
    /// With `masked_eq`: the argument's bits that count.
    #[serde(default)]
    pub mask: Option<i64>,
}

/// How an argument is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    MaskedEq,
}

/// What happens to a system call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Action {
    /// The program ends and the answer names the call.
    Violation,
    /// The call fails with this error number.
    Errno(i32),
}

impl TryFrom<String> for Action {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "violation" => Ok(Self::Violation),
            other => match other.strip_prefix("errno:") {
                Some(name) => errno_by_name(name).map(Self::Errno),
                None => Err(format!(
                    "unknown action {other:?}; use \"violation\" or \"errno:NAME\""
                )),
            },
        }
    }
}

impl From<Action> for String {
    fn from(action: Action) -> Self {
        match action {
            Action::Violation => "violation".to_owned(),
            Action::Errno(number) => format!("errno:{:?}", nix::errno::Errno::from_raw(number)),
        }
    }
}

/// The number of the error called `name`.
pub fn errno_by_name(name: &str) -> Result<i32, String> {
    (1..134) // 133 (EHWPOISON) is the last of asm-generic/errno.h
        .find(|n| format!("{:?}", nix::errno::Errno::from_raw(*n)) == name)
        .ok_or_else(|| format!("unknown error name {name:?}"))
}

/// The file part. Paths are those inside the sandbox; one that does not exist is skipped, for not
/// every host has every directory. Everything not listed is denied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Landlock {
    /// Read and list.
    pub read: Vec<String>,
    /// Read, list and execute.
    pub read_execute: Vec<String>,
    /// Read and write existing files (devices such as `/dev/null`), no creation.
    pub read_write_file: Vec<String>,
    /// Everything that regular files, directories and sockets allow, execution included.
    pub full: Vec<String>,
}

/// A file that could not be used, with the place of the mistake.
#[derive(Debug, thiserror::Error)]
#[error("{file}{}: {message}", line.map(|l| format!(":{l}")).unwrap_or_default())]
pub struct ProfileError {
    /// The file.
    pub file: String,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl ProfileError {
    /// An error about the whole of `file`.
    pub fn new(file: &str, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            message: message.into(),
        }
    }
}

/// Parses `text` as TOML into `T`; errors carry file and line.
pub fn parse_toml<T: serde::de::DeserializeOwned>(
    file: &str,
    text: &str,
) -> Result<T, ProfileError> {
    toml::from_str(text).map_err(|error| ProfileError {
        file: file.to_owned(),
        line: error.span().map(|span| line_of(text, span.start)),
        message: error.message().to_owned(),
    })
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before.split(|b| *b == b'\n').count()
}

/// The policies built into the binary.
const BUILT_IN: &[(&str, &str)] = &[
    (
        "strict.toml",
        include_str!("../../../profiles/policies/strict.toml"),
    ),
    (
        "default.toml",
        include_str!("../../../profiles/policies/default.toml"),
    ),
    (
        "jvm.toml",
        include_str!("../../../profiles/policies/jvm.toml"),
    ),
    (
        "compile.toml",
        include_str!("../../../profiles/policies/compile.toml"),
    ),
];

/// All policies: the built-in ones, then those of `directory`, which replace built-in ones of the
/// same name.
pub fn load(directory: Option<&Path>) -> Result<BTreeMap<String, Policy>, ProfileError> {
    let mut policies = BTreeMap::new();
    for (file, text) in BUILT_IN {
        let policy = read(file, text)?;
        policies.insert(policy.name.clone(), policy);
    }
    for (file, text) in toml_files(directory)? {
        let policy = parse(&file, &text)?;
        policies.insert(policy.name.clone(), policy);
    }
    Ok(policies)
}

/// The policy `name` of `directory`, or the built-in one; `None` if there is none. As [`load`], without
/// a look at built-in ones that are not asked for.
pub fn find(directory: Option<&Path>, name: &str) -> Result<Option<Policy>, ProfileError> {
    let mut found = None;
    for (file, text) in toml_files(directory)? {
        let policy = parse(&file, &text)?;
        if policy.name == name {
            found = Some(policy);
        }
    }
    if found.is_some() {
        return Ok(found);
    }
    let built_in = BUILT_IN
        .iter()
        .find(|(file, _)| file.strip_suffix(".toml") == Some(name));
    built_in.map(|(file, text)| read(file, text)).transpose()
}

/// Every `*.toml` of `directory` with its content, in the order of their names.
pub fn toml_files(directory: Option<&Path>) -> Result<Vec<(String, String)>, ProfileError> {
    let Some(directory) = directory else {
        return Ok(Vec::new());
    };
    let fail =
        |path: &Path, e: std::io::Error| ProfileError::new(&path.to_string_lossy(), e.to_string());
    let mut paths = std::fs::read_dir(directory)
        .and_then(|entries| {
            entries
                .map(|e| e.map(|e| e.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(|e| fail(directory, e))?;
    paths.retain(|p| p.extension().is_some_and(|e| e == "toml"));
    paths.sort();
    paths
        .into_iter()
        .map(|p| match std::fs::read_to_string(&p) {
            Ok(text) => Ok((p.to_string_lossy().into_owned(), text)),
            Err(e) => Err(fail(&p, e)),
        })
        .collect()
}

/// Parses and checks one policy; `file` is for errors.
pub fn parse(file: &str, text: &str) -> Result<Policy, ProfileError> {
    let policy = read(file, text)?;
    seccomp::compile(&policy).map_err(|e| ProfileError::new(file, e.to_string()))?;
    Ok(policy)
}

/// As [`parse`], but for the compilation of its filter, which takes milliseconds. The tests compile those that
/// are built in.
fn read(file: &str, text: &str) -> Result<Policy, ProfileError> {
    let policy: Policy = parse_toml(file, text)?;
    let bad = |message: String| ProfileError::new(file, message);
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if policy.name.is_empty() || !policy.name.chars().all(is_name) {
        return Err(bad(format!(
            "policy name {:?} is not of a-z, 0-9, '-' and '_'",
            policy.name
        )));
    }
    let paths = &policy.landlock;
    for path in [
        &paths.read,
        &paths.read_execute,
        &paths.read_write_file,
        &paths.full,
    ]
    .into_iter()
    .flatten()
    {
        if !path.starts_with('/') {
            return Err(bad(format!("landlock path {path:?} is not absolute")));
        }
    }
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_built_in_policy_is_found_by_its_name_and_compiles() {
        for (file, text) in BUILT_IN {
            let policy = parse(file, text).unwrap();
            assert_eq!(find(None, &policy.name).unwrap(), Some(policy));
        }
        assert_eq!(find(None, "none").unwrap(), None);
    }

    #[test]
    fn a_directory_replaces_built_in_policies_and_is_checked() {
        let directory = tempfile::tempdir().unwrap();
        let (_, strict) = BUILT_IN[0];
        let own = strict.replacen("description = \"", "description = \"Ours: ", 1);
        std::fs::write(directory.path().join("a.toml"), own).unwrap();
        let found = find(Some(directory.path()), "strict").unwrap().unwrap();
        assert!(found.description.starts_with("Ours: "), "{found:?}");
        let all = load(Some(directory.path())).unwrap();
        assert_eq!(all["strict"], found);
        assert_eq!(all.len(), BUILT_IN.len());
        let wrong = strict.replacen("reason = \"", "reason = \"\" # ", 1);
        std::fs::write(directory.path().join("b.toml"), wrong).unwrap();
        let error = find(Some(directory.path()), "jvm").unwrap_err().to_string();
        assert!(
            error.contains("b.toml") && error.contains("no reason"),
            "{error}"
        );
    }
}
