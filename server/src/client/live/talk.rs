//! The talk with the service, from the first message to the last.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::{self, Message};

use super::Refused;
use super::message::{Heard, Say};
use super::socket::Socket;
use super::terminal::{Raw, Size};
use crate::client::failure::Failure;
use crate::client::outcome::show_compiler;
use crate::client::ui::Ui;
use crate::client::wire::RunAnswer;

/// Input that is read and sent at once.
const PIECE_BYTES: usize = 16 << 10;
/// Ends the run when it is typed in raw mode: Ctrl-].
const END_KEY: u8 = 0x1d;

/// Where the program's input comes from.
pub(super) struct Input {
    /// Until it is read.
    source: Mutex<Option<Box<dyn Read + Send>>>,
    /// Whether it is this terminal, which the program's own is shown in.
    raw: bool,
}

impl Input {
    /// The file at `path`, or this command's stdin. `tty`: the program has a terminal.
    pub(super) fn open(path: Option<&Path>, tty: bool) -> Result<Self, Failure> {
        let source: Box<dyn Read + Send> = match path {
            Some(path) => Box::new(File::open(path).map_err(|e| Failure::file(path, &e))?),
            None => Box::new(io::stdin()),
        };
        Ok(Self {
            source: Mutex::new(Some(source)),
            raw: tty && path.is_none() && io::stdin().is_terminal(),
        })
    }

    /// Begins to read. The pieces end with the input; what cannot be read any more has ended.
    fn pieces(&self) -> mpsc::Receiver<Vec<u8>> {
        let (pieces, read) = mpsc::channel(1);
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut source) = source.take() {
            // It ends with the process: nothing can wake a thread that reads from a terminal.
            std::thread::spawn(move || {
                let mut buffer = vec![0; PIECE_BYTES];
                loop {
                    match source.read(&mut buffer) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Ok(0) | Err(_) => return,
                        Ok(len) => {
                            if pieces.blocking_send(buffer[..len].to_vec()).is_err() {
                                return;
                            }
                        }
                    }
                }
            });
        }
        read
    }
}

/// A live run to be.
pub(super) struct Talk<'a> {
    /// The first message.
    pub(super) start: String,
    pub(super) input: Input,
    /// Whether the program has a terminal.
    pub(super) tty: bool,
    pub(super) quiet: bool,
    pub(super) ui: &'a Arc<Ui>,
}

/// How it ended.
pub(super) enum End {
    Finished(Box<RunAnswer>),
    Refused(Refused),
}

type Sink = SplitSink<Socket, Message>;

impl Talk<'_> {
    /// Listens and talks until all is said.
    pub(super) async fn until_end(&self, socket: Socket) -> Result<End, Failure> {
        let signals = Signals::new()
            .map_err(|e| Failure::Service(format!("signals cannot be waited for: {e}")))?;
        let (mut sink, stream) = socket.split();
        let (started, start) = watch::channel(false);
        // A service that is gone is noticed by the listener.
        let _ = sink.send(Message::text(self.start.as_str())).await;
        tokio::select! {
            end = self.listen(stream, started) => end,
            failure = self.speak(sink, start, signals) => Err(failure),
        }
    }

    /// Shows what comes.
    async fn listen(
        &self,
        mut stream: SplitStream<Socket>,
        started: watch::Sender<bool>,
    ) -> Result<End, Failure> {
        let mut raw = None;
        while let Some(message) = stream.next().await {
            let message = message.map_err(|error| broke(&error))?;
            let Message::Text(text) = message else {
                continue;
            };
            let heard = serde_json::from_str(&text).map_err(|error| {
                Failure::Service(format!("the service's message is not understood: {error}"))
            })?;
            match heard {
                Heard::Compiled { compile } => {
                    if !self.quiet || compile.exit_code != Some(0) {
                        show_compiler(&compile, self.ui);
                    }
                }
                Heard::Started => {
                    if self.input.raw {
                        let entered = Raw::enter().map_err(|e| {
                            Failure::Service(format!("the terminal has no raw mode: {e}"))
                        })?;
                        raw = Some(entered);
                    }
                    started.send_replace(true);
                }
                Heard::Stdout(piece) => self.ui.emit(&piece.bytes())?,
                Heard::Stderr(piece) => self.ui.emit_error(&piece.bytes()),
                Heard::Finished { result } => return Ok(End::Finished(result)),
                Heard::Error {
                    problem,
                    retry_after_ms,
                } => {
                    let refused = refused(&problem, retry_after_ms);
                    // A program is not run twice.
                    return if *started.borrow() {
                        Err(refused.failure())
                    } else {
                        Ok(End::Refused(refused))
                    };
                }
                Heard::Other => {}
            }
        }
        drop(raw);
        Err(Failure::Service(
            "the service closed the connection before the program ended".to_owned(),
        ))
    }

    /// Passes on what is typed, and what happens to this terminal and this process. Resolves only if the
    /// person wants no more of it.
    async fn speak(
        &self,
        sink: Sink,
        mut started: watch::Receiver<bool>,
        mut signals: Signals,
    ) -> Failure {
        tokio::select! {
            // The sender is the listener's, and lives as long.
            _ = started.wait_for(|started| *started) => {}
            () = signals.end() => return Failure::Interrupted,
        }
        let speaker = Speaker {
            sink,
            tty: self.tty,
            raw: self.input.raw,
            cancelled: false,
        };
        match speaker.speak(self.input.pieces(), signals).await {
            Err(Over::Unwanted) => Failure::Interrupted,
            // The listener hears why.
            Err(Over::Broken) => std::future::pending().await,
        }
    }
}

