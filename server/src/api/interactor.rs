//! The `interactor` of a submission.

use serde::Deserialize;
use utoipa::ToSchema;

use super::{CheckerProtocol, Encoding, InputFile, LimitsRequest, Object};

/// A program that talks to the judged one, and decides.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InteractorRequest {
    /// A language's id or alias, optionally `id@version`.
    #[schema(min_length = 1)]
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
    #[schema(value_type = Vec<InputFile>)]
    pub files: Vec<Object<InputFile>>,
    /// The file that starts, if it is not clear.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 1024, pattern = r"^[^/\x00]")]
    pub entry: Option<String>,
    /// Added to the compiler's arguments.
    #[serde(default)]
    pub compiler_args: Vec<String>,
    /// Arguments after those of the protocol.
    #[serde(default)]
    pub args: Vec<String>,
    /// Limits of each of its runs.
    #[serde(default)]
    #[schema(value_type = Option<LimitsRequest>)]
    pub limits: Option<Object<LimitsRequest>>,
    /// Limits of its compile stage.
    #[serde(default)]
    #[schema(value_type = Option<LimitsRequest>)]
    pub compile_limits: Option<Object<LimitsRequest>>,
}
