//! Comparers against plain implementations that hold both sides whole, and against hostile output.

use proptest::prelude::*;

use super::bytes::{is_white, trim_end};
use super::*;

/// Gives at most so many bytes at once, in turns.
struct Trickle {
    bytes: Vec<u8>,
    at: usize,
    steps: Vec<usize>,
    turn: usize,
}

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let step = self.steps[self.turn % self.steps.len()];
        self.turn += 1;
        let count = step.min(buffer.len()).min(self.bytes.len() - self.at);
        buffer[..count].copy_from_slice(&self.bytes[self.at..][..count]);
        self.at += count;
        Ok(count)
    }
}

fn in_steps(comparison: Comparison, expected: &[u8], output: &[u8], steps: &[usize]) -> Compared {
    let source = Trickle {
        bytes: expected.to_vec(),
        at: 0,
        steps: steps.to_vec(),
        turn: 1,
    };
    let mut comparer = Comparer::new(comparison, Box::new(source));
    let mut rest = output;
    for step in steps.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at(rest.len().min(*step));
        comparer.feed(now).unwrap();
        rest = later;
    }
    comparer.finish().unwrap()
}

fn compare(comparison: Comparison, expected: &[u8], output: &[u8]) -> Compared {
    in_steps(comparison, expected, output, &[usize::MAX])
}

fn message(comparison: Comparison, expected: &str, output: &str) -> String {
    let compared = compare(comparison, expected.as_bytes(), output.as_bytes());
    compared.message.unwrap_or_default()
}

fn same(comparison: Comparison, expected: &str, output: &str) -> bool {
    compare(comparison, expected.as_bytes(), output.as_bytes()).verdict == Match::Same
}

const TOKENS: Comparison = Comparison::Tokens { ignore_case: false };
const TOKENS_CI: Comparison = Comparison::Tokens { ignore_case: true };

const fn float(absolute: f64, relative: f64) -> Comparison {
    Comparison::Float { absolute, relative }
}

// ---- What judges expect ----

#[test]
fn exact_is_every_byte() {
    let of = |expected: &str, output: &str| {
        compare(Comparison::Exact, expected.as_bytes(), output.as_bytes()).verdict
    };
    assert_eq!(of("", ""), Match::Same);
    assert_eq!(of("1 2\n", "1 2\n"), Match::Same);
    for output in ["1 2", "1  2\n", "1 2\r\n", " 1 2\n", "1\n2\n", "1 2\n\n"] {
        assert_eq!(of("1 2\n", output), Match::PresentationOnly, "{output:?}");
        assert_eq!(of(output, "1 2\n"), Match::PresentationOnly, "{output:?}");
    }
    for output in ["", "12\n", "1 3\n", "1 2 3", "1", "1 2\0\n"] {
        assert_eq!(of("1 2\n", output), Match::Different, "{output:?}");
        assert_eq!(of(output, "1 2\n"), Match::Different, "{output:?}");
    }
}

#[test]
fn lines_ignore_white_space_at_ends_of_lines_and_empty_lines_at_the_end() {
    let expected = "1 2\n\n  3\n";
    for output in [
        "1 2\n\n  3",
        "1 2\r\n\r\n  3\r\n",
        "1 2 \t\x0b\x0c\n   \n  3\n\n\n",
        "1 2\n\n  3\n \r\n\t",
    ] {
        assert!(same(Comparison::Lines, expected, output), "{output:?}");
        assert!(same(Comparison::Lines, output, expected), "{output:?}");
    }
    for output in [
        "1  2\n\n  3\n",
        "1 2\n  3\n",
        "1 2\n\n 3\n",
        "\n1 2\n\n  3\n",
        "1 2\n\n  3\nx",
        "1 2\n\n  3\n\nx",
        "1 2\r\r\n\n  3\rx\n",
        "1 2\n\n",
        "1 2\n\n  3\0\n",
        "",
    ] {
        assert!(!same(Comparison::Lines, expected, output), "{output:?}");
        assert!(!same(Comparison::Lines, output, expected), "{output:?}");
    }
    assert!(same(Comparison::Lines, "", " \n\r\n"));
}

