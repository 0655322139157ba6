use std::time::Duration;

use brig_sandbox::report::Usage;

use super::*;
use crate::judge::interactive::{Event, Transcript};
use crate::pool::{Captured, ExecuteError};

const P: Role = Role::Program;
const I: Role = Role::Interactor;
const FIRST: Duration = Duration::from_millis(1);

#[allow(clippy::unnecessary_wraps)] // the table has stages without a report too
fn stage(outcome: Outcome, exit_code: Option<i32>) -> Result<StageOutput, ExecuteError> {
    Ok(StageOutput {
        report: StageReport {
            outcome,
            exit_code,
            signal: (outcome == Outcome::Signaled).then_some(11),
            violation: None,
            usage: Usage::default(),
            setup_us: 0,
            warm: true,
            prestarted: false,
            collect_error: None,
        },
        stdout: Captured::default(),
        stderr: Captured::default(),
        collected: None,
    })
}

fn exit(code: i32) -> Result<StageOutput, ExecuteError> {
    stage(Outcome::Exited, Some(code))
}

fn limit(outcome: Outcome) -> Result<StageOutput, ExecuteError> {
    stage(outcome, None)
}

fn lost() -> Result<StageOutput, ExecuteError> {
    Err(ExecuteError::WorkerLost { started: true })
}

fn played(
    program: Result<StageOutput, ExecuteError>,
    interactor: Result<StageOutput, ExecuteError>,
    events: &[(Role, What)],
) -> Played {
    let event = |(role, what): &(Role, What)| Event {
        at: FIRST,
        role: *role,
        what: *what,
    };
    Played {
        program,
        interactor,
        events: events.iter().map(event).collect(),
        deadlock: None,
        held_up: false,
        transcript: Transcript::default(),
    }
}

fn ruling(played: &Played) -> Ruling {
    verdict(
        played,
        &Words {
            protocol: CheckerProtocol::Icpc,
            limits: &Limits::DEFAULT,
            out_of_memory: false,
            feedback: &[],
            max_points: 1.0,
        },
    )
}

/// What decides, in short.
fn decided(played: &Played) -> &'static str {
    match ruling(played) {
        Ruling::Program => "program",
        Ruling::Deadlock(_) => "deadlock",
        Ruling::Fault(P) => "program's fault",
        Ruling::Fault(I) => "interactor's fault",
        Ruling::Interactor(judged) => match judged.judgement {
            Judgement::Accepted => "accepted",
            Judgement::WrongAnswer => "wrong answer",
            Judgement::PresentationError => "presentation error",
            Judgement::JudgeError => "judge error",
        },
    }
}