/// Why nothing more is said.
enum Over {
    /// The person does not want to wait for the end.
    Unwanted,
    /// Nobody hears it.
    Broken,
}

/// Says what there is to say while the program runs.
struct Speaker {
    sink: Sink,
    tty: bool,
    raw: bool,
    /// The end of the run was asked for.
    cancelled: bool,
}

impl Speaker {
    async fn speak(
        mut self,
        mut pieces: mpsc::Receiver<Vec<u8>>,
        mut signals: Signals,
    ) -> Result<Infallible, Over> {
        let (mut reading, mut line_ended) = (true, true);
        loop {
            tokio::select! {
                piece = pieces.recv(), if reading => if let Some(piece) = piece {
                    line_ended = piece.ends_with(b"\n");
                    self.typed(&piece).await?;
                } else {
                    reading = false;
                    self.end_input(line_ended).await?;
                },
                _ = signals.resized.recv(), if self.tty => {
                    self.say(&Say::Resize(Size::of_this_terminal())).await?;
                }
                _ = signals.interrupt.recv() => {
                    self.say(&Say::Signal { signal: "SIGINT" }).await?;
                }
                _ = signals.terminate.recv() => self.cancel().await?,
            }
        }
    }

    /// Passes input on, up to the key that ends the run.
    async fn typed(&mut self, piece: &[u8]) -> Result<(), Over> {
        let end = piece.iter().position(|byte| self.raw && *byte == END_KEY);
        let input = &piece[..end.unwrap_or(piece.len())];
        if !input.is_empty() {
            self.say(&Say::input(input)).await?;
        }
        match end {
            Some(_) => self.cancel().await,
            None => Ok(()),
        }
    }

    /// There is no more input. A terminal takes Ctrl-D for that only at the beginning of a line; before,
    /// it ends the line.
    async fn end_input(&mut self, line_ended: bool) -> Result<(), Over> {
        if self.tty && !line_ended {
            self.say(&Say::Eof).await?;
        }
        self.say(&Say::Eof).await
    }

    /// Asks for the end of the run; the second time nobody waits for it.
    async fn cancel(&mut self) -> Result<(), Over> {
        if self.cancelled {
            return Err(Over::Unwanted);
        }
        self.cancelled = true;
        self.say(&Say::Cancel).await
    }

    async fn say(&mut self, what: &Say<'_>) -> Result<(), Over> {
        let text = what.text().map_err(|_| Over::Broken)?;
        let said = self.sink.send(Message::text(text)).await;
        said.map_err(|_| Over::Broken)
    }
}

/// What this process is told.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// The terminal has another size.
    resized: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            resized: signal(SignalKind::window_change())?,
        })
    }

    /// Waits until this process is to end.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn broke(error: &tungstenite::Error) -> Failure {
    Failure::Service(format!("the connection to the service broke: {error}"))
}

/// An `error` message.
fn refused(problem: &Value, retry_after_ms: Option<u64>) -> Refused {
    let status = problem["status"].as_u64();
    let status = status.and_then(|status| u16::try_from(status).ok());
    Refused {
        // What has none is the service's failure.
        status: status.unwrap_or(500),
        body: problem.to_string().into_bytes(),
        retry_after: retry_after_ms.map(Duration::from_millis),
    }
}