#[test]
fn tokens_ignore_white_space_and_case_if_asked() {
    for output in ["Yes 1 2", "\n Yes\t1\r\n\x0b2\x0c\n\n", "Yes\n1\n2"] {
        assert!(same(TOKENS, "Yes 1 2\n", output));
    }
    for output in [
        "yes 1 2",
        "Yes 12",
        "Yes 1 2 3",
        "Yes 1",
        "",
        "Yes 1 2\0",
        "Yes\u{a0}1 2",
    ] {
        assert!(!same(TOKENS, "Yes 1 2\n", output), "{output:?}");
    }
    assert!(same(TOKENS_CI, "Yes 1 2\n", "yES  1 2"));
    assert!(!same(TOKENS_CI, "Yes", "Yez"));
    assert!(!same(TOKENS_CI, "É", "é"), "only ASCII");
    assert!(!same(TOKENS_CI, "a@[`{", "a`{@["), "only letters");
}

#[test]
fn floats_are_near_by_either_tolerance() {
    let within = |output| same(float(1e-6, 1e-6), "x 0.5 1000000\n", output);
    for output in [
        "x 0.5 1000000",
        "X 0.5",
        "x .5000001 1e6",
        "x 5e-1 1000000.9 \n",
    ] {
        assert_eq!(within(output), output.starts_with('x'), "{output:?}");
    }
    for output in [
        "x 0.500002 1000000",
        "x 0.5 1000002",
        "x nan 1e6",
        "x inf 1e6",
        "x 0x1p-1 1e6",
        "x 0.5",
    ] {
        assert!(!within(output), "{output:?}");
    }
    assert!(same(
        float(0.0, 0.0),
        "12345678901234567890",
        "+012345678901234567890.0"
    ));
    assert!(!same(
        float(0.0, 0.0),
        "12345678901234567890",
        "12345678901234567891"
    ));
    assert!(
        same(float(0.1, 0.0), "nan inf 1e999", "nan inf 1e999"),
        "the same text is the same"
    );
    assert!(
        !same(float(0.0, 0.0), "1.50 2", "1.5"),
        "a number at the end is not all"
    );
    assert!(!same(float(0.1, 0.0), "inf", "Infinity"));
    assert!(!same(float(0.1, 0.0), "1", "1x"));
    assert!(!same(float(0.1, 0.0), "1x", "1"));
}

#[test]
fn sorted_lines_are_in_any_order() {
    let sorted = Comparison::SortedLines;
    assert!(same(sorted, "b\na\na\n", "a\nb \r\n\n\na"));
    assert!(same(sorted, "", "\n \n"));
    for output in [
        "a\nb\n",
        "a\na\na\n",
        "a\na\nb\nb\n",
        " a\na\nb\n",
        "a\na\nB\n",
        "",
    ] {
        assert!(!same(sorted, "b\na\na\n", output), "{output:?}");
    }
}

// ---- Messages ----