#[test]
fn who_broke_it_off_first_decides() {
    use Outcome::{
        Cancelled, CpuTimeLimit, MemoryLimit, OutputLimit, PolicyViolation, Signaled, WallTimeLimit,
    };
    use What::{EndOfInput, Ended, Stopped};
    let program_first = [(P, Ended), (I, EndOfInput), (I, Ended)];
    let stops_interactor = [(P, Ended), (I, Stopped), (I, Ended)];
    let interactor_first = [(I, Ended), (P, EndOfInput), (P, Ended)];
    let stops_program = [(I, Ended), (P, Stopped), (P, EndOfInput), (P, Ended)];
    // The interactor closed its stdout and went on.
    let cut_off = [(P, EndOfInput), (P, Ended), (I, EndOfInput), (I, Ended)];
    let cancelled = || limit(Cancelled);
    for (program, interactor, events, decides) in vec![
        // Both end as they should.
        (exit(0), exit(42), &program_first[..], "accepted"),
        (exit(0), exit(42), &interactor_first, "accepted"),
        (exit(0), exit(43), &program_first, "wrong answer"),
        // The program ends too early, or says nothing.
        (exit(0), exit(43), &cut_off, "wrong answer"),
        // The program breaks down first, whatever the interactor makes of it.
        (exit(1), exit(43), &program_first, "program"),
        (exit(1), cancelled(), &stops_interactor, "program"),
        (limit(Signaled), cancelled(), &stops_interactor, "program"),
        (limit(Signaled), exit(1), &program_first, "program"),
        (exit(1), lost(), &stops_interactor, "program"),
        (
            limit(CpuTimeLimit),
            cancelled(),
            &stops_interactor,
            "program",
        ),
        (
            limit(WallTimeLimit),
            cancelled(),
            &stops_interactor,
            "program",
        ),
        (limit(MemoryLimit), exit(42), &program_first, "program"),
        (limit(OutputLimit), exit(43), &program_first, "program"),
        (
            limit(PolicyViolation),
            cancelled(),
            &stops_interactor,
            "program",
        ),
        // The interactor rejects: nothing that the program does afterwards counts.
        (cancelled(), exit(43), &stops_program, "wrong answer"),
        (exit(1), exit(43), &stops_program, "wrong answer"),
        (exit(1), exit(43), &interactor_first, "wrong answer"),
        (limit(Signaled), exit(43), &interactor_first, "wrong answer"),
        // It accepts: the program has to end well all the same.
        (exit(1), exit(42), &interactor_first, "program"),
        (limit(Signaled), exit(42), &interactor_first, "program"),
        (limit(WallTimeLimit), exit(42), &interactor_first, "program"),
        // It breaks down while the program lives, or after it ended well.
        (cancelled(), exit(1), &stops_program, "judge error"),
        (cancelled(), limit(Signaled), &stops_program, "judge error"),
        (
            cancelled(),
            limit(CpuTimeLimit),
            &stops_program,
            "judge error",
        ),
        (
            cancelled(),
            limit(WallTimeLimit),
            &stops_program,
            "judge error",
        ),
        (exit(0), exit(0), &program_first, "judge error"),
        (exit(0), limit(CpuTimeLimit), &program_first, "judge error"),
        // It closes its stdout, and the program breaks down over that.
        (exit(1), exit(43), &cut_off, "wrong answer"),
        (exit(1), exit(42), &cut_off, "program"),
        (exit(1), limit(CpuTimeLimit), &cut_off, "judge error"),
        (limit(CpuTimeLimit), exit(43), &cut_off, "program"),
        // The sandbox breaks down.
        (lost(), cancelled(), &stops_interactor, "program's fault"),
        (lost(), exit(42), &interactor_first, "program's fault"),
        (cancelled(), lost(), &stops_program, "interactor's fault"),
        (exit(0), lost(), &program_first, "interactor's fault"),
    ] {
        let played = played(program, interactor, events);
        assert_eq!(decided(&played), decides, "{played:?}");
    }
}

#[test]
fn a_stall_decides_before_how_it_was_ended() {
    let both = [
        (P, What::Stopped),
        (I, What::Stopped),
        (P, What::Ended),
        (I, What::Ended),
    ];
    let cancelled = || limit(Outcome::Cancelled);
    let deadlock = Played {
        deadlock: Some(Deadlock::Reading),
        ..played(cancelled(), cancelled(), &both)
    };
    assert_eq!(ruling(&deadlock), Ruling::Deadlock(Deadlock::Reading));
    let held_up = Played {
        held_up: true,
        ..played(limit(Outcome::WallTimeLimit), cancelled(), &both)
    };
    match ruling(&held_up) {
        Ruling::Interactor(judged) => {
            assert_eq!(judged.judgement, Judgement::JudgeError);
            assert!(judged.message.unwrap().contains("waited for it"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_interactors_failure_is_called_that() {
    let events = [(I, What::Ended), (P, What::Stopped), (P, What::Ended)];
    let played = played(limit(Outcome::Cancelled), exit(9), &events);
    let Ruling::Interactor(judged) = ruling(&played) else {
        panic!("{played:?}")
    };
    let message = judged.message.unwrap();
    assert!(message.starts_with("the interactor failed: "), "{message}");
}

#[test]
fn an_interactor_outlasts_the_program() {
    let limits = |wall_time_ms| Limits {
        wall_time_ms,
        ..Limits::DEFAULT
    };
    assert_eq!(wall_time_ms(&limits(3000), &limits(500)), 3500);
    assert_eq!(wall_time_ms(&limits(u64::MAX), &limits(500)), u64::MAX);
}
