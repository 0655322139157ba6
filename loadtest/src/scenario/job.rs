//! A scenario made ready: programs built, requests written down but for what changes in each.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::body::Bytes;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::{
    Arrivals, Binary, ExpectTable, Group, Loaded, Operation, OperationKind, Scenario, Tests,
};
use crate::baseline::Baseline;

/// Stands for a number that no other request has.
const UNIQUE: &str = "{{unique}}";
/// Stands for a test's number.
const TEST: &str = "{{test}}";
/// Most tests of a submission.
const MAX_TESTS: u32 = 2000;
/// Connections of an open loop that names none.
pub(crate) const OPEN_CONNECTIONS: u32 = 256;

/// A scenario, ready to be sent.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The scenario's name.
    pub(crate) name: String,
    /// Its file's text.
    pub(crate) text: String,
    /// What it is for.
    pub(crate) about: String,
    pub(crate) duration: Duration,
    pub(crate) warmup: Duration,
    /// The first is the one that is measured.
    pub(crate) groups: Vec<PlannedGroup>,
    /// The programs that were built.
    _dir: TempDir,
}

/// Clients of one kind.
#[derive(Debug)]
pub(crate) struct PlannedGroup {
    pub(crate) name: String,
    pub(crate) load: Load,
    pub(crate) jobs: Vec<Job>,
    /// Indexes of jobs in the order in which they are done, again and again.
    order: Vec<usize>,
}

/// How operations follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Load {
    /// Each client sends when its last request was answered.
    Closed { clients: u32, think: Duration },
    /// So many a second, whatever becomes of them, over at most so many connections.
    Open {
        rate: f64,
        arrivals: Arrivals,
        connections: u32,
    },
}

/// One operation.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) body: Body,
    pub(crate) expect: Expect,
    pub(crate) timeout: Duration,
    pub(crate) baseline: Option<Baseline>,
}

/// How it is done.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Run,
    Submission,
    Accept,
    Live(Live),
}

/// A conversation.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) turns: u32,
    /// The message that says something.
    pub(crate) message: String,
    pub(crate) expect: String,
    pub(crate) pause: Duration,
}

/// What a right answer is.
#[derive(Clone, Debug)]
pub(crate) struct Expect {
    pub(crate) status: Vec<String>,
    pub(crate) stdout: Option<String>,
}

/// A request's body: the same each time, or with a new number in some places.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Fixed(Bytes),
    Unique(Vec<String>),
}

impl Body {
    fn of(request: &Value) -> Self {
        let text = request.to_string();
        let parts: Vec<String> = text.split(UNIQUE).map(str::to_owned).collect();
        if parts.len() == 1 {
            Self::Fixed(Bytes::from(text))
        } else {
            Self::Unique(parts)
        }
    }

    /// The body of the request with this number.
    pub(crate) fn with(&self, unique: u64) -> Bytes {
        match self {
            Self::Fixed(body) => body.clone(),
            Self::Unique(parts) => Bytes::from(parts.join(&unique.to_string())),
        }
    }
}

impl Plan {
    /// Builds what `loaded` needs.
    pub(crate) fn new(loaded: Loaded) -> anyhow::Result<Self> {
        let Loaded {
            name,
            text,
            scenario,
        } = loaded;
        let Scenario {
            about,
            duration_ms,
            warmup_ms,
            groups,
        } = scenario;
        let dir = tempfile::Builder::new()
            .prefix("brig-loadtest-")
            .tempdir()
            .context("no temporary directory")?;
        let mut planned = Vec::new();
        for (at, group) in groups.iter().enumerate() {
            let place = dir.path().join(at.to_string());
            let group = plan_group(group, &place);
            planned.push(group?);
        }
        Ok(Self {
            name,
            text,
            about,
            duration: Duration::from_millis(duration_ms),
            warmup: Duration::from_millis(warmup_ms),
            groups: planned,
            _dir: dir,
        })
    }

    /// The group that is measured.
    pub(crate) fn main(&self) -> &PlannedGroup {
        // There is at least one: the scenario was checked.
        &self.groups[0]
    }

    /// As [`Self::main`], to change it.
    pub(crate) fn main_mut(&mut self) -> &mut PlannedGroup {
        &mut self.groups[0]
    }
}

impl PlannedGroup {
    /// The job that is done by the `ticket`th operation.
    pub(crate) fn job(&self, ticket: u64) -> usize {
        let at = ticket % self.order.len() as u64;
        usize::try_from(at).map_or(0, |at| self.order[at])
    }
}