/// Comparison, expected, output, what is said.
const MESSAGES: &[(Comparison, &str, &str, &str)] = &[
    (
        Comparison::Lines,
        "1\n2\n12\n",
        "1\n2\n13\n",
        "line 3, column 2: expected \"12\", got \"13\"",
    ),
    (
        Comparison::Lines,
        "1\n2\n",
        "1\n",
        "line 2, column 1: expected \"2\", got the end of the output",
    ),
    (
        Comparison::Lines,
        "1\n\n\n 2\n",
        "1",
        "line 4, column 2: expected \" 2\", got the end of the output",
    ),
    (
        Comparison::Lines,
        "1\n",
        "1\n\n2\n",
        "line 3, column 1: expected the end of the output, got \"2\"",
    ),
    (
        Comparison::Lines,
        "1\n\n2\n",
        "1\n2\n",
        "line 2, column 1: expected an empty line, got \"2\"",
    ),
    (
        Comparison::Lines,
        "1\n2\n",
        "1\n\n2\n",
        "line 2, column 1: expected \"2\", got an empty line",
    ),
    (
        Comparison::Lines,
        "a b",
        "a  b",
        "line 1, column 3: expected \"a b\", got \"a  b\"",
    ),
    (
        TOKENS,
        "1 2\n3",
        "1\n2 4",
        "line 2, column 3 (token 3): expected \"3\", got \"4\"",
    ),
    (
        TOKENS,
        "1 23",
        "1 24",
        "line 1, column 3 (token 2): expected \"23\", got \"24\"",
    ),
    (
        TOKENS,
        "1 2",
        "1\n",
        "line 2, column 1 (token 2): expected \"2\", got the end of the output",
    ),
    (
        TOKENS,
        "1",
        "1 2",
        "line 1, column 3 (token 2): expected the end of the output, got \"2\"",
    ),
    (
        TOKENS,
        "12",
        "1",
        "line 1, column 1 (token 1): expected \"12\", got \"1\"",
    ),
    (
        TOKENS,
        "",
        "x y",
        "line 1, column 1 (token 1): expected the end of the output, got \"x\"",
    ),
    (
        Comparison::Exact,
        "12\n",
        "13\n",
        "line 1, column 2: expected \"12\\n\", got \"13\\n\"",
    ),
    (
        Comparison::Exact,
        "12\n",
        "12",
        "only white space differs: line 1, column 3: expected \"12\\n\", got \"12\" and then the end of the output",
    ),
    (
        Comparison::Exact,
        "",
        "\n",
        "only white space differs: line 1, column 1: expected the end of the output, got \"\\n\"",
    ),
    (
        float(1e-6, 0.0),
        "1 0.5",
        "1 0.75",
        "line 1, column 3 (token 2): expected \"0.5\", got \"0.75\"; off by 2.500e-1, allowed are 1e-6",
    ),
    (
        float(0.0, 0.0),
        "1 0.5",
        "1 0.75",
        "line 1, column 3 (token 2): expected \"0.5\", got \"0.75\"; they have to be equal",
    ),
    (
        float(1e-6, 1e-9),
        "0.5",
        "abc",
        "line 1, column 1 (token 1): expected \"0.5\", got \"abc\"; not a number",
    ),
    (
        float(1e-6, 1e-9),
        "abc",
        "abd",
        "line 1, column 1 (token 1): expected \"abc\", got \"abd\"",
    ),
    (
        Comparison::SortedLines,
        "a\nb\n",
        "b\n",
        "the line \"a\" is missing",
    ),
    (
        Comparison::SortedLines,
        "a\na\na\nb\n",
        "a\nb\n",
        "the line \"a\" is missing 2 times",
    ),
    (
        Comparison::SortedLines,
        "a\n",
        "\na\nx y\n",
        "line 3: got \"x y\", which is not expected",
    ),
    (
        Comparison::SortedLines,
        "a\nb\n",
        "a\na\n",
        "line 2: got \"a\", which comes more often than expected",
    ),
];

#[test]
fn messages_say_where_and_quote_both_sides() {
    for (comparison, expected, output, said) in MESSAGES {
        assert_eq!(message(*comparison, expected, output), *said);
    }
}

#[test]
fn quotations_are_cut_around_the_difference() {
    let long = "0123456789".repeat(20);
    let expected = format!("{long}a{long}");
    let output = format!("{long}b{long}");
    let context = "01234567890123456789";
    let after = "012345678901234567890123456789012345678";
    assert_eq!(
        message(TOKENS, &expected, &output),
        format!(
            "line 1, column 1 (token 1): expected ...\"{context}a{after}\"..., got ...\"{context}b{after}\"..."
        )
    );
    assert_eq!(
        message(Comparison::Lines, &expected, &output),
        format!(
            "line 1, column 201: expected ...\"{context}a{after}\"..., got ...\"{context}b{after}\"..."
        )
    );
    let exactly = "x".repeat(60);
    assert_eq!(
        message(TOKENS, &exactly, "y"),
        format!("line 1, column 1 (token 1): expected \"{exactly}\", got \"y\"")
    );
}

