//! Reads just enough Java to name a source file: javac wants the file of a public top-level type
//! to be called after it.
//!
//! This is a scanner, not a parser: it skips comments, strings, text blocks and everything in
//! braces or parentheses, and looks at the declarations that are left.

/// The name that the file holding `source` should have, without extension: that of its public
/// top-level type, or `None` when any name will do.
pub(super) fn public_type(source: &str) -> Option<String> {
    let mut scanner = Declarations::default();
    let mut tokens = Tokens { rest: source };
    tokens.find_map(|token| scanner.take(&token))
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Sign(char),
}

/// Follows the tokens of a file down to its top-level declarations.
#[derive(Default)]
struct Declarations {
    depth: usize,
    public: bool,
    /// Words of the current declaration since the one that says what it declares.
    kind_seen: Option<Kind>,
    after_at: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// `class`, `interface`, `enum`: a name follows.
    Certain,
    /// `record` is an ordinary identifier unless a name and a header follow.
    Record(Option<String>),
}

impl Declarations {
    /// The public type's name once it is certain.
    fn take(&mut self, token: &Token) -> Option<String> {
        match token {
            Token::Sign('{' | '(' | '[') => {
                let name = self.finish_record(token);
                self.depth += 1;
                name
            }
            Token::Sign('}' | ')' | ']') => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 && *token == Token::Sign('}') {
                    self.next_declaration();
                }
                None
            }
            _ if self.depth > 0 => None,
            Token::Sign(';') => {
                self.next_declaration();
                None
            }
            Token::Sign('<') => self.finish_record(token),
            Token::Sign(sign) => {
                self.after_at = *sign == '@';
                self.kind_seen = None;
                None
            }
            Token::Word(word) => self.word(word),
        }
    }

    fn word(&mut self, word: &str) -> Option<String> {
        let annotation = std::mem::take(&mut self.after_at) && word != "interface";
        if annotation {
            return None;
        }
        match &mut self.kind_seen {
            Some(Kind::Certain) => {
                self.kind_seen = None;
                return self.public.then(|| word.to_owned());
            }
            Some(Kind::Record(name)) if name.is_none() => {
                *name = Some(word.to_owned());
                return None;
            }
            _ => {}
        }
        match word {
            "public" => self.public = true,
            "class" | "interface" | "enum" => self.kind_seen = Some(Kind::Certain),
            "record" => self.kind_seen = Some(Kind::Record(None)),
            _ => self.kind_seen = None,
        }
        None
    }

    fn finish_record(&mut self, token: &Token) -> Option<String> {
        if self.depth > 0 || *token == Token::Sign('{') {
            return None;
        }
        match self.kind_seen.take() {
            Some(Kind::Record(Some(name))) if self.public => Some(name),
            _ => None,
        }
    }

    fn next_declaration(&mut self) {
        *self = Self::default();
    }
}

