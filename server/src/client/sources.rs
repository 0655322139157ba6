//! The program's files, and which language they are in.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::service::{Ask, Service};
use super::ui::printable;

/// Files of a program together, and a run's stdin; the service's own bounds are tighter.
const MAX_BYTES: u64 = 64 << 20;

/// A program's files as a request has them.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Program {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<File>,
}

/// One of several files.
#[derive(Debug, PartialEq, Serialize)]
struct File {
    path: String,
    content: String,
    encoding: &'static str,
}

/// Bytes as a JSON string, and how they are encoded: as they are if they are text.
pub(super) fn text_or_base64(bytes: Vec<u8>) -> (String, &'static str) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, "utf-8"),
        Err(error) => (BASE64.encode(error.as_bytes()), "base64"),
    }
}

/// Reads at most what a request can hold.
pub(super) fn read_bounded(name: &Path, reader: impl Read) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = reader.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|e| Failure::file(name, &e))?;
    if bytes.len() as u64 > MAX_BYTES {
        let name = name.display();
        return Err(Failure::usage(format!(
            "{name} is longer than {} MiB",
            MAX_BYTES >> 20
        )));
    }
    Ok(bytes)
}

/// Reads a file that is part of a request.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let file = std::fs::File::open(path).map_err(|e| Failure::file(path, &e))?;
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        let path = path.display();
        return Err(Failure::usage(format!(
            "{path} is a directory; name its files"
        )));
    }
    read_bounded(path, file)
}

/// Reads `paths`. One file goes under the name that its language gives it; several go by their
/// places below the folder that holds them all.
pub(super) fn read_program(paths: &[PathBuf]) -> Result<Program, Failure> {
    if let [only] = paths {
        let (source, encoding) = text_or_base64(read_file(only)?);
        return Ok(Program {
            source: Some(source),
            source_encoding: Some(encoding),
            ..Program::default()
        });
    }
    let names = names(paths)?;
    let mut program = Program::default();
    let mut bytes = 0;
    for (path, name) in paths.iter().zip(names) {
        let content = read_file(path)?;
        bytes += content.len() as u64;
        if bytes > MAX_BYTES {
            let max = MAX_BYTES >> 20;
            return Err(Failure::usage(format!(
                "the files are longer than {max} MiB together"
            )));
        }
        let (content, encoding) = text_or_base64(content);
        program.files.push(File {
            path: name,
            content,
            encoding,
        });
    }
    Ok(program)
}

