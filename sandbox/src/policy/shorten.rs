//! The same filter in fewer instructions.
//!
//! The kernel translates a filter anew for each process that is put under it, twice (to eBPF, then to machine code), and
//! runs it for every number there is to learn which calls are always allowed. For a policy that names some 350 calls,
//! that took a seventh of the time from a job's arrival to its `execve`. libseccomp gives
//! each call a comparison and an answer of its own; but calls that lie side by side are mostly answered alike, so
//! comparing with the bounds of such ranges is enough.
//!
//! Nothing is taken on trust. A program is taken for a graph of looks: each loads one word (the architecture, the
//! number, half an argument), maybe masks it, and compares it, until there is an answer or another word is loaded. From
//! each look the given program is run for one value of every range in which none of its comparisons can tell two
//! values apart. Then the looks are written down anew. What is not understood, or does not fit, stays as it
//! was.
//!
//! Only instructions are used for which the kernel keeps its shortcut for calls that are always allowed
//! (`seccomp_is_const_allow()`, kernel/seccomp.c).

use std::collections::{BTreeMap, BTreeSet};

use libc::sock_filter;

/// linux/bpf_common.h: class, size and mode or operation and source.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_ABOVE: u16 = 0x25;
const IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

/// A look of more ranges has the answers it leads to right behind it, as distances are bytes.
const MANY_RANGES: usize = 32;

/// A program that answers every call as `program` does; `None` if there is nothing to gain.
pub(super) fn shorten(program: &[sock_filter]) -> Option<Vec<sock_filter>> {
    let mut code = Code::default();
    let mut looks = BTreeSet::from([0]);
    // Each look leads only to later ones.
    while let Some(at) = looks.pop_first() {
        let look = Look::at(program, at)?;
        let ranges = look.ranges()?;
        looks.extend(ranges.iter().filter_map(|range| match range.fate {
            Fate::Look(at) => Some(at),
            Fate::Answer(_) => None,
        }));
        code.look(&look, &ranges);
    }
    code.answers();
    let short = code.link()?;
    (short.len() < program.len()).then_some(short)
}

/// What comes of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Answer(u32),
    /// The instruction here loads another word.
    Look(usize),
}

/// Values from `from` to before the next range's.
#[derive(Clone, Copy, Debug)]
struct Range {
    from: u32,
    fate: Fate,
}

/// A place of a program at which a word is loaded.
#[derive(Debug)]
struct Look<'a> {
    program: &'a [sock_filter],
    at: usize,
    /// Where `struct seccomp_data` has it.
    word: u32,
    mask: Option<u32>,
}

impl<'a> Look<'a> {
    fn at(program: &'a [sock_filter], at: usize) -> Option<Self> {
        let word = program.get(at).filter(|load| load.code == LOAD)?.k;
        let next = program.get(at + 1)?;
        Some(Self {
            program,
            at,
            word,
            mask: (next.code == AND).then_some(next.k),
        })
    }

    /// The first instruction that deals with what was loaded, and maybe masked, at `at`.
    fn after(&self, at: usize) -> usize {
        at + 1 + usize::from(self.mask.is_some())
    }

    /// All values, with what comes of them.
    fn ranges(&self) -> Option<Vec<Range>> {
        let mut ranges: Vec<Range> = Vec::new();
        for from in self.bounds()? {
            let fate = settled(self.program, self.run(from)?)?;
            if ranges.last().is_none_or(|last| last.fate != fate) {
                ranges.push(Range { from, fate });
            }
        }
        Some(ranges)
    }

    /// The values at which a comparison may come out differently than for the value before.
    fn bounds(&self) -> Option<BTreeSet<u32>> {
        let mut bounds = BTreeSet::from([0]);
        let mut to_see = BTreeSet::from([self.after(self.at)]);
        while let Some(at) = to_see.pop_first() {
            let instruction = self.program.get(at)?;
            let k = instruction.k;
            match instruction.code {
                IF_EQUAL => bounds.extend([Some(k), k.checked_add(1)].into_iter().flatten()),
                IF_ABOVE => bounds.extend(k.checked_add(1)),
                IF_AT_LEAST => bounds.extend([k]),
                _ => {}
            }
            match instruction.code {
                IF_EQUAL | IF_ABOVE | IF_AT_LEAST => {
                    to_see.extend([true, false].map(|holds| target(at, *instruction, holds)));
                }
                JUMP => to_see.extend([jump(at, *instruction)?]),
                LOAD if self.is_same(at) => to_see.extend([self.after(at)]),
                _ => {}
            }
        }
        Some(bounds)
    }

    /// Whether what is loaded at `at` is what is there already.
    fn is_same(&self, at: usize) -> bool {
        let again = Look::at(self.program, at);
        again.is_some_and(|again| (again.word, again.mask) == (self.word, self.mask))
    }

    /// Goes on with `value`. `None`: something is done to it that is not understood.
    fn run(&self, value: u32) -> Option<Fate> {
        let mut at = self.after(self.at);
        // Jumps only lead forward.
        loop {
            let instruction = self.program.get(at)?;
            let k = instruction.k;
            at = match instruction.code {
                LOAD if self.is_same(at) => self.after(at),
                LOAD => return Some(Fate::Look(at)),
                RETURN => return Some(Fate::Answer(k)),
                JUMP => jump(at, *instruction)?,
                IF_EQUAL => target(at, *instruction, value == k),
                IF_ABOVE => target(at, *instruction, value > k),
                IF_AT_LEAST => target(at, *instruction, value >= k),
                _ => return None,
            };
        }
    }
}

