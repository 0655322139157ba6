use brig_sandbox::report::{Usage, Violation};
use proptest::prelude::*;

use super::*;
use crate::api::parse::parse;
use crate::api::{CheckerRequest, FieldError};
use crate::judge::compare::Comparison;

fn report(outcome: Outcome) -> StageReport {
    StageReport {
        outcome,
        exit_code: None,
        signal: None,
        violation: None,
        usage: Usage::default(),
        setup_us: 0,
        warm: true,
        prestarted: false,
        collect_error: None,
    }
}

fn exited(exit_code: i32) -> StageReport {
    StageReport {
        exit_code: Some(exit_code),
        ..report(Outcome::Exited)
    }
}

fn judge(
    protocol: CheckerProtocol,
    report: &StageReport,
    stderr: &[u8],
    feedback: &[(&str, &[u8])],
) -> Judged {
    let feedback: Vec<_> = feedback
        .iter()
        .map(|(name, content)| (format!("feedback/{name}"), content.to_vec()))
        .collect();
    interpret(&Ended {
        protocol,
        role: "checker",
        report,
        limits: &Limits::DEFAULT,
        out_of_memory: false,
        stderr,
        feedback: &feedback,
        max_points: 20.0,
    })
}

fn testlib(exit_code: i32, stderr: &str) -> Judged {
    judge(
        CheckerProtocol::Testlib,
        &exited(exit_code),
        stderr.as_bytes(),
        &[],
    )
}

fn icpc(exit_code: i32, feedback: &[(&str, &[u8])]) -> Judged {
    judge(CheckerProtocol::Icpc, &exited(exit_code), b"", feedback)
}

/// Judgement, score, message.
fn short(judged: Judged) -> (Judgement, Option<f64>, String) {
    (
        judged.judgement,
        judged.score,
        judged.message.unwrap_or_default(),
    )
}

fn error(judged: Judged) -> String {
    assert_eq!(judged.judgement, Judgement::JudgeError, "{judged:?}");
    assert_eq!(judged.score, None);
    judged.message.unwrap()
}

// ---- testlib ----

#[test]
fn testlib_verdicts_are_exit_codes_and_messages_follow_the_words() {
    use Judgement::{Accepted, PresentationError, WrongAnswer};
    for (exit_code, stderr, judgement, message) in [
        (0, "ok 3 numbers\n", Accepted, "3 numbers"),
        (0, "", Accepted, ""),
        (
            1,
            "wrong answer 1st numbers differ\n",
            WrongAnswer,
            "1st numbers differ",
        ),
        (1, "", WrongAnswer, ""),
        (1, "they differ", WrongAnswer, "they differ"),
        (1, "wrong answers", WrongAnswer, "wrong answers"),
        (
            2,
            "wrong output format Expected int32",
            PresentationError,
            "Expected int32",
        ),
        (
            4,
            "wrong output format Extra information",
            PresentationError,
            "Extra information",
        ),
        (8, "unexpected eof of token", PresentationError, "of token"),
    ] {
        let said = short(testlib(exit_code, stderr));
        assert_eq!(said, (judgement, None, message.to_owned()), "{stderr}");
    }
}

