//! From a request's body to its type, or to a list of what is wrong with it, field by field.
//!
//! A good body is read once, straight into its type. For a bad one serde reports the first mistake
//! only; so the body is read again as a tree, the wrong part is cut out and the rest tried again,
//! until nothing is wrong any more.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use super::{FieldError, Object};

/// At most this many errors are listed.
pub const MAX_ERRORS: usize = 20;
/// A detail is cut after this many bytes: it may quote what the client sent.
const MAX_DETAIL_BYTES: usize = 500;
/// A longer body is not read as a tree, which can take many times its length in memory; then only
/// the first error is listed.
const MAX_TREE_BYTES: usize = 1 << 20;

/// What was read.
#[derive(Debug)]
pub struct Parsed<T> {
    /// The value; with `errors`, what is left without the wrong parts, if that makes sense.
    pub value: Option<T>,
    /// What is wrong.
    pub errors: Vec<FieldError>,
}

/// The body is not JSON; says where.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotJson(String);

/// Reads an object of type `T`.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<Parsed<T>, NotJson> {
    let error = match serde_json::from_slice::<Object<T>>(body) {
        Ok(Object(value)) => {
            return Ok(Parsed {
                value: Some(value),
                errors: Vec::new(),
            });
        }
        Err(error) if error.classify() == Category::Data => error,
        Err(error) => return Err(NotJson(error.to_string())),
    };
    if body.len() > MAX_TREE_BYTES {
        let mut json = serde_json::Deserializer::from_slice(body);
        let error = serde_path_to_error::deserialize::<_, Object<T>>(&mut json).err();
        let errors = error.map(|e| describe(&e.path().clone(), &Cuts::default(), e.inner()));
        return Ok(Parsed {
            value: None,
            errors: errors.into_iter().map(|e| e.error).collect(),
        });
    }
    let tree = serde_json::from_slice(body).map_err(|e| NotJson(e.to_string()))?;
    let parsed = prune(tree);
    if parsed.errors.is_empty() {
        // The tree hides what only the text shows: a field given twice.
        let detail = clip(error.to_string());
        return Ok(Parsed {
            value: None,
            errors: vec![FieldError::new("", detail)],
        });
    }
    Ok(parsed)
}

/// Array elements that were cut out: indices by the array's pointer, in rising order.
#[derive(Default)]
struct Cuts(HashMap<String, Vec<usize>>);

impl Cuts {
    /// What the index in the pruned array was in the array that the client sent.
    fn original(&self, array: &str, index: usize) -> usize {
        let cut = self.0.get(array).map_or(&[][..], Vec::as_slice);
        cut.iter().fold(
            index,
            |index, cut| if *cut <= index { index + 1 } else { index },
        )
    }

    fn add(&mut self, array: String, original: usize) {
        let cut = self.0.entry(array).or_default();
        cut.push(original);
        cut.sort_unstable();
    }
}

struct Described {
    error: FieldError,
    missing: bool,
}

fn prune<T: DeserializeOwned>(mut tree: Value) -> Parsed<T> {
    let mut errors: Vec<FieldError> = Vec::new();
    let mut cuts = Cuts::default();
    while errors.len() < MAX_ERRORS {
        let error = match serde_path_to_error::deserialize::<_, Object<T>>(&tree) {
            Ok(Object(value)) => {
                return Parsed {
                    value: Some(value),
                    errors,
                };
            }
            Err(error) => error,
        };
        let path = error.path().clone();
        let Described { error, missing } = describe(&path, &cuts, error.inner());
        // A required field that was cut out as wrong is not missing.
        let known = errors.iter().any(|e| e.pointer == error.pointer);
        if !known {
            errors.push(error);
        } else if !missing {
            break;
        }
        if !cut_out(&mut tree, &path, &mut cuts) {
            break;
        }
    }
    Parsed {
        value: None,
        errors,
    }
}

fn describe(path: &Path, cuts: &Cuts, error: &serde_json::Error) -> Described {
    let message = error.to_string();
    // Errors from text end in their place in it, which the pointer says better.
    let message = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(text, _)| text);
    let mut pointer = pointer(path, cuts);
    let field = message
        .strip_prefix("missing field `")
        .and_then(|m| m.strip_suffix('`'));
    if let Some(field) = field {
        push_part(&mut pointer, field);
        return Described {
            error: FieldError::new(pointer, "is required"),
            missing: true,
        };
    }
    let detail = clip(message.to_owned());
    Described {
        error: FieldError::new(pointer, detail),
        missing: false,
    }
}

fn pointer(path: &Path, cuts: &Cuts) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                let original = cuts.original(&pointer, *index);
                push_part(&mut pointer, &original.to_string());
            }
            Segment::Map { key } | Segment::Enum { variant: key } => push_part(&mut pointer, key),
            Segment::Unknown => {}
        }
    }
    pointer
}

/// Appends one part to a JSON pointer (RFC 6901).
fn push_part(pointer: &mut String, part: &str) {
    pointer.push('/');
    pointer.push_str(&clip(part.replace('~', "~0").replace('/', "~1")));
}

