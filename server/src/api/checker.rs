//! The `checker` of a submission.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Encoding, InputFile, LimitsRequest, Object, number};

/// What decides whether an output is right. Which fields may be given depends on `type`; `program` needs `language`,
/// `protocol` and a source.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"type": "float", "absolute": 1e-6, "relative": 1e-6}))]
pub struct CheckerRequest {
    /// The kind of checker.
    #[serde(rename = "type")]
    pub kind: CheckerKind,
    /// `float`: how far a number may be off.
    #[serde(default, deserialize_with = "number::at_least_zero")]
    #[schema(minimum = 0)]
    pub absolute: Option<f64>,
    /// `float`: the same as a part of the expected number.
    #[serde(default, deserialize_with = "number::at_least_zero")]
    #[schema(minimum = 0)]
    pub relative: Option<f64>,
    /// `program`: a language's id or alias, optionally `id@version`.
    #[serde(default)]
    pub language: Option<String>,
    /// `program`: one file under the language's own source name. This or `files` is required.
    #[serde(default)]
    pub source: Option<String>,
    /// `program`: how `source` is encoded.
    #[serde(default)]
    pub source_encoding: Option<Encoding>,
    /// `program`: files to put into `/box`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<InputFile>>)]
    pub files: Option<Vec<Object<InputFile>>>,
    /// `program`: the file that starts, if it is not clear.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 1024, pattern = r"^[^/\x00]")]
    pub entry: Option<String>,
    /// `program`: added to the compiler's arguments.
    #[serde(default)]
    pub compiler_args: Option<Vec<String>>,
    /// `program`: how it is called and how it answers.
    #[serde(default)]
    pub protocol: Option<CheckerProtocol>,
    /// `program`: arguments after those of the protocol.
    #[serde(default)]
    pub args: Option<Vec<String>>,
    /// `program`: limits of each of its runs.
    #[serde(default)]
    #[schema(value_type = Option<LimitsRequest>)]
    pub limits: Option<Object<LimitsRequest>>,
    /// `program`: limits of its compile stage.
    #[serde(default)]
    #[schema(value_type = Option<LimitsRequest>)]
    pub compile_limits: Option<Object<LimitsRequest>>,
}

/// A kind of checker: `exact`, the same bytes; `lines`, the same lines, less white space at their ends and empty lines at
/// the end; `tokens`, the same tokens; `tokens_ci`, the same in upper or lower case; `float`, the same tokens, numbers
/// within a tolerance; `sorted_lines`, the same lines in any order; `program`, whatever a program says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckerKind {
    /// The same bytes.
    Exact,
    /// The same lines, less white space at their ends and empty lines at the end.
    #[default]
    Lines,
    /// The same tokens.
    Tokens,
    /// The same tokens, whether in upper or lower case.
    TokensCi,
    /// The same tokens, numbers within a tolerance.
    Float,
    /// The same lines in any order.
    SortedLines,
    /// Whatever a program says.
    Program,
}

impl CheckerKind {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Lines => "lines",
            Self::Tokens => "tokens",
            Self::TokensCi => "tokens_ci",
            Self::Float => "float",
            Self::SortedLines => "sorted_lines",
            Self::Program => "program",
        }
    }
}

/// How a checker program or an interactor is called and how it answers: `testlib`, as programs written with testlib.h;
/// `icpc`, as output validators of ICPC and Kattis problem packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckerProtocol {
    /// That of testlib.h.
    Testlib,
    /// That of output validators in ICPC and Kattis problem packages.
    Icpc,
}
