//! `brig-loadtest` against a real service.
//!
//! The service is this same program: `brig serve` starts its server and workers from its own binary,
//! while there is one thread. So this is a `main`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use brig_server::{ServeArgs, server_process, supervisor};
use libtest_mimic::{Arguments, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// No wait in these tests should come near it on any machine.
const BOUND: Duration = Duration::from_mins(2);
const LOADTEST: &str = env!("CARGO_BIN_EXE_brig-loadtest");

/// One test.
type Case = fn(&Service);

/// A running service.
struct Service {
    child: Child,
    address: String,
    dir: tempfile::TempDir,
}

impl Service {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("serve")
            .arg(dir.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = Vec::new();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let found = line.split_once("listen=").map(|(_, rest)| {
                rest.split(char::is_whitespace)
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            });
            seen.push(line);
            found
        });
        // Whoever reads the log may be done with it; the pipe must be emptied all the same.
        std::thread::spawn(move || lines.for_each(drop));
        let address = address.unwrap_or_else(|| panic!("it does not serve: {seen:#?}"));
        let service = Self {
            child,
            address,
            dir,
        };
        eventually("it is ready", || {
            service
                .get("/readyz")
                .is_some_and(|a| a.starts_with("HTTP/1.1 200"))
        });
        service
    }

    /// The answer to `GET path`, with its head.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: brig\r\nconnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// How many runs ended well.
    fn runs(&self) -> f64 {
        let metrics = self.get("/metrics").unwrap_or_default();
        let lines = metrics
            .lines()
            .filter(|l| l.starts_with("brig_runs_total{"));
        let values = lines.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum()
    }

    fn loadtest(&self, args: &[&str]) -> Command {
        let mut command = Command::new(LOADTEST);
        command
            .args(args)
            .args(["--server", &format!("http://{}", self.address)])
            .stdin(Stdio::null())
            .env_remove("BRIG_KEY");
        command
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = kill(
            Pid::from_raw(self.child.id().cast_signed()),
            Signal::SIGTERM,
        );
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end && self.child.try_wait().is_ok_and(|s| s.is_none()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + BOUND;
    while !condition() {
        assert!(Instant::now() < end, "not within {BOUND:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn succeeded(done: &Output) -> String {
    let stdout = String::from_utf8_lossy(&done.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}: {stdout}{stderr}", done.status);
    stdout
}

/// A bounded load with everything that can be asked for.
fn load_and_report(service: &Service) {
    let (file, page) = (service.path("a.json"), service.path("a.html"));
    let args = [
        "run",
        "static-c",
        "--requests",
        "20",
        "--duration",
        "60s",
        "--warmup",
        "0s",
    ];
    let mut command = service.loadtest(&args);
    command.args(["--clients", "2", "--baseline", "--slice", "100ms", "--json"]);
    command.arg(&file).arg("--html").arg(&page);
    let shown = succeeded(&command.output().unwrap());
    assert!(shown.contains("20 right, 0 wrong"), "{shown}");
    let report = json(&file);
    assert_eq!(report["schema"], "brig-loadtest/1");
    assert_eq!(report["service"]["name"], "brig");
    let all = &report["groups"][0]["all"];
    assert_eq!(all["ok"], 20, "{all}");
    let phases = all["phases"].as_array().unwrap();
    for name in ["client", "total", "queue", "setup", "run"] {
        let phase = phases.iter().find(|p| p["phase"] == name);
        let phase = phase.unwrap_or_else(|| panic!("{name} in {phases:?}"));
        assert_eq!(phase["latency"]["count"], 20, "{phase}");
    }
    let client = phases[0]["latency"]["p50_us"].as_f64().unwrap();
    let setup = phases.iter().find(|p| p["phase"] == "setup").unwrap();
    assert!(client > setup["latency"]["p50_us"].as_f64().unwrap());
    let baseline = &report["baseline"];
    assert!(baseline["bare"]["latency"]["count"].as_u64().unwrap() > 0);
    assert!(baseline["ratio_p50"].as_f64().unwrap() > 1.0, "{baseline}");
    assert!(report["cpu"]["server_us_per_operation"].is_f64());
    assert!(
        report["memory"]["after"]["brig-server"]["rss_bytes"]
            .as_u64()
            .unwrap()
            > 0
    );
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<svg") && page.contains("static-c"));
    let same = Command::new(LOADTEST)
        .arg("compare")
        .arg(&file)
        .arg(&file)
        .output();
    let same = succeeded(&same.unwrap());
    assert!(same.contains("1.00") && !same.contains("better"), "{same}");
}

/// A rate, and judging: what is answered later than it was asked for.
fn rate_and_judging(service: &Service) {
    let file = service.path("b.json");
    let scenario = service.path("judge.toml");
    std::fs::write(
        &scenario,
        r#"
about = "judging and running side by side"
[[groups]]
name = "people"
rate = 20.0
[[groups.operations]]
name = "print"
request = { language = "python", source = "print(1)\n" }
expect = { stdout = "1\n" }
[[groups]]
name = "judges"
[[groups.operations]]
name = "judge"
kind = "submission"
request = { language = "python", stop = "never", source = "print(input())\n" }
tests = { count = 3, template = { id = "t{{test}}", stdin = "{{test}}\n", expected_output = "{{test}}\n" } }
"#,
    )
    .unwrap();
    let args = [
        "run",
        scenario.to_str().unwrap(),
        "--duration",
        "2s",
        "--warmup",
        "0s",
    ];
    let mut command = service.loadtest(&args);
    succeeded(&command.arg("--json").arg(&file).output().unwrap());
    let report = json(&file);
    let groups = report["groups"].as_array().unwrap();
    assert_eq!(groups[0]["load"]["mode"], "open");
    for group in groups {
        assert!(group["all"]["ok"].as_u64().unwrap() > 0, "{group}");
    }
    assert!(
        groups[1]["all"]["errors"].as_array().unwrap().is_empty(),
        "{report}"
    );
}

/// What the service refuses is told before anything is measured.
fn mistakes(service: &Service) {
    let scenario = service.path("wrong.toml");
    let text = r#"
about = "a language that there is not"
[[groups]]
name = "a"
[[groups.operations]]
name = "nonsense"
request = { language = "klingon", source = "x" }
"#;
    std::fs::write(&scenario, text).unwrap();
    let refused = |args: &[&str]| {
        let done = service.loadtest(args).output().unwrap();
        assert!(!done.status.success());
        String::from_utf8_lossy(&done.stderr).into_owned()
    };
    let said = refused(&["run", scenario.to_str().unwrap()]);
    assert!(
        said.contains("nonsense") && said.contains("klingon"),
        "{said}"
    );
    let said = refused(&["run", "static-c", "--clients", "0"]);
    assert!(said.contains("--clients"), "{said}");
}

/// Ctrl-C ends the load with a report.
fn interrupted(service: &Service) {
    let file = service.path("c.json");
    let before = service.runs();
    let mut command = service.loadtest(&["run", "static-c", "--duration", "1h", "--warmup", "0s"]);
    let mut child = command
        .arg("--json")
        .arg(&file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // One of them only shows that it works.
    eventually("it runs", || service.runs() > before + 2.0);
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let mut shown = String::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_string(&mut shown).unwrap();
    assert!(child.wait().unwrap().success(), "{shown}");
    let report = json(&file);
    assert_eq!(report["interrupted"], true);
    assert!(
        report["groups"][0]["all"]["ok"].as_u64().unwrap() > 0,
        "{shown}"
    );
}

fn main() -> ExitCode {
    let exit = |code: i32| ExitCode::from(u8::try_from(code).unwrap_or(1));
    if let Some(code) = brig_sandbox::spawn::worker_main() {
        return exit(code);
    }
    if let Some(code) = server_process::main() {
        return exit(code);
    }
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == "serve") {
        let args = ServeArgs {
            listen: "127.0.0.1:0".parse().ok(),
            workers: std::num::NonZeroU32::new(2),
            data: words.next().map(Into::into),
            languages: vec!["executable".to_owned(), "python".to_owned()],
            ..ServeArgs::default()
        };
        return match supervisor::run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let args = Arguments::from_args();
    let cases: [(&str, Case); 4] = [
        ("load_and_report", load_and_report),
        ("rate_and_judging", rate_and_judging),
        ("mistakes", mistakes),
        ("interrupted", interrupted),
    ];
    // One service for all that this process runs; started by the first that needs it.
    let service = Arc::new(std::sync::Mutex::new(None));
    let trials = cases.map(|(name, case)| {
        let service = Arc::clone(&service);
        Trial::test(name, move || {
            // A test that failed leaves it as good as it was.
            let mut service = service
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            case(service.get_or_insert_with(Service::start));
            Ok(())
        })
    });
    let conclusion = libtest_mimic::run(&args, trials.into());
    *service
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    conclusion.exit_code()
}
