//! One socket's life: `start`, the run and what is said meanwhile, the last words.

use std::pin::pin;
use std::sync::Arc;

use brig_sandbox::protocol::WindowSize;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use uuid::Uuid;

use super::seats::Seat;
use super::wire::{Gone, Turn, Wire};
use crate::api::parse::parse;
use crate::api::{ClientMessage, Encoding, FieldError, Piece, RunRequest, ServerMessage};
use crate::auth::{Caller, InProgress};
use crate::http::app::App;
use crate::http::body;
use crate::http::error::Error;
use crate::http::grounds::Grounds;
use crate::http::runs::{self, RETRY_AFTER_DRAIN};
use crate::offload::offload;
use crate::run::{
    Event, Prepared, Remote, RunResult, Stream, answer, encode, line, show_stage, validate,
};

/// An open socket and whose it is.
pub(super) struct Session {
    pub(super) app: Arc<App>,
    pub(super) caller: Caller,
    pub(super) seat: Seat,
    /// The encoding that the client wants of everything.
    pub(super) encoding: Option<Encoding>,
}

/// Why a socket closes before its run has finished.
#[derive(Debug)]
enum Stop {
    /// There is nobody to tell.
    Gone(Gone),
    /// The client is told this.
    Told(Error, CloseCode),
}

impl From<Gone> for Stop {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::TooLong(max) => Self::Told(Error::message_too_large(max), CloseCode::Size),
            Gone::NotText => {
                let error = Error::bad_request("messages are text frames, each a JSON object");
                Self::Told(error, CloseCode::Unsupported)
            }
            gone => Self::Gone(gone),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        let code = match error.status().as_u16() {
            429 | 503 => CloseCode::Again,
            500.. => CloseCode::Error,
            _ => CloseCode::Policy,
        };
        Self::Told(error, code)
    }
}

/// A run that was asked for, and what it takes up.
struct Accepted {
    id: Uuid,
    prepared: Prepared,
    terminal: Option<WindowSize>,
    share: OwnedSemaphorePermit,
    in_progress: InProgress,
}

impl Session {
    /// Serves the socket until it closes.
    pub(super) async fn serve(self, mut wire: Wire) {
        match self.talk(&mut wire).await {
            Ok(()) => wire.close(CloseCode::Normal).await,
            Err(Stop::Gone(gone)) => tracing::debug!("a socket ended: {gone}"),
            Err(Stop::Told(error, code)) => {
                let retry_after_ms = error
                    .retry_after()
                    .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
                let words = ServerMessage::Error {
                    problem: error.problem(),
                    retry_after_ms,
                };
                if let Ok(text) = text(&words) {
                    // A client that has gone does not miss it.
                    let _ = timeout(LAST_WORDS_WITHIN, wire.send_last(text)).await;
                }
                wire.close(code).await;
            }
        }
    }

    async fn talk(&self, wire: &mut Wire) -> Result<(), Stop> {
        let message = self.first(wire).await?;
        let accepted = self.accept(&message).await?;
        drop(message);
        let result = self.run(wire, accepted).await?;
        let last = self.finished(result).await?;
        Ok(wire.send_last(last).await?)
    }

    /// The first message.
    async fn first(&self, wire: &mut Wire) -> Result<Utf8Bytes, Stop> {
        let within = self.app.config.config.live.start_timeout();
        let mut late = pin!(sleep(within));
        loop {
            tokio::select! {
                turn = wire.turn(true) => if let Turn::Received(text) = turn? {
                    return Ok(text);
                },
                () = &mut late => {
                    return Err(Error::start_too_slow(within).into());
                }
                () = self.seat.draining() => return Err(draining().into()),
            }
        }
    }

    /// Checks what the first message asks for.
    async fn accept(&self, message: &Utf8Bytes) -> Result<Accepted, Stop> {
        let ClientMessage::Start(run) = read(message)? else {
            return Err(invalid("/type", "the first message must be start").into());
        };
        let app = &self.app;
        if app.is_draining() {
            return Err(draining().into());
        }
        app.keys.confirm(&self.caller).await.map_err(Error::from)?;
        let share = body::share(app, message.len() as u64)?;
        let grounds = Grounds::of_live(app, &self.caller);
        let prepared = offload(message.len(), move || {
            let parsed = parse::<RunRequest>(run.get().as_bytes()).map_err(Error::from)?;
            let Some(request) = parsed.value else {
                return Err(Error::invalid(parsed.errors));
            };
            validate(request, &grounds.terms(), parsed.errors).map_err(Error::invalid)
        });
        let prepared = prepared.await?;
        Ok(Accepted {
            id: Uuid::now_v7(),
            terminal: prepared.terminal,
            prepared,
            share,
            in_progress: self.caller.begin_run().map_err(Error::from)?,
        })
    }

