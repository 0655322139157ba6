//! The line between a live run and whoever follows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use brig_sandbox::protocol::{UserSignal, WindowSize};
use brig_sandbox::report::Sample;
use tokio::sync::{mpsc, watch};

use super::keys::Keys;
use crate::run::StageResult;

/// Events that wait to be told. Each stream has one piece on its way at most, so this is more than
/// there ever are.
const EVENTS: usize = 4;
/// Signals that wait to be sent; more are as good as these.
const SIGNALS: usize = 16;
/// What a terminal takes for the end of input, typed (`VEOF`, termios(3)).
const CTRL_D: u8 = 4;

/// Something that happens to a run.
#[derive(Debug)]
pub enum Event {
    /// The compile stage begins.
    Compiling,
    /// It is over, like this.
    Compiled(Box<StageResult>),
    /// The program runs.
    Started,
    /// It wrote this.
    Output(Stream, Vec<u8>),
}

/// Which of a program's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Its stdout, or its terminal.
    Stdout,
    /// Its stderr.
    Stderr,
}

/// The end of who follows a run. Everything it asks for goes to the run, and is forgotten
/// when there is nobody to take it.
#[derive(Debug)]
pub struct Remote {
    shared: Arc<Shared>,
    signals: mpsc::Sender<UserSignal>,
    size: watch::Sender<Option<WindowSize>>,
    cancel: watch::Sender<bool>,
    terminal: bool,
}

/// What is heard at this end.
#[derive(Debug)]
pub struct Heard {
    /// What happens. The run waits while this is not read. It ends with the run.
    pub events: mpsc::Receiver<Event>,
    /// What the program used lately; old figures are replaced by new ones.
    pub usage: watch::Receiver<Option<Sample>>,
}

/// The run's end.
#[derive(Debug)]
pub struct Line {
    pub(super) events: mpsc::Sender<Event>,
    pub(super) usage: watch::Sender<Option<Sample>>,
    pub(super) shared: Arc<Shared>,
    pub(super) signals: mpsc::Receiver<UserSignal>,
    pub(super) size: watch::Receiver<Option<WindowSize>>,
    pub(super) cancel: watch::Receiver<bool>,
    pub(super) terminal: Option<WindowSize>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) keys: Keys,
    begun: Instant,
    /// When something was last said, in either direction, since `begun`.
    moved_ms: AtomicU64,
}

/// A line for a run with a terminal of this size, or none; as much input waits in it.
pub fn line(terminal: Option<WindowSize>, stdin_buffer_bytes: usize) -> (Remote, Heard, Line) {
    let (tell, events) = mpsc::channel(EVENTS);
    let (use_, usage) = watch::channel(None);
    let (signals, signalled) = mpsc::channel(SIGNALS);
    let (size, sized) = watch::channel(None);
    let (cancel, cancelled) = watch::channel(false);
    let shared = Arc::new(Shared {
        keys: Keys::new(stdin_buffer_bytes),
        begun: Instant::now(),
        moved_ms: AtomicU64::new(0),
    });
    let remote = Remote {
        shared: Arc::clone(&shared),
        signals,
        size,
        cancel,
        terminal: terminal.is_some(),
    };
    let line = Line {
        events: tell,
        usage: use_,
        shared,
        signals: signalled,
        size: sized,
        cancel: cancelled,
        terminal,
    };
    (remote, Heard { events, usage }, line)
}

impl Remote {
    /// Input for the program.
    pub fn stdin(&self, bytes: Vec<u8>) {
        self.shared.moved();
        self.shared.keys.push(bytes);
    }

    /// There is no more input. Whoever is at a terminal can go on typing.
    pub fn eof(&self) {
        self.shared.moved();
        if self.terminal {
            self.shared.keys.push(vec![CTRL_D]);
        } else {
            self.shared.keys.end();
        }
    }

    /// Whether there is no more input.
    pub fn has_ended(&self) -> bool {
        self.shared.keys.has_ended()
    }

    /// Whether the program has a terminal.
    pub fn has_terminal(&self) -> bool {
        self.terminal
    }

    /// Changes the terminal's size.
    pub fn resize(&self, size: WindowSize) {
        self.shared.moved();
        self.size.send_replace(Some(size));
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: UserSignal) {
        self.shared.moved();
        // With as many on their way, one more makes no difference.
        let _ = self.signals.try_send(signal);
    }

    /// Ends the run.
    pub fn cancel(&self) {
        self.cancel.send_replace(true);
    }

    /// Whether there is room for more input.
    pub fn has_room(&self) -> bool {
        self.shared.keys.has_room()
    }

    /// Waits for room for more input.
    pub async fn room(&self) {
        self.shared.keys.room().await;
    }
}

impl Line {
    /// Tells what happens, as soon as there is room.
    pub(super) async fn tell(&self, event: Event) {
        // Whoever has gone does not want to know.
        let _ = self.events.send(event).await;
    }

    /// Waits until the run is to end.
    pub(super) async fn cancelled(mut cancel: watch::Receiver<bool>) {
        if cancel.wait_for(|cancel| *cancel).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Shared {
    /// Notes that something was said.
    pub(super) fn moved(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.store(now, Ordering::Relaxed);
    }

    /// For how long nothing has been said.
    pub(super) fn quiet(&self) -> Duration {
        let moved = Duration::from_millis(self.moved_ms.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(moved)
    }
}
