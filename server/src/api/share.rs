//! `/v1/shares`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Encoding, InputFile, LimitsRequest, Object, RunRequest};

/// The version of the documents that are known.
pub const SHARE_VERSION: u64 = 1;

/// A program with its input and settings, to be kept under a link.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareRequest {
    /// The version of the document: 1.
    pub version: u64,
    /// A language's id or alias, optionally `id@version`.
    pub language: String,
    /// Its files, at least one.
    pub files: Vec<Object<InputFile>>,
    /// The file that starts, if it is not clear.
    #[serde(default)]
    pub entry: Option<String>,
    /// The program's stdin.
    #[serde(default)]
    pub stdin: Option<String>,
    /// How `stdin` is encoded.
    #[serde(default)]
    pub stdin_encoding: Encoding,
    /// The program's arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Added to the program's environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Added to the compiler's arguments.
    #[serde(default)]
    pub compiler_args: Vec<String>,
    /// Limits of the run stage.
    #[serde(default)]
    pub limits: Option<Object<LimitsRequest>>,
    /// Limits of the compile stage.
    #[serde(default)]
    pub compile_limits: Option<Object<LimitsRequest>>,
    /// Patterns, relative to `/box`, of the files to send back.
    #[serde(default)]
    pub output_files: Vec<String>,
    /// How the program gets its input.
    #[serde(default)]
    pub mode: Option<ShareMode>,
    /// What people are to call it.
    #[serde(default)]
    pub title: Option<String>,
    /// Seconds after its last use that it is kept; not part of the document.
    #[serde(default)]
    pub expires_in_s: Option<u64>,
}

/// How a shared program gets its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShareMode {
    /// From a text given beforehand.
    Box,
    /// Typed while it runs.
    Terminal,
}

impl ShareRequest {
    /// The run that the document describes.
    pub fn into_run(self) -> RunRequest {
        RunRequest {
            language: self.language,
            files: self.files,
            entry: self.entry,
            stdin: self.stdin,
            stdin_encoding: self.stdin_encoding,
            args: self.args,
            env: self.env,
            compiler_args: self.compiler_args,
            limits: self.limits,
            compile_limits: self.compile_limits,
            output_files: self.output_files,
            ..RunRequest::default()
        }
    }
}

/// A document that is kept.
#[derive(Clone, Debug, Serialize)]
pub struct ShareCreated {
    /// Its id.
    pub id: String,
    /// The page that shows it.
    pub url: String,
    /// When it goes, if nobody reads it; each reading puts that off.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// What deletes it, where there are no keys; shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_token: Option<String>,
}
