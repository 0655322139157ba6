//! Bytes in bulk. White space is what C's `isspace` takes for it, so that a file in any encoding
//! that extends ASCII is read alike.

/// Whether `byte` parts tokens.
pub(super) fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Whether `byte` is white space within a line. A carriage return is, so `\r\n` ends a line as `\n` does.
pub(super) fn is_blank(byte: u8) -> bool {
    byte != b'\n' && is_white(byte)
}

fn is_ink(byte: u8) -> bool {
    !is_white(byte)
}

/// How many bytes at the beginning of `bytes` are of a kind.
fn prefix(bytes: &[u8], kind: fn(u8) -> bool) -> usize {
    let other = bytes.iter().position(|b| !kind(*b));
    other.unwrap_or(bytes.len())
}

/// How many bytes at the beginning are white space.
pub(super) fn white_prefix(bytes: &[u8]) -> usize {
    prefix(bytes, is_white)
}

/// How many bytes at the beginning are white space within a line.
pub(super) fn blank_prefix(bytes: &[u8]) -> usize {
    prefix(bytes, is_blank)
}

/// How many bytes at the beginning are of a token.
pub(super) fn token_prefix(bytes: &[u8]) -> usize {
    prefix(bytes, is_ink)
}

/// How many bytes at the end are of a token.
pub(super) fn token_suffix(bytes: &[u8]) -> usize {
    let white = bytes.iter().rposition(|b| is_white(*b));
    white.map_or(bytes.len(), |at| bytes.len() - at - 1)
}

/// `bytes` without the white space at its end.
pub(super) fn trim_end(bytes: &[u8]) -> &[u8] {
    let ink = bytes.iter().rposition(|b| is_ink(*b));
    &bytes[..ink.map_or(0, |at| at + 1)]
}

/// Bytes compared at once: an array this long compares in a few vector instructions.
const STRIDE: usize = 32;

/// How many bytes `a` and `b` have in common at their beginning.
pub(super) fn common_prefix(a: &[u8], b: &[u8], ignore_case: bool) -> usize {
    if ignore_case {
        common(a, b, |a, b| {
            a.map(|x| x.to_ascii_lowercase()) == b.map(|x| x.to_ascii_lowercase())
        })
    } else {
        common(a, b, |a, b| a == b)
    }
}

fn common(a: &[u8], b: &[u8], same: impl Fn([u8; STRIDE], [u8; STRIDE]) -> bool + Copy) -> usize {
    let strides = a.as_chunks::<STRIDE>().0.iter();
    let strides = strides.zip(b.as_chunks::<STRIDE>().0);
    let at = STRIDE * strides.take_while(|(a, b)| same(**a, **b)).count();
    let bytes = a[at..].iter().zip(&b[at..]).take(STRIDE);
    let single = |byte: u8| {
        let mut stride = [0; STRIDE];
        stride[0] = byte;
        stride
    };
    at + bytes
        .take_while(|(a, b)| a == b || same(single(**a), single(**b)))
        .count()
}

/// Bytes whose count fits a `u8`, which is what lets the compiler count with vector instructions.
const COUNTED_AT_ONCE: usize = 192;

/// How many lines end in `bytes`.
pub(super) fn count_newlines(bytes: &[u8]) -> u64 {
    let parts = bytes.chunks(COUNTED_AT_ONCE);
    let count = |part: &[u8]| part.iter().map(|b| u8::from(*b == b'\n')).sum::<u8>();
    parts.map(|part| u64::from(count(part))).sum()
}

/// How many tokens begin in `bytes`; `within_token` is whether the byte before was of a token.
pub(super) fn count_token_starts(bytes: &[u8], within_token: bool) -> u64 {
    let Some(first) = bytes.first() else { return 0 };
    let starts_at_once = is_ink(*first) && !within_token;
    let before = bytes.chunks(COUNTED_AT_ONCE);
    let after = bytes[1..].chunks(COUNTED_AT_ONCE);
    let count = |(before, after): (&[u8], &[u8])| {
        let pairs = before.iter().zip(after);
        pairs
            .map(|(b, a)| u8::from(is_white(*b) & is_ink(*a)))
            .sum::<u8>()
    };
    u64::from(starts_at_once) + before.zip(after).map(|p| u64::from(count(p))).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ends_of_slices_are_minded() {
        assert_eq!(white_prefix(b""), 0);
        assert_eq!(white_prefix(b" \t\r\n\x0b\x0cx "), 6);
        assert_eq!(blank_prefix(b" \r\n"), 2);
        assert_eq!(token_prefix(b"ab"), 2);
        assert_eq!(token_suffix(b"a bc"), 2);
        assert_eq!(token_suffix(b"abc"), 3);
        assert_eq!(token_suffix(b"abc "), 0);
        assert_eq!(trim_end(b" a \n "), b" a");
        assert_eq!(trim_end(b"  "), b"");
    }

    proptest! {
        #[test]
        fn bulk_equals_one_by_one(
            a in prop::collection::vec(prop::sample::select(b"aAb \n".to_vec()), 0..500),
            change in any::<prop::sample::Index>(),
            within in any::<bool>(),
        ) {
            let mut b = a.clone();
            if !b.is_empty() {
                let at = change.index(b.len());
                b[at] = b'A';
            }
            for ignore_case in [false, true] {
                let same = |x: &u8, y: &u8| x == y || ignore_case && x.eq_ignore_ascii_case(y);
                let slow = a.iter().zip(&b).take_while(|(x, y)| same(x, y)).count();
                prop_assert_eq!(common_prefix(&a, &b, ignore_case), slow);
            }
            prop_assert_eq!(count_newlines(&a), a.split(|b| *b == b'\n').count() as u64 - 1);
            let mut previous = within;
            let mut starts = 0;
            for byte in &a {
                starts += u64::from(is_ink(*byte) && !previous);
                previous = is_ink(*byte);
            }
            prop_assert_eq!(count_token_starts(&a, within), starts);
        }
    }
}
