//! Test data: small files go into the request, large ones are uploaded once as blobs.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};
use ureq::http::Method;

use super::cases::Case;
use super::failure::Failure;
use super::service::{Ask, Sent, Service, UPLOAD_TIMEOUT};
use super::sources::{read_file, text_or_base64};
use super::ui::Bar;

/// A longer file is a blob.
const INLINE_FILE_BYTES: u64 = 64 << 10;
/// From here on every file is one: a request's body has a bound.
const INLINE_TOTAL_BYTES: usize = 6 << 20;
/// Read and hashed at once.
const CHUNK_BYTES: usize = 1 << 20;

/// One test of a request.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct TestRequest {
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdin_encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdin_blob: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_output_encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_output_blob: Option<String>,
}

/// A file that is to be a blob.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Blob {
    path: PathBuf,
    bytes: u64,
    /// `sha256:<hex>`.
    name: String,
}

/// Where one file's content is.
enum Place {
    Inline(String, &'static str),
    Blob(String),
}

/// Makes tests of `cases`, and tells which blobs they need.
pub(super) fn prepare(cases: &[Case]) -> Result<(Vec<TestRequest>, Vec<Blob>), Failure> {
    let mut blobs = Vec::new();
    let mut inline = 0;
    let mut place = |path: &Path| -> Result<Place, Failure> {
        let bytes = std::fs::metadata(path)
            .map_err(|e| Failure::file(path, &e))?
            .len();
        if bytes <= INLINE_FILE_BYTES && inline < INLINE_TOTAL_BYTES {
            let (text, encoding) = text_or_base64(read_file(path)?);
            // Some characters are longer in JSON than they are.
            inline += serde_json::to_string(&text).map_or(text.len(), |json| json.len());
            return Ok(Place::Inline(text, encoding));
        }
        let name = hash(path)?;
        blobs.push(Blob {
            path: path.to_owned(),
            bytes,
            name: name.clone(),
        });
        Ok(Place::Blob(name))
    };
    let mut tests = Vec::new();
    for case in cases {
        let mut test = TestRequest {
            id: case.id.clone(),
            group: case.group.clone(),
            ..TestRequest::default()
        };
        match place(&case.input)? {
            Place::Inline(stdin, encoding) => {
                (test.stdin, test.stdin_encoding) = (Some(stdin), not_default(encoding));
            }
            Place::Blob(name) => test.stdin_blob = Some(name),
        }
        match case.answer.as_deref().map(&mut place).transpose()? {
            Some(Place::Inline(expected, encoding)) => {
                test.expected_output = Some(expected);
                test.expected_output_encoding = not_default(encoding);
            }
            Some(Place::Blob(name)) => test.expected_output_blob = Some(name),
            None => {}
        }
        tests.push(test);
    }
    let mut seen = BTreeSet::new();
    blobs.retain(|blob| seen.insert(blob.name.clone()));
    Ok((tests, blobs))
}

fn not_default(encoding: &'static str) -> Option<&'static str> {
    (encoding != "utf-8").then_some(encoding)
}

/// `sha256:<hex>` of a file's content.
fn hash(path: &Path) -> Result<String, Failure> {
    use std::fmt::Write as _;
    let fail = |e: std::io::Error| Failure::file(path, &e);
    let mut file = std::fs::File::open(path).map_err(fail)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk).map_err(fail)? {
            0 => break,
            read => hasher.update(&chunk[..read]),
        }
    }
    let mut name = "sha256:".to_owned();
    for byte in hasher.finalize() {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    Ok(name)
}

/// Uploads those of `blobs` that the service does not have.
pub(super) fn upload(service: &Service, blobs: &[Blob]) -> Result<(), Failure> {
    let total = blobs.iter().map(|blob| blob.bytes).sum();
    let bar = service.ui().bar(total, Bar::Bytes);
    bar.label("uploading test data");
    for (place, blob) in blobs.iter().enumerate() {
        let before: u64 = blobs[..place].iter().map(|blob| blob.bytes).sum();
        bar.at(before);
        let path = format!("/v1/blobs/{}", blob.name);
        let head = service.send(&Ask {
            method: Method::HEAD,
            ..Ask::get(path.clone())
        })?;
        if head.ok() {
            continue;
        }
        if head.status != 404 {
            return Err(of_file(blob, service.refusal(&head, &|_| None)));
        }
        let told = |sent| bar.at(before + sent);
        let put = Ask {
            method: Method::PUT,
            body: Sent::File(&blob.path, blob.bytes, &told),
            timeout: UPLOAD_TIMEOUT,
            ..Ask::get(path)
        };
        service
            .expect(&put, &|_| None)
            .map_err(|failure| of_file(blob, failure))?;
    }
    Ok(())
}

/// The same failure with the file's name.
fn of_file(blob: &Blob, failure: Failure) -> Failure {
    let path = blob.path.display();
    match failure {
        Failure::Usage(lines) => {
            Failure::Usage(lines.iter().map(|line| format!("{path}: {line}")).collect())
        }
        Failure::Service(line) => Failure::Service(format!("{path}: {line}")),
        failure => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(dir: &Path, id: &str, input: &[u8], answer: Option<&[u8]>) -> Case {
        let write = |extension: &str, bytes: &[u8]| {
            let path = dir.join(format!("{id}.{extension}"));
            std::fs::write(&path, bytes).unwrap();
            path
        };
        Case {
            id: id.to_owned(),
            group: None,
            input: write("in", input),
            answer: answer.map(|bytes| write("ans", bytes)),
        }
    }

    #[test]
    fn small_files_are_inline_and_large_ones_blobs_each_once() {
        let dir = tempfile::tempdir().unwrap();
        let large = vec![b'x'; usize::try_from(INLINE_FILE_BYTES).unwrap() + 1];
        let cases = [
            case(dir.path(), "1", b"1 2\n", Some(b"\xff")),
            case(dir.path(), "2", &large, Some(&large)),
            case(dir.path(), "3", b"", None),
        ];
        let (tests, blobs) = prepare(&cases).unwrap();
        assert_eq!(
            serde_json::to_value(&tests[0]).unwrap(),
            serde_json::json!({"id": "1", "stdin": "1 2\n", "expected_output": "/w==", "expected_output_encoding": "base64"})
        );
        assert_eq!(tests[1].stdin_blob, tests[1].expected_output_blob);
        assert_eq!(
            (
                tests[2].stdin.as_deref(),
                tests[2].expected_output.as_deref()
            ),
            (Some(""), None)
        );
        assert_eq!(blobs.len(), 1);
        assert_eq!(blobs[0].bytes, INLINE_FILE_BYTES + 1);
    }

    #[test]
    fn the_sum_of_inline_files_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let file = vec![b'x'; usize::try_from(INLINE_FILE_BYTES).unwrap()];
        let cases: Vec<Case> = (0..120)
            .map(|n| case(dir.path(), &n.to_string(), &file, None))
            .collect();
        let (tests, _) = prepare(&cases).unwrap();
        let inline: usize = tests
            .iter()
            .filter_map(|t| t.stdin.as_ref())
            .map(String::len)
            .sum();
        assert!(inline <= INLINE_TOTAL_BYTES + file.len(), "{inline}");
        assert!(tests.iter().any(|test| test.stdin_blob.is_some()));
    }

    #[test]
    fn names_of_blobs() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        assert_eq!(
            hash(file.path()).unwrap(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
