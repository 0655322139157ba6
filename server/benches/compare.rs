//! `cargo bench -p brig --bench compare`: how fast outputs are compared, in MB of output per second.
//! Prints figures, asserts nothing.
//!
//! Each case compares about 100 MB, in pieces as they come from a pipe, the expected side in memory.
//! `equal`: the same bytes; `other white space`: every line differs in it; `off a little`: every number has
//! another digit.

use std::io::{Cursor, Read};
use std::time::Instant;

use brig_server::judge::compare::{Comparer, Comparison, Match};

const BYTES: usize = 100_000_000;
const LINES: usize = 8_500_000;
const CHUNK_BYTES: usize = 64 << 10;
const TRIES: usize = 3;

const TOKENS: Comparison = Comparison::Tokens { ignore_case: false };
const TOKENS_CI: Comparison = Comparison::Tokens { ignore_case: true };
const FLOAT: Comparison = Comparison::Float {
    absolute: 1e-6,
    relative: 1e-6,
};

/// Lines made of the same numbers each time.
fn text(line: impl Fn(u64) -> String) -> Vec<u8> {
    let mut text = Vec::new();
    let mut state = 1u64;
    for _ in 0..LINES {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        text.extend(line(state >> 33).bytes());
    }
    text
}

fn main() {
    let plain = text(|n| format!("{} ok\n", n % 100_000_000));
    let crlf = text(|n| format!("{} ok\r\n", n % 100_000_000));
    let spaced = text(|n| format!("{}\tok \n\n", n % 100_000_000));
    let upper = text(|n| format!("{} OK\n", n % 100_000_000));
    let decimals = text(|n| format!("0.{n:09}\n"));
    let nearly = text(|n| format!("0.{n:09}1\n"));
    let one_line = vec![b'7'; BYTES];
    let backwards: Vec<u8> = plain
        .split_inclusive(|b| *b == b'\n')
        .rev()
        .flatten()
        .copied()
        .collect();
    measure("exact, equal", Comparison::Exact, &plain, &plain);
    measure("exact, one line", Comparison::Exact, &one_line, &one_line);
    measure("exact, other white space", Comparison::Exact, &plain, &crlf);
    measure("lines, equal", Comparison::Lines, &plain, &plain);
    measure("lines, one line", Comparison::Lines, &one_line, &one_line);
    measure("lines, other white space", Comparison::Lines, &plain, &crlf);
    measure("tokens, equal", TOKENS, &plain, &plain);
    measure("tokens, one token", TOKENS, &one_line, &one_line);
    measure("tokens, other white space", TOKENS, &plain, &spaced);
    measure("tokens_ci, other case", TOKENS_CI, &plain, &upper);
    measure("float, equal", FLOAT, &decimals, &decimals);
    measure("float, off a little", FLOAT, &decimals, &nearly);
    let sorted = Comparison::SortedLines;
    measure("sorted_lines, equal", sorted, &plain, &plain);
    measure("sorted_lines, backwards", sorted, &plain, &backwards);
}

fn measure(name: &str, comparison: Comparison, expected: &[u8], output: &[u8]) {
    let mut best = f64::INFINITY;
    let mut verdict = Match::Different;
    for _ in 0..TRIES {
        let source: Box<dyn Read + Send> = Box::new(Cursor::new(expected.to_vec()));
        let start = Instant::now();
        let mut comparer = Comparer::new(comparison, source);
        for chunk in output.chunks(CHUNK_BYTES) {
            comparer.feed(chunk).unwrap();
        }
        verdict = comparer.finish().unwrap().verdict;
        best = best.min(start.elapsed().as_secs_f64());
    }
    #[allow(clippy::cast_precision_loss)]
    let rate = output.len() as f64 / 1e6 / best;
    println!("{name:28} {rate:6.0} MB/s   {verdict:?}");
}