/// Removes the part of `tree` at `path`: the array element that holds it, else the object's field.
/// False if there is nothing to remove.
fn cut_out(tree: &mut Value, path: &Path, cuts: &mut Cuts) -> bool {
    let segments: Vec<&Segment> = path.iter().collect();
    let last_element = segments
        .iter()
        .rposition(|s| matches!(s, Segment::Seq { .. }));
    let Some(depth) = last_element.or_else(|| segments.len().checked_sub(1)) else {
        return false;
    };
    let mut parent = tree;
    let mut place = String::new();
    for segment in &segments[..depth] {
        let child = match segment {
            Segment::Seq { index } => {
                let original = cuts.original(&place, *index);
                push_part(&mut place, &original.to_string());
                parent.get_mut(*index)
            }
            Segment::Map { key } => {
                push_part(&mut place, key);
                parent.get_mut(key)
            }
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        let Some(child) = child else { return false };
        parent = child;
    }
    match (segments[depth], parent) {
        (Segment::Seq { index }, Value::Array(array)) if *index < array.len() => {
            let original = cuts.original(&place, *index);
            cuts.add(place, original);
            array.remove(*index);
            true
        }
        (Segment::Map { key }, Value::Object(object)) => object.remove(key).is_some(),
        _ => false,
    }
}

fn clip(mut text: String) -> String {
    if text.len() > MAX_DETAIL_BYTES {
        let end = text.floor_char_boundary(MAX_DETAIL_BYTES);
        text.truncate(end);
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::RunRequest;

    fn errors(body: &str) -> Vec<(String, String)> {
        let parsed = parse::<RunRequest>(body.as_bytes()).unwrap();
        parsed
            .errors
            .into_iter()
            .map(|e| (e.pointer, e.detail))
            .collect()
    }

    fn pointers(body: &str) -> Vec<String> {
        errors(body)
            .into_iter()
            .map(|(pointer, _)| pointer)
            .collect()
    }

    #[test]
    fn a_good_body_has_no_errors() {
        let body = r#"{"language": "c", "source": "x", "limits": {"cpus": 1, "processes": null}}"#;
        let parsed = parse::<RunRequest>(body.as_bytes()).unwrap();
        assert!(parsed.errors.is_empty());
        assert_eq!(parsed.value.unwrap().limits.unwrap().cpus, Some(1.0));
    }

    #[test]
    fn what_is_not_json_is_told_apart() {
        for body in [
            "",
            "{",
            "nope",
            "{\"language\": \"c\"} x",
            "{'language': 1}",
            "\u{feff}{}",
        ] {
            assert!(parse::<RunRequest>(body.as_bytes()).is_err(), "{body:?}");
        }
        let invalid_utf8 = b"{\"language\": \"\xff\"}";
        assert!(parse::<RunRequest>(invalid_utf8).is_err());
        let lone_surrogate = br#"{"language": "\ud800"}"#;
        assert!(parse::<RunRequest>(lone_surrogate).is_err());
    }

    #[test]
    fn nesting_10000_deep_is_refused_and_does_not_overflow_the_stack() {
        for open in ["[", "{\"a\":"] {
            let nested = open.repeat(10_000);
            assert!(parse::<RunRequest>(nested.as_bytes()).is_err());
            let inside = format!("{{\"language\": \"c\", \"x\": {nested}");
            assert!(parse::<RunRequest>(inside.as_bytes()).is_err());
        }
    }

    #[test]
    fn every_wrong_field_is_named() {
        let body = r#"{"language": "c", "source": 1, "limits": {"cpu_time_ms": 0, "processes": -1,
            "memory_bytes": 1.5, "stack_bytes": "8M", "cpus": 0, "nonsense": 1}, "args": ["a", 2, "b", null],
            "env": {"A": 1}, "entry": [], "colour/~": "red"}"#;
        let mut found = pointers(body);
        found.sort();
        assert_eq!(
            found,
            [
                "/args/1",
                "/args/3",
                "/colour~1~0",
                "/entry",
                "/env/A",
                "/limits/cpu_time_ms",
                "/limits/cpus",
                "/limits/memory_bytes",
                "/limits/nonsense",
                "/limits/processes",
                "/limits/stack_bytes",
                "/source",
            ]
        );
    }

    #[test]
    fn indices_are_those_of_the_body_as_sent() {
        let body = r#"{"language": "c", "files": [1, {"path": "a", "content": "x"},
            {"path": "b", "content": 7}, {"path": "c"}, {"path": "d", "content": "", "mode": 1}]}"#;
        assert_eq!(
            pointers(body),
            [
                "/files/0",
                "/files/2/content",
                "/files/3/content",
                "/files/4/mode"
            ]
        );
    }

    #[test]
    fn a_missing_field_is_named_once() {
        assert_eq!(
            errors("{}"),
            [("/language".to_owned(), "is required".to_owned())]
        );
        assert_eq!(pointers(r#"{"language": 5}"#), ["/language"]);
    }

    #[test]
    fn arrays_do_not_pass_for_objects() {
        assert_eq!(pointers(r#"["c", "source"]"#), [""]);
        assert_eq!(pointers(r#"{"language": "c", "limits": [1]}"#), ["/limits"]);
        assert_eq!(
            pointers(r#"{"language": "c", "files": [["a", "b"]]}"#),
            ["/files/0"]
        );
    }

    #[test]
    fn a_field_given_twice_is_an_error() {
        let found = errors(r#"{"language": "c", "language": "c"}"#);
        assert!(
            found[0].1.contains("duplicate field `language`"),
            "{found:?}"
        );
    }

    #[test]
    fn details_quote_little() {
        let body = format!(r#"{{"language": "c", "args": "{}"}}"#, "x".repeat(100_000));
        assert!(errors(&body)[0].1.len() < 600);
        let body = format!(r#"{{"{}": 1}}"#, "x".repeat(100_000));
        let error = &errors(&body)[0];
        assert!(error.0.len() < 600 && error.1.len() < 600);
    }

    #[test]
    fn a_long_body_gets_its_first_error() {
        let body = format!(
            r#"{{"language": "c", "source": "{}", "args": 1}}"#,
            "x".repeat(2 << 20)
        );
        assert_eq!(pointers(&body), ["/args"]);
    }
}
