//! Every case of every language, through `POST /v1/runs` of a real service.
//!
//! The cases are data: `languages/<id>.toml`, one file to a language; `languages/cases.rs` is their
//! form. The example in a language's profile is one more. The service is started once; as many cases run at the same time as it has workers.
//! `BRIG_TEST_LANGUAGES=cpp,java` restricts the test to these.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use base64::Engine;
use serde_json::{Value, json};

#[path = "languages/cases.rs"]
mod cases;
#[path = "service/harness.rs"]
#[allow(dead_code)] // The other tests of the service need more of it.
mod harness;

use cases::{Case, CaseFile};
use harness::{BOUND, Service, within};

/// The languages that `make deps` installs: a machine without one of them is not ready for tests.
const CORE: [&str; 12] = [
    "bash",
    "c",
    "cpp",
    "go",
    "java",
    "javascript",
    "lua",
    "perl",
    "php",
    "python",
    "ruby",
    "rust",
];

/// Languages without an example, each for a reason.
const WITHOUT_EXAMPLE: [(&str, &str); 1] =
    [("executable", "its programs are files that are uploaded")];

/// One language and what came of its cases.
struct Tested {
    id: String,
    /// The version, or why there is none.
    state: Result<String, String>,
    cases: usize,
    done: usize,
    milliseconds: u128,
    failures: Vec<String>,
}

#[test]
fn every_language_does_what_its_cases_say() {
    let workers = thread::available_parallelism().map_or(2, usize::from);
    let service = Service::start(&["--workers", &workers.to_string()]);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/languages");
    let mut languages = Vec::new();
    let mut queue = VecDeque::new();
    for entry in looked_at(&service) {
        let (tested, cases) = prepare(&directory, &entry);
        queue.extend(cases.into_iter().map(|case| (languages.len(), case)));
        languages.push(tested);
    }
    let queue = Mutex::new(queue);
    let languages = Mutex::new(languages);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| take_cases(&service, &queue, &languages));
        }
    });
    let languages = languages.into_inner().unwrap();
    let failed: Vec<&str> = languages
        .iter()
        .filter(|tested| !tested.failures.is_empty())
        .map(|tested| tested.id.as_str())
        .collect();
    assert!(failed.is_empty(), "see above: {}", failed.join(", "));
}

/// `GET /v1/languages` once every language's tools have been looked at, less those not asked for.
fn looked_at(service: &Service) -> Vec<Value> {
    let mut entries = Vec::new();
    let known = within(BOUND, || {
        let (_, body) = service.get("/v1/languages").unwrap_or_default();
        entries = serde_json::from_str(&body).unwrap_or_default();
        let looked = |entry: &Value| entry["version"].is_string() || entry["available"] == false;
        !entries.is_empty() && entries.iter().all(looked)
    });
    assert!(known, "versions not known in time: {entries:#?}");
    let Ok(asked) = std::env::var("BRIG_TEST_LANGUAGES") else {
        return entries;
    };
    let asked: Vec<&str> = asked.split(',').collect();
    entries.retain(|entry| asked.iter().any(|id| entry["id"] == *id));
    entries
}

/// What to test of a language; problems with the language itself are failures already.
fn prepare(directory: &Path, entry: &Value) -> (Tested, Vec<Case>) {
    let id = entry["id"].as_str().unwrap().to_owned();
    let state = match entry["version"].as_str() {
        Some(version) if entry["available"] == true => Ok(version.to_owned()),
        _ => Err(entry["unavailable_reason"].to_string()),
    };
    let mut failures = Vec::new();
    let mut cases = Vec::new();
    match (
        &state,
        CaseFile::read(directory, &id, entry["compiled"] == true),
    ) {
        (_, Err(error)) => failures.push(error),
        (Ok(_), Ok(file)) => {
            cases = file.cases;
            match entry["example"].as_str().filter(|text| !text.is_empty()) {
                Some(example) => cases.push(Case::of_example(example)),
                None if WITHOUT_EXAMPLE.iter().any(|(without, _)| *without == id) => {}
                None => failures.push("there is no example".to_owned()),
            }
        }
        (Err(reason), Ok(_)) => {
            println!("{id:12} unavailable: {reason}");
            if CORE.contains(&id.as_str()) {
                failures.push("a core language is unavailable".to_owned());
            }
        }
    }
    let tested = Tested {
        id,
        state,
        cases: cases.len(),
        done: 0,
        milliseconds: 0,
        failures,
    };
    (tested, cases)
}

/// Takes cases from the queue until it is empty.
fn take_cases(
    service: &Service,
    queue: &Mutex<VecDeque<(usize, Case)>>,
    languages: &Mutex<Vec<Tested>>,
) {
    loop {
        let Some((index, case)) = queue.lock().unwrap().pop_front() else {
            return;
        };
        let id = languages.lock().unwrap()[index].id.clone();
        let begin = Instant::now();
        let failure = run(service, &id, &case);
        let mut languages = languages.lock().unwrap();
        let tested = &mut languages[index];
        tested.milliseconds += begin.elapsed().as_millis();
        tested.done += 1;
        tested.failures.extend(failure);
        if tested.done == tested.cases {
            report(tested);
        }
    }
}

/// Runs one case; what is wrong with the answer, if anything.
fn run(service: &Service, language: &str, case: &Case) -> Option<String> {
    let request = case.request(language, executable_of_c);
    let Some((status, answer)) = service.try_run(&request) else {
        return Some(format!("{}: no answer", case.name));
    };
    let mut wrong = match status {
        200 => case.mismatches(&answer),
        _ => vec![format!("HTTP status {status}")],
    };
    if answer["degraded"] != json!([]) {
        wrong.push(format!("degraded: {}", answer["degraded"]));
    }
    (!wrong.is_empty()).then(|| format!("{}: {}\n{answer:#}", case.name, wrong.join("; ")))
}

/// One line for a language, more if it failed.
fn report(tested: &Tested) {
    let Tested {
        id,
        cases,
        milliseconds,
        failures,
        ..
    } = tested;
    let version = tested.state.as_deref().unwrap_or("-");
    let verdict = if failures.is_empty() { "ok" } else { "FAILED" };
    println!("{id:12} {verdict:6} {cases:2} cases in {milliseconds:6} ms  {version}");
    for failure in failures {
        println!("    {failure}");
    }
}

/// A static executable made of a C program, in base64.
fn executable_of_c(source: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (
        directory.path().join("main.c"),
        directory.path().join("main"),
    );
    std::fs::write(&from, source).unwrap();
    let status = Command::new("gcc")
        .args(["-static", "-s", "-O1", "-o"])
        .args([&to, &from])
        .status();
    assert!(status.expect("gcc is installed by `make deps`").success());
    base64::engine::general_purpose::STANDARD.encode(std::fs::read(&to).unwrap())
}
