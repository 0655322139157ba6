//! Compiling C programs and running them in sandboxes.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const BRIG_SANDBOX: &str = env!("CARGO_BIN_EXE_brig-sandbox");

/// What came of one run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) report: Value,
    pub(crate) exit_status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn status(&self) -> &str {
        self.report["status"].as_str().unwrap_or("no status")
    }

    pub(crate) fn outcome(&self) -> &str {
        self.report["stage"]["outcome"]
            .as_str()
            .unwrap_or("no outcome")
    }

    pub(crate) fn usage(&self, key: &str) -> u64 {
        self.report["stage"]["usage"][key]
            .as_u64()
            .unwrap_or_else(|| panic!("no {key}: {self:?}"))
    }

    pub(crate) fn cpu_us(&self) -> u64 {
        self.usage("cpu_user_us") + self.usage("cpu_system_us")
    }

    /// Panics unless the program exited with 0.
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status(), "ok", "{self:?}");
        self
    }
}

/// A directory with whatever a test needs.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Compiles `source` to a static program called `name`.
    pub(crate) fn compile(&self, name: &str, source: &str) -> PathBuf {
        let (c, out) = (self.path(&format!("{name}.c")), self.path(name));
        std::fs::write(&c, source).unwrap();
        let done = Command::new("gcc")
            .args(["-O1", "-static", "-pthread", "-o"])
            .args([&out, &c])
            .output()
            .expect("gcc is installed by `make deps`");
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        out
    }

    /// `brig-sandbox run` with `args`, then `--`, then `command`.
    pub(crate) fn run(&self, args: &[&str], command: &[&str]) -> Outcome {
        self.run_with_stdin(args, command, b"")
    }

    pub(crate) fn run_with_stdin(&self, args: &[&str], command: &[&str], stdin: &[u8]) -> Outcome {
        let report = self.path("report.json");
        let mut child = Command::new(BRIG_SANDBOX)
            .arg("run")
            .args(args)
            .arg("--report")
            .arg(&report)
            .arg("--")
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let stdin = stdin.to_vec();
        // A program may end without reading it all.
        let writer = std::thread::spawn(move || drop(pipe.write_all(&stdin)));
        let Output {
            status,
            stdout,
            stderr,
        } = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let text = std::fs::read_to_string(&report).unwrap_or_else(|_| "null".to_owned());
        Outcome {
            report: serde_json::from_str(&text).unwrap(),
            exit_status: status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }

    /// Compiles `source` and runs it as `./program` with `args`.
    pub(crate) fn run_c(&self, args: &[&str], source: &str) -> Outcome {
        let program = self.compile("program", source);
        let mut all = vec!["--file", program.to_str().unwrap()];
        all.extend(args);
        self.run(&all, &["./program"])
    }
}