#[test]
fn quotations_are_one_printable_line() {
    let said = compare(TOKENS, "Zürich \"日本\"".as_bytes(), b"Z\xfcrich");
    assert_eq!(
        said.message.unwrap(),
        "line 1, column 1 (token 1): expected \"Zürich\", got \"Z\\xfcrich\""
    );
    let hostile = b"\x00\x1b[2J\x7f\x80\xe2\x80\xae\\\"'";
    let said = compare(Comparison::Lines, b"1", hostile).message.unwrap();
    assert_eq!(
        said,
        "line 1, column 1: expected \"1\", got \"\\0\\u{1b}[2J\\u{7f}\\x80\\u{202e}\\\\\\\"'\""
    );
    // A cut goes through a character at both ends.
    let expected = "é".repeat(100) + "x" + &"é".repeat(100);
    let output = "é".repeat(100) + "yz" + &"é".repeat(100);
    let said = message(TOKENS, &expected, &output);
    assert!(!said.contains("\\x"), "{said}");
}

// ---- Against plain implementations ----

fn plain_lines(text: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<_> = text.split(|b| *b == b'\n').map(trim_end).collect();
    while lines.last().is_some_and(|l| l.is_empty()) {
        lines.pop();
    }
    lines
}

fn plain_tokens(text: &[u8]) -> Vec<&[u8]> {
    let tokens = text.split(|b| is_white(*b));
    tokens.filter(|t| !t.is_empty()).collect()
}

fn plain_number(token: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(token).ok()?;
    let digit_or_point = |c: char| c.is_ascii_digit() || c == '.';
    let plain = text
        .trim_start_matches(['+', '-'])
        .starts_with(digit_or_point);
    text.parse().ok().filter(|v: &f64| plain && v.is_finite())
}

fn plain_same_token(comparison: Comparison, expected: &[u8], got: &[u8]) -> bool {
    match comparison {
        Comparison::Tokens { ignore_case: true } => expected.eq_ignore_ascii_case(got),
        Comparison::Float { absolute, relative } => {
            match (plain_number(expected), plain_number(got)) {
                (Some(a), Some(b)) => {
                    (a - b).abs() <= absolute || (a - b).abs() <= relative * a.abs()
                }
                _ => expected == got,
            }
        }
        _ => expected == got,
    }
}

fn plain(comparison: Comparison, expected: &[u8], output: &[u8]) -> Match {
    let (tokens, wanted) = (plain_tokens(output), plain_tokens(expected));
    let same_tokens = tokens.len() == wanted.len()
        && wanted
            .iter()
            .zip(&tokens)
            .all(|(e, g)| plain_same_token(comparison, e, g));
    let sorted = |text| {
        let mut lines = plain_lines(text);
        lines.retain(|l| !l.is_empty());
        lines.sort_unstable();
        lines
    };
    let same = match comparison {
        Comparison::Exact if expected != output && same_tokens => return Match::PresentationOnly,
        Comparison::Exact => expected == output,
        Comparison::Lines => plain_lines(expected) == plain_lines(output),
        Comparison::SortedLines => sorted(expected) == sorted(output),
        Comparison::Tokens { .. } | Comparison::Float { .. } => same_tokens,
    };
    if same { Match::Same } else { Match::Different }
}

/// The first line that differs; behind the end there are only empty ones.
fn plain_line(expected: &[u8], output: &[u8]) -> usize {
    let (expected, output) = (plain_lines(expected), plain_lines(output));
    let line = |lines: &[&[u8]], at: usize| lines.get(at).map_or(vec![], |l| l.to_vec());
    let same = (0..).take_while(|at| line(&expected, *at) == line(&output, *at));
    1 + same.count()
}

