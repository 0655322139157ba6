//! A live run's program while it runs: input to it, output from it, and what it is asked to do.
//!
//! All of it is one future. Two relays read what the program writes, each one piece at a time, and only
//! when there is room on the [`Line`]; so a client that does not read holds the program back by the
//! kernel's pipes. Beside them, until the end: input is written as fast as the program reads it,
//! signals and sizes are passed on, figures are asked for, and the clock for a quiet run ticks.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brig_sandbox::protocol::{StopReason, UserSignal, WindowSize};
use brig_sandbox::report::{Sample, SandboxFault};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::line::{Event, Line, Shared, Stream};
use super::text::{MAX_UNFINISHED_BYTES, whole_characters};
use crate::pool::{
    Captured, Control, ExecuteError, Running, Screen, Session, SessionEnd, Sizer, StageOutput,
    Started, Terminal,
};

/// What is read from a stream at once.
const PIECE_BYTES: usize = 16 << 10;
/// What is written to a program at once.
const WRITE_BYTES: usize = 64 << 10;
/// How long the beginning of a character waits for the rest of it.
const CHARACTER_WITHIN: Duration = Duration::from_millis(50);
/// How often figures are asked for.
const SAMPLE_EVERY: Duration = Duration::from_millis(250);
/// How often it is looked whether a terminal that no program has open was opened again. It cannot be waited
/// for: a terminal like this is readable all the time, with an error (tty_poll of the kernel).
const OPENED_AGAIN_EVERY: Duration = Duration::from_millis(50);
/// How long after a program's end its streams may stay open.
const CLOSED_WITHIN: Duration = Duration::from_secs(2);

/// What a live run has to keep to.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// What the program may write to each stream.
    pub output_bytes: u64,
    /// What is kept of each.
    pub kept_bytes: u64,
    /// How long there may be neither input nor output.
    pub idle: Duration,
}

/// How it went.
pub(super) struct Talked {
    pub(super) output: Result<StageOutput, ExecuteError>,
    /// It was ended because nothing was said.
    pub(super) idle: bool,
}

struct Talk<'a> {
    bounds: Bounds,
    control: Control,
    shared: &'a Shared,
    events: &'a mpsc::Sender<Event>,
    ended: watch::Sender<bool>,
    /// Somebody held a stream open after the end.
    leaked: AtomicBool,
    idle: AtomicBool,
}

/// Where a program's input goes, and from where its output comes.
struct Ends {
    input: Option<pipe::Sender>,
    output: Output,
    sizer: Option<Sizer>,
}

enum Output {
    Pipes(pipe::Receiver, pipe::Receiver),
    Screen(Screen),
}

/// Where output comes from.
struct Source<R> {
    reader: R,
    /// Its end is not the last word while the program runs: a terminal that nobody has open can be opened
    /// again (tty(4)).
    opens_again: bool,
}

impl Source<pipe::Receiver> {
    fn pipe(reader: pipe::Receiver) -> Self {
        Self {
            reader,
            opens_again: false,
        }
    }
}

impl Source<Screen> {
    fn screen(reader: Screen) -> Self {
        Self {
            reader,
            opens_again: true,
        }
    }
}

impl Ends {
    fn of(
        stdin: Option<pipe::Sender>,
        pipes: (pipe::Receiver, pipe::Receiver),
        terminal: Option<Terminal>,
    ) -> Self {
        match terminal {
            Some(Terminal {
                keyboard,
                screen,
                sizer,
            }) => Self {
                input: Some(keyboard),
                output: Output::Screen(screen),
                sizer: Some(sizer),
            },
            None => Self {
                input: stdin,
                output: Output::Pipes(pipes.0, pipes.1),
                sizer: None,
            },
        }
    }
}

/// Follows a program that has started to its end. Dropping the future cancels it.
pub(super) async fn talk(
    session: Session,
    started: Started,
    line: &mut Line,
    bounds: Bounds,
) -> Talked {
    line.shared.moved();
    let control = session.control();
    let Session {
        stdin,
        stdout,
        stderr,
        running,
    } = session;
    let ends = Ends::of(stdin, (stdout, stderr), started.terminal);
    let Line {
        events,
        usage,
        shared,
        signals,
        size,
        cancel,
        ..
    } = line;
    let talk = Talk {
        bounds,
        control,
        shared,
        events,
        ended: watch::Sender::new(false),
        leaked: AtomicBool::new(false),
        idle: AtomicBool::new(false),
    };
    let said = async { tokio::join!(talk.follow(running), talk.outputs(ends.output)) };
    let meanwhile = async {
        tokio::join!(
            talk.feed(ends.input),
            talk.resizes(size, ends.sizer),
            talk.signals(signals),
            talk.samples(usage),
            talk.watch_idle(),
            talk.cancelled(cancel.clone()),
        )
    };
    let (end, (stdout, stderr)) = tokio::select! {
        said = said => said,
        (never, ..) = meanwhile => match never {},
    };
    Talked {
        output: talk.output(end, stdout, stderr),
        idle: talk.idle.load(Ordering::Relaxed),
    }
}

