//! Starting `brig serve` and talking to it.

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

#[path = "../../../sandbox/tests/functional/host.rs"]
mod host;
pub(crate) use host::*;

/// A directory that the service's user can get through.
pub(crate) fn data_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
    dir
}

/// Lets everybody look into `directory`, which [`tempfile`] does not.
pub(crate) fn for_all(directory: &std::path::Path) {
    std::fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
}

pub(crate) const BRIG: &str = env!("CARGO_BIN_EXE_brig");

/// A running service.
pub(crate) struct Service {
    child: Child,
    /// Above its data directory; removed when no service uses it any more.
    data: Arc<TempDir>,
    pub(crate) address: SocketAddr,
    /// Lines of its log.
    log: Mutex<Receiver<String>>,
}

impl Service {
    /// One whose workers do nothing but what the test asks for: the tools of its languages have
    /// been looked at.
    pub(crate) fn settled(args: &[&str]) -> Self {
        Self::settled_on(Arc::new(data_dir()), args)
    }

    /// The same on the data of one that has ended.
    pub(crate) fn settled_on(data: Arc<TempDir>, args: &[&str]) -> Self {
        let args = [args, &["--languages", "executable,python"]].concat();
        let service = Self::start_on(data, &args);
        service.settle();
        service
    }

    /// The same with the language `language`: what it compiles is found in the cache afterwards.
    pub(crate) fn settled_for(language: &str, args: &[&str]) -> Self {
        let service = Self::start(&[args, &["--languages", language]].concat());
        service.settle();
        service
    }

    /// Waits until the versions of all tools are known. They are part of the cache's keys.
    fn settle(&self) {
        eventually("the versions are known", || {
            let (_, languages) = self.get("/v1/languages").expect("languages");
            let languages: Vec<Value> = serde_json::from_str(&languages).unwrap();
            let known = |l: &Value| l["available"] == false || l["version"].is_string();
            languages.iter().all(known)
        });
    }

