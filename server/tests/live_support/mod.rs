//! A client of `GET /v1/runs/ws` that waits for every message, with a bound.

#![allow(dead_code)] // each test file uses its part

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, HandshakeError, Message, WebSocket, client};

/// No message takes as long.
const BOUND: Duration = Duration::from_mins(1);

/// An open socket.
pub(crate) struct Socket {
    pub(crate) socket: WebSocket<TcpStream>,
    /// The headers of the answer that opened it.
    pub(crate) headers: HeaderMap,
}

/// An answer that is no upgrade.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) headers: HeaderMap,
}

impl Socket {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::try_open(address, &[]).expect("an open socket")
    }

    pub(crate) fn try_open(
        address: SocketAddr,
        headers: &[(&str, &str)],
    ) -> Result<Self, Box<Refused>> {
        Self::try_open_at(address, "/v1/runs/ws", headers)
    }

    pub(crate) fn try_open_at(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Box<Refused>> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream.set_write_timeout(Some(BOUND)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut request = format!("ws://{address}{path}")
            .into_client_request()
            .unwrap();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().append(name, value);
        }
        match client(request, stream) {
            Ok((socket, response)) => Ok(Self {
                socket,
                headers: response.into_parts().0.headers,
            }),
            Err(HandshakeError::Failure(Error::Http(response))) => {
                let body = response.body().as_deref().unwrap_or_default();
                Err(Box::new(Refused {
                    status: response.status().as_u16(),
                    body: serde_json::from_slice(body).unwrap_or_default(),
                    headers: response.headers().clone(),
                }))
            }
            Err(other) => panic!("{other}"),
        }
    }

    pub(crate) fn say(&mut self, message: &Value) {
        self.socket
            .send(Message::text(message.to_string()))
            .unwrap();
    }

    pub(crate) fn start(&mut self, run: &Value) {
        self.say(&json!({"type": "start", "run": run}));
    }

    pub(crate) fn stdin(&mut self, text: &str) {
        self.say(&json!({"type": "stdin", "data": text}));
    }

    pub(crate) fn eof(&mut self) {
        self.say(&json!({"type": "eof"}));
    }

    /// The next message; `Err` has the code that the socket was closed with.
    pub(crate) fn hear(&mut self) -> Result<Value, u16> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Ok(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(frame)) => {
                    // The answer to it.
                    let _ = self.socket.flush();
                    return Err(frame.map_or(1005, |frame| frame.code.into()));
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(other) => panic!("{other}"),
                Err(error) => panic!("no message: {error}"),
            }
        }
    }

    /// The next message but figures.
    pub(crate) fn next(&mut self) -> Value {
        loop {
            let message = self
                .hear()
                .unwrap_or_else(|code| panic!("closed with {code}"));
            if message["type"] != "usage" {
                return message;
            }
        }
    }

    /// The next message, which must be of this kind.
    pub(crate) fn expect(&mut self, kind: &str) -> Value {
        let message = self.next();
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    /// Says `start`, and waits until the program runs.
    pub(crate) fn started(&mut self, run: &Value) {
        self.start(run);
        self.expect("queued");
        loop {
            let message = self.next();
            match message["type"].as_str() {
                Some("compiling" | "compiled") => {}
                Some("started") => return,
                _ => panic!("{message}"),
            }
        }
    }

    /// Collects stdout until it ends with `end`.
    pub(crate) fn until(&mut self, end: &str) -> String {
        let mut shown = Vec::new();
        while !String::from_utf8_lossy(&shown).ends_with(end) {
            let message = self.next();
            assert_eq!(
                message["type"],
                "stdout",
                "{message} after {:?}",
                String::from_utf8_lossy(&shown)
            );
            shown.extend(bytes(&message));
        }
        String::from_utf8(shown).unwrap()
    }

    /// All that comes until the result: stdout, stderr, the result.
    pub(crate) fn rest(&mut self) -> (Vec<u8>, Vec<u8>, Value) {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        loop {
            let message = self.next();
            match message["type"].as_str() {
                Some("stdout") => stdout.extend(bytes(&message)),
                Some("stderr") => stderr.extend(bytes(&message)),
                Some("finished") => {
                    assert_eq!(self.hear(), Err(1000));
                    return (stdout, stderr, message["result"].clone());
                }
                _ => panic!("{message}"),
            }
        }
    }

    /// The result, whatever was written before.
    pub(crate) fn result(&mut self) -> Value {
        self.rest().2
    }

    /// The problem that the service closes the socket for, and the code.
    pub(crate) fn problem(&mut self) -> (Value, u16) {
        loop {
            let message = self.next();
            if message["type"] == "error" {
                let code = self.hear().expect_err("closed after an error");
                return (message["problem"].clone(), code);
            }
            assert_ne!(message["type"], "finished", "{message}");
        }
    }
}

/// What a message about output carries.
pub(crate) fn bytes(message: &Value) -> Vec<u8> {
    let data = message["data"].as_str().unwrap();
    match message["encoding"].as_str().unwrap() {
        "base64" => BASE64.decode(data).unwrap(),
        "utf-8" => data.as_bytes().to_vec(),
        other => panic!("{other}"),
    }
}
