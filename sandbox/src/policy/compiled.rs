//! Policies as workers get them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::seccomp::{CompileError, compile};
use super::{Landlock, Policy, ProcMount};
use crate::sys::seccomp::Program;

/// What a worker needs of a policy: made once, for all workers. One that did this by itself would keep the memory that
/// it took, and every sandbox be a copy of more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Compiled {
    /// The policy's name.
    pub name: String,
    /// What `/proc` is.
    pub proc: ProcMount,
    /// The system call part.
    pub filter: Program,
    /// Whether that lets programs execute others.
    pub allows_execve: bool,
    /// The file part.
    pub landlock: Landlock,
}

impl Compiled {
    /// Compiles `policy`, which takes milliseconds.
    pub fn new(policy: Policy) -> Result<Self, CompileError> {
        Ok(Self {
            filter: compile(&policy)?,
            allows_execve: policy.allows("execve"),
            name: policy.name,
            proc: policy.proc,
            landlock: policy.landlock,
        })
    }

    /// Compiles all of `policies`; an error names the policy.
    pub fn all(policies: BTreeMap<String, Policy>) -> Result<Vec<Self>, AllError> {
        let compile = |(name, policy)| Self::new(policy).map_err(|error| AllError { name, error });
        policies.into_iter().map(compile).collect()
    }
}

/// Which policy cannot be compiled, and why.
#[derive(Debug, thiserror::Error)]
#[error("policy {name:?}: {error}")]
pub struct AllError {
    name: String,
    #[source]
    error: CompileError,
}