/// Number, line and column of the first token that differs, as far as the output has it.
fn plain_token(
    comparison: Comparison,
    expected: &[u8],
    output: &[u8],
) -> (usize, Option<(u64, usize)>) {
    let (wanted, tokens) = (plain_tokens(expected), plain_tokens(output));
    let pairs = wanted.iter().zip(&tokens);
    let index = pairs
        .take_while(|(e, g)| plain_same_token(comparison, e, g))
        .count();
    let at = tokens
        .get(index)
        .map(|t| t.as_ptr() as usize - output.as_ptr() as usize);
    let place = at.map(|at| {
        let before = &output[..at];
        let newline = before.iter().rposition(|b| *b == b'\n');
        let line = 1 + bytes::count_newlines(before);
        (line, at - newline.map_or(0, |n| n + 1) + 1)
    });
    (index + 1, place)
}

const ALL: [Comparison; 8] = [
    Comparison::Exact,
    Comparison::Lines,
    TOKENS,
    TOKENS_CI,
    Comparison::Float {
        absolute: 0.001,
        relative: 0.0,
    },
    Comparison::Float {
        absolute: 0.0,
        relative: 0.001,
    },
    Comparison::Float {
        absolute: 0.0,
        relative: 0.0,
    },
    Comparison::SortedLines,
];

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let words: &[&[u8]] = &[
        b"a",
        b"A",
        b"b",
        b"1",
        b"12",
        b"1.5",
        b"1.50",
        b"1.5004",
        b"-3e2",
        b"-300",
        b"0",
        b"-0.0",
        b"nan",
        b".",
        b"e",
        b"\0",
        b"\xff",
        "\u{e9}".as_bytes(),
        b"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
    ];
    let spaces: &[&[u8]] = &[
        b" ",
        b" ",
        b"\n",
        b"\n",
        b"\t",
        b"\r\n",
        b"  \n",
        b"\n\n",
        b"                     ",
    ];
    let words: Vec<Vec<u8>> = words.iter().map(|p| p.to_vec()).collect();
    let spaces: Vec<Vec<u8>> = spaces.iter().map(|p| p.to_vec()).collect();
    prop_oneof![prop::sample::select(words), prop::sample::select(spaces)]
}

/// Two texts with much in common.
fn sides() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let part = (
        piece(),
        prop::option::weighted(0.05, prop::option::of(piece())),
    );
    prop::collection::vec(part, 0..60).prop_map(|parts| {
        let one = parts.iter().flat_map(|(piece, _)| piece.clone()).collect();
        let changed = |(piece, change): (Vec<u8>, Option<Option<Vec<u8>>>)| match change {
            None => piece,
            Some(other) => other.unwrap_or_default(),
        };
        (one, parts.into_iter().flat_map(changed).collect())
    })
}

/// Two texts that are the same lines in another order, or nearly.
fn shuffled() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let line = "[ab]{0,9}[ \t]{0,12}";
    let lines = prop::collection::vec(line, 0..150);
    (lines, any::<bool>()).prop_flat_map(|(lines, drop_one)| {
        let text = lines.join("\n").into_bytes();
        let shuffled = Just(lines).prop_shuffle().prop_map(move |mut lines| {
            if drop_one {
                lines.pop();
            }
            lines.join("\r\n").into_bytes()
        });
        (Just(text), shuffled)
    })
}

