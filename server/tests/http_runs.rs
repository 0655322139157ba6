//! Real programs through a real service: `brig serve` with its supervisor, server and workers.
//! Needs root or a delegated cgroup, as the service does.

// Metrics are floating point on the wire and whole numbers in fact.
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// A service of its own, ended with the test.
struct Brig {
    child: Child,
    _data: tempfile::TempDir,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
}

const STARTS_WITHIN: Duration = Duration::from_mins(1);

impl Brig {
    fn start(args: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        std::fs::set_permissions(data.path(), Permissions::from_mode(0o711)).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_brig"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.path().join("data"))
            .args(args)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let (found, address) = mpsc::channel();
        let written = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let rest = line
                    .split_once("listen=")
                    .filter(|_| line.contains("serving"));
                if let Some(address) = rest.and_then(|(_, rest)| rest.split(' ').next()) {
                    let _ = found.send(address.parse().unwrap());
                }
                let mut log = written.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let address = match address.recv_timeout(STARTS_WITHIN) {
            Ok(address) => address,
            Err(error) => panic!("no service ({error}):\n{}", log.lock().unwrap()),
        };
        let brig = Self {
            child,
            _data: data,
            address,
            log,
        };
        brig.until("ready", || brig.get("/readyz").0 == 200);
        brig
    }

    /// One whose workers do nothing but what the test asks for: the tools of its languages
    /// have been looked at.
    fn settled(args: &[&str]) -> Self {
        let brig = Self::start(&[args, &["--languages", "python"]].concat());
        brig.until("all versions", || {
            let languages: Vec<Value> = serde_json::from_str(&brig.get("/v1/languages").1).unwrap();
            languages
                .iter()
                .all(|l| l["available"] == false || l["version"].is_string())
        });
        brig
    }

    fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(
                begun.elapsed() < STARTS_WITHIN,
                "{what}: not in time\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    fn agent() -> ureq::Agent {
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into()
    }

    fn get(&self, path: &str) -> (u16, String) {
        let mut response = Self::agent()
            .get(format!("http://{}{path}", self.address))
            .call()
            .unwrap();
        (
            response.status().as_u16(),
            response.body_mut().read_to_string().unwrap(),
        )
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("http://{}{path}", self.address);
        let mut response = Self::agent().post(url).send_json(body).unwrap();
        let text = response
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_string()
            .unwrap();
        (
            response.status().as_u16(),
            serde_json::from_str(&text).unwrap(),
        )
    }

    fn run(&self, body: &Value) -> Value {
        let (status, answer) = self.post("/v1/runs", body);
        assert_eq!(status, 200, "{answer}");
        answer
    }

    fn python(&self, source: &str, more: &Value) -> Value {
        let mut body = json!({"language": "python", "source": source});
        for (key, value) in more.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        self.run(&body)
    }

