//! What a checker wrote, made safe to show.

/// A message has at most so many bytes, and the dots that show the cut.
const MAX_MESSAGE_BYTES: usize = 1000;

/// One line of printable text: white space and what does not print become single spaces, invalid
/// UTF-8 the replacement character. `None` if nothing is left.
pub(super) fn one_line(bytes: &[u8]) -> Option<String> {
    let mut line = String::new();
    let mut gap = false;
    'text: for chunk in bytes.utf8_chunks() {
        let replacement = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
        for char in chunk.valid().chars().chain(replacement) {
            if !prints(char) {
                gap = !line.is_empty();
                continue;
            }
            if line.len() + char.len_utf8() + usize::from(gap) > MAX_MESSAGE_BYTES {
                line.push_str("...");
                break 'text;
            }
            if gap {
                line.push(' ');
                gap = false;
            }
            line.push(char);
        }
    }
    (!line.is_empty()).then_some(line)
}

/// Whether `char` shows as itself and leaves the text around it alone. Overrides of the direction of
/// writing could make a message read as another.
fn prints(char: char) -> bool {
    let direction =
        matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !(char.is_whitespace() || char.is_control() || direction)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_becomes_one_line() {
        let line = |bytes: &[u8]| one_line(bytes).unwrap_or_default();
        assert_eq!(line(b""), "");
        assert_eq!(line(b" \r\n\0\x1b "), "");
        assert_eq!(line(b"  two\r\n\tlines \n"), "two lines");
        assert_eq!(line(b"\x1b[31mred\x1b[0m"), "[31mred [0m");
        assert_eq!(line(b"a\xff\xfeb"), "a\u{fffd}\u{fffd}b");
        assert_eq!(line("日本\u{202e}x\u{2028}y".as_bytes()), "日本 x y");
        assert_eq!(line(&[b'x'; 1000]), "x".repeat(1000));
        assert_eq!(line(&[b'x'; 1001]), "x".repeat(1000) + "...");
    }

    proptest! {
        #[test]
        fn any_bytes_become_a_bounded_line(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
            if let Some(line) = one_line(&bytes) {
                prop_assert!(line.len() <= MAX_MESSAGE_BYTES + 3);
                prop_assert!(!line.contains(char::is_control));
                prop_assert_eq!(line.trim(), &line);
            }
        }
    }
}
