//! Not cutting text in the middle of a character.

/// The longest beginning of a character that is none yet.
pub(super) const MAX_UNFINISHED_BYTES: usize = 3;

/// How much of `bytes` there is before a character that is only begun at their very end. All of them
/// where they are not UTF-8: then they are no text to be kept whole.
pub(super) fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        // No length: there is nothing wrong but that it ends.
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_kept_whole() {
        let text = "aé€🦀".as_bytes();
        let whole: Vec<_> = (0..=text.len())
            .map(|len| whole_characters(&text[..len]))
            .collect();
        assert_eq!(whole, [0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10]);
        for len in 0..=text.len() {
            assert!(len - whole_characters(&text[..len]) <= MAX_UNFINISHED_BYTES);
        }
        assert_eq!(whole_characters(b"a\xff\xc3"), 3);
        assert_eq!(whole_characters(b""), 0);
    }
}
