//! Lines in any order: both sides as multisets of lines.
//!
//! Every line becomes a keyed 128-bit hash, whose key is drawn for each comparison, so nobody can
//! make lines that collide. The verdict is that of two sums over all hashes, which takes no memory
//! however long either side is: adding the expected lines' and subtracting the output's gives zero
//! only when they are the same (but for a chance in 2^128). To name a line that makes the difference,
//! the expected lines are listed by their hash. The list is bounded too: when it is full, only
//! lines whose hash is a multiple of 2, then of 4 and so on stay in it. The output takes no part of it,
//! so a hostile one costs no more memory than an honest one.

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, RandomState};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::io;

use super::bytes;
use super::difference::{Excerpt, Unit};
use super::expected::Expected;

/// Lines in the list: what fits a table of 2^20 places, which takes 34 MB.
const MAX_LISTED: usize = if cfg!(test) { 64 } else { (1 << 20) / 8 * 7 };
/// What is kept of a line, to quote it; one byte more than is quoted shows that there was more.
const HEAD_BYTES: usize = 61;
/// Hashed at once. A longer line is hashed in pieces of this length.
const BLOCK_BYTES: usize = if cfg!(test) { 8 } else { 4096 };

pub(super) struct SortedLines {
    keys: RandomState,
    /// Expected lines less those of the output. `None` until the expected side is read.
    balance: Option<Balance>,
    reader: LineReader,
}

#[derive(Default)]
struct Balance {
    hashes: u128,
    listed: HashMap<u128, Listed, BuildHasherDefault<HashOfHash>>,
    /// Beginnings of the listed lines, one after another.
    heads: Vec<u8>,
    /// A line is listed if its hash has none of these bits.
    unlisted: u128,
    expected_lines: u64,
    lines: u64,
}

struct Listed {
    /// Expected more often than the output had it so far.
    left: u64,
    head_at: u32,
    head_len: u8,
}

/// A line that is not empty, without the white space at its end.
struct Line<'a> {
    /// From 1, empty lines included.
    number: u64,
    hash: u128,
    head: &'a [u8],
}

impl SortedLines {
    pub(super) fn new() -> Self {
        let keys = RandomState::new();
        Self {
            reader: LineReader::new(&keys),
            keys,
            balance: None,
        }
    }

    /// Takes a piece of the output. Says which line is too much, if one is known to be.
    pub(super) fn feed(
        &mut self,
        output: &[u8],
        expected: &mut Expected,
    ) -> io::Result<Option<String>> {
        let balance = expected_lines(&mut self.balance, &self.keys, expected)?;
        let mut extra = None;
        self.reader.feed(output, &mut |line| {
            extra = extra.take().or_else(|| balance.subtract(&line));
        });
        Ok(extra)
    }

    /// The output has ended.
    pub(super) fn finish(mut self, expected: &mut Expected) -> io::Result<Option<String>> {
        let balance = expected_lines(&mut self.balance, &self.keys, expected)?;
        let mut extra = None;
        self.reader
            .finish(&mut |line| extra = balance.subtract(&line));
        Ok(extra.or_else(|| balance.missing()))
    }
}

fn expected_lines<'a>(
    balance: &'a mut Option<Balance>,
    keys: &RandomState,
    expected: &mut Expected,
) -> io::Result<&'a mut Balance> {
    if balance.is_none() {
        let mut filled = Balance::default();
        let mut reader = LineReader::new(keys);
        loop {
            let ahead = expected.ahead(1)?;
            let count = ahead.len();
            if count == 0 {
                break;
            }
            reader.feed(ahead, &mut |line| filled.add(&line));
            expected.advance(count);
        }
        reader.finish(&mut |line| filled.add(&line));
        *balance = Some(filled);
    }
    Ok(balance.get_or_insert_default())
}

impl Balance {
    fn add(&mut self, line: &Line<'_>) {
        self.hashes = self.hashes.wrapping_add(line.hash);
        self.expected_lines += 1;
        if line.hash & self.unlisted != 0 {
            return;
        }
        if let Some(listed) = self.listed.get_mut(&line.hash) {
            listed.left += 1;
            return;
        }
        if self.listed.len() == MAX_LISTED {
            self.thin_out();
            if line.hash & self.unlisted != 0 {
                return;
            }
        }
        let listed = Listed {
            left: 1,
            head_at: u32::try_from(self.heads.len()).unwrap_or(u32::MAX),
            head_len: u8::try_from(line.head.len()).unwrap_or(u8::MAX),
        };
        self.heads.extend_from_slice(line.head);
        self.listed.insert(line.hash, listed);
    }

    /// Makes room in the list: about half of the lines go.
    fn thin_out(&mut self) {
        self.unlisted = self.unlisted << 1 | 1;
        let unlisted = self.unlisted;
        self.listed.retain(|hash, _| hash & unlisted == 0);
        let mut heads = Vec::new();
        for listed in self.listed.values_mut() {
            let head = head(&self.heads, listed);
            listed.head_at = u32::try_from(heads.len()).unwrap_or(u32::MAX);
            heads.extend_from_slice(head);
        }
        self.heads = heads;
    }

    /// Takes away a line of the output; says so if there was none.
    fn subtract(&mut self, line: &Line<'_>) -> Option<String> {
        self.hashes = self.hashes.wrapping_sub(line.hash);
        self.lines += 1;
        if line.hash & self.unlisted != 0 {
            return None;
        }
        let why = match self.listed.get_mut(&line.hash) {
            Some(Listed { left: 0, .. }) => "which comes more often than expected",
            Some(listed) => {
                listed.left -= 1;
                return None;
            }
            None => "which is not expected",
        };
        Some(format!(
            "line {}: got {}, {why}",
            line.number,
            quote(line.head)
        ))
    }

