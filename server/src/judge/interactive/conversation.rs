//! What the parts of a conversation share, and who is stopped when.

use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use brig_sandbox::protocol::StopReason;
use brig_sandbox::report::{Outcome, SandboxFault};
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::time::Instant;

use super::transcript::Recorder;
use super::watch::{Deadlock, Look};
use super::{Event, PlayOptions, Played, Role, What, verdict};
use crate::api::CheckerProtocol;
use crate::judge::checker::may_accept;
use crate::pool::{Captured, Control, Running, SessionEnd, StageOutput};

pub(super) struct Conversation {
    protocol: CheckerProtocol,
    begun: Instant,
    pub(super) controls: [Control; 2],
    output_bytes: [u64; 2],
    ended: [watch::Sender<bool>; 2],
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) events: Vec<Event>,
    transcript: Recorder,
    stdout: [Captured; 2],
    stderr: [Captured; 2],
    /// How often something was said or taken, and when last.
    pub(super) moves: u64,
    pub(super) moved_at: Instant,
    /// Whether what a side said is waiting for the other to take it.
    pub(super) held: [bool; 2],
    /// The way to each side's stdin, as long as it is open.
    pub(super) stdins: [Weak<pipe::Sender>; 2],
    /// Whether somebody held a side's pipes open after its end.
    leaked: [bool; 2],
    /// The last look at both sides.
    pub(super) look: Option<Look>,
    pub(super) deadlock: Option<Deadlock>,
    held_up: bool,
}

/// Which of a side's streams.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

impl State {
    pub(super) fn moved(&mut self) {
        self.moves += 1;
        self.moved_at = Instant::now();
    }

    pub(super) fn happened(&self, role: Role, what: What) -> bool {
        let mut events = self.events.iter();
        events.any(|event| (event.role, event.what) == (role, what))
    }
}

impl Conversation {
    pub(super) fn new(options: &PlayOptions, controls: [Control; 2]) -> Self {
        let begun = Instant::now();
        Self {
            protocol: options.protocol,
            begun,
            controls,
            output_bytes: [
                options.program_output_bytes,
                options.interactor_output_bytes,
            ],
            ended: [watch::Sender::new(false), watch::Sender::new(false)],
            state: Mutex::new(State {
                events: Vec::new(),
                transcript: Recorder::new(options.transcript_bytes),
                stdout: <[Captured; 2]>::default(),
                stderr: <[Captured; 2]>::default(),
                moves: 0,
                moved_at: begun,
                held: [false; 2],
                stdins: [Weak::new(), Weak::new()],
                leaked: [false; 2],
                look: None,
                deadlock: None,
                held_up: false,
            }),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what happened, the first time, and unless `role` has ended: then it was not there to
    /// be concerned.
    pub(super) fn note(&self, role: Role, what: What) {
        let mut state = self.state();
        if state.happened(role, what) || state.happened(role, What::Ended) {
            return;
        }
        let at = self.begun.elapsed();
        state.events.push(Event { at, role, what });
    }

    /// Waits until `role` has ended.
    pub(super) async fn ended(&self, role: Role) {
        // The sender lives as long as this does, so there is no error.
        let mut ended = self.ended[role.index()].subscribe();
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Stops a side whose doings do not count any more.
    pub(super) fn stop(&self, role: Role) {
        self.note(role, What::Stopped);
        self.controls[role.index()].stop(StopReason::Cancelled);
    }

    /// Takes what `role` wrote. `false`: it has written more than it may, and is stopped for it.
    pub(super) fn wrote(&self, role: Role, stream: Stream, bytes: &[u8]) -> bool {
        let limit = self.output_bytes[role.index()];
        let mut state = self.state();
        let captured = match stream {
            Stream::Stdout => &mut state.stdout[role.index()],
            Stream::Stderr => &mut state.stderr[role.index()],
        };
        captured.take(bytes, limit, limit);
        let within = !captured.over_limit;
        if matches!(stream, Stream::Stdout) {
            state.transcript.take(role, bytes);
            state.moved();
        }
        if !within {
            self.controls[role.index()].stop(StopReason::OutputLimit);
        }
        within
    }

    pub(super) fn leaks(&self, role: Role) {
        self.state().leaked[role.index()] = true;
    }

    /// Waits for `role`'s end and stops the other side if it cannot change the verdict any more.
    pub(super) async fn follow(&self, role: Role, running: Running) -> SessionEnd {
        let end = running.finished().await;
        let decided = match (&end, role) {
            (Err(_), _) => true,
            (Ok((report, _)), Role::Interactor) => !may_accept(self.protocol, report),
            (Ok((report, _)), Role::Program) => {
                let cut_off = self.state().happened(role, What::EndOfInput);
                verdict::failed(report) && !(cut_off && verdict::crashed(report))
            }
        };
        if role == Role::Program && out_of_wall_time(&end) {
            let mut state = self.state();
            let moves = state.moves;
            let parted = state.happened(Role::Program, What::EndOfInput)
                || state.happened(Role::Interactor, What::Ended);
            let last = state.look.as_ref().filter(|look| look.moves == moves);
            state.held_up = !parted && last.is_some_and(Look::held_up);
        }
        self.note(role, What::Ended);
        if decided {
            self.stop(role.other());
        }
        self.ended[role.index()].send_replace(true);
        end
    }

    pub(super) fn finish(self, program: SessionEnd, interactor: SessionEnd) -> Played {
        let mut state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut output = |role: Role, end: SessionEnd| {
            let (report, collected) = end?;
            if state.leaked[role.index()] {
                return Err(leak().into());
            }
            let mut output = StageOutput {
                report,
                stdout: std::mem::take(&mut state.stdout[role.index()]),
                stderr: std::mem::take(&mut state.stderr[role.index()]),
                collected,
            };
            settle(&mut output);
            Ok(output)
        };
        Played {
            program: output(Role::Program, program),
            interactor: output(Role::Interactor, interactor),
            events: state.events,
            deadlock: state.deadlock,
            held_up: state.held_up,
            transcript: state.transcript.finish(),
        }
    }
}

fn out_of_wall_time(end: &SessionEnd) -> bool {
    matches!(end, Ok((report, _)) if report.outcome == Outcome::WallTimeLimit)
}

/// A side can write more than it may and end before it is stopped for it; whether it does must not
/// decide.
fn settle(output: &mut StageOutput) {
    let ended_by_itself = matches!(output.report.outcome, Outcome::Exited | Outcome::Signaled);
    if ended_by_itself && (output.stdout.over_limit || output.stderr.over_limit) {
        output.report.outcome = Outcome::OutputLimit;
    }
}

fn leak() -> SandboxFault {
    SandboxFault {
        step: "close the output pipes".to_owned(),
        detail: "somebody still holds them open after the end of the stage".to_owned(),
        errno: None,
        started: true,
    }
}
