//! The form of a profile file. Every key is documented in `docs/languages.md`.

use std::collections::BTreeMap;

use brig_sandbox::limits::LimitsPatch;
use serde::Deserialize;

/// A profile as its file says it, unchecked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    #[serde(default)]
    pub(super) extensions: Vec<String>,
    pub(super) source_name: String,
    #[serde(default)]
    pub(super) packages: Vec<String>,
    #[serde(default)]
    pub(super) core: bool,
    #[serde(default)]
    pub(super) mounts: Vec<String>,
    #[serde(default)]
    pub(super) example: String,
    #[serde(default)]
    pub(super) executable_files: bool,
    #[serde(default)]
    pub(super) entry: Entry,
    pub(super) version: Version,
    pub(super) compile: Option<Stage>,
    pub(super) run: Stage,
}

/// How the thing that starts is found.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Entry {
    pub(super) kind: EntryKind,
    /// A regular expression; its first group names the file that `source` becomes.
    pub(super) name_source_by: Option<String>,
}

/// What a language starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A file, or whatever the compiler makes of all files.
    #[default]
    File,
    /// The compiled class that has `main`.
    JvmClass,
    /// The same; and `source` becomes a file that has the name of its public type, for that is
    /// what the Java compiler asks for.
    Java,
}

/// How the version is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Version {
    pub(super) command: Vec<String>,
    #[serde(default = "default_policy")]
    pub(super) policy: String,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    pub(super) pattern: String,
    pub(super) format: String,
    pub(super) limits: Option<LimitsPatch>,
}

fn default_policy() -> String {
    "default".to_owned()
}

/// The compile or the run stage.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stage {
    pub(super) policy: String,
    pub(super) command: Vec<String>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    /// Only in the compile stage.
    pub(super) artifacts: Option<Vec<String>>,
    /// Only in the run stage: the file that the command reads first.
    pub(super) prestart: Option<String>,
    /// Only in the compile stage: a file that is made once, for stages to start from.
    pub(super) prepare: Option<Prepare>,
    pub(super) default_limits: Option<LimitsPatch>,
    pub(super) max_limits: Option<LimitsPatch>,
    #[serde(default)]
    pub(super) out_of_memory: Vec<OutOfMemory>,
}

/// A file that a stage can start from, made once by the language's tools from what the profile says, and
/// from nothing else.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prepare {
    /// What it is made from: paths in `/box`, and their content.
    #[serde(default)]
    pub(super) files: BTreeMap<String, String>,
    /// What makes it, with the stage's policy and environment.
    pub(super) command: Vec<String>,
    /// Its path in `/box`.
    pub(super) file: String,
    /// What stands for `{prepared}` in the stage's command.
    pub(super) arguments: Vec<String>,
    /// Compiler arguments for which there is a file of its own, besides none.
    #[serde(default)]
    pub(super) compiler_args: Vec<Vec<String>>,
    /// A regular expression that every source must match for the file to be of use.
    pub(super) sources: Option<String>,
    /// A regular expression: a stage whose stderr matches is done again without.
    pub(super) redo_if: Option<String>,
    pub(super) limits: Option<LimitsPatch>,
}

/// What a failed stage looks like when its runtime ran out of memory; all given conditions hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutOfMemory {
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<String>,
    pub(super) stderr_contains: Option<String>,
}
