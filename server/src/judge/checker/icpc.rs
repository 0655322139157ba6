//! Output validators of ICPC and Kattis problem packages: `validator input answer feedback/ [args]`
//! with the output as its stdin. 42 accepts, 43 rejects, any other code is a failure, 0 too. Files in
//! the feedback directory say more (problem package format 2025-09, "Output validator").
//!
//! `score.txt` is a number of points, `score_multiplier.txt` a part of them, 0 to 1. Not both, and neither
//! with 43. `nextpass.in`, which asks for another pass, is not supported.

use super::{Data, Ended, Judged, Judgement, Setup, score, text};

pub(super) const SETUP: Setup = Setup {
    args: &["input.txt", "answer.txt", "feedback/"],
    files: &[("input.txt", Data::Input), ("answer.txt", Data::Answer)],
    stdin: Some(Data::Output),
    placeholders: &["feedback/.keep"],
    reserved: &["input.txt", "answer.txt", "feedback"],
    feedback: &[JUDGE_MESSAGE, TEAM_MESSAGE, SCORE, MULTIPLIER, NEXT_PASS],
};

/// An interactor is called the same; its stdin is the program's stdout (problem package format,
/// "Interactive Problems").
pub(super) const INTERACTOR: Setup = Setup {
    stdin: None,
    ..SETUP
};

const JUDGE_MESSAGE: &str = "feedback/judgemessage.txt";
const TEAM_MESSAGE: &str = "feedback/teammessage.txt";
const SCORE: &str = "feedback/score.txt";
const MULTIPLIER: &str = "feedback/score_multiplier.txt";
const NEXT_PASS: &str = "feedback/nextpass.in";

const ACCEPTED: i32 = 42;
const REJECTED: i32 = 43;

pub(super) fn is_verdict(exit_code: i32) -> bool {
    matches!(exit_code, ACCEPTED | REJECTED)
}

pub(super) fn may_accept(exit_code: i32) -> bool {
    exit_code == ACCEPTED
}

pub(super) fn interpret(ended: &Ended<'_>, exit_code: i32) -> Result<Judged, String> {
    let file = |path: &str| {
        let found = ended.feedback.iter().find(|(p, _)| p == path);
        found.map(|(_, content)| content.as_slice())
    };
    let judgement = match exit_code {
        ACCEPTED => Judgement::Accepted,
        REJECTED => Judgement::WrongAnswer,
        code => {
            let message = file(JUDGE_MESSAGE).and_then(text::one_line);
            let said = message.map_or(String::new(), |m| format!("; its judgemessage.txt: {m}"));
            return Err(format!("exit code {code} is neither 42 nor 43{said}"));
        }
    };
    if file(NEXT_PASS).is_some() {
        return Err("it asks for another pass (nextpass.in), which is not supported".to_owned());
    }
    let score = match (file(SCORE), file(MULTIPLIER)) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            return Err("there are both score.txt and score_multiplier.txt".to_owned());
        }
        _ if exit_code == REJECTED => {
            return Err("it gave a score to an output that it rejected".to_owned());
        }
        (Some(points), None) => Some(number("score.txt", points, ended.max_points)?),
        (None, Some(part)) => Some(number("score_multiplier.txt", part, 1.0)?),
    };
    Ok(Judged {
        judgement,
        score,
        message: file(JUDGE_MESSAGE).and_then(text::one_line),
        team_message: file(TEAM_MESSAGE).and_then(text::one_line),
    })
}

fn number(name: &str, content: &[u8], max: f64) -> Result<f64, String> {
    let text = String::from_utf8_lossy(content);
    score(text.trim(), max).map_err(|why| format!("{name}: {why}"))
}
