//! Server-sent events, as they come over a connection.

use std::io::{self, BufRead};

/// The longest line, and the longest event: a service that sends more is not ours.
const MAX_EVENT_BYTES: usize = 64 << 20;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// Its kind; `message` if it has none.
    pub(super) kind: String,
    pub(super) data: String,
    /// The last id that was given, by this event or one before it.
    pub(super) id: Option<String>,
    /// How long the service wants a client to wait before it comes again, in milliseconds.
    pub(super) retry_ms: Option<u64>,
}

/// Reads events one by one.
pub(super) struct Events<R> {
    source: R,
    last_id: Option<String>,
}

impl<R: BufRead> Events<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            last_id: None,
        }
    }

    /// The next event; `None` at the end. What an end cut short is dropped, as the standard says.
    pub(super) fn next(&mut self) -> io::Result<Option<Event>> {
        let mut event = Event::default();
        let mut bytes = 0;
        let mut has_data = false;
        while let Some(line) = self.line()? {
            bytes += line.len();
            if bytes > MAX_EVENT_BYTES {
                return Err(too_long());
            }
            if line.is_empty() {
                if !has_data && event.retry_ms.is_none() {
                    event = Event::default();
                    continue;
                }
                if event.data.ends_with('\n') {
                    event.data.pop();
                }
                if event.kind.is_empty() {
                    "message".clone_into(&mut event.kind);
                }
                event.id.clone_from(&self.last_id);
                return Ok(Some(event));
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut event.kind),
                "data" => {
                    has_data = true;
                    event.data.push_str(value);
                    event.data.push('\n');
                }
                "id" if !value.contains('\0') => self.last_id = Some(value.to_owned()),
                "retry" => event.retry_ms = value.parse().ok(),
                // A comment, such as keeps the connection alive, or a field of a later version.
                _ => {}
            }
        }
        Ok(None)
    }

    /// A line without its end; `None` at the end of the stream or in a line that it cuts short.
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        loop {
            let buffer = match self.source.fill_buf() {
                Ok([]) => return Ok(None),
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = buffer.iter().position(|byte| *byte == b'\n');
            line.extend_from_slice(&buffer[..end.unwrap_or(buffer.len())]);
            let used = end.map_or(buffer.len(), |end| end + 1);
            self.source.consume(used);
            if line.len() > MAX_EVENT_BYTES {
                return Err(too_long());
            }
            if end.is_some() {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
        }
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an event is too long")
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn events(text: &str, buffer: usize) -> Vec<Event> {
        let mut events = Events::new(BufReader::with_capacity(buffer, text.as_bytes()));
        std::iter::from_fn(|| events.next().unwrap()).collect()
    }

    #[test]
    fn events_survive_any_cut_of_the_stream() {
        let text = ": hello\n\nid: 1\nevent: test\ndata: {\"id\":\"a\"}\n\r\nevent: x\r\ndata:two\r\ndata: lines\r\n\r\n\
                    id: 3\n\ndata\n\nevent: cut\ndata: short";
        for buffer in 1..40 {
            let got = events(text, buffer);
            assert_eq!(got.len(), 3, "{got:?}");
            assert_eq!(
                (got[0].kind.as_str(), got[0].data.as_str()),
                ("test", "{\"id\":\"a\"}")
            );
            assert_eq!(got[0].id.as_deref(), Some("1"));
            assert_eq!(
                (got[1].kind.as_str(), got[1].data.as_str()),
                ("x", "two\nlines")
            );
            assert_eq!(
                (got[2].kind.as_str(), got[2].data.as_str()),
                ("message", "")
            );
            assert_eq!(got[2].id.as_deref(), Some("3"));
        }
    }

    #[test]
    fn a_wish_for_a_pause_is_an_event_of_its_own() {
        let got = events("retry: 1500\n\nretry: soon\n\n", 16);
        assert_eq!(got.len(), 1);
        assert_eq!(got[0].retry_ms, Some(1500));
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let endless = io::repeat(b'a').take(1 << 30);
        let error = Events::new(BufReader::new(endless)).next().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    use std::io::Read as _;
}