#[test]
fn testlib_points_are_a_part_of_the_points() {
    let points = |stderr| short(testlib(7, stderr));
    let accepted = |score, message: &str| (Judgement::Accepted, Some(score), message.to_owned());
    assert_eq!(
        points("points 0.5 half of it\n"),
        accepted(0.5, "half of it")
    );
    assert_eq!(points("points 1"), accepted(1.0, ""));
    assert_eq!(points("points 1.0000000001"), accepted(1.0, ""));
    assert_eq!(
        points("points 0 none"),
        (Judgement::WrongAnswer, Some(0.0), "none".to_owned())
    );
    for (stderr, why) in [
        ("points 50", "50 points are not within 0 and 1"),
        ("points -0.1", "-0.1 points are not within 0 and 1"),
        ("points nan", "\"nan\" is not a number of points"),
        ("points inf", "\"inf\" is not a number of points"),
        (
            "points points_info=3",
            "\"points_info=3\" is not a number of points",
        ),
        ("points", "does not begin with `points <number>`"),
        ("points\n", "does not begin with `points <number>`"),
        ("", "does not begin with `points <number>`"),
        ("debug\npoints 1", "does not begin with `points <number>`"),
    ] {
        let message = error(testlib(7, stderr));
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn testlib_partially_correct_is_told_by_its_words() {
    for exit_code in [0, 1, 3, 7, 30] {
        let stderr = format!("partially correct ({exit_code}) so far");
        let score = f64::from(exit_code) / 100.0;
        let judgement = if exit_code == 0 {
            Judgement::WrongAnswer
        } else {
            Judgement::Accepted
        };
        let said = (judgement, Some(score), "so far".to_owned());
        assert_eq!(short(testlib(exit_code, &stderr)), said);
        assert_eq!(short(testlib(exit_code + 16, &stderr)), said);
        assert_eq!(short(testlib(exit_code + 50, &stderr)), said);
    }
    assert_eq!(testlib(66, "").score, Some(0.5));
    for (exit_code, stderr) in [
        (29, "partially correct (14) x"),
        (101, "partially correct (101) x"),
        (5, "partially correct (-11) x"),
        (117, ""),
        (5, ""),
        (9, ""),
        (15, "wrong answer"),
    ] {
        error(testlib(exit_code, stderr));
    }
}

#[test]
fn testlib_failures_are_judge_errors() {
    let message = error(testlib(3, "FAIL the jury's answer is worse\n"));
    assert_eq!(
        message,
        "the checker failed: exit code 3 (FAIL); its stderr: FAIL the jury's answer is worse"
    );
    for exit_code in [-1, 5, 6, 9, 127, 134, 255, i32::MAX, i32::MIN] {
        let message = error(testlib(exit_code, ""));
        assert!(message.contains(&exit_code.to_string()), "{message}");
    }
}

#[test]
fn crashes_with_a_verdicts_exit_code_are_judge_errors() {
    for (exit_code, stderr) in [
        (
            1,
            "Traceback (most recent call last):\n  File \"checker.py\", line 1\nKeyError: 1\n",
        ),
        (
            1,
            "Exception in thread \"main\" java.lang.NullPointerException\n\tat Main.main(Main.java:3)\n",
        ),
        (
            2,
            "panic: runtime error: index out of range [1] with length 0\n\ngoroutine 1 [running]:\n",
        ),
        (2, "Fatal error: exception Not_found\n"),
        (
            1,
            "/box/main.js:1\nx\n^\n\nReferenceError: x is not defined\n\nNode.js v18.19.0\n",
        ),
        (1, "main.rb:1:in `<main>': unhandled exception\n"),
    ] {
        let message = error(testlib(exit_code, stderr));
        assert!(message.contains("crashed"), "{message}");
    }
    // Words of the protocol come before everything else.
    let said = testlib(1, "wrong answer expected 1, got\npanic: x\n");
    assert_eq!(said.judgement, Judgement::WrongAnswer);
}

// ---- ICPC ----

#[test]
fn icpc_verdicts_are_42_and_43() {
    let messages: &[(&str, &[u8])] = &[
        ("judgemessage.txt", b"token 3\ndiffers\n"),
        ("teammessage.txt", b"almost"),
    ];
    for (exit_code, judgement) in [(42, Judgement::Accepted), (43, Judgement::WrongAnswer)] {
        let judged = icpc(exit_code, messages);
        assert_eq!(judged.judgement, judgement);
        assert_eq!(judged.message.as_deref(), Some("token 3 differs"));
        assert_eq!(judged.team_message.as_deref(), Some("almost"));
        assert_eq!(judged.score, None);
        assert_eq!(icpc(exit_code, &[]).message, None);
    }
    for exit_code in [0, 1, 2, 41, 44, 255] {
        let message = error(icpc(exit_code, messages));
        assert_eq!(
            message,
            format!(
                "the checker failed: exit code {exit_code} is neither 42 nor 43; \
                 its judgemessage.txt: token 3 differs"
            )
        );
    }
}

#[test]
fn icpc_scores_are_points_or_a_part_of_them() {
    let score = |name: &str, content: &[u8]| icpc(42, &[(name, content)]).score;
    assert_eq!(score("score.txt", b"5\n"), Some(0.25));
    assert_eq!(score("score.txt", b"20"), Some(1.0));
    assert_eq!(score("score.txt", b" 0.0 \n"), Some(0.0));
    assert_eq!(score("score_multiplier.txt", b"2.5e-1"), Some(0.25));
    for (name, content, why) in [
        (
            "score.txt",
            &b"20.1"[..],
            "score.txt: 20.1 points are not within 0 and 20",
        ),
        ("score.txt", b"-1", "not within"),
        ("score.txt", b"", "not a number"),
        ("score.txt", b"1 2", "not a number"),
        ("score.txt", b"nan", "not a number"),
        ("score.txt", b"infinity", "not a number"),
        ("score.txt", b"\xff\x00", "not a number"),
        (
            "score_multiplier.txt",
            b"1.5",
            "score_multiplier.txt: 1.5 points are not within 0 and 1",
        ),
    ] {
        let message = error(icpc(42, &[(name, content)]));
        assert!(message.contains(why), "{message}");
    }
    error(icpc(
        42,
        &[("score.txt", b"1"), ("score_multiplier.txt", b"1")],
    ));
    error(icpc(43, &[("score.txt", b"0")]));
    error(icpc(43, &[("score_multiplier.txt", b"0")]));
    error(icpc(42, &[("nextpass.in", b"")]));
}

// ---- Both ----

#[test]
fn limits_crashes_and_violations_are_judge_errors() {
    for protocol in [CheckerProtocol::Testlib, CheckerProtocol::Icpc] {
        for outcome in [
            Outcome::Signaled,
            Outcome::CpuTimeLimit,
            Outcome::WallTimeLimit,
            Outcome::MemoryLimit,
            Outcome::OutputLimit,
            Outcome::PolicyViolation,
            Outcome::Cancelled,
        ] {
            // An exit code that would be a verdict does not help.
            for exit_code in [None, Some(0), Some(42)] {
                let report = StageReport {
                    exit_code,
                    signal: (outcome == Outcome::Signaled).then_some(11),
                    violation: (outcome == Outcome::PolicyViolation).then(|| Violation {
                        syscall: "ptrace".to_owned(),
                    }),
                    ..report(outcome)
                };
                let message = error(judge(protocol, &report, b"ok", &[]));
                assert!(message.starts_with("the checker failed: "), "{message}");
            }
        }
        let report = StageReport {
            collect_error: Some("too large".to_owned()),
            ..exited(42)
        };
        let message = error(judge(protocol, &report, b"", &[]));
        assert!(message.contains("feedback files cannot be read: too large"));
    }
}

#[test]
fn a_runtime_out_of_memory_is_a_judge_error() {
    let judged = |protocol, exit_code| {
        interpret(&Ended {
            protocol,
            role: "checker",
            report: &exited(exit_code),
            limits: &Limits::DEFAULT,
            out_of_memory: true,
            stderr: b"MemoryError",
            feedback: &[],
            max_points: 1.0,
        })
    };
    let message = error(judged(CheckerProtocol::Testlib, 1));
    assert!(message.contains("ran out of memory"), "{message}");
    error(judged(CheckerProtocol::Icpc, 1));
    assert_eq!(
        judged(CheckerProtocol::Icpc, 43).judgement,
        Judgement::WrongAnswer
    );
}

#[test]
fn comparisons_are_judged_by_their_match() {
    for (verdict, judgement) in [
        (Match::Same, Judgement::Accepted),
        (Match::PresentationOnly, Judgement::PresentationError),
        (Match::Different, Judgement::WrongAnswer),
    ] {
        let message = Some("m".to_owned());
        let judged = Judged::from(Compared { verdict, message });
        assert_eq!(short(judged), (judgement, None, "m".to_owned()));
    }
}

#[test]
fn feedback_is_brought_back_whatever_the_exit_code() {
    assert_eq!(Setup::of(CheckerProtocol::Testlib).collect(), None);
    let collect = Setup::of(CheckerProtocol::Icpc).collect().unwrap();
    assert!(!collect.only_on_success);
    assert!(
        collect
            .globs
            .contains(&"feedback/judgemessage.txt".to_owned())
    );
    assert!(brig_sandbox::collect::patterns(&collect.globs).is_ok());
}

proptest! {
    #[test]
    fn whatever_a_checker_does_is_bounded_and_printable(
        icpc in any::<bool>(),
        exit_code in prop_oneof![0..20i32, 40..45i32, any::<i32>()],
        words in prop::sample::select(vec!["", "ok ", "points ", "partially correct (", "wrong answer "]),
        noise in prop::collection::vec(any::<u8>(), 0..3000),
        files in prop::collection::vec(
            (prop::sample::select(icpc::SETUP.feedback.to_vec()), prop::collection::vec(any::<u8>(), 0..2000)),
            0..3,
        ),
    ) {
        let protocol = if icpc { CheckerProtocol::Icpc } else { CheckerProtocol::Testlib };
        let stderr = [words.as_bytes(), &noise].concat();
        let feedback: Vec<_> = files.into_iter().map(|(p, c)| (p.to_owned(), c)).collect();
        let judged = interpret(&Ended {
            protocol,
            role: "checker",
            report: &exited(exit_code),
            limits: &Limits::DEFAULT,
            out_of_memory: false,
            stderr: &stderr,
            feedback: &feedback,
            max_points: 10.0,
        });
        for message in [judged.message, judged.team_message].into_iter().flatten() {
            prop_assert!(message.len() < 3000 && !message.contains(char::is_control));
        }
        prop_assert!(judged.score.is_none_or(|s| (0.0..=1.0).contains(&s)));
        prop_assert!(judged.judgement != Judgement::JudgeError || judged.score.is_none());
    }
}

// ---- Requests ----

fn checker(json: &str) -> Result<Checker, Vec<(String, String)>> {
    let parsed = parse::<CheckerRequest>(json.as_bytes()).unwrap();
    let mut errors: Vec<_> = parsed
        .errors
        .into_iter()
        .map(|e| FieldError::new(format!("/checker{}", e.pointer), e.detail))
        .collect();
    let checker = parsed
        .value
        .and_then(|request| Checker::of(request, "/checker", &mut errors));
    let errors: Vec<_> = errors.into_iter().map(|e| (e.pointer, e.detail)).collect();
    checker.filter(|_| errors.is_empty()).ok_or(errors)
}

fn pointers(json: &str) -> Vec<String> {
    let errors = checker(json).map(|c| panic!("{c:?}")).unwrap_err();
    errors.into_iter().map(|(pointer, _)| pointer).collect()
}

#[test]
fn every_comparison_can_be_asked_for() {
    for (json, comparison) in [
        (r#"{"type": "exact"}"#, Comparison::Exact),
        (r#"{"type": "lines"}"#, Comparison::Lines),
        (
            r#"{"type": "tokens"}"#,
            Comparison::Tokens { ignore_case: false },
        ),
        (
            r#"{"type": "tokens_ci"}"#,
            Comparison::Tokens { ignore_case: true },
        ),
        (r#"{"type": "sorted_lines"}"#, Comparison::SortedLines),
        (
            r#"{"type": "float", "absolute": 1e-6, "relative": 1}"#,
            Comparison::Float {
                absolute: 1e-6,
                relative: 1.0,
            },
        ),
        (
            r#"{"type": "float", "absolute": null}"#,
            Comparison::Float {
                absolute: 0.0,
                relative: 0.0,
            },
        ),
    ] {
        match checker(json) {
            Ok(Checker::Compare(asked)) => assert_eq!(asked, comparison),
            other => panic!("{json}: {other:?}"),
        }
    }
    let default = Checker::of(CheckerRequest::default(), "", &mut Vec::new());
    assert!(matches!(default, Some(Checker::Compare(Comparison::Lines))));
}

#[test]
fn a_program_is_called_as_its_protocol_says() {
    let json = r#"{"type": "program", "language": "cpp", "source": "x", "protocol": "icpc",
        "args": ["float_tolerance", "1e-6"], "limits": {"cpu_time_ms": 1000}}"#;
    let Ok(Checker::Program(checker)) = checker(json) else {
        panic!("no program")
    };
    assert_eq!(checker.protocol, CheckerProtocol::Icpc);
    assert_eq!(
        checker.program.args,
        [
            "input.txt",
            "answer.txt",
            "feedback/",
            "float_tolerance",
            "1e-6"
        ]
    );
    assert_eq!(checker.program.source.as_deref(), Some("x"));
    assert_eq!(checker.program.limits.unwrap().cpu_time_ms, Some(1000));
    let located = |pointer: &str| {
        checker
            .locate("/checker", FieldError::new(pointer, "x"))
            .pointer
    };
    assert_eq!(located("/args/4"), "/checker/args/1");
    assert_eq!(located("/language"), "/checker/language");
    assert_eq!(located(""), "/checker");
}

#[test]
fn mistakes_are_named_where_they_are() {
    for (json, expected) in [
        ("{}", vec!["/checker/type"]),
        (r#"{"type": "diff"}"#, vec!["/checker/type"]),
        (r#"{"type": "exact", "colour": 1}"#, vec!["/checker/colour"]),
        (
            r#"{"type": "exact", "absolute": 1}"#,
            vec!["/checker/absolute"],
        ),
        (
            r#"{"type": "float", "absolute": -1}"#,
            vec!["/checker/absolute"],
        ),
        (
            r#"{"type": "float", "absolute": -1e-9}"#,
            vec!["/checker/absolute"],
        ),
        (
            r#"{"type": "float", "relative": "1e-6", "absolute": true}"#,
            vec!["/checker/absolute", "/checker/relative"],
        ),
        (
            r#"{"type": "tokens", "language": "c", "args": []}"#,
            vec!["/checker/args", "/checker/language"],
        ),
        (
            r#"{"type": "program"}"#,
            vec!["/checker/language", "/checker/protocol"],
        ),
        (
            r#"{"type": "program", "language": "c", "protocol": "spoj"}"#,
            vec!["/checker/protocol"],
        ),
        (
            r#"{"type": "program", "language": "c", "protocol": "icpc", "relative": 1}"#,
            vec!["/checker/relative"],
        ),
        (
            r#"{"type": "program", "language": "c", "protocol": "icpc",
                "files": [{"path": "main.c", "content": ""}, {"path": "feedback/x", "content": ""},
                          {"path": "answer.txt", "content": ""}, {"path": "output.txt", "content": ""}]}"#,
            vec!["/checker/files/1/path", "/checker/files/2/path"],
        ),
        (
            r#"{"type": "program", "language": "c", "protocol": "testlib", "limits": {"cpus": 0}, "files": [1]}"#,
            vec!["/checker/files/0", "/checker/limits/cpus"],
        ),
    ] {
        let mut found = pointers(json);
        found.sort();
        assert_eq!(found, expected, "{json}");
    }
    let error = checker(r#"{"type": "float", "absolute": -1}"#).unwrap_err();
    assert!(error[0].1.contains("a number of at least 0"), "{error:?}");
    let error = checker(r#"{"type": "lines", "relative": 1}"#).unwrap_err();
    assert_eq!(
        error[0].1,
        "only a checker of type `float` has `relative`, this one is of type `lines`"
    );
}

#[test]
fn an_interactor_is_a_program_with_its_own_setup() {
    let interactor_of = |json: &str| {
        let parsed = parse::<crate::api::InteractorRequest>(json.as_bytes()).unwrap();
        let mut errors = parsed.errors;
        let found = parsed
            .value
            .and_then(|request| interactor(request, "/interactor", &mut errors));
        let pointers: Vec<_> = errors.into_iter().map(|e| e.pointer).collect();
        found.ok_or(pointers)
    };
    let json = r#"{"language": "cpp", "source": "x", "protocol": "testlib", "args": ["7"]}"#;
    let found = interactor_of(json).unwrap();
    assert_eq!(found.protocol, CheckerProtocol::Testlib);
    let args = ["input.txt", "output.txt", "answer.txt", "7"];
    assert_eq!(found.program.args, args);
    let json =
        r#"{"language": "c", "protocol": "icpc", "files": [{"path": "input.txt", "content": ""}]}"#;
    let pointers = interactor_of(json).unwrap_err();
    assert_eq!(pointers, ["/interactor/files/0/path"]);
    assert_eq!(
        interactor_of(r#"{"protocol": "icpc"}"#).unwrap_err(),
        ["/language"]
    );

    for protocol in [CheckerProtocol::Testlib, CheckerProtocol::Icpc] {
        let (checker, interactor) = (Setup::of(protocol), Setup::of_interactor(protocol));
        assert_eq!(checker.args, interactor.args);
        assert_eq!(interactor.stdin, None);
        let data: Vec<_> = interactor.files.iter().map(|(_, data)| *data).collect();
        assert_eq!(data, [Data::Input, Data::Answer]);
    }
}

#[test]
fn what_may_accept_is_known_by_the_exit_code() {
    for (protocol, accepts, rejects) in [
        (
            CheckerProtocol::Testlib,
            &[0, 7, 50][..],
            &[1, 2, 3, 4, 8][..],
        ),
        (CheckerProtocol::Icpc, &[42], &[43, 0, 1]),
    ] {
        assert!(
            accepts
                .iter()
                .all(|code| may_accept(protocol, &exited(*code)))
        );
        assert!(
            !rejects
                .iter()
                .any(|code| may_accept(protocol, &exited(*code)))
        );
        assert!(!may_accept(protocol, &report(Outcome::CpuTimeLimit)));
    }
}
