//! The messages of a live run.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::terminal::Size;
use crate::client::failure::Failure;
use crate::client::wire::{RunAnswer, Stage, bytes};

/// What is said to the service.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Say<'a, R = ()> {
    Start {
        run: &'a R,
    },
    Stdin {
        data: Cow<'a, str>,
        encoding: &'static str,
    },
    Eof,
    Resize(Size),
    Signal {
        signal: &'static str,
    },
    Cancel,
}

impl Say<'_> {
    /// Input for the program.
    pub(super) fn input(bytes: &[u8]) -> Say<'_> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Say::Stdin {
                data: text.into(),
                encoding: "utf-8",
            },
            Err(_) => Say::Stdin {
                data: BASE64.encode(bytes).into(),
                encoding: "base64",
            },
        }
    }
}

impl<R: Serialize> Say<'_, R> {
    /// As JSON.
    pub(super) fn text(&self) -> Result<String, Failure> {
        serde_json::to_string(self)
            .map_err(|e| Failure::Service(format!("the message cannot be written: {e}")))
    }
}

/// What the service says, as far as it matters here.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Heard {
    Compiled {
        compile: Stage,
    },
    Started,
    Stdout(Piece),
    Stderr(Piece),
    Finished {
        result: Box<RunAnswer>,
    },
    Error {
        problem: Value,
        retry_after_ms: Option<u64>,
    },
    /// `queued`, `compiling`, `usage`, and what later services say.
    #[serde(other)]
    Other,
}

/// Something that the program wrote.
#[derive(Debug, Deserialize)]
pub(super) struct Piece {
    data: String,
    #[serde(default)]
    encoding: String,
}

impl Piece {
    pub(super) fn bytes(&self) -> Vec<u8> {
        bytes(&self.data, &self.encoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_text_where_it_can_be() {
        let text = |bytes: &[u8]| Say::input(bytes).text().unwrap();
        assert_eq!(
            text("é\r".as_bytes()),
            r#"{"type":"stdin","data":"é\r","encoding":"utf-8"}"#
        );
        assert_eq!(
            text(b"\xff"),
            r#"{"type":"stdin","data":"/w==","encoding":"base64"}"#
        );
        let size = Size { rows: 2, cols: 3 };
        let resize = Say::<()>::Resize(size).text().unwrap();
        assert_eq!(resize, r#"{"type":"resize","rows":2,"cols":3}"#);
    }

    #[test]
    fn messages_of_later_services_are_passed_over() {
        let heard = |text| serde_json::from_str::<Heard>(text).unwrap();
        assert!(matches!(
            heard(r#"{"type": "usage", "wall_us": 1}"#),
            Heard::Other
        ));
        assert!(matches!(heard(r#"{"type": "new", "x": []}"#), Heard::Other));
        let Heard::Stdout(piece) =
            heard(r#"{"type": "stdout", "data": "/w==", "encoding": "base64"}"#)
        else {
            panic!("not stdout");
        };
        assert_eq!(piece.bytes(), [0xff]);
        let error = heard(r#"{"type": "error", "problem": {"status": 422}}"#);
        assert!(matches!(error, Heard::Error { problem, .. } if problem["status"] == 422));
    }
}