    /// The value of the metric whose line starts with `name`.
    fn metric(&self, name: &str) -> u64 {
        let metrics = self.get("/metrics").1;
        let line = metrics.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next())
            .map_or(0, |value| value.parse().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Sends a run and does not wait for its answer.
    fn send_raw(&self, body: &Value) -> TcpStream {
        let body = body.to_string();
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = format!(
            "POST /v1/runs HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        stream
    }

    fn children(of: Pid) -> Vec<Pid> {
        let path = format!("/proc/{of}/task/{of}/children");
        let list = std::fs::read_to_string(path).unwrap_or_default();
        list.split_whitespace()
            .map(|pid| Pid::from_raw(pid.parse().unwrap()))
            .collect()
    }

    fn child_called(&self, what: &str) -> Pid {
        let called = |pid: &Pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(what)
        };
        Self::children(self.pid()).into_iter().find(called).unwrap()
    }
}

impl Drop for Brig {
    fn drop(&mut self) {
        // A test that waited for the end has had it.
        let _ = kill(self.pid(), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

#[test]
fn a_program_comes_back_run_and_accounted_for() {
    let brig = Brig::start(&[]);
    let answer = brig.python("print(input() * 2)", &json!({"stdin": "ab\n"}));
    assert_eq!(answer["status"], "ok", "{answer}");
    assert_eq!(answer["id"].as_str().unwrap().len(), 36);
    assert!(
        answer["message"]
            .as_str()
            .unwrap()
            .starts_with("exited with code 0 after")
    );
    assert_eq!(answer["compile"], Value::Null);
    assert_eq!(answer["degraded"], json!([]));
    let run = &answer["run"];
    assert_eq!(
        (&run["outcome"], &run["exit_code"]),
        (&json!("exited"), &json!(0))
    );
    assert_eq!(
        (&run["stdout"], &run["stdout_bytes"]),
        (&json!("abab\n"), &json!(5))
    );
    assert_eq!(run["limits"]["disk_inodes"], 4096);
    for figure in [
        "cpu_user_us",
        "cpu_system_us",
        "wall_us",
        "memory_peak_bytes",
        "processes_peak",
    ] {
        assert!(run["usage"][figure].is_u64(), "{figure}: {answer}");
    }
    for time in ["queued_us", "setup_us", "run_us", "total_us"] {
        assert!(answer["timings"][time].is_u64(), "{time}: {answer}");
    }
}

#[test]
fn compiled_programs_have_two_stages_and_find_all_their_files() {
    let source = "#include \"lib/x.h\"\n#include <stdio.h>\nint main(int n, char **v) {\n\
        char b[9] = {0}; FILE *f = fopen(\"data/in.txt\", \"r\"); fread(b, 1, 8, f);\n\
        f = fopen(\"out.bin\", \"w\"); fputc(255, f); printf(\"%s %s %d\", b, v[1], X); return 0; }";
    let body = json!({"language": "c", "source": source, "args": ["arg"], "output_files": ["*.bin"],
        "compiler_args": ["-DX=7"],
        "files": [{"path": "lib/x.h", "content": ""},
                  {"path": "data/in.txt", "content": "aGVsbG8=", "encoding": "base64"}]});
    let brig = Brig::start(&[]);
    let answer = brig.run(&body);
    assert_eq!(answer["status"], "ok", "{answer}");
    assert_eq!(answer["run"]["stdout"], "hello arg 7");
    assert_eq!(answer["compile"]["exit_code"], 0);
    assert!(answer["timings"]["compile_us"].is_u64());
    assert_eq!(
        answer["output_files"],
        json!([{"path": "out.bin", "content": "/w==", "encoding": "base64", "bytes": 1}])
    );
}

#[test]
fn a_compile_error_quotes_the_compiler() {
    let brig = Brig::start(&[]);
    let answer = brig.run(&json!({"language": "c", "source": "int main() { return x; }"}));
    assert_eq!(answer["status"], "compile_error");
    assert!(
        answer["message"].as_str().unwrap().contains("error: "),
        "{answer}"
    );
    assert_eq!(answer["run"], Value::Null);
    assert!(
        answer["compile"]["stderr"]
            .as_str()
            .unwrap()
            .contains("main.c")
    );
}

#[test]
fn every_way_to_end_has_its_status() {
    let brig = Brig::start(&[]);
    let c = |source: &str, limits: Value| {
        brig.run(&json!({"language": "c", "source": source, "limits": limits}))
    };
    let expect = |answer: Value, status: &str, outcome: &str| {
        assert_eq!(
            (&answer["status"], &answer["run"]["outcome"]),
            (&json!(status), &json!(outcome)),
            "{answer}"
        );
        answer
    };
    let none = json!({});
    expect(
        c("int main() { return 3; }", none.clone()),
        "runtime_error",
        "exited",
    );
    let answer = expect(
        c("int main() { return *(volatile int *)0; }", none.clone()),
        "runtime_error",
        "signaled",
    );
    assert_eq!(answer["run"]["signal"], "SIGSEGV");
    let limits = json!({"cpu_time_ms": 200});
    let answer = expect(
        c("int main() { for (;;); }", limits),
        "time_limit_exceeded",
        "cpu_time_limit",
    );
    assert!(answer["message"].as_str().unwrap().contains("limit 200 ms"));
    let sleep = "#include <unistd.h>\nint main() { sleep(9); }";
    expect(
        c(sleep, json!({"wall_time_ms": 200})),
        "time_limit_exceeded",
        "wall_time_limit",
    );
    let hog = "#include <stdlib.h>\n#include <string.h>\nint main() { for (;;) memset(malloc(1 << 20), 1, 1 << 20); }";
    expect(
        c(hog, json!({"memory_bytes": 32 << 20})),
        "memory_limit_exceeded",
        "memory_limit",
    );
    let flood = "#include <stdio.h>\nint main() { for (;;) puts(\"x\"); }";
    let answer = expect(
        c(flood, json!({"output_bytes": 1000})),
        "output_limit_exceeded",
        "output_limit",
    );
    assert_eq!(answer["run"]["stdout"].as_str().unwrap().len(), 1000);
    assert_eq!(answer["run"]["stdout_truncated"], true);
    let forbidden = "#include <sys/ptrace.h>\nint main() { ptrace(0, 0, 0, 0); }";
    let answer = expect(c(forbidden, none), "security_violation", "policy_violation");
    assert_eq!(answer["run"]["violation"], json!({"syscall": "ptrace"}));
}

#[test]
fn output_just_over_the_limit_is_over_it_however_fast_the_program_is() {
    let brig = Brig::start(&[]);
    for (bytes, status) in [(100, "ok"), (101, "output_limit_exceeded")] {
        let source = format!("import sys\nsys.stderr.write('x' * {bytes})");
        let answer = brig.python(&source, &json!({"limits": {"output_bytes": 100}}));
        assert_eq!(answer["status"], status, "{answer}");
        assert_eq!(answer["run"]["stderr_bytes"], bytes);
    }
}

#[test]
fn bytes_survive() {
    let all = "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())";
    let input = "AAH+/w==";
    let brig = Brig::start(&[]);
    let answer = brig.python(all, &json!({"stdin": input, "stdin_encoding": "base64"}));
    assert_eq!(
        (&answer["run"]["stdout"], &answer["run"]["stdout_encoding"]),
        (&json!(input), &json!("base64"))
    );
    let body = json!({"language": "python", "source": "print('hi', end='')"});
    let (_, forced) = brig.post("/v1/runs?encoding=base64", &body);
    assert_eq!(
        (&forced["run"]["stdout"], &forced["run"]["stdout_encoding"]),
        (&json!("aGk="), &json!("base64"))
    );
    let cut = brig.python("print('é' * 100)", &json!({"limits": {"output_bytes": 99}}));
    assert_eq!(cut["run"]["stdout_encoding"], "utf-8");
    assert_eq!(cut["run"]["stdout"], "é".repeat(49));
}

#[test]
fn a_megabyte_of_everything_passes() {
    let source = format!(
        "import sys\nd = sys.stdin.read()\nprint(len(d), len(sys.argv))\n#{}",
        "x".repeat(4 << 20)
    );
    let args = vec!["x".repeat(1000); 60];
    let brig = Brig::start(&[]);
    let answer = brig.python(
        &source,
        &json!({"stdin": "y".repeat(8 << 20), "args": args}),
    );
    assert_eq!(
        answer["run"]["stdout"],
        format!("{} 61\n", 8 << 20),
        "{}",
        answer["message"]
    );
}

#[test]
fn the_catalogue_tells_versions_and_limits() {
    let brig = Brig::start(&["--workers", "2"]);
    brig.until("python's version", || {
        let (_, text) = brig.get("/v1/languages/python");
        let entry: Value = serde_json::from_str(&text).unwrap();
        entry["version"]
            .as_str()
            .is_some_and(|v| v.starts_with("Python 3"))
    });
    let (_, text) = brig.get("/v1/languages");
    let languages: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(
        languages
            .iter()
            .all(|l| l["max_limits"]["cpu_time_ms"].is_u64())
    );
    let (_, text) = brig.get("/v1/policies");
    assert!(text.contains("strict"));
    let (_, text) = brig.get("/v1/info");
    let info: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(info["workers"]["configured"], 2);
    assert!(
        info["layers"]
            .as_array()
            .unwrap()
            .iter()
            .all(|l| l["enforced"] == true),
        "{info}"
    );
}

#[test]
fn the_metrics_count_what_happened() {
    let brig = Brig::start(&["--workers", "1"]);
    brig.python("print(1)", &json!({}));
    brig.run(&json!({"language": "c", "source": "#include <sys/ptrace.h>\nint main() { ptrace(0, 0, 0, 0); }"}));
    brig.python(
        "x = bytearray(1 << 30)",
        &json!({"limits": {"memory_bytes": 64 << 20}}),
    );
    assert_eq!(
        brig.metric(r#"brig_runs_total{language="python",status="ok"}"#),
        1
    );
    assert_eq!(
        brig.metric(r#"brig_runs_total{language="python",status="memory_limit_exceeded"}"#),
        1
    );
    assert_eq!(brig.metric(r#"brig_violations_total{syscall="ptrace"}"#), 1);
    assert_eq!(
        brig.metric(r#"brig_stage_cpu_seconds_count{language="c",stage="compile"}"#),
        1
    );
    assert!(brig.metric("brig_oom_kills_total") >= 1);
    assert_eq!(brig.metric("brig_workers"), 1);
    assert_eq!(brig.metric("brig_queue_depth"), 0);
}

#[test]
fn a_client_that_disconnects_cancels_its_run() {
    let brig = Brig::settled(&["--workers", "1"]);
    let body = json!({"language": "python", "source": "while True: pass", "limits": {"cpu_time_ms": 10_000}});
    let stream = brig.send_raw(&body);
    brig.until("running", || brig.metric("brig_running ") > 0);
    let begun = Instant::now();
    drop(stream);
    let next = brig.python("print(1)", &json!({}));
    assert_eq!(next["status"], "ok");
    assert!(begun.elapsed() < Duration::from_secs(8));
    assert_eq!(
        brig.metric(r#"brig_runs_total{language="python",status="cancelled"}"#),
        1
    );
    assert!(!brig.log().contains("ERROR"), "{}", brig.log());
}

#[test]
fn overload_is_refused_and_what_was_taken_is_finished() {
    let brig = Brig::settled(&["--workers", "1", "--queue", "1"]);
    let body = json!({"language": "python", "source": "import time; time.sleep(1)"});
    let taken = [brig.send_raw(&body), {
        brig.until("running", || brig.metric("brig_running ") > 0);
        brig.send_raw(&body)
    }];
    brig.until("queued", || brig.metric("brig_queue_depth") > 0);
    let (status, problem) = brig.post("/v1/runs", &body);
    assert_eq!(status, 503, "{problem}");
    assert_eq!(problem["status"], 503);
    for mut stream in taken {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains(r#""status":"ok""#));
    }
}

#[test]
fn a_killed_worker_costs_its_run_only() {
    let brig = Brig::settled(&["--workers", "1"]);
    let body = json!({"language": "python", "source": "import time; time.sleep(30)", "limits": {"wall_time_ms": 30_000}});
    let mut stream = brig.send_raw(&body);
    brig.until("running", || brig.metric("brig_running ") > 0);
    std::thread::sleep(Duration::from_millis(300));
    kill(brig.child_called("__worker"), Signal::SIGKILL).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(r#""status":"internal_error""#), "{answer}");
    brig.until("ready again", || brig.get("/readyz").0 == 200);
    assert_eq!(brig.python("print(1)", &json!({}))["status"], "ok");
}

#[test]
fn sigterm_lets_runs_finish_and_takes_no_new_ones() {
    let mut brig = Brig::settled(&["--workers", "1"]);
    let mut stream = brig.send_raw(
        &json!({"language": "python", "source": "import time; time.sleep(1); print('done')"}),
    );
    brig.until("running", || brig.metric("brig_running ") > 0);
    brig.signal(Signal::SIGTERM);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("done"), "{answer}");
    assert!(brig.child.wait().unwrap().success(), "{}", brig.log());
    assert!(TcpStream::connect(brig.address).is_err());
}

#[test]
fn a_drain_has_an_end() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[http]\ndrain_timeout_ms = 200\n").unwrap();
    let mut brig = Brig::settled(&["--workers", "1", "--config", file.path().to_str().unwrap()]);
    let body = json!({"language": "python", "source": "import time; time.sleep(30)", "limits": {"wall_time_ms": 30_000}});
    let _stream = brig.send_raw(&body);
    brig.until("running", || brig.metric("brig_running ") > 0);
    let begun = Instant::now();
    brig.signal(Signal::SIGTERM);
    brig.child.wait().unwrap();
    // Far more than any machine needs, far less than the program would take.
    assert!(begun.elapsed() < Duration::from_secs(20), "{}", brig.log());
}

#[test]
fn sighup_reads_languages_again_and_keeps_them_when_they_are_bad() {
    let profiles = tempfile::tempdir().unwrap();
    // The server is another user.
    std::fs::set_permissions(
        profiles.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let languages = profiles.path().join("languages");
    std::fs::create_dir(&languages).unwrap();
    let brig = Brig::start(&[
        "--workers",
        "1",
        "--profiles",
        profiles.path().to_str().unwrap(),
    ]);
    let built_in = include_str!("../../profiles/languages/python.toml");
    let own = built_in.replacen("id = \"python\"", "id = \"snake\"", 1);
    let own: String = own
        .lines()
        .filter(|l| !l.starts_with("aliases"))
        .flat_map(|l| [l, "\n"])
        .collect();
    std::fs::write(languages.join("snake.toml"), &own).unwrap();
    brig.signal(Signal::SIGHUP);
    brig.until("the new language", || {
        brig.get("/v1/languages/snake").0 == 200
    });
    assert_eq!(
        brig.run(&json!({"language": "snake", "source": "print(1)"}))["status"],
        "ok"
    );
    std::fs::write(languages.join("bad.toml"), "id = \"bad\"\nnonsense = 1\n").unwrap();
    brig.signal(Signal::SIGHUP);
    brig.until("the complaint", || brig.log().contains("bad.toml:"));
    assert_eq!(brig.get("/v1/languages/snake").0, 200);
    assert_eq!(brig.get("/v1/languages/bad").0, 404);
}

#[test]
fn bad_input_leaves_no_error_in_the_log() {
    let brig = Brig::start(&["--workers", "1"]);
    for body in [
        json!([]),
        json!({"language": "python"}),
        json!({"language": "x", "source": 1, "limits": {"cpus": 0}}),
    ] {
        assert_eq!(brig.post("/v1/runs", &body).0, 422);
    }
    let mut stream = TcpStream::connect(brig.address).unwrap();
    stream.write_all(b"\0\xff nonsense\r\n\r\n").unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    let huge = json!({"language": "python", "source": "x".repeat(20 << 20)});
    assert_eq!(brig.post("/v1/runs", &huge).0, 413);
    let log = brig.log();
    // Other tests' services, which run beside this one, have the same user ids.
    let complaint = |line: &&str| {
        (line.contains("ERROR") || line.contains("WARN")) && !line.contains("--uid-base")
    };
    assert_eq!(log.lines().find(complaint), None, "{log}");
}