    /// Starts it with `args` on a free port and waits until it is ready.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_on(Arc::new(data_dir()), args)
    }

    pub(crate) fn start_on(data: Arc<TempDir>, args: &[&str]) -> Self {
        let mut child = Command::new(BRIG)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.path().join("data"))
            .args(args)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let log = follow(&mut child);
        let mut seen = Vec::new();
        let address = loop {
            let line = log
                .recv_timeout(BOUND)
                .unwrap_or_else(|_| panic!("it does not serve: {seen:#?}"));
            let listening = line
                .contains("serving")
                .then(|| line.split_once("127.0.0.1:"));
            match listening.flatten() {
                Some((_, rest)) => {
                    let port = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
                    break format!("127.0.0.1:{port}").parse().unwrap();
                }
                None => seen.push(line),
            }
        };
        let service = Self {
            child,
            data,
            address,
            log: Mutex::new(log),
        };
        eventually("it is ready", || service.status("/readyz") == 200);
        service
    }

    /// Its data directory; what holds it keeps it.
    pub(crate) fn data(&self) -> (Arc<TempDir>, PathBuf) {
        (Arc::clone(&self.data), self.data.path().join("data"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Ends it with SIGTERM.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the service ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Whether a line with `text` comes in the log.
    pub(crate) fn logs(&self, text: &str) -> bool {
        self.log_line(text).is_some()
    }

    /// The next line of the log with `text`; those before are passed over.
    pub(crate) fn log_line(&self, text: &str) -> Option<String> {
        let end = Instant::now() + BOUND;
        let log = self.log.lock().unwrap();
        while let Ok(line) = log.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if line.contains(text) {
                return Some(line);
            }
        }
        None
    }

    /// What its log has that nobody has looked at.
    pub(crate) fn log_so_far(&self) -> Vec<String> {
        self.log.lock().unwrap().try_iter().collect()
    }

    /// What is left of its log; to be called after its end.
    pub(crate) fn rest_of_log(&self) -> Vec<String> {
        let log = self.log.lock().unwrap();
        std::iter::from_fn(|| log.recv_timeout(BOUND).ok()).collect()
    }

    pub(crate) fn status(&self, path: &str) -> u16 {
        self.get(path).map_or(0, |(status, _)| status)
    }

    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        self.try_get(path, &[])
    }

    /// With these headers.
    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        self.try_get(path, headers).expect("an answer")
    }

    fn try_get(&self, path: &str, headers: &[(&str, &str)]) -> Option<(u16, String)> {
        let mut request = agent().get(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = request.call().ok()?;
        Some((
            answer.status().as_u16(),
            answer.body_mut().read_to_string().ok()?,
        ))
    }

    /// `POST /v1/runs`; `None` if no answer comes.
    pub(crate) fn try_run(&self, request: &Value) -> Option<(u16, Value)> {
        self.try_post("/v1/runs", request)
    }

    /// `None` if no answer comes.
    pub(crate) fn try_post(&self, path: &str, request: &Value) -> Option<(u16, Value)> {
        self.try_post_with(path, request, &[])
    }

    pub(crate) fn post(&self, path: &str, request: &Value) -> (u16, Value) {
        self.try_post(path, request).expect("an answer")
    }

    /// With these headers.
    pub(crate) fn post_with(
        &self,
        path: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> (u16, Value) {
        let answer = self.try_post_with(path, body, headers);
        answer.expect("an answer")
    }

    fn try_post_with(
        &self,
        path: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Option<(u16, Value)> {
        let mut request = agent().post(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = request.send_json(body).ok()?;
        Some((
            answer.status().as_u16(),
            answer.body_mut().read_json().ok()?,
        ))
    }

    pub(crate) fn delete(&self, path: &str) -> (u16, Value) {
        let url = format!("http://{}{path}", self.address);
        let mut answer = agent().delete(&url).call().unwrap();
        (
            answer.status().as_u16(),
            answer.body_mut().read_json().unwrap(),
        )
    }

    /// As `try_run`, for a run that must be answered with 200.
    pub(crate) fn run(&self, request: &Value) -> Value {
        let (status, answer) = self.try_run(request).expect("an answer");
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Sends a run and does not wait for the answer.
    pub(crate) fn begin(&self, request: &Value) -> TcpStream {
        let body = request.to_string();
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(
            stream,
            "POST /v1/runs HTTP/1.1\r\nhost: brig\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        stream
    }

    /// The value of a metric without labels, or the sum over its labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get("/metrics").expect("metrics");
        let value = |line: &str| {
            let rest = line.strip_prefix(name)?;
            (rest.starts_with(' ') || rest.starts_with('{'))
                .then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        };
        text.lines().filter_map(value).sum()
    }

    /// Pids of the supervisor's children, by the name in their `comm`.
    pub(crate) fn children(&self, name: &str) -> Vec<u32> {
        let of = |pid: u32| {
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default()
        };
        let pids = of(self.pid());
        let called = |pid: &u32| comm(*pid) == name;
        pids.split_whitespace()
            .filter_map(|p| p.parse().ok())
            .filter(called)
            .collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = kill(
            Pid::from_raw(self.child.id().cast_signed()),
            Signal::SIGTERM,
        );
        if !within(Duration::from_secs(10), || {
            self.child.try_wait().is_ok_and(|s| s.is_some())
        }) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(BOUND))
        .build()
        .into()
}

fn follow(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    let stderr = child.stderr.take().unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            // Whoever reads the log may be done with it; the pipe must be emptied all the same.
            let _ = sender.send(line);
        }
    });
    receiver
}

pub(crate) fn comm(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm"))
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// The value of `key` in `/proc/<pid>/status`.
pub(crate) fn proc_status(pid: u32, key: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    text.lines()
        .find_map(|l| l.strip_prefix(key)?.strip_prefix(":\t"))
        .unwrap()
        .trim()
        .to_owned()
}

/// A static program that behaves as its first argument says.
const ALL_SORTS: &str = r#"
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "ok";
  if (!strcmp(mode, "ok")) { puts("hi"); return 0; }
  if (!strcmp(mode, "exit")) return 3;
  if (!strcmp(mode, "crash")) abort();
  if (!strcmp(mode, "spin")) for (;;);
  if (!strcmp(mode, "sleep")) for (;;) pause();
  if (!strcmp(mode, "hog")) for (;;) memset(malloc(1 << 20), 1, 1 << 20);
  if (!strcmp(mode, "bomb")) for (;;) fork();
  if (!strcmp(mode, "flood")) for (;;) puts("flood");
  if (!strcmp(mode, "daemon")) { if (!fork()) { setsid(); for (;;) pause(); } return 0; }
  if (!strcmp(mode, "files")) { for (int i = 0; i < 50; i++) { char n[20]; sprintf(n, "f%d", i); fclose(fopen(n, "w")); } return 0; }
  return 99;
}
"#;

/// A request that runs `source` in Python and is not hurried on a slow or busy machine.
pub(crate) fn python(source: &str) -> Value {
    let limits = json!({"cpu_time_ms": 10_000, "wall_time_ms": 60_000});
    json!({"language": "python", "source": source, "stdin": "abc", "limits": limits})
}

/// A request that runs [`ALL_SORTS`] in `mode` under tight limits.
pub(crate) fn request(mode: &str) -> Value {
    static PROGRAM: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let content = PROGRAM.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let (source, program) = (dir.path().join("all.c"), dir.path().join("all"));
        std::fs::write(&source, ALL_SORTS).unwrap();
        let done = Command::new("gcc")
            .args(["-Os", "-static", "-s", "-o"])
            .args([&program, &source])
            .status();
        assert!(done.expect("gcc is installed by `make deps`").success());
        base64::engine::general_purpose::STANDARD.encode(std::fs::read(&program).unwrap())
    });
    // Each kind meets the limit that it is for, also on a machine that is busy with other things.
    let cpu_time_ms = if matches!(mode, "spin" | "bomb") {
        30
    } else {
        10_000
    };
    let memory_bytes: u64 = if mode == "hog" { 8 << 20 } else { 256 << 20 };
    json!({
        "language": "executable",
        "files": [{"path": "main", "content": content, "encoding": "base64"}],
        "args": [mode],
        "limits": {
            "cpu_time_ms": cpu_time_ms, "wall_time_ms": 60_000, "memory_bytes": memory_bytes,
            "processes": 16, "output_bytes": 65536,
        },
    })
}

pub(crate) fn kill_9(pid: u32) {
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).unwrap();
}
