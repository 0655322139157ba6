//! Comparing takes no more memory for a large output than for a small one. A test of its own, for the figure
//! is the process's.

use std::io::{self, Read};

use brig_server::judge::compare::{Comparer, Comparison, Match};

const BYTES: u64 = 100 << 20;
const CHUNK_BYTES: usize = 64 << 10;
/// Buffers, and what the allocator keeps.
const SLACK_BYTES: u64 = 4 << 20;

/// The same text again and again, without ever being in memory as a whole.
struct Endless {
    text: Vec<u8>,
    at: usize,
}

impl Endless {
    fn new(text: &[u8]) -> Self {
        Self {
            text: text.repeat(1 + CHUNK_BYTES / text.len()),
            at: 0,
        }
    }
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let from = &self.text[self.at..];
        let len = from.len().min(buffer.len());
        buffer[..len].copy_from_slice(&from[..len]);
        self.at = (self.at + len) % self.text.len();
        Ok(len)
    }
}

/// The most memory that this process has had.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib << 10
}

fn compare(comparison: Comparison, text: &[u8], bytes: u64) {
    let mut comparer = Comparer::new(comparison, Box::new(Endless::new(text).take(bytes)));
    let mut output = Endless::new(text).take(bytes);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match output.read(&mut chunk).unwrap() {
            0 => break,
            len => comparer.feed(&chunk[..len]).unwrap(),
        }
    }
    let outcome = comparer.finish().unwrap();
    assert_eq!(outcome.verdict, Match::Same, "{:?}", outcome.message);
}

#[test]
fn a_hundred_megabytes_take_no_more_memory_than_one() {
    let float = Comparison::Float {
        absolute: 1e-6,
        relative: 0.0,
    };
    let cases = [
        (Comparison::Exact, &b"12 ok\n"[..]),
        (Comparison::Lines, b"12 ok \n"),
        (Comparison::Lines, b"no line break"),
        (Comparison::Tokens { ignore_case: true }, b"12 ok "),
        (Comparison::Tokens { ignore_case: false }, b"one_token"),
        (float, b"0.25 7\n"),
        (Comparison::SortedLines, b"12 ok\n"),
    ];
    for (comparison, text) in cases {
        compare(comparison, text, BYTES / 100);
    }
    let before = peak_bytes();
    for (comparison, text) in cases {
        compare(comparison, text, BYTES);
        let grown = peak_bytes() - before;
        assert!(grown <= SLACK_BYTES, "{comparison:?}: {grown} bytes");
    }
}
