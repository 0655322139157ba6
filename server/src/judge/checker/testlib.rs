//! Checkers made with testlib.h, or keeping to what such checkers do:
//! `checker input output answer [args]`, the verdict is the exit code, stderr begins with the verdict
//! in words and goes on with a message.
//!
//! What testlib.h 0.9.45 does, seen in its source: every way out prints `ok `, `wrong answer `,
//! `wrong output format `, `FAIL `, `points <number> ` or `partially correct (<n>) ` and the message to stderr.
//! Exit codes are 0 for ok, 1 wrong answer, 2 wrong format, 3 FAIL, 7 points. Output behind what was read (4)
//! and an unexpected end of file (8) become 2, unless a build says otherwise. The code of `_pc(n)` is `n`
//! itself, or 50 + n on TESTSYS, so only stderr tells it from the others. `quitpi` prints
//! `points points_info=...`, which is for a scorer and not a number.

use super::{Data, Ended, Judged, Judgement, Setup, score, text};

pub(super) const SETUP: Setup = Setup {
    args: &["input.txt", "output.txt", "answer.txt"],
    files: &[
        ("input.txt", Data::Input),
        ("output.txt", Data::Output),
        ("answer.txt", Data::Answer),
    ],
    stdin: None,
    placeholders: &[],
    reserved: &["input.txt", "output.txt", "answer.txt"],
    feedback: &[],
};

/// `registerInteraction` takes the same arguments, but writes the second file itself, and talks to the
/// program by stdin and stdout.
pub(super) const INTERACTOR: Setup = Setup {
    files: &[("input.txt", Data::Input), ("answer.txt", Data::Answer)],
    ..SETUP
};

const OK: i32 = 0;
const WRONG_ANSWER: i32 = 1;
const WRONG_FORMAT: i32 = 2;
const FAIL: i32 = 3;
const DIRT: i32 = 4;
const POINTS: i32 = 7;
const UNEXPECTED_END: i32 = 8;

/// What the code of `_pc(n)` adds to `n`: nothing; what testlib's own numbering adds; TESTSYS's.
const PARTIAL_BASES: [i32; 3] = [0, 16, 50];
/// `_pc(n)` is n percent.
const MAX_PERCENT: i32 = 100;

/// A verdict's words at the beginning of stderr, and what its message is then.
const WORDS: [&str; 7] = [
    "ok",
    "wrong answer",
    "wrong output format",
    "presentation error",
    "unexpected eof",
    "FAIL",
    "points",
];

/// How lines begin, or what is in them, that a runtime writes when a program crashes, and then exits
/// with 1 or 2: codes that the protocol gives to verdicts.
const CRASHES: [(&str, Place); 21] = [
    ("Traceback (most recent call last):", Place::Start), // Python
    ("Exception in thread ", Place::Start),               // Java, Kotlin
    ("Error: Could not find or load main class", Place::Start),
    ("panic: ", Place::Start),                        // Go
    ("fatal error: ", Place::Start),                  // Go
    ("Fatal error: exception ", Place::Start),        // OCaml
    ("Node.js v", Place::Start),                      // JavaScript
    ("error: Uncaught ", Place::Start),               // Deno
    ("stack traceback:", Place::Start),               // Lua
    ("Error: unhandled exception: ", Place::Start),   // Nim
    ("core.exception.", Place::Start),                // D
    ("object.Exception@", Place::Start),              // D
    ("CallStack (from HasCallStack):", Place::Start), // Haskell
    ("Fortran runtime error: ", Place::Start),
    ("raised ", Place::Start),             // Ada
    ("Execution halted", Place::Start),    // R
    ("escript: exception ", Place::Start), // Erlang
    ("** (", Place::Start),                // Elixir
    ("Unhandled ", Place::Start),          // Common Lisp
    (":in `", Place::Within),              // Ruby
    (":in '", Place::Within),              // Ruby since 3.4
];

#[derive(Clone, Copy)]
enum Place {
    Start,
    Within,
}

pub(super) fn may_accept(exit_code: i32) -> bool {
    !matches!(
        exit_code,
        WRONG_ANSWER | WRONG_FORMAT | FAIL | DIRT | UNEXPECTED_END
    )
}

pub(super) fn interpret(ended: &Ended<'_>, exit_code: i32) -> Result<Judged, String> {
    let stderr = String::from_utf8_lossy(ended.stderr);
    let stderr = stderr.trim_start();
    if let Some((percent, message)) = partially_correct(stderr) {
        return partial(exit_code, percent, message);
    }
    let spoken = WORDS.iter().find_map(|words| after_words(stderr, words));
    let message = text::one_line(spoken.unwrap_or(stderr).as_bytes());
    if spoken.is_none() && matches!(exit_code, WRONG_ANSWER | WRONG_FORMAT) && crashed(stderr) {
        return Err(format!(
            "it seems to have crashed, exit code {exit_code} is not taken for a verdict"
        ));
    }
    let judgement = match exit_code {
        OK => Judgement::Accepted,
        WRONG_ANSWER => Judgement::WrongAnswer,
        WRONG_FORMAT | DIRT | UNEXPECTED_END => Judgement::PresentationError,
        POINTS => return points(stderr),
        FAIL => return Err("exit code 3 (FAIL)".to_owned()),
        code => match code.checked_sub(PARTIAL_BASES[1]) {
            Some(percent @ 0..=MAX_PERCENT) => {
                return Ok(part(f64::from(percent) / 100.0, message));
            }
            _ => return Err(format!("exit code {code} is none of a testlib checker")),
        },
    };
    Ok(Judged::new(judgement, message))
}

/// What follows `words` at the beginning of `text`.
fn after_words<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(words)?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some(rest)
}

fn crashed(stderr: &str) -> bool {
    stderr.lines().any(|line| {
        CRASHES.iter().any(|(sign, place)| match place {
            Place::Start => line.starts_with(sign),
            Place::Within => line.contains(sign),
        })
    })
}

/// `partially correct (<n>) message`.
fn partially_correct(stderr: &str) -> Option<(i32, &str)> {
    let (number, message) = stderr
        .strip_prefix("partially correct (")?
        .split_once(')')?;
    Some((number.parse().ok()?, message))
}

fn partial(exit_code: i32, percent: i32, message: &str) -> Result<Judged, String> {
    let of_percent = |base: &i32| percent.checked_add(*base) == Some(exit_code);
    if !PARTIAL_BASES.iter().any(of_percent) {
        return Err(format!(
            "exit code {exit_code} with `partially correct ({percent})`"
        ));
    }
    if !(0..=MAX_PERCENT).contains(&percent) {
        return Err(format!(
            "`partially correct ({percent})` is not within 0 and 100"
        ));
    }
    let message = text::one_line(message.as_bytes());
    Ok(part(f64::from(percent) / 100.0, message))
}

/// `points <number> message`, at the very beginning: further on could be what the contestant wrote.
fn points(stderr: &str) -> Result<Judged, String> {
    let missing = || "exit code 7, but its stderr does not begin with `points <number>`".to_owned();
    let rest = after_words(stderr, "points")
        .ok_or_else(missing)?
        .trim_start();
    let (number, message) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if number.is_empty() {
        return Err(missing());
    }
    Ok(part(
        score(number, 1.0)?,
        text::one_line(message.as_bytes()),
    ))
}

/// No points at all are a wrong answer.
fn part(score: f64, message: Option<String>) -> Judged {
    let judgement = if score > 0.0 {
        Judgement::Accepted
    } else {
        Judgement::WrongAnswer
    };
    Judged {
        score: Some(score),
        ..Judged::new(judgement, message)
    }
}
