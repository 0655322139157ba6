//! One socket: one message on its way out at a time, and messages in when they are wanted.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{FutureExt, Sink, Stream, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

use crate::run::LiveConfig;

/// What is read from a socket at once. Each open socket has as much memory at least.
const READ_BYTES: usize = 4 << 10;
/// A longer message goes out in frames of this length, so that it is seen when the client takes
/// any of it.
const FRAME_BYTES: usize = 64 << 10;
/// How long a client may take to take the last words.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(5);
/// What a client is still sending when the socket closes is read, up to this much: otherwise the
/// connection would be reset before the client has seen the last words.
const DISCARD_BYTES: usize = 16 << 20;
/// How often a socket that is not read is looked at, whether the client has hung up. Its end of stream may
/// wait behind what is not read, so it is pinged as well: a closed connection is reset by that.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A socket.
pub(super) struct Wire {
    socket: WebSocketStream<TcpStream>,
    outgoing: Option<Outgoing>,
    /// What was handed to the socket is not yet in the kernel's hands.
    flushing: bool,
    ping_due: bool,
    /// What is being flushed is a ping.
    pinging: bool,
    /// When the client last showed that it is there.
    alive: Instant,
    /// When it was last pinged, or showed that it is there.
    pinged: Instant,
    ping_interval: Duration,
    peer_timeout: Duration,
    max_message_bytes: usize,
}

/// A message, or the rest of it.
struct Outgoing {
    text: Bytes,
    first: bool,
}

/// What a turn brought.
#[derive(Debug)]
pub(super) enum Turn {
    /// The client said this.
    Received(Utf8Bytes),
    /// What was on its way is out.
    Sent,
}

/// Why there are no more turns.
#[derive(Debug, thiserror::Error)]
pub(super) enum Gone {
    /// The client closed the socket, or the connection.
    #[error("the client went away")]
    Closed,
    /// The connection broke, or what came is no WebSocket.
    #[error("the connection broke: {0}")]
    Broken(WsError),
    /// Neither a word from the client nor did it take one.
    #[error("the client was silent for too long")]
    Silent,
    /// The client sent a message that is too long.
    #[error("the client sent a message of more than {0} bytes")]
    TooLong(usize),
    /// The client sent something else than text.
    #[error("the client sent a message that is no text")]
    NotText,
}