fn steps() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1..80usize, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn verdicts_are_those_of_the_plain_implementation(
        (expected, output) in sides(),
        steps in steps(),
    ) {
        for comparison in ALL {
            let compared = in_steps(comparison, &expected, &output, &steps);
            prop_assert_eq!(compared.verdict, plain(comparison, &expected, &output), "{:?}", comparison);
            prop_assert_eq!(compared.message.is_none(), compared.verdict == Match::Same);
        }
    }

    #[test]
    fn chunks_change_nothing_in_the_message((expected, output) in sides(), steps in steps()) {
        for comparison in ALL {
            let whole = compare(comparison, &expected, &output);
            prop_assert_eq!(in_steps(comparison, &expected, &output, &steps), whole);
        }
    }

    #[test]
    fn swapping_the_sides_changes_no_verdict((expected, output) in sides(), steps in steps()) {
        let symmetric = |c: &Comparison| !matches!(c, Comparison::Float { relative, .. } if *relative > 0.0);
        for comparison in ALL.into_iter().filter(symmetric) {
            let there = in_steps(comparison, &expected, &output, &steps);
            let back = in_steps(comparison, &output, &expected, &steps);
            prop_assert_eq!(there.verdict, back.verdict, "{:?}", comparison);
        }
    }

    #[test]
    fn messages_name_the_first_line_that_differs((expected, output) in sides(), steps in steps()) {
        let compared = in_steps(Comparison::Lines, &expected, &output, &steps);
        if let Some(message) = compared.message {
            let start = format!("line {}, ", plain_line(&expected, &output));
            prop_assert!(message.starts_with(&start), "{} {}", message, start);
        }
    }

    #[test]
    fn messages_name_the_first_token_that_differs((expected, output) in sides(), steps in steps()) {
        for comparison in [TOKENS, TOKENS_CI, ALL[4], ALL[5]] {
            let compared = in_steps(comparison, &expected, &output, &steps);
            if let Some(message) = compared.message {
                let (number, place) = plain_token(comparison, &expected, &output);
                let number = format!(" (token {number}): ");
                prop_assert!(message.contains(&number), "{} {}", message, number);
                if let Some((line, column)) = place {
                    let start = format!("line {line}, column {column}");
                    prop_assert!(message.starts_with(&start), "{} {}", message, start);
                }
            }
        }
    }

    #[test]
    fn order_does_not_matter_to_sorted_lines((expected, output) in shuffled(), steps in steps()) {
        let comparison = Comparison::SortedLines;
        let compared = in_steps(comparison, &expected, &output, &steps);
        prop_assert_eq!(compared.verdict, plain(comparison, &expected, &output));
        prop_assert_eq!(compared.message.is_none(), compared.verdict == Match::Same);
    }

    #[test]
    fn any_bytes_are_compared(
        expected in prop::collection::vec(any::<u8>(), 0..300),
        output in prop::collection::vec(any::<u8>(), 0..300),
        steps in steps(),
    ) {
        for comparison in ALL {
            let compared = in_steps(comparison, &expected, &output, &steps);
            prop_assert_eq!(compared.verdict, plain(comparison, &expected, &output));
            if let Some(message) = compared.message {
                prop_assert!(message.len() < 1600 && !message.contains(char::is_control), "{}", message);
            }
        }
    }
}

// ---- Hostile and large output ----

const LONG: usize = 400_000;

/// Feeds a long output in chunks as a pipe gives them.
fn long(comparison: Comparison, expected: &[u8], output: &[u8]) -> Compared {
    in_steps(comparison, expected, output, &[65536, 4096, 65536])
}

#[test]
fn one_line_of_megabytes() {
    let line = vec![b'x'; LONG];
    let mut other = line.clone();
    other[LONG - 2] = b'y';
    for comparison in ALL {
        assert_eq!(long(comparison, &line, &line).verdict, Match::Same);
        assert_eq!(long(comparison, &line, &other).verdict, Match::Different);
        assert_eq!(
            long(comparison, &line, &line[1..]).verdict,
            Match::Different
        );
    }
    let said = long(Comparison::Lines, &line, &other).message.unwrap();
    assert!(
        said.starts_with(&format!("line 1, column {}: ", LONG - 1)),
        "{said}"
    );
}