/// The names of `paths` relative to the deepest folder that holds all.
pub(super) fn names(paths: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let absolute = |path: &PathBuf| {
        let absolute = std::path::absolute(path).map_err(|e| Failure::file(path, &e))?;
        Ok(lexical(&absolute))
    };
    let absolute = paths
        .iter()
        .map(absolute)
        .collect::<Result<Vec<_>, Failure>>()?;
    let mut root = absolute
        .first()
        .and_then(|p| p.parent())
        .map(Path::to_owned)
        .unwrap_or_default();
    for path in &absolute {
        while !path.starts_with(&root) {
            root.pop();
        }
    }
    let mut seen = BTreeSet::new();
    let mut names = Vec::new();
    for path in &absolute {
        let name = path.strip_prefix(&root).unwrap_or(path);
        let Some(name) = name.to_str() else {
            let path = path.display();
            return Err(Failure::usage(format!(
                "{path}: the name of a file must be UTF-8"
            )));
        };
        if !seen.insert(name.to_owned()) {
            return Err(Failure::usage(format!("{} is named twice", path.display())));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Without `.` and `..`, by the text alone.
fn lexical(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts
}

/// What the choice of a language needs of `GET /v1/languages`.
#[derive(Debug, Deserialize)]
pub(super) struct Known {
    id: String,
    #[serde(default)]
    extensions: Vec<String>,
    #[serde(default = "yes")]
    available: bool,
    #[serde(default)]
    unavailable_reason: Option<String>,
}

fn yes() -> bool {
    true
}

/// All languages of the service.
pub(super) fn languages(service: &Service) -> Result<Vec<Known>, Failure> {
    service
        .expect(&Ask::get("/v1/languages"), &|_| None)?
        .json()
}

/// The language of `paths` by their extensions. `flag` is what names one.
pub(super) fn language_of(
    paths: &[PathBuf],
    known: &[Known],
    flag: &str,
) -> Result<String, Failure> {
    let mut fitting = paths.iter().map(|path| candidates(path, known));
    let found = fitting.find(|found| !found.is_empty()).unwrap_or_default();
    match found.as_slice() {
        [only] if only.available => Ok(only.id.clone()),
        [only] => {
            let reason = only
                .unavailable_reason
                .as_deref()
                .unwrap_or("its tools are missing");
            Err(Failure::usage(format!(
                "{} is not available: {}",
                only.id,
                printable(reason)
            )))
        }
        [] => {
            let name = paths
                .first()
                .map(|p| p.display().to_string())
                .unwrap_or_default();
            Err(Failure::usage(format!(
                "no language of the service has files like {name}; name one with {flag}"
            )))
        }
        several => {
            let ids: Vec<_> = several.iter().map(|l| l.id.as_str()).collect();
            let ids = ids.join(" or ");
            Err(Failure::usage(format!(
                "{}: {ids}? Say it with {flag}",
                paths[0].display()
            )))
        }
    }
}

/// The languages that `path` is most likely in: those that list its extension first; where the case
/// of letters fits, if it fits anywhere.
fn candidates<'a>(path: &Path, known: &'a [Known]) -> Vec<&'a Known> {
    let Some(extension) = path.extension().and_then(|e| e.to_str()) else {
        return Vec::new();
    };
    let lower = extension.to_lowercase();
    let place =
        |language: &Known, extension: &str| language.extensions.iter().position(|e| e == extension);
    let mut found: Vec<(usize, &Known)> = Vec::new();
    for extension in [extension, &lower] {
        let fitting = known.iter().filter_map(|l| Some((place(l, extension)?, l)));
        found.extend(fitting);
        if !found.is_empty() {
            break;
        }
    }
    let available = found.iter().any(|(_, language)| language.available);
    found.retain(|(_, language)| language.available || !available);
    let best = found.iter().map(|(place, _)| *place).min();
    let best = found.iter().filter(|(place, _)| Some(*place) == best);
    best.map(|(_, language)| *language).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<Known> {
        serde_json::from_str(
            r#"[{"id": "c", "extensions": ["c"]}, {"id": "cpp", "extensions": ["cpp", "cc", "C", "c"]},
                {"id": "perl", "extensions": ["pl", "pm"]}, {"id": "prolog", "extensions": ["pl", "pro"]},
                {"id": "r", "extensions": ["R", "r"]},
                {"id": "nim", "extensions": ["nim"], "available": false, "unavailable_reason": "install nim"}]"#,
        )
        .unwrap()
    }

    fn language(paths: &[&str]) -> Result<String, String> {
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        language_of(&paths, &known(), "--language").map_err(|e| e.lines().concat())
    }

    #[test]
    fn languages_by_extension() {
        assert_eq!(language(&["a.c"]).unwrap(), "c");
        assert_eq!(language(&["a.C"]).unwrap(), "cpp");
        assert_eq!(language(&["x/A.CPP"]).unwrap(), "cpp");
        assert_eq!(language(&["a.R"]).unwrap(), "r");
        assert_eq!(language(&["data.txt", "a.cc"]).unwrap(), "cpp");
        assert!(language(&["a.pl"]).unwrap_err().contains("perl or prolog"));
        assert!(language(&["a.nim"]).unwrap_err().contains("install nim"));
        assert!(language(&["Makefile"]).unwrap_err().contains("--language"));
    }

    #[test]
    fn several_files_keep_their_places_below_their_common_folder() {
        let names = |paths: &[&str]| names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(
            names(&["a/main.py", "a/lib/x.py"]).unwrap(),
            ["main.py", "lib/x.py"]
        );
        assert_eq!(names(&["./main.py", "/tmp/../tmp/x.py"]).unwrap().len(), 2);
        assert_eq!(names(&["/p/q/a", "/p/r/b"]).unwrap(), ["q/a", "r/b"]);
        assert!(names(&["a/b", "./a/c/../b"]).is_err());
    }

    #[test]
    fn bytes_survive() {
        assert_eq!(text_or_base64("é".into()), ("é".to_owned(), "utf-8"));
        assert_eq!(text_or_base64(vec![0xff]), ("/w==".to_owned(), "base64"));
    }

    #[test]
    fn input_is_bounded() {
        let error = read_bounded(Path::new("-"), std::io::repeat(0)).unwrap_err();
        assert!(error.lines().concat().contains("64 MiB"));
    }
}