fn plan_group(group: &Group, place: &Path) -> anyhow::Result<PlannedGroup> {
    let mut jobs = Vec::new();
    for (at, operation) in group.operations.iter().enumerate() {
        let job = plan_operation(operation, &place.join(at.to_string()));
        let job =
            job.with_context(|| format!("group {:?}, operation {:?}", group.name, operation.name))?;
        jobs.push(job);
    }
    let load = match group.rate {
        Some(rate) => Load::Open {
            rate,
            arrivals: group.arrivals,
            connections: group.clients.unwrap_or(OPEN_CONNECTIONS),
        },
        None => Load::Closed {
            clients: group.clients.unwrap_or(1),
            think: Duration::from_micros(group.think_us),
        },
    };
    Ok(PlannedGroup {
        name: group.name.clone(),
        load,
        order: order(group.operations.iter().map(|o| o.weight)),
        jobs,
    })
}

/// An order in which each index comes as often as its weight says, spread evenly: always the one
/// that is furthest behind its share.
fn order(weights: impl Iterator<Item = u32>) -> Vec<usize> {
    let weights: Vec<i64> = weights.map(i64::from).collect();
    let total: i64 = weights.iter().sum();
    let mut behind = vec![0; weights.len()];
    let mut order = Vec::new();
    for _ in 0..total {
        for (behind, weight) in behind.iter_mut().zip(&weights) {
            *behind += weight;
        }
        let next = (0..weights.len()).rev().max_by_key(|at| behind[*at]);
        let next = next.unwrap_or(0);
        behind[next] -= total;
        order.push(next);
    }
    order
}

fn plan_operation(operation: &Operation, dir: &Path) -> anyhow::Result<Job> {
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let mut request = object(&operation.request)?;
    let mut files = written_files(&request, operation, dir)?;
    if let Some(binary) = &operation.binary {
        files.push(build(binary, dir)?);
    }
    if !files.is_empty() {
        request.insert("files".to_owned(), Value::Array(files));
    }
    if let Some(tests) = &operation.tests {
        request.insert("tests".to_owned(), many_tests(tests)?);
    }
    let stdin = request.get("stdin").and_then(Value::as_str);
    let baseline = operation.baseline.as_ref();
    let baseline = baseline
        .map(|spec| Baseline::prepare(spec, dir, stdin.unwrap_or_default()))
        .transpose()?;
    let request = Value::Object(request);
    let request = match operation.kind {
        OperationKind::Live => json!({"type": "start", "run": request}),
        _ => request,
    };
    Ok(Job {
        name: operation.name.clone(),
        kind: kind(operation),
        body: Body::of(&request),
        expect: expect(&operation.expect, operation.kind),
        timeout: Duration::from_millis(operation.timeout_ms),
        baseline,
    })
}

fn kind(operation: &Operation) -> Kind {
    match (operation.kind, &operation.live) {
        (OperationKind::Submission, _) => Kind::Submission,
        (OperationKind::Accept, _) => Kind::Accept,
        (OperationKind::Live, Some(live)) => Kind::Live(Live {
            turns: live.turns,
            message: json!({"type": "stdin", "data": live.send}).to_string(),
            expect: live.expect.clone(),
            pause: Duration::from_millis(live.pause_ms),
        }),
        _ => Kind::Run,
    }
}

fn expect(table: &ExpectTable, kind: OperationKind) -> Expect {
    let status = match kind {
        _ if !table.status.is_empty() => table.status.clone(),
        OperationKind::Run | OperationKind::Live => vec!["ok".to_owned()],
        OperationKind::Submission => vec!["accepted".to_owned()],
        OperationKind::Accept => Vec::new(),
    };
    Expect {
        status,
        stdout: table.stdout.clone(),
    }
}

fn object(table: &toml::Table) -> anyhow::Result<Map<String, Value>> {
    match serde_json::to_value(table).context("the request is no JSON")? {
        Value::Object(map) => Ok(map),
        other => anyhow::bail!("the request is no object but {other}"),
    }
}

/// Writes the request's files into `dir`, for the baseline; gives them as the request has them.
fn written_files(
    request: &Map<String, Value>,
    operation: &Operation,
    dir: &Path,
) -> anyhow::Result<Vec<Value>> {
    let files = request.get("files").and_then(Value::as_array);
    let files = files.cloned().unwrap_or_default();
    let Some(baseline) = &operation.baseline else {
        return Ok(files);
    };
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut written: Vec<(String, String)> = files
        .iter()
        .filter_map(|file| Some((text(file, "path")?, text(file, "content")?)))
        .collect();
    if let (Some(name), Some(source)) = (&baseline.source_name, request.get("source")) {
        let source = source.as_str().unwrap_or_default();
        written.push((name.clone(), source.replace(UNIQUE, "0")));
    }
    for (path, content) in written {
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        }
        std::fs::write(&path, content).with_context(|| path.display().to_string())?;
    }
    Ok(files)
}