    /// Once all of the output is taken away.
    fn missing(&self) -> Option<String> {
        if self.hashes == 0 && self.lines == self.expected_lines {
            return None;
        }
        let missing = self.listed.values().filter(|l| l.left > 0);
        let first = missing.min_by_key(|l| l.head_at);
        Some(first.map_or_else(
            || {
                let (expected, got) = (self.expected_lines, self.lines);
                format!("the lines differ; {expected} lines expected, got {got}")
            },
            |listed| {
                let line = quote(head(&self.heads, listed));
                let more = match listed.left {
                    1 => String::new(),
                    left => format!(" {left} times"),
                };
                format!("the line {line} is missing{more}")
            },
        ))
    }
}

fn quote(head: &[u8]) -> Excerpt {
    Excerpt::of(head, Unit::Line)
}

fn head<'a>(heads: &'a [u8], listed: &Listed) -> &'a [u8] {
    let at = listed.head_at as usize;
    &heads[at..at + usize::from(listed.head_len)]
}

/// Hashes are their own hashes.
#[derive(Default)]
struct HashOfHash(u64);

impl Hasher for HashOfHash {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.as_chunks::<8>().0 {
            self.0 ^= u64::from_ne_bytes(*part);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// 128 bits from two hashes under the same key, told apart by their first byte.
#[derive(Clone)]
struct Hash128([DefaultHasher; 2]);

impl Hash128 {
    fn new(keys: &RandomState) -> Self {
        Self([0u8, 1].map(|first| {
            let mut hasher = keys.build_hasher();
            hasher.write_u8(first);
            hasher
        }))
    }

    fn write(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.0.iter_mut().for_each(|hasher| hasher.write(bytes));
        }
    }

    fn finish(&self) -> u128 {
        let [high, low] = self.0.each_ref().map(|hasher| u128::from(hasher.finish()));
        high << 64 | low
    }
}

/// Makes lines of pieces, however they are cut.
struct LineReader {
    fresh: Hash128,
    number: u64,
    partial: PartialLine,
}

impl LineReader {
    fn new(keys: &RandomState) -> Self {
        let fresh = Hash128::new(keys);
        Self {
            number: 0,
            partial: PartialLine::new(&fresh),
            fresh,
        }
    }

    fn feed(&mut self, mut bytes: &[u8], each: &mut impl FnMut(Line<'_>)) {
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            let line = &bytes[..end];
            if self.partial.is_empty() && line.len() <= BLOCK_BYTES {
                self.whole(bytes::trim_end(line), each);
            } else {
                self.partial.push(line);
                self.finish(each);
            }
            bytes = &bytes[end + 1..];
        }
        self.partial.push(bytes);
    }

    /// Ends the line that has begun.
    fn finish(&mut self, each: &mut impl FnMut(Line<'_>)) {
        self.number += 1;
        if self.partial.has_ink {
            each(Line {
                number: self.number,
                hash: self.partial.finish(),
                head: bytes::trim_end(&self.partial.head),
            });
        }
        self.partial.clear(&self.fresh);
    }

    /// A line at hand, as [`PartialLine`] would hash it.
    fn whole(&mut self, line: &[u8], each: &mut impl FnMut(Line<'_>)) {
        self.number += 1;
        if line.is_empty() {
            return;
        }
        let mut hash = self.fresh.clone();
        hash.write(line);
        each(Line {
            number: self.number,
            hash: hash.finish(),
            head: &line[..line.len().min(HEAD_BYTES)],
        });
    }
}

/// A line whose end has not come. Always hashed by the same blocks: from its beginning, each
/// [`BLOCK_BYTES`] long, the last one shorter.
struct PartialLine {
    hash: Hash128,
    block: Vec<u8>,
    head: Vec<u8>,
    has_ink: bool,
    /// The hash and the last block if only white space follows; set when the block before `block`
    /// ends in white space.
    ends_earlier: Option<(Hash128, Vec<u8>)>,
}

impl PartialLine {
    fn new(fresh: &Hash128) -> Self {
        Self {
            hash: fresh.clone(),
            block: Vec::new(),
            head: Vec::new(),
            has_ink: false,
            ends_earlier: None,
        }
    }

    fn clear(&mut self, fresh: &Hash128) {
        self.hash.clone_from(fresh);
        self.block.clear();
        self.head.clear();
        self.has_ink = false;
        self.ends_earlier = None;
    }

    fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    fn push(&mut self, mut bytes: &[u8]) {
        let head = bytes.len().min(HEAD_BYTES - self.head.len());
        self.head.extend_from_slice(&bytes[..head]);
        self.has_ink |= !bytes::trim_end(bytes).is_empty();
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.block.len()));
            self.block.extend_from_slice(now);
            bytes = later;
            if self.block.len() == BLOCK_BYTES {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        let ink = bytes::trim_end(&self.block);
        if ink.len() == BLOCK_BYTES {
            self.ends_earlier = None;
        } else if !ink.is_empty() || self.ends_earlier.is_none() {
            self.ends_earlier = Some((self.hash.clone(), ink.to_vec()));
        }
        self.hash.write(&self.block);
        self.block.clear();
    }

    fn finish(&self) -> u128 {
        let ink = bytes::trim_end(&self.block);
        let (hash, ink) = match &self.ends_earlier {
            Some((hash, earlier)) if ink.is_empty() => (hash, earlier.as_slice()),
            _ => (&self.hash, ink),
        };
        let mut hash = hash.clone();
        hash.write(ink);
        hash.finish()
    }
}
