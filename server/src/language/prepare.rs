//! Files that a language's tools make once for compile stages to start from, such as a precompiled header.
//!
//! They are made from what the profile says and nothing else, and only lent to stages that they cannot
//! change the result of: those with exactly the compiler arguments that a file was made with, of sources that
//! the profile says it is of use for. What the compiler then makes of it is its own affair.

use std::sync::Arc;

use brig_sandbox::limits::Limits;
use regex::bytes::Regex;

use super::plan::{SourceFile, StagePlan, environment};
use super::template::{Template, Values};

/// Stands for the file's directory in `prepare.arguments`.
pub(super) const DIRECTORY: &str = "{prepared_dir}";

/// What a profile says of such a file, checked.
#[derive(Debug)]
pub(super) struct PrepareSpec {
    pub(super) policy: String,
    pub(super) command: Template,
    pub(super) env: Vec<(String, Template)>,
    pub(super) files: Vec<SourceFile>,
    /// Its path in `/box`, and below its directory.
    pub(super) file: String,
    pub(super) arguments: Vec<String>,
    /// What every source must match.
    pub(super) sources: Option<Regex>,
    /// What a stage's stderr matches that must be done again without.
    pub(super) redo_if: Option<Regex>,
    pub(super) limits: Limits,
}

/// A file to be made once, and how.
#[derive(Clone, Debug)]
pub struct Preparation {
    /// The stage that makes it; it collects the file alone.
    pub stage: StagePlan,
    compiler_args: Vec<String>,
    spec: Arc<PrepareSpec>,
}

/// Where in its command a stage is told of a file to start from.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// The file.
    pub preparation: Arc<Preparation>,
    at: usize,
}

impl PartialEq for Preparation {
    fn eq(&self, other: &Self) -> bool {
        // All else is the profile's.
        Arc::ptr_eq(&self.spec, &other.spec) && self.compiler_args == other.compiler_args
    }
}

impl PrepareSpec {
    /// The file for programs with these compiler arguments.
    pub(super) fn with(self: &Arc<Self>, compiler_args: Vec<String>) -> Arc<Preparation> {
        let values = Values {
            entry: None,
            sources: Vec::new(),
            compiler_args,
            args: Vec::new(),
            prepared: Vec::new(),
            main_class: None,
            limits: self.limits,
        };
        let env = self
            .env
            .iter()
            .map(|(key, value)| (key.clone(), value.expand(&values).concat()));
        Arc::new(Preparation {
            stage: StagePlan {
                policy: self.policy.clone(),
                argv: self.command.expand(&values),
                env: environment(env),
                limits: self.limits,
                collect: Some(vec![globset::escape(&self.file)]),
                script: None,
                start: None,
            },
            compiler_args: values.compiler_args,
            spec: Arc::clone(self),
        })
    }
}

impl Preparation {
    /// What it is made from.
    pub fn files(&self) -> &[SourceFile] {
        &self.spec.files
    }

    /// Whether a program may start from it: one with these compiler arguments and sources.
    pub(super) fn fits<'a>(
        &self,
        compiler_args: &[String],
        mut sources: impl Iterator<Item = &'a [u8]>,
    ) -> bool {
        let matches = |content| {
            let pattern = self.spec.sources.as_ref();
            pattern.is_none_or(|pattern| pattern.is_match(content))
        };
        self.compiler_args == compiler_args && sources.all(matches)
    }

    /// Whether a stage that started from it and wrote this has to be done again without.
    pub fn must_redo(&self, stderr: &[u8]) -> bool {
        let pattern = self.spec.redo_if.as_ref();
        pattern.is_some_and(|pattern| pattern.is_match(stderr))
    }
}

impl Start {
    /// `preparation` for a stage that is told of it before its argument `at`.
    pub(super) fn new(preparation: Arc<Preparation>, at: usize) -> Self {
        Self { preparation, at }
    }

    /// The command of `stage`, whose this is, when the file is in `directory`.
    pub fn command(&self, stage: &StagePlan, directory: &str) -> Vec<String> {
        let mut argv = stage.argv.clone();
        let told = self.preparation.spec.arguments.iter();
        let told = told.map(|argument| argument.replace(DIRECTORY, directory));
        argv.splice(self.at..self.at, told);
        argv
    }
}