impl Talk<'_> {
    async fn follow(&self, running: Running) -> SessionEnd {
        let end = running.finished().await;
        self.ended.send_replace(true);
        end
    }

    async fn has_ended(&self) {
        // The sender lives as long as this does.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    async fn outputs(&self, output: Output) -> (Captured, Captured) {
        match output {
            Output::Pipes(stdout, stderr) => tokio::join!(
                self.relay(Stream::Stdout, Source::pipe(stdout)),
                self.relay(Stream::Stderr, Source::pipe(stderr))
            ),
            Output::Screen(screen) => {
                let shown = self.relay(Stream::Stdout, Source::screen(screen)).await;
                (shown, Captured::default())
            }
        }
    }

    /// Tells what comes from `source` until its end.
    async fn relay<R: AsyncRead + Unpin>(&self, stream: Stream, mut source: Source<R>) -> Captured {
        let Bounds {
            output_bytes,
            kept_bytes,
            ..
        } = self.bounds;
        let mut captured = Captured::default();
        let mut buffer = vec![0; MAX_UNFINISHED_BYTES + PIECE_BYTES];
        // The beginning of a character, at the beginning of the buffer.
        let mut unfinished = 0;
        loop {
            // What is over the limit is counted, but told to nobody.
            let room = if captured.over_limit {
                None
            } else {
                self.events.reserve().await.ok()
            };
            let read = self.read(&mut source, &mut buffer[unfinished..], unfinished > 0);
            let (len, whole) = match read.await {
                Read::Bytes(len) => {
                    self.shared.moved();
                    let new = &buffer[unfinished..unfinished + len];
                    let within = captured.take(new, output_bytes, kept_bytes).len();
                    if captured.over_limit {
                        self.control.stop(StopReason::OutputLimit);
                    }
                    let len = unfinished + within;
                    (len, whole_characters(&buffer[..len]))
                }
                Read::Pause => (unfinished, unfinished),
                Read::End => {
                    if let Some(room) = room.filter(|_| unfinished > 0) {
                        room.send(Event::Output(stream, buffer[..unfinished].to_vec()));
                    }
                    return captured;
                }
            };
            // Nothing of it will follow.
            let told = if captured.over_limit { len } else { whole };
            if let Some(room) = room.filter(|_| told > 0) {
                room.send(Event::Output(stream, buffer[..told].to_vec()));
            }
            buffer.copy_within(told..len, 0);
            unfinished = len - told;
        }
    }

    /// The next bytes of `source`. `hurry`: somebody waits for what was read before.
    async fn read<R: AsyncRead + Unpin>(
        &self,
        source: &mut Source<R>,
        buffer: &mut [u8],
        hurry: bool,
    ) -> Read {
        // A read that began before the program's end may have missed its last words.
        let last = !source.opens_again || *self.ended.borrow();
        tokio::select! {
            biased;
            len = source.reader.read(buffer) => match len {
                Ok(0) | Err(_) if last => Read::End,
                Ok(0) | Err(_) => {
                    self.opened_again().await;
                    Read::Pause
                }
                Ok(len) => Read::Bytes(len),
            },
            () = self.leaks() => Read::End,
            () = sleep(CHARACTER_WITHIN), if hurry => Read::Pause,
        }
    }

    /// Waits until it is worth looking whether a terminal that was closed is open again.
    async fn opened_again(&self) {
        tokio::select! {
            () = self.has_ended() => {}
            () = sleep(OPENED_AGAIN_EVERY) => {}
        }
    }

    /// Waits until nobody can have a reason to hold a stream open, and notes that somebody does.
    async fn leaks(&self) {
        self.has_ended().await;
        sleep(CLOSED_WITHIN).await;
        self.leaked.store(true, Ordering::Relaxed);
    }

    /// Writes what comes in to `input` until there is no more, or the program reads no more.
    async fn feed(&self, input: Option<pipe::Sender>) -> Infallible {
        if let Some(mut input) = input {
            while let Some(piece) = self.shared.keys.next().await {
                for part in piece.chunks(WRITE_BYTES) {
                    if input.write_all(part).await.is_err() {
                        self.shared.keys.refuse();
                        return std::future::pending().await;
                    }
                    self.shared.moved();
                    self.shared.keys.done(part.len());
                }
            }
        }
        std::future::pending().await
    }

    async fn resizes(&self, asked: &mut watch::Receiver<Option<WindowSize>>, sizer: Option<Sizer>) {
        let Some(sizer) = sizer else { return };
        // What was asked for before the start counts as well.
        asked.mark_changed();
        while asked.changed().await.is_ok() {
            let size = *asked.borrow_and_update();
            if let Some(Err(error)) = size.map(|size| sizer.resize(size)) {
                tracing::debug!("a terminal was not resized: {error}");
            }
        }
    }

    async fn signals(&self, signals: &mut mpsc::Receiver<UserSignal>) {
        while let Some(signal) = signals.recv().await {
            self.control.signal(signal).await;
        }
    }

    async fn samples(&self, usage: &watch::Sender<Option<Sample>>) {
        let mut ticks = interval(SAMPLE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first is at once, when there is nothing to tell.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            match self.control.sample().await {
                Some(sample) => usage.send_replace(Some(sample)),
                None => return,
            };
        }
    }

    async fn watch_idle(&self) {
        loop {
            let left = self.bounds.idle.saturating_sub(self.shared.quiet());
            if left.is_zero() {
                break;
            }
            sleep(left).await;
        }
        if !*self.ended.borrow() {
            self.idle.store(true, Ordering::Relaxed);
            self.control.stop(StopReason::Cancelled);
        }
    }

    async fn cancelled(&self, cancel: watch::Receiver<bool>) {
        Line::cancelled(cancel).await;
        self.control.stop(StopReason::Cancelled);
    }

    fn output(
        &self,
        end: SessionEnd,
        stdout: Captured,
        stderr: Captured,
    ) -> Result<StageOutput, ExecuteError> {
        let (report, collected) = end?;
        if self.leaked.load(Ordering::Relaxed) {
            return Err(SandboxFault {
                step: "close the output pipes".to_owned(),
                detail: "somebody still holds them open after the end of the stage".to_owned(),
                errno: None,
                started: true,
            }
            .into());
        }
        Ok(StageOutput {
            report,
            stdout,
            stderr,
            collected,
        })
    }
}

enum Read {
    Bytes(usize),
    /// Nothing more came soon.
    Pause,
    End,
}
