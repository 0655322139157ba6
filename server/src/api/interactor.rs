//! The `interactor` of a submission.

use serde::Deserialize;

use super::{CheckerProtocol, Encoding, InputFile, LimitsRequest, Object};

/// A program that talks to the judged one, and decides.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InteractorRequest {
    /// A language's id or alias, optionally `id@version`.
    pub language: String,
    /// How it is called and how it answers.
    pub protocol: CheckerProtocol,
    /// One file under the language's own source name. This or `files` is required.
    #[serde(default)]
    pub source: Option<String>,
    /// How `source` is encoded.
    #[serde(default)]
    pub source_encoding: Encoding,
    /// Files to put into `/box`.
    #[serde(default)]
    pub files: Vec<Object<InputFile>>,
    /// The file that starts, if it is not clear.
    #[serde(default)]
    pub entry: Option<String>,
    /// Added to the compiler's arguments.
    #[serde(default)]
    pub compiler_args: Vec<String>,
    /// Arguments after those of the protocol.
    #[serde(default)]
    pub args: Vec<String>,
    /// Limits of each of its runs.
    #[serde(default)]
    pub limits: Option<Object<LimitsRequest>>,
    /// Limits of its compile stage.
    #[serde(default)]
    pub compile_limits: Option<Object<LimitsRequest>>,
}