impl Wire {
    /// Takes over a connection after the handshake, with what was read of it already.
    pub(super) async fn new((stream, read): (TcpStream, Vec<u8>), config: &LiveConfig) -> Self {
        let limits = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(config.max_message_bytes))
            .max_frame_size(Some(config.max_message_bytes));
        let socket =
            WebSocketStream::from_partially_read(stream, read, Role::Server, Some(limits)).await;
        let now = Instant::now();
        Self {
            socket,
            outgoing: None,
            flushing: false,
            ping_due: false,
            pinging: false,
            alive: now,
            pinged: now,
            ping_interval: config.ping_interval(),
            peer_timeout: config.peer_timeout(),
            max_message_bytes: config.max_message_bytes,
        }
    }

    /// Whether a message can be sent.
    pub(super) fn is_free(&self) -> bool {
        self.outgoing.is_none() && !self.flushing
    }

    /// Puts a message on its way; only when the wire is free. [`Self::turn`] moves it.
    pub(super) fn send(&mut self, text: String) {
        debug_assert!(self.is_free(), "one message at a time");
        self.outgoing = Some(Outgoing {
            text: text.into(),
            first: true,
        });
    }

    /// Sends a message and waits until it is out. What the client says meanwhile is lost.
    pub(super) async fn send_last(&mut self, text: String) -> Result<(), Gone> {
        while !self.is_free() {
            self.turn(true).await?;
        }
        self.send(text);
        while !self.is_free() {
            self.turn(true).await?;
        }
        Ok(())
    }

    /// Waits for the next thing to happen. Without `may_read` nothing is read, but the client's going away is still
    /// noticed. Cancel-safe.
    pub(super) async fn turn(&mut self, may_read: bool) -> Result<Turn, Gone> {
        loop {
            let tick = self.next_tick(may_read);
            tokio::select! {
                turn = poll_fn(|cx| self.poll_turn(cx, may_read)) => return turn,
                () = sleep_until(tick) => self.tick(may_read)?,
            }
        }
    }

    fn next_tick(&self, may_read: bool) -> Instant {
        if may_read {
            (self.pinged + self.ping_interval).min(self.alive + self.peer_timeout)
        } else {
            Instant::now() + LOOK_EVERY
        }
    }

    fn tick(&mut self, may_read: bool) -> Result<(), Gone> {
        let now = Instant::now();
        if !may_read {
            if self.hung_up() {
                return Err(Gone::Closed);
            }
            // Answers to pings wait behind what is not read.
            self.alive = now;
            self.ping_due = self.is_free();
            return Ok(());
        }
        if now >= self.alive + self.peer_timeout {
            return Err(Gone::Silent);
        }
        if now >= self.pinged + self.ping_interval {
            self.pinged = now;
            // What is on its way already will show whether the client is there.
            self.ping_due = self.is_free();
        }
        Ok(())
    }

    /// Whether the client has closed its side, behind what is not read.
    fn hung_up(&self) -> bool {
        let ready = self.socket.get_ref().ready(Interest::READABLE);
        match ready.now_or_never() {
            Some(Ok(ready)) => ready.is_read_closed(),
            Some(Err(_)) => true,
            None => false,
        }
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>, may_read: bool) -> Poll<Result<Turn, Gone>> {
        if self.poll_send(cx)?.is_ready() {
            return Poll::Ready(Ok(Turn::Sent));
        }
        if may_read {
            return self.poll_receive(cx).map_ok(Turn::Received);
        }
        Poll::Pending
    }

    /// Ready when the last frame of a message, or a ping, is out.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        loop {
            if self.flushing {
                std::task::ready!(Pin::new(&mut self.socket).poll_flush(cx)).map_err(gone)?;
                self.flushing = false;
                // A ping fits into the kernel's buffers, whether the client is there or not.
                if !std::mem::take(&mut self.pinging) {
                    self.heard();
                }
                if self.outgoing.is_none() {
                    return Poll::Ready(Ok(()));
                }
            }
            let next = match &mut self.outgoing {
                Some(outgoing) => {
                    let frame = outgoing.next_frame();
                    if outgoing.text.is_empty() {
                        self.outgoing = None;
                    }
                    frame
                }
                None if std::mem::take(&mut self.ping_due) => {
                    self.pinging = true;
                    Message::Ping(Bytes::new())
                }
                None => return Poll::Pending,
            };
            Pin::new(&mut self.socket).start_send(next).map_err(gone)?;
            self.flushing = true;
        }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Utf8Bytes, Gone>> {
        loop {
            let Some(message) = std::task::ready!(Pin::new(&mut self.socket).poll_next(cx)) else {
                return Poll::Ready(Err(Gone::Closed));
            };
            let message = message.map_err(|error| match error {
                WsError::Capacity(CapacityError::MessageTooLong { .. }) => {
                    Gone::TooLong(self.max_message_bytes)
                }
                error => gone(error),
            })?;
            self.heard();
            match message {
                Message::Text(text) => return Poll::Ready(Ok(text)),
                Message::Binary(_) => return Poll::Ready(Err(Gone::NotText)),
                Message::Close(_) => return Poll::Ready(Err(Gone::Closed)),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    fn heard(&mut self) {
        self.alive = Instant::now();
        self.pinged = self.alive;
    }

    /// Closes the socket.
    pub(super) async fn close(mut self, code: CloseCode) {
        let closing = async {
            let frame = CloseFrame {
                code,
                reason: Utf8Bytes::from_static(""),
            };
            // An error means that it is closed, or broken.
            let _ = self.socket.close(Some(frame)).await;
            self.socket.get_mut().shutdown().await?;
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(_))) => return Ok(()),
                    Some(Ok(_)) => {}
                    // What comes now, if anything, has no frames that can be told apart.
                    Some(Err(_)) | None => return discard(self.socket.get_mut()).await,
                }
            }
        };
        // A client that has gone does not miss anything.
        let _ = timeout(LAST_WORDS_WITHIN, closing).await;
    }
}

async fn discard(stream: &mut TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let mut left = DISCARD_BYTES;
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            len => match left.checked_sub(len) {
                Some(rest) => left = rest,
                None => return Ok(()),
            },
        }
    }
}

impl Outgoing {
    fn next_frame(&mut self) -> Message {
        let piece = self.text.split_to(self.text.len().min(FRAME_BYTES));
        let kind = if self.first {
            Data::Text
        } else {
            Data::Continue
        };
        self.first = false;
        let last = self.text.is_empty();
        Message::Frame(Frame::message(piece, OpCode::Data(kind), last))
    }
}

fn gone(error: WsError) -> Gone {
    match error {
        WsError::ConnectionClosed
        | WsError::AlreadyClosed
        | WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Gone::Closed,
        error => Gone::Broken(error),
    }
}