    /// Lets the run and the talk about it go on side by side until the run is over and all is said.
    async fn run(&self, wire: &mut Wire, accepted: Accepted) -> Result<RunResult, Stop> {
        let Accepted {
            id,
            prepared,
            terminal,
            share,
            in_progress,
        } = accepted;
        let config = &self.app.config.config.live;
        let language = prepared.sources.language.id.clone();
        tracing::debug!(run = %id, language, "live run accepted");
        let (remote, mut heard, line) = line(terminal, config.stdin_buffer_bytes);
        let mut run = pin!(self.app.engine.run_live(id, prepared, line, config));
        let mut result = None;
        wire.send(text(&ServerMessage::Queued { id })?);
        loop {
            let (free, has_room) = (wire.is_free(), remote.has_room());
            tokio::select! {
                turn = wire.turn(has_room) => if let Turn::Received(text) = turn.inspect_err(|gone| {
                    tracing::info!(run = %id, language, "run cancelled: {gone}");
                })? {
                    obey(&remote, read(&text)?)?;
                },
                () = remote.room(), if !has_room => {}
                ended = &mut run, if result.is_none() => result = Some(ended.map_err(Error::from)?),
                event = heard.events.recv(), if free => match (event, result.take()) {
                    (Some(event), ended) => {
                        result = ended;
                        wire.send(text(&self.show(event))?);
                    }
                    (None, Some(result)) => {
                        drop((share, in_progress));
                        runs::log_finished(&result);
                        return Ok(result);
                    }
                    // The line hangs up with the run's end, which is seen in the next turn.
                    (None, None) => {}
                },
                Ok(()) = heard.usage.changed(), if free && result.is_none() => {
                    let sample = *heard.usage.borrow_and_update();
                    if let Some(sample) = sample {
                        wire.send(text(&ServerMessage::Usage(sample.into()))?);
                    }
                }
                () = self.seat.ending() => {
                    let error = Error::unavailable("the service ended before the run did", RETRY_AFTER_DRAIN);
                    return Err(error.into());
                }
            }
        }
    }

    fn show(&self, event: Event) -> ServerMessage {
        match event {
            Event::Compiling => ServerMessage::Compiling,
            Event::Compiled(stage) => ServerMessage::Compiled {
                compile: show_stage(*stage, self.encoding),
            },
            Event::Started => ServerMessage::Started,
            Event::Output(stream, bytes) => {
                let (data, encoding) = encode(bytes, false, self.encoding);
                let piece = Piece { data, encoding };
                match stream {
                    Stream::Stdout => ServerMessage::Stdout(piece),
                    Stream::Stderr => ServerMessage::Stderr(piece),
                }
            }
        }
    }

    async fn finished(&self, result: RunResult) -> Result<String, Error> {
        let (app, encoding) = (Arc::clone(&self.app), self.encoding);
        offload(runs::weight(&result), move || {
            let result = Box::new(answer(result, &app.config.degraded, encoding));
            text(&ServerMessage::Finished { result })
        })
        .await
    }
}

/// How long a client may take to take the last words, when they are an error.
const LAST_WORDS_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

fn draining() -> Error {
    Error::unavailable("the service is draining", RETRY_AFTER_DRAIN)
}

fn invalid(pointer: &str, detail: &str) -> Error {
    Error::invalid(vec![FieldError::new(pointer, detail)])
}

fn read(text: &Utf8Bytes) -> Result<ClientMessage, Error> {
    ClientMessage::read(text.as_bytes()).map_err(Error::from)
}

/// Does what the client says while its run is in progress.
fn obey(remote: &Remote, message: ClientMessage) -> Result<(), Error> {
    match message {
        ClientMessage::Start(_) => {
            return Err(invalid("/type", "there is one start for each socket"));
        }
        ClientMessage::Stdin(_) if remote.has_ended() => {
            return Err(invalid("/type", "there can be no stdin after eof"));
        }
        ClientMessage::Stdin(bytes) => remote.stdin(bytes),
        ClientMessage::Eof => remote.eof(),
        ClientMessage::Resize(_) if !remote.has_terminal() => {
            return Err(invalid("/type", "there is no terminal: start had no pty"));
        }
        ClientMessage::Resize(size) => remote.resize(size),
        ClientMessage::Signal(signal) => remote.signal(signal),
        ClientMessage::Cancel => remote.cancel(),
    }
    Ok(())
}

fn text(message: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(message).map_err(|error| {
        tracing::error!("a message cannot be written: {error}");
        Error::internal()
    })
}
