//! The beginning and the end of a conversation.

use std::collections::VecDeque;

use super::Role;

/// What was said, as far as it was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// From the beginning.
    pub head: Vec<Said>,
    /// How many bytes were said between `head` and `tail`.
    pub omitted_bytes: u64,
    /// Up to the end.
    pub tail: Vec<Said>,
}

/// What one side said before the other said something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Who said it.
    pub by: Role,
    /// What; a part of it where the transcript is cut.
    pub bytes: Vec<u8>,
}

/// A transcript being written: in constant memory, however much is said in however small pieces.
#[derive(Debug)]
pub(super) struct Recorder {
    /// What the head may have, and the tail.
    limit_bytes: usize,
    head: Part,
    tail: Part,
    total_bytes: u64,
}

/// Bytes, and who said how many of them in turn.
#[derive(Debug, Default)]
struct Part {
    bytes: VecDeque<u8>,
    turns: VecDeque<(Role, usize)>,
}

impl Recorder {
    /// Keeps the first and the last `limit_bytes`.
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            head: Part::default(),
            tail: Part::default(),
            total_bytes: 0,
        }
    }

    pub(super) fn take(&mut self, by: Role, bytes: &[u8]) {
        self.total_bytes += bytes.len() as u64;
        let room = self.limit_bytes - self.head.bytes.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.push(by, first);
        let last = &rest[rest.len().saturating_sub(self.limit_bytes)..];
        self.tail.push(by, last);
        let surplus = self.tail.bytes.len().saturating_sub(self.limit_bytes);
        self.tail.forget(surplus);
    }

    pub(super) fn finish(self) -> Transcript {
        let kept = self.head.bytes.len() + self.tail.bytes.len();
        let mut transcript = Transcript {
            head: self.head.turns(),
            omitted_bytes: self.total_bytes - kept as u64,
            tail: self.tail.turns(),
        };
        if transcript.omitted_bytes == 0 {
            transcript.join();
        }
        transcript
    }
}

impl Transcript {
    /// Nothing is missing between head and tail: all is head.
    fn join(&mut self) {
        for said in self.tail.drain(..) {
            match self.head.last_mut() {
                Some(last) if last.by == said.by => last.bytes.extend(said.bytes),
                _ => self.head.push(said),
            }
        }
    }
}

impl Part {
    fn push(&mut self, by: Role, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.bytes.extend(bytes);
        match self.turns.back_mut() {
            Some((last, len)) if *last == by => *len += bytes.len(),
            _ => self.turns.push_back((by, bytes.len())),
        }
    }

    /// Drops the first `surplus` bytes.
    fn forget(&mut self, mut surplus: usize) {
        self.bytes.drain(..surplus);
        while surplus > 0
            && let Some((_, len)) = self.turns.front_mut()
        {
            let cut = surplus.min(*len);
            *len -= cut;
            surplus -= cut;
            if *len == 0 {
                self.turns.pop_front();
            }
        }
    }

    fn turns(mut self) -> Vec<Said> {
        let turns = self.turns.into_iter();
        turns
            .map(|(by, len)| Said {
                by,
                bytes: self.bytes.drain(..len).collect(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const P: Role = Role::Program;
    const I: Role = Role::Interactor;

    fn transcript(limit_bytes: usize, said: &[(Role, &str)]) -> Transcript {
        let mut recorder = Recorder::new(limit_bytes);
        for (by, text) in said {
            recorder.take(*by, text.as_bytes());
        }
        recorder.finish()
    }

    fn said(said: &[(Role, &str)]) -> Vec<Said> {
        let said = said.iter().map(|(by, text)| Said {
            by: *by,
            bytes: text.as_bytes().to_vec(),
        });
        said.collect()
    }

    #[test]
    fn what_fits_is_kept_in_turns() {
        let short = [(P, "? 5"), (P, "\n"), (I, "less\n"), (P, "! 4\n")];
        let all = said(&[(P, "? 5\n"), (I, "less\n"), (P, "! 4\n")]);
        for limit in [7, 8, 100] {
            let kept = transcript(limit, &short);
            assert_eq!(
                (kept.head, kept.omitted_bytes, kept.tail),
                (all.clone(), 0, vec![])
            );
        }
        assert_eq!(transcript(10, &[]), Transcript::default());
    }

    #[test]
    fn the_middle_is_left_out() {
        let kept = transcript(4, &[(P, "abcdef"), (I, "ghi"), (P, "jk")]);
        assert_eq!(kept.head, said(&[(P, "abcd")]));
        assert_eq!(kept.omitted_bytes, 3);
        assert_eq!(kept.tail, said(&[(I, "hi"), (P, "jk")]));
        let kept = transcript(0, &[(P, "abc")]);
        assert_eq!(
            (kept.head, kept.omitted_bytes, kept.tail),
            (vec![], 3, vec![])
        );
    }

    proptest! {
        #[test]
        fn head_and_tail_are_those_of_the_whole(
            limit in 0..40usize,
            pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..50)), 0..20),
        ) {
            let role = |program| if program { P } else { I };
            let whole: Vec<(Role, u8)> = pieces.iter()
                .flat_map(|(program, bytes)| bytes.iter().map(|b| (role(*program), *b)))
                .collect();
            let mut recorder = Recorder::new(limit);
            for (program, bytes) in &pieces {
                recorder.take(role(*program), bytes);
                prop_assert!(recorder.tail.bytes.len() <= limit);
            }
            let flat = |said: &[Said]| -> Vec<(Role, u8)> {
                said.iter().flat_map(|s| s.bytes.iter().map(|b| (s.by, *b))).collect()
            };
            let kept = recorder.finish();
            let (head, tail) = (flat(&kept.head), flat(&kept.tail));
            prop_assert_eq!(head.len() as u64 + kept.omitted_bytes + tail.len() as u64, whole.len() as u64);
            prop_assert_eq!(&head, &whole[..head.len()]);
            prop_assert_eq!(&tail, &whole[whole.len() - tail.len()..]);
            prop_assert!(kept.omitted_bytes == 0 || (head.len() == limit && tail.len() == limit));
            for said in [kept.head, kept.tail] {
                prop_assert!(said.windows(2).all(|w| w[0].by != w[1].by));
                prop_assert!(said.iter().all(|s| !s.bytes.is_empty()));
            }
        }
    }
}
