//! The form of the case files beside this one, and what is expected of an answer.
//!
//! One file to a language, named by its id. A case's name says what it shows, and every language
//! has all of [`STANDARD`], or says why not; what each of these expects stands here, so a case
//! usually holds nothing but a program.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The cases of every language.
const STANDARD: [&str; 8] = [
    "hello",
    "echo",
    "compile_error",
    "exit_code",
    "exception",
    "infinite_loop",
    "memory_hog",
    "several_files",
];

/// What `echo` gets, and has to give back.
const ECHO: &str = "first line\nsecond line: äöü €\n\nlast line\n";

/// All cases of one language.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseFile {
    /// Standard cases that make no sense for the language, each with the reason.
    #[serde(default)]
    pub(crate) not_applicable: BTreeMap<String, String>,
    /// The cases.
    #[serde(rename = "case")]
    pub(crate) cases: Vec<Case>,
}

/// One request and what has to come of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What it shows.
    pub(crate) name: String,
    source: Option<String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// C programs; each becomes a static executable under its path.
    #[serde(default)]
    executables_of_c: BTreeMap<String, String>,
    entry: Option<String>,
    stdin: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    compiler_args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    policy: Option<String>,
    #[serde(default)]
    limits: Map<String, Value>,
    #[serde(default)]
    compile_limits: Map<String, Value>,
    #[serde(default)]
    expect: Expect,
}

/// What has to be in an answer; where a standard case is silent, its own defaults hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expect {
    status: Option<String>,
    outcome: Option<String>,
    exit_code: Option<i64>,
    signal: Option<String>,
    stdout: Option<String>,
    stdout_contains: Vec<String>,
    stderr_contains: Vec<String>,
    /// Texts that the compiler said, on either stream.
    compiler_says: Vec<String>,
}

impl CaseFile {
    /// Reads the file of language `id` in `directory` and checks that no standard case is missing.
    pub(crate) fn read(directory: &Path, id: &str, compiled: bool) -> Result<Self, String> {
        let path = directory.join(format!("{id}.toml"));
        let text =
            std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut file: Self =
            toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        for name in STANDARD {
            let excused =
                file.not_applicable.contains_key(name) || (name == "compile_error" && !compiled);
            if !excused && !file.cases.iter().any(|case| case.name == name) {
                return Err(format!("{}: there is no case {name:?}", path.display()));
            }
        }
        file.cases.iter_mut().for_each(Case::fill_in);
        Ok(file)
    }
}

/// What the playground gives an example, and what every example makes of it.
const EXAMPLE_STDIN: &str = "20 22\n";
const EXAMPLE_STDOUT: &str = "42\n";

impl Case {
    /// The program that the playground begins with in a language.
    pub(crate) fn of_example(source: &str) -> Self {
        let mut case = Self {
            name: "example".to_owned(),
            source: Some(source.to_owned()),
            stdin: Some(EXAMPLE_STDIN.to_owned()),
            expect: Expect {
                stdout: Some(EXAMPLE_STDOUT.to_owned()),
                ..Expect::default()
            },
            ..Self::default()
        };
        case.fill_in();
        case
    }

    /// Sets what the name of a standard case implies.
    fn fill_in(&mut self) {
        let expect = &mut self.expect;
        let mut status = "ok";
        match self.name.as_str() {
            "hello" => drop(
                expect
                    .stdout
                    .get_or_insert_with(|| "Hello, world!\n".to_owned()),
            ),
            "echo" => {
                self.stdin.get_or_insert_with(|| ECHO.to_owned());
                expect.stdout.get_or_insert_with(|| ECHO.to_owned());
            }
            "compile_error" => status = "compile_error",
            "exit_code" => {
                status = "runtime_error";
                expect.exit_code.get_or_insert(7);
            }
            "exception" => status = "runtime_error",
            "infinite_loop" => {
                status = "time_limit_exceeded";
                expect
                    .outcome
                    .get_or_insert_with(|| "cpu_time_limit".to_owned());
                self.limits.entry("cpu_time_ms").or_insert(json!(1000));
            }
            "memory_hog" => {
                status = "memory_limit_exceeded";
                self.limits
                    .entry("memory_bytes")
                    .or_insert(json!(128 << 20));
                self.limits.entry("cpu_time_ms").or_insert(json!(8000));
            }
            _ => {}
        }
        // How busy the machine is must not decide.
        self.limits.entry("wall_time_ms").or_insert(json!(60_000));
        expect.status.get_or_insert_with(|| status.to_owned());
    }

    /// The body of `POST /v1/runs`; `build` makes an executable of a C program.
    pub(crate) fn request(&self, language: &str, build: impl Fn(&str) -> String) -> Value {
        let mut files: Vec<Value> = self
            .files
            .iter()
            .map(|(path, content)| json!({"path": path, "content": content}))
            .collect();
        for (path, source) in &self.executables_of_c {
            files.push(json!({"path": path, "content": build(source), "encoding": "base64"}));
        }
        let mut body = json!({
            "language": language,
            "stdin": self.stdin.clone().unwrap_or_default(),
            "args": self.args,
            "env": self.env,
            "limits": self.limits,
        });
        let optional = [
            ("source", self.source.as_ref().map(|text| json!(text))),
            ("files", (!files.is_empty()).then(|| json!(files))),
            ("entry", self.entry.as_ref().map(|text| json!(text))),
            ("policy", self.policy.as_ref().map(|text| json!(text))),
            (
                "compiler_args",
                (!self.compiler_args.is_empty()).then(|| json!(self.compiler_args)),
            ),
            (
                "compile_limits",
                (!self.compile_limits.is_empty()).then(|| json!(self.compile_limits)),
            ),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                body[key] = value;
            }
        }
        body
    }

    /// Everything in which `answer` is not as expected.
    pub(crate) fn mismatches(&self, answer: &Value) -> Vec<String> {
        let expect = &self.expect;
        let run = &answer["run"];
        let mut wrong = Vec::new();
        let exact = [
            (
                "status",
                &answer["status"],
                expect.status.as_ref().map(|v| json!(v)),
            ),
            (
                "outcome",
                &run["outcome"],
                expect.outcome.as_ref().map(|v| json!(v)),
            ),
            (
                "exit_code",
                &run["exit_code"],
                expect.exit_code.map(|v| json!(v)),
            ),
            (
                "signal",
                &run["signal"],
                expect.signal.as_ref().map(|v| json!(v)),
            ),
            (
                "stdout",
                &run["stdout"],
                expect.stdout.as_ref().map(|v| json!(v)),
            ),
        ];
        for (what, got, wanted) in exact {
            if wanted.as_ref().is_some_and(|wanted| wanted != got) {
                wrong.push(format!(
                    "{what} is {got}, not {}",
                    wanted.unwrap_or_default()
                ));
            }
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let compiler = text(&answer["compile"]["stdout"]) + &text(&answer["compile"]["stderr"]);
        let partial = [
            ("stdout", text(&run["stdout"]), &expect.stdout_contains),
            ("stderr", text(&run["stderr"]), &expect.stderr_contains),
            ("the compiler's output", compiler, &expect.compiler_says),
        ];
        for (what, got, wanted) in partial {
            for wanted in wanted
                .iter()
                .filter(|wanted| !got.contains(wanted.as_str()))
            {
                wrong.push(format!("{what} does not contain {wanted:?}"));
            }
        }
        wrong
    }
}
