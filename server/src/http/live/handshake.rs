//! What a client says to open a WebSocket (RFC 6455, section 4.2), and the answer.

use axum::body::Body;
use axum::http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::http::error::Error;

/// The version of the protocol that is spoken.
const VERSION: &str = "13";
/// The subprotocol: the messages of [`crate::api::ClientMessage`]. Clients that present their key as
/// another one have to offer this beside it, as the one that can be selected.
const PROTOCOL: &str = "brig.v1";

/// A good opening.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Handshake {
    accept: String,
    offers_protocol: bool,
}

impl Handshake {
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Error> {
        if !lists(headers, &CONNECTION, "upgrade") || !lists(headers, &UPGRADE, "websocket") {
            return Err(not_one());
        }
        if !lists(headers, &SEC_WEBSOCKET_VERSION, VERSION) {
            let detail = format!("Sec-WebSocket-Version must be {VERSION}");
            return Err(Error::upgrade_required(detail));
        }
        let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
        let (Some(key), None) = (keys.next(), keys.next()) else {
            return Err(without_key());
        };
        Ok(Self {
            accept: derive_accept_key(key.as_bytes()),
            offers_protocol: lists(headers, &SEC_WEBSOCKET_PROTOCOL, PROTOCOL),
        })
    }

    pub(super) fn answer(&self) -> Result<Response, Error> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let accept = HeaderValue::from_str(&self.accept).map_err(|_| Error::internal())?;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        if self.offers_protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
        }
        Ok(response)
    }
}

pub(in crate::http) fn not_one() -> Error {
    Error::upgrade_required("this is a WebSocket: open it as one")
}

pub(in crate::http) fn without_key() -> Error {
    Error::bad_request("one Sec-WebSocket-Key is needed")
}

/// Whether the comma-separated values of the header `name` have `word` among them.
fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter();
    let mut words = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    words.any(|found| found.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)]) -> Result<Handshake, u16> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        Handshake::read(&map).map_err(|error| error.problem().status)
    }

    const GOOD: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    #[test]
    fn the_answer_to_the_standards_own_example() {
        let shaken = read(&GOOD).unwrap();
        let response = shaken.answer().unwrap();
        assert_eq!(response.status(), 101);
        let accept = &response.headers()[SEC_WEBSOCKET_ACCEPT];
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(!response.headers().contains_key(SEC_WEBSOCKET_PROTOCOL));
    }

    #[test]
    fn the_protocol_is_selected_and_the_key_is_not_repeated() {
        let offers = ("sec-websocket-protocol", "brig.bearer.secret, brig.v1");
        let shaken = read(&[&GOOD[..], &[offers]].concat()).unwrap();
        let response = shaken.answer().unwrap();
        let selected = &response.headers()[SEC_WEBSOCKET_PROTOCOL];
        assert_eq!(selected, "brig.v1");
        assert!(!format!("{response:?}").contains("secret"));
    }

    #[test]
    fn what_is_no_opening_is_told_how() {
        let without = |name: &str| {
            let left = GOOD.into_iter().filter(|(header, _)| *header != name);
            read(&left.collect::<Vec<_>>())
        };
        assert_eq!(without("connection"), Err(426));
        assert_eq!(without("upgrade"), Err(426));
        assert_eq!(without("sec-websocket-version"), Err(426));
        assert_eq!(without("sec-websocket-key"), Err(400));
        assert_eq!(read(&[&GOOD[..], &GOOD[3..]].concat()), Err(400));
    }
}
