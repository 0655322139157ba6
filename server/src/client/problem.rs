//! The service's refusals as sentences, in the words of the command line.

use serde::Deserialize;

use super::failure::Failure;
use super::ui::printable;

/// At most this much of an answer that is no problem document is quoted.
const MAX_QUOTE_CHARS: usize = 200;

/// What a refusal says; everything may be missing when something else than Brig answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
    errors: Vec<Field>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Field {
    pointer: String,
    detail: String,
}

/// What an answer says went wrong, in one sentence.
pub(super) fn sentence(status: u16, body: &[u8]) -> String {
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    let text = match (problem.detail.as_str(), problem.title.as_str()) {
        ("", "") => quote(body),
        ("", title) => title.to_owned(),
        (detail, _) => detail.to_owned(),
    };
    match text.as_str() {
        "" => format!("the answer is {status}"),
        text => format!("{} ({status})", printable(text)),
    }
}

/// What a refusal means. `flag` names what the caller wrote for a JSON pointer of the request.
pub(super) fn failure(
    status: u16,
    body: &[u8],
    has_key: bool,
    flag: &dyn Fn(&str) -> Option<String>,
) -> Failure {
    match (status, has_key) {
        (401, false) => Failure::usage(
            "the service wants an API key: put it into BRIG_KEY, or into a file and give --key-file",
        ),
        (401, true) => {
            Failure::usage("the service does not know this API key (BRIG_KEY, --key-file)")
        }
        (400..=407 | 409..=428 | 430..=499, _) => Failure::Usage(fields(status, body, flag)),
        _ => Failure::Service(format!("the service failed: {}", sentence(status, body))),
    }
}

/// One line for each field that is wrong, or one for everything.
fn fields(status: u16, body: &[u8], flag: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    let line = |field: &Field| {
        let name = flag(&field.pointer).unwrap_or_else(|| field.pointer.clone());
        match name.as_str() {
            "" => printable(&field.detail),
            name => printable(&format!("{name}: {}", field.detail)),
        }
    };
    let lines: Vec<String> = problem.errors.iter().map(line).collect();
    if lines.is_empty() {
        vec![sentence(status, body)]
    } else {
        lines
    }
}

fn quote(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.lines().find(|line| !line.trim().is_empty());
    line.unwrap_or_default()
        .trim()
        .chars()
        .take(MAX_QUOTE_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(pointer: &str) -> Option<String> {
        (pointer == "/limits/memory_bytes").then(|| "--memory".to_owned())
    }

    #[test]
    fn pointers_become_flags() {
        let body = br#"{"title": "Invalid request", "detail": "2 fields are invalid; see errors", "errors": [
            {"pointer": "/limits/memory_bytes", "detail": "1 is below the minimum"},
            {"pointer": "/files/0/path", "detail": "leaves the box\u001b[2J"}]}"#;
        let Failure::Usage(lines) = failure(422, body, false, &flag) else {
            panic!("422 is for the caller to mend");
        };
        assert_eq!(lines[0], "--memory: 1 is below the minimum");
        assert_eq!(lines[1], "/files/0/path: leaves the box\u{fffd}[2J");
    }

    #[test]
    fn a_key_that_is_missing_is_told_from_one_that_is_wrong() {
        let text = |has_key| failure(401, b"", has_key, &flag).lines().concat();
        assert!(text(false).contains("BRIG_KEY") && text(true).contains("does not know"));
    }

    #[test]
    fn answers_of_others_are_quoted() {
        assert_eq!(sentence(502, b""), "the answer is 502");
        assert_eq!(
            sentence(502, b"\n<h1>Bad Gateway</h1>\n"),
            "<h1>Bad Gateway</h1> (502)"
        );
        assert_eq!(
            sentence(500, br#"{"title": "Internal error"}"#),
            "Internal error (500)"
        );
        assert!(sentence(502, &[b'x'; 5000]).len() < 300);
        assert!(matches!(
            failure(502, b"", false, &flag),
            Failure::Service(_)
        ));
        assert!(matches!(
            failure(429, b"", false, &flag),
            Failure::Service(_)
        ));
        assert_eq!(
            failure(404, br#"{"detail": "no such submission"}"#, false, &flag),
            Failure::usage("no such submission (404)")
        );
    }
}