#[test]
fn megabytes_of_white_space() {
    let blank = vec![b' '; LONG];
    let newlines = vec![b'\n'; LONG];
    for comparison in [
        Comparison::Lines,
        TOKENS,
        float(1.0, 0.0),
        Comparison::SortedLines,
    ] {
        for (expected, output) in [
            (&blank, &newlines),
            (&newlines, &blank),
            (&vec![], &blank),
            (&newlines, &vec![]),
        ] {
            assert_eq!(long(comparison, expected, output).verdict, Match::Same);
        }
    }
    let inside = [b"a", &*blank, b"b"].concat();
    let less = [b"a", &blank[1..], b"b"].concat();
    let trailing = [b"a", &*blank].concat();
    for comparison in [Comparison::Lines, Comparison::SortedLines] {
        assert_eq!(long(comparison, &inside, &inside).verdict, Match::Same);
        assert_eq!(long(comparison, &inside, &less).verdict, Match::Different);
        assert_eq!(
            long(comparison, &inside, &trailing).verdict,
            Match::Different
        );
        assert_eq!(long(comparison, b"a", &trailing).verdict, Match::Same);
    }
    let crlf = b"12345\r\n".repeat(LONG / 7);
    let lf = b"12345\n".repeat(LONG / 7);
    for comparison in ALL.into_iter().skip(1) {
        assert_eq!(long(comparison, &lf, &crlf).verdict, Match::Same);
    }
}

#[test]
fn numbers_of_a_million_digits() {
    let digits = vec![b'7'; 1_000_000];
    let comparison = float(1e-6, 1e-6);
    assert_eq!(long(comparison, &digits, &digits).verdict, Match::Same);
    let mut other = digits.clone();
    other[999_999] = b'8';
    assert_eq!(long(comparison, &digits, &other).verdict, Match::Different);
    assert_eq!(long(comparison, &digits, b"7").verdict, Match::Different);
    let said = long(comparison, b"7", &digits).message.unwrap();
    assert!(
        said.ends_with("more than 4096 bytes are not read as a number"),
        "{said}"
    );
    // At the longest that is read.
    let zeros = [b"1.", &*vec![b'0'; 4094]].concat();
    assert_eq!(long(comparison, b"1", &zeros).verdict, Match::Same);
    assert_eq!(long(comparison, &zeros, b"1").verdict, Match::Same);
    let zeros = [&*zeros, b"0"].concat();
    assert_eq!(long(comparison, b"1", &zeros).verdict, Match::Different);
    assert_eq!(long(comparison, &zeros, b"1").verdict, Match::Different);
}

#[test]
fn numbers_across_every_chunk_edge() {
    let mut expected = Vec::new();
    let mut output = Vec::new();
    for i in 0..40_000 {
        expected.extend(format!("{i}.25 ").bytes());
        output.extend(format!("{i}.250001\n").bytes());
    }
    assert_eq!(
        long(float(1e-5, 0.0), &expected, &output).verdict,
        Match::Same
    );
    let said = long(float(1e-7, 0.0), &expected, &output).message.unwrap();
    assert!(said.starts_with("line 1, column 1 (token 1): "), "{said}");
}

#[test]
fn more_lines_than_are_listed() {
    let lines = |numbers: &mut dyn Iterator<Item = u32>| -> Vec<u8> {
        numbers
            .flat_map(|n| format!("{n}\n").into_bytes())
            .collect()
    };
    let expected = lines(&mut (0..1000));
    let comparison = Comparison::SortedLines;
    assert_eq!(
        long(comparison, &expected, &lines(&mut (0..1000).rev())).verdict,
        Match::Same
    );
    let missing = long(comparison, &expected, &lines(&mut (0..999).rev()));
    assert_eq!(missing.verdict, Match::Different);
    let said = missing.message.unwrap();
    assert!(
        said == "the line \"999\" is missing"
            || said == "the lines differ; 1000 lines expected, got 999",
        "{said}"
    );
    let other = lines(&mut (5000..6000));
    let said = long(comparison, &expected, &other).message.unwrap();
    assert!(said.ends_with("which is not expected"), "{said}");
}

#[test]
fn errors_of_the_expected_side_are_passed_on() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("no disk"))
        }
    }
    for comparison in ALL {
        let mut comparer = Comparer::new(comparison, Box::new(Broken));
        assert!(comparer.feed(b"1").is_err());
        assert!(
            Comparer::new(comparison, Box::new(Broken))
                .finish()
                .is_err()
        );
    }
}