/// Builds `binary` in `dir`; gives it as a request's file.
fn build(binary: &Binary, dir: &Path) -> anyhow::Result<Value> {
    let program = compiled_c(&binary.c, &binary.flags, &dir.join(&binary.path))?;
    let content = std::fs::read(&program).with_context(|| program.display().to_string())?;
    let content = BASE64.encode(content);
    Ok(json!({"path": binary.path, "content": content, "encoding": "base64"}))
}

/// Compiles C source into the static program `program`.
pub(crate) fn compiled_c(c: &str, flags: &[String], program: &Path) -> anyhow::Result<PathBuf> {
    let source = program.with_extension("c");
    std::fs::write(&source, c).with_context(|| source.display().to_string())?;
    let done = Command::new("gcc")
        .args(["-O2", "-static", "-s", "-o"])
        .args([program, &source])
        .args(flags)
        .output()
        .context("gcc cannot be started")?;
    anyhow::ensure!(
        done.status.success(),
        "gcc does not compile it: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(program.to_owned())
}

fn many_tests(tests: &Tests) -> anyhow::Result<Value> {
    anyhow::ensure!(
        (1..=MAX_TESTS).contains(&tests.count),
        "tests.count must be 1 to {MAX_TESTS}"
    );
    let template = serde_json::to_string(&object(&tests.template)?)?;
    let test = |number: u32| serde_json::from_str(&template.replace(TEST, &number.to_string()));
    let tests: Result<Vec<Value>, _> = (1..=tests.count).map(test).collect();
    Ok(Value::Array(tests?))
}

#[cfg(test)]
mod tests {
    use super::super::{Scenario, load};
    use super::*;

    fn plan(text: &str) -> anyhow::Result<Plan> {
        Plan::new(Loaded {
            name: "x".to_owned(),
            text: text.to_owned(),
            scenario: Scenario::parse("x.toml", text)?,
        })
    }

    #[test]
    fn weights_are_met_and_spread() {
        assert_eq!(order([3, 1].into_iter()), [0, 0, 1, 0]);
        assert_eq!(order([1, 1].into_iter()), [0, 1]);
        let order = order([7, 2, 1].into_iter());
        let count = |index| order.iter().filter(|at| **at == index).count();
        assert_eq!((count(0), count(1), count(2)), (7, 2, 1));
    }

    #[test]
    fn every_unique_body_is_another_one() {
        let body = Body::of(&json!({"source": "int a = {{unique}}; // {{unique}}"}));
        assert_eq!(&body.with(7)[..], br#"{"source":"int a = 7; // 7"}"#);
        assert_ne!(body.with(1), body.with(2));
        let fixed = Body::of(&json!({"source": "x"}));
        assert_eq!(fixed.with(1), fixed.with(2));
    }

    #[test]
    fn tests_are_made_of_their_template() {
        let plan = plan(
            r#"
about = "x"
[[groups]]
name = "a"
[[groups.operations]]
name = "judge"
kind = "submission"
request = { language = "python", source = "print(input())" }
tests = { count = 3, template = { id = "t{{test}}", stdin = "{{test}}\n", expected_output = "{{test}}\n" } }
"#,
        )
        .unwrap();
        let body: Value = serde_json::from_slice(&plan.main().jobs[0].body.with(0)).unwrap();
        let tests = body["tests"].as_array().unwrap();
        assert_eq!(tests.len(), 3);
        assert_eq!(
            tests[2],
            json!({"id": "t3", "stdin": "3\n", "expected_output": "3\n"})
        );
        assert_eq!(plan.main().jobs[0].expect.status, ["accepted"]);
    }

    #[test]
    fn a_binary_is_built_and_sent() {
        let plan = Plan::new(load("static-c").unwrap()).unwrap();
        let body: Value = serde_json::from_slice(&plan.main().jobs[0].body.with(0)).unwrap();
        let file = &body["files"][0];
        let content = BASE64.decode(file["content"].as_str().unwrap()).unwrap();
        assert_eq!(&content[..4], b"\x7fELF");
        assert_eq!(body["language"], "executable");
    }

    #[test]
    fn what_the_compiler_says_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let error = compiled_c("int main(", &[], &dir.path().join("a")).unwrap_err();
        assert!(error.to_string().contains("error:"), "{error}");
    }
}
