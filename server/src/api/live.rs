//! `GET /v1/runs/ws`: the messages of a live run, each a JSON object in a text frame.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use brig_sandbox::protocol::{UserSignal, WindowSize};
use brig_sandbox::report::Sample;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::parse::{NotJson, parse};
use super::{Encoding, FieldError, Problem, RunResponse, Stage};

/// What a client says.
#[derive(Debug)]
pub enum ClientMessage {
    /// Run this: a [`super::RunRequest`], still to be read.
    Start(Box<RawValue>),
    /// More input for the program.
    Stdin(Vec<u8>),
    /// There is no more input. On a terminal: Ctrl-D is typed.
    Eof,
    /// The terminal has another size.
    Resize(WindowSize),
    /// Send the program a signal.
    Signal(UserSignal),
    /// End the run.
    Cancel,
}

/// Why a message is not understood.
#[derive(Debug)]
pub enum BadMessage {
    /// It is not JSON.
    NotJson(NotJson),
    /// It is, but not a message.
    Invalid(Vec<FieldError>),
}

impl From<NotJson> for BadMessage {
    fn from(error: NotJson) -> Self {
        Self::NotJson(error)
    }
}

/// What a message is, before the rest of it is looked at.
#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    #[serde(rename = "type")]
    _kind: IgnoredAny,
    run: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stdin {
    #[serde(rename = "type")]
    _kind: IgnoredAny,
    data: String,
    #[serde(default)]
    encoding: Encoding,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resize {
    #[serde(rename = "type")]
    _kind: IgnoredAny,
    rows: u16,
    cols: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signal {
    #[serde(rename = "type")]
    _kind: IgnoredAny,
    signal: UserSignal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bare {
    #[serde(rename = "type")]
    _kind: IgnoredAny,
}

/// The kinds of messages that a client can send.
const KINDS: &str = "start, stdin, eof, resize, signal, cancel";
/// As much of an unknown kind is quoted.
const MAX_QUOTED_BYTES: usize = 64;

impl ClientMessage {
    /// Reads one message.
    pub fn read(text: &[u8]) -> Result<Self, BadMessage> {
        let kind = if let Ok(Kind { kind }) = serde_json::from_slice(text) {
            kind
        } else {
            // Not JSON, or no object, or without a kind: reading it as one of those finds out.
            whole::<Bare>(text)?;
            Cow::Borrowed("")
        };
        Ok(match &*kind {
            "start" => Self::Start(whole::<Start>(text)?.run),
            "stdin" => Self::Stdin(whole::<Stdin>(text)?.bytes()?),
            "eof" => whole::<Bare>(text).map(|_| Self::Eof)?,
            "resize" => {
                let Resize { rows, cols, .. } = whole(text)?;
                let size = WindowSize { rows, cols };
                check_size(size, "").map_err(|error| BadMessage::Invalid(vec![error]))?;
                Self::Resize(size)
            }
            "signal" => Self::Signal(whole::<Signal>(text)?.signal),
            "cancel" => whole::<Bare>(text).map(|_| Self::Cancel)?,
            other => {
                let quoted = &other[..other.floor_char_boundary(MAX_QUOTED_BYTES)];
                let detail = format!("unknown kind of message {quoted:?}; one of {KINDS}");
                return Err(BadMessage::Invalid(vec![FieldError::new("/type", detail)]));
            }
        })
    }
}

impl Stdin {
    fn bytes(self) -> Result<Vec<u8>, BadMessage> {
        match self.encoding {
            Encoding::Utf8 => Ok(self.data.into_bytes()),
            Encoding::Base64 => BASE64.decode(self.data.as_bytes()).map_err(|error| {
                let detail = format!("is not base64: {error}");
                BadMessage::Invalid(vec![FieldError::new("/data", detail)])
            }),
        }
    }
}

/// Fails for a terminal without room; the error is about what is at `pointer`.
pub(crate) fn check_size(size: WindowSize, pointer: &str) -> Result<(), FieldError> {
    for (name, value) in [("rows", size.rows), ("cols", size.cols)] {
        if value == 0 {
            let pointer = format!("{pointer}/{name}");
            return Err(FieldError::new(pointer, "must be 1 to 65535"));
        }
    }
    Ok(())
}

fn whole<T: DeserializeOwned>(text: &[u8]) -> Result<T, BadMessage> {
    let parsed = parse::<T>(text)?;
    match parsed.value {
        Some(value) if parsed.errors.is_empty() => Ok(value),
        _ => Err(BadMessage::Invalid(parsed.errors)),
    }
}

/// What the service says in a live run.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = LiveMessage)]
pub enum ServerMessage {
    /// The run was taken, and has this id.
    Queued {
        /// Its id.
        id: Uuid,
    },
    /// The program is compiled now, or waits for a worker that compiles it.
    Compiling,
    /// The compile stage is over.
    Compiled {
        /// What became of it.
        compile: Stage,
    },
    /// The program runs.
    Started,
    /// It wrote to stdout, or to its terminal.
    Stdout(Piece),
    /// It wrote to stderr.
    Stderr(Piece),
    /// What it uses at the moment.
    Usage(LiveUsage),
    /// All is over.
    Finished {
        /// What `POST /v1/runs` would have answered.
        result: Box<RunResponse>,
    },
    /// The run was not taken, or the service failed.
    Error {
        /// Why.
        problem: Problem,
        /// In how many milliseconds to come again, if that helps.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
}

/// Something that a program wrote.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LivePiece)]
pub struct Piece {
    /// What it wrote.
    pub data: String,
    /// How `data` is encoded.
    pub encoding: Encoding,
}

/// What a running program uses. Null is a figure that the host cannot give.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct LiveUsage {
    /// Since the program's start, in microseconds.
    pub wall_us: u64,
    /// CPU time of the process tree so far, in microseconds.
    pub cpu_us: Option<u64>,
    /// Memory of the process tree now, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads alive.
    pub processes: Option<u64>,
}

impl From<Sample> for LiveUsage {
    fn from(sample: Sample) -> Self {
        Self {
            wall_us: sample.wall_us,
            cpu_us: sample.cpu_us,
            memory_bytes: sample.memory_bytes,
            processes: sample.processes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(text: &str) -> String {
        match ClientMessage::read(text.as_bytes()) {
            Err(BadMessage::Invalid(errors)) => errors[0].pointer.clone(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn every_kind_of_message() {
        let read = |text: &str| ClientMessage::read(text.as_bytes()).unwrap();
        let start = read(r#"{"run": {"language": "c"}, "type": "start"}"#);
        assert!(matches!(start, ClientMessage::Start(run) if run.get() == r#"{"language": "c"}"#));
        let stdin = read(r#"{"type": "stdin", "data": "h\u00e9\n"}"#);
        assert!(matches!(stdin, ClientMessage::Stdin(bytes) if bytes == "hé\n".as_bytes()));
        let stdin = read(r#"{"type": "stdin", "data": "/wA=", "encoding": "base64"}"#);
        assert!(matches!(stdin, ClientMessage::Stdin(bytes) if bytes == [0xff, 0]));
        let size = read(r#"{"type": "resize", "rows": 2, "cols": 3}"#);
        assert!(matches!(
            size,
            ClientMessage::Resize(WindowSize { rows: 2, cols: 3 })
        ));
        let signal = read(r#"{"type": "signal", "signal": "SIGINT"}"#);
        assert!(matches!(
            signal,
            ClientMessage::Signal(UserSignal::Interrupt)
        ));
        assert!(matches!(read(r#"{"type":"eof"}"#), ClientMessage::Eof));
        let cancel = read(r#"{"\u0074ype": "c\u0061ncel"}"#);
        assert!(matches!(cancel, ClientMessage::Cancel));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(pointer(r#"{"type": "begin"}"#), "/type");
        assert_eq!(pointer(r#"{"type": ""}"#), "/type");
        assert_eq!(pointer("{}"), "/type");
        assert_eq!(pointer("[]"), "");
        assert_eq!(pointer(r#"{"type": "start"}"#), "/run");
        assert_eq!(pointer(r#"{"type": "stdin"}"#), "/data");
        assert_eq!(pointer(r#"{"type": "stdin", "data": 1}"#), "/data");
        let base64 = r#"{"type": "stdin", "data": "?", "encoding": "base64"}"#;
        assert_eq!(pointer(base64), "/data");
        assert_eq!(
            pointer(r#"{"type": "resize", "rows": 0, "cols": 1}"#),
            "/rows"
        );
        assert_eq!(
            pointer(r#"{"type": "resize", "rows": 1, "cols": 65536}"#),
            "/cols"
        );
        assert_eq!(
            pointer(r#"{"type": "signal", "signal": "SIGSEGV"}"#),
            "/signal"
        );
        assert_eq!(pointer(r#"{"type": "eof", "data": ""}"#), "/data");
        for text in ["", "nope", "{", "\u{feff}{}"] {
            let bad = ClientMessage::read(text.as_bytes());
            assert!(matches!(bad, Err(BadMessage::NotJson(_))), "{text}");
        }
    }
}