/// The tokens of a source file, less what cannot hold a declaration.
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            self.rest = self.rest.trim_start();
            let first = self.rest.chars().next()?;
            if let Some(after) = self.rest.strip_prefix("//") {
                self.rest = after.find(['\n', '\r']).map_or("", |end| &after[end..]);
            } else if let Some(after) = self.rest.strip_prefix("/*") {
                self.rest = after.find("*/").map_or("", |end| &after[end + 2..]);
            } else if let Some(after) = self.rest.strip_prefix("\"\"\"") {
                self.rest = after_quote(after, "\"\"\"", false);
            } else if first == '"' || first == '\'' {
                let quote = if first == '"' { "\"" } else { "'" };
                self.rest = after_quote(&self.rest[1..], quote, true);
            } else if is_word(first) {
                let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
                let (word, rest) = self.rest.split_at(end);
                self.rest = rest;
                return Some(Token::Word(word));
            } else {
                self.rest = &self.rest[first.len_utf8()..];
                return Some(Token::Sign(first));
            }
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// What follows the closing `quote`; an unclosed literal of one line ends with its line.
fn after_quote<'a>(text: &'a str, quote: &str, one_line: bool) -> &'a str {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if text[at..].starts_with(quote) {
            return &text[at + quote.len()..];
        }
        if one_line && c == '\n' {
            return &text[at..];
        }
        at += c.len_utf8();
        if c == '\\' {
            at += text[at..].chars().next().map_or(0, char::len_utf8);
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::public_type;

    fn name(source: &str) -> Option<String> {
        public_type(source)
    }

    #[test]
    fn a_public_class_wherever_it_stands() {
        assert_eq!(name("public class A {}").as_deref(), Some("A"));
        let second = "package a.b; import java.util.*; class X { int y; } final public class Solve<T> extends X {}";
        assert_eq!(name(second).as_deref(), Some("Solve"));
        assert_eq!(
            name("public abstract strictfp class Größe{}").as_deref(),
            Some("Größe")
        );
        assert_eq!(
            name("public sealed class S permits T {} ").as_deref(),
            Some("S")
        );
        assert_eq!(
            name("public non-sealed class N extends S {} ").as_deref(),
            Some("N")
        );
    }

    #[test]
    fn all_kinds_of_types() {
        assert_eq!(name("public enum E { A, B; }").as_deref(), Some("E"));
        assert_eq!(
            name("public interface I { static void main(String[] a) {} }").as_deref(),
            Some("I")
        );
        assert_eq!(name("public @interface N {}").as_deref(), Some("N"));
        assert_eq!(name("public record R(int a) {}").as_deref(), Some("R"));
        assert_eq!(name("public record R<T>(T a) {}").as_deref(), Some("R"));
    }

    #[test]
    fn nothing_public_at_the_top() {
        assert_eq!(
            name("class A { public class B {} public static void main(String[] a) {} }"),
            None
        );
        assert_eq!(name(""), None);
        assert_eq!(name("record R(int a) { public record S(int b) {} }"), None);
    }

    #[test]
    fn comments_strings_and_text_blocks_do_not_count() {
        let source = r#"
            // public class No1 {
            /* public class No2 { */
            class X { String s = "} public class No3 {"; char c = '"'; char d = '\''; char e = '{'; }
            class Y { String t = """
                } public class No4 { \""" "quoted"
                """; }
            public class Yes {}
        "#;
        assert_eq!(name(source).as_deref(), Some("Yes"));
    }

    #[test]
    fn annotations_are_passed_over() {
        let source = "@SuppressWarnings({\"a\", \"b\"}) @Deprecated(since = \"x\") public @Foo.Bar final class A {}";
        assert_eq!(name(source).as_deref(), Some("A"));
        assert_eq!(
            name("@Handler(Other.class) class B {} public class C {}").as_deref(),
            Some("C")
        );
        assert_eq!(name("@Deprecated public class D {}").as_deref(), Some("D"));
    }

    #[test]
    fn an_import_of_something_called_record_is_no_declaration() {
        assert_eq!(
            name("import a.record; import static b.record.x; public class A {}").as_deref(),
            Some("A")
        );
    }

    #[test]
    fn broken_sources_end() {
        assert_eq!(name("public class"), None);
        assert_eq!(name("}}} public class A"), Some("A".to_owned()));
        assert_eq!(name("/* never closed public class A"), None);
        assert_eq!(name("\"\"\" never closed public class A"), None);
        assert_eq!(name("class X { char c = '\\"), None);
    }

    proptest! {
        #[test]
        fn never_panics(source in any::<String>()) {
            let _ = public_type(&source);
        }

        #[test]
        fn never_panics_on_java_like_text(
            pieces in proptest::collection::vec(
                prop::sample::select(vec![
                    "public", "class", "record", "@", "{", "}", "(", ")", "\"", "\"\"\"", "'", "\\", "/*", "*/",
                    "//", "\n", "<", ";", " ", "Ä", "A", ".",
                ]),
                0..60,
            )
        ) {
            let _ = public_type(&pieces.concat());
        }
    }
}