/// Where `fate` leads in the end: to see nothing of a word is not to look. (libseccomp asks after both halves of an
/// argument, also for a mask that has only one.)
fn settled(program: &[sock_filter], mut fate: Fate) -> Option<Fate> {
    while let Fate::Look(at) = fate {
        let look = Look::at(program, at)?;
        if look.mask != Some(0) {
            break;
        }
        fate = look.run(0)?;
    }
    Some(fate)
}

/// Where a comparison at `at` leads.
fn target(at: usize, instruction: sock_filter, holds: bool) -> usize {
    let skip = if holds {
        instruction.jt
    } else {
        instruction.jf
    };
    at + 1 + usize::from(skip)
}

/// Where a jump at `at` leads.
fn jump(at: usize, instruction: sock_filter) -> Option<usize> {
    at.checked_add(1)?
        .checked_add(usize::try_from(instruction.k).ok()?)
}

/// A place in the code to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    /// A part of a search.
    Search(usize),
    /// What comes of it; the next place from which that comes.
    Fate(Fate),
}

enum Line {
    Plain(sock_filter),
    /// If the comparison holds, to the first, else to the second.
    Branch(u16, u32, Label, Label),
    Jump(Label),
}

/// A program in the making. Labels are only used ahead of their places.
#[derive(Default)]
struct Code {
    lines: Vec<Line>,
    places: BTreeMap<Label, Vec<usize>>,
    /// What something leads to since it was last placed.
    wanted: BTreeSet<Fate>,
    searches: usize,
}

impl Code {
    fn look(&mut self, look: &Look<'_>, ranges: &[Range]) {
        let fate = Fate::Look(look.at);
        self.wanted.remove(&fate);
        self.place(Label::Fate(fate));
        self.lines.push(Line::Plain(plain(LOAD, look.word)));
        if let Some(mask) = look.mask {
            self.lines.push(Line::Plain(plain(AND, mask)));
        }
        self.search(ranges);
        if ranges.len() > MANY_RANGES {
            self.answers();
        }
    }

    /// Places all that is wanted: answers, and jumps to looks, which are yet to come.
    fn answers(&mut self) {
        for fate in std::mem::take(&mut self.wanted) {
            self.place(Label::Fate(fate));
            self.lines.push(match fate {
                Fate::Answer(answer) => Line::Plain(plain(RETURN, answer)),
                Fate::Look(_) => Line::Jump(Label::Fate(fate)),
            });
        }
    }

    /// Finds the range of the value that was loaded.
    fn search(&mut self, ranges: &[Range]) {
        match ranges {
            [] => {}
            [one] => {
                let label = self.part(&[*one]);
                self.lines.push(Line::Jump(label));
            }
            // A single value among others.
            [before, one, after]
                if before.fate == after.fate && Some(after.from) == one.from.checked_add(1) =>
            {
                let (yes, no) = (self.part(&[*one]), self.part(&[*before]));
                self.lines.push(Line::Branch(IF_EQUAL, one.from, yes, no));
            }
            _ => {
                let (low, high) = ranges.split_at(ranges.len() / 2);
                let (low_at, high_at) = (self.part(low), self.part(high));
                let from = high[0].from;
                self.lines
                    .push(Line::Branch(IF_AT_LEAST, from, high_at, low_at));
                for (part, label) in [(low, low_at), (high, high_at)] {
                    if let Label::Search(_) = label {
                        self.place(label);
                        self.search(part);
                    }
                }
            }
        }
    }

    /// Where a part of a search will be.
    fn part(&mut self, ranges: &[Range]) -> Label {
        if let [Range { fate, .. }] = ranges {
            self.wanted.insert(*fate);
            return Label::Fate(*fate);
        }
        self.searches += 1;
        Label::Search(self.searches)
    }

    fn place(&mut self, label: Label) {
        let here = self.lines.len();
        self.places.entry(label).or_default().push(here);
    }

    /// Puts distances in the place of labels. `None`: one is too far away.
    fn link(self) -> Option<Vec<sock_filter>> {
        let distance = |from: usize, label: Label| {
            let place = self.places.get(&label)?.iter().find(|at| **at > from)?;
            Some(place - from - 1)
        };
        let near = |from, label| u8::try_from(distance(from, label)?).ok();
        let line = |(at, line): (usize, &Line)| {
            Some(match *line {
                Line::Plain(instruction) => instruction,
                Line::Branch(code, k, yes, no) => sock_filter {
                    code,
                    jt: near(at, yes)?,
                    jf: near(at, no)?,
                    k,
                },
                Line::Jump(label) => plain(JUMP, u32::try_from(distance(at, label)?).ok()?),
            })
        };
        self.lines.iter().enumerate().map(line).collect()
    }
}

fn plain(code: u16, k: u32) -> sock_filter {
    sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

#[cfg(test)]
mod tests;
