//! `GET /v1/languages` and `GET /v1/policies`.

use brig_sandbox::limits::Limits;
use brig_sandbox::policy::ProcMount;
use serde::Serialize;
use utoipa::ToSchema;

/// One language.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LanguageEntry {
    /// Its id, by which requests name it.
    #[schema(example = "python")]
    pub id: String,
    /// Its name for people.
    #[schema(example = "Python")]
    pub name: String,
    /// Other names for it in requests.
    pub aliases: Vec<String>,
    /// What its tools say; null until that is known, or when they are missing.
    pub version: Option<String>,
    /// False when its tools are missing or broken.
    pub available: bool,
    /// Why it is not available; null when it is.
    pub unavailable_reason: Option<String>,
    /// The file that a request's `source` becomes.
    pub source_name: String,
    /// Extensions of its source files, without the dot.
    pub extensions: Vec<String>,
    /// Whether it has a compile stage.
    pub compiled: bool,
    /// The run stage's limits where a request says nothing.
    pub default_limits: Limits,
    /// The most a request may ask for in the run stage.
    pub max_limits: Limits,
    /// The compile stage's limits where a request says nothing; null when nothing is compiled.
    pub compile_default_limits: Option<Limits>,
    /// The most a request may ask for in the compile stage; null when nothing is compiled.
    pub compile_max_limits: Option<Limits>,
    /// A small program.
    pub example: String,
}

/// One policy.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PolicyEntry {
    /// Its name, by which requests name it.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What a sandbox has at `/proc`.
    pub proc: ProcMount,
}
