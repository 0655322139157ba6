//! Why a command ends without the result it was asked for.

use std::io;

/// Why a command did not come to its result.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// What was asked for is wrong: the caller must change it.
    Usage(Vec<String>),
    /// The service, or the way to it, is in trouble: the same may work later.
    Service(String),
    /// Whoever reads stdout has gone.
    OutputClosed,
    /// Ctrl-C.
    Interrupted,
}

impl Failure {
    /// One thing that the caller must change.
    pub(super) fn usage(line: impl Into<String>) -> Self {
        Self::Usage(vec![line.into()])
    }

    /// A file that cannot be used.
    pub(super) fn file(path: &std::path::Path, error: &io::Error) -> Self {
        Self::usage(format!("{}: {error}", path.display()))
    }

    /// stdout does not take what is written to it.
    pub(super) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Service(format!("cannot write to stdout: {error}")),
        }
    }

    /// What is said about it, line by line.
    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            Self::Usage(lines) => lines.clone(),
            Self::Service(line) => vec![line.clone()],
            Self::OutputClosed | Self::Interrupted => Vec::new(),
        }
    }
}
