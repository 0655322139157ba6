//! `/v1/shares`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{Encoding, InputFile, LimitsRequest, Object, RunRequest};

/// The version of the documents that are known.
pub const SHARE_VERSION: u64 = 1;

/// A program with its input and settings, to be kept under a link.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "version": 1,
    "language": "python",
    "files": [{"path": "main.py", "content": "print(6 * 7)\n"}],
    "title": "The answer"
}))]
pub struct ShareRequest {
    /// The version of the document: 1.
    #[schema(minimum = 1, maximum = 1)]
    pub version: u64,
    /// A language's id or alias, optionally `id@version`.
    #[schema(min_length = 1)]
    pub language: String,
    /// Its files, at least one; the rules are those of a run.
    #[schema(value_type = Vec<InputFile>, min_items = 1)]
    pub files: Vec<Object<InputFile>>,
    /// The file that starts, if it is not clear.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 1024, pattern = r"^[^/\x00]")]
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
    #[schema(value_type = Option<LimitsRequest>)]
    pub limits: Option<Object<LimitsRequest>>,
    /// Limits of the compile stage.
    #[serde(default)]
    #[schema(value_type = Option<LimitsRequest>)]
    pub compile_limits: Option<Object<LimitsRequest>>,
    /// Patterns, relative to `/box`, of the files to send back.
    #[serde(default)]
    #[schema(max_items = 64)]
    pub output_files: Vec<String>,
    /// How the program gets its input.
    #[serde(default)]
    pub mode: Option<ShareMode>,
    /// What people are to call it: at most 200 bytes, no control characters.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub title: Option<String>,
    /// Seconds after its last use that it is kept, at most what is configured (`shares.keep_days`); not part of the
    /// document.
    #[serde(default)]
    #[schema(minimum = 60)]
    pub expires_in_s: Option<u64>,
}

/// How a shared program gets its input: `box`, from a text given beforehand; `terminal`, typed while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, Serialize, ToSchema)]
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
