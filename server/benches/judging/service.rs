//! A service to be measured.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};
use tempfile::TempDir;

/// As many as the machines have CPUs that figures are quoted of.
pub(crate) const WORKERS: &str = "2";
/// For a service to start, and for what was accepted to end.
const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) struct Service {
    child: Child,
    data: TempDir,
    pub(crate) url: String,
    pub(crate) agent: ureq::Agent,
}

impl Service {
    pub(crate) fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(data.path(), mode).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_brig"))
            .args(["serve", "--listen", "127.0.0.1:0", "--workers", WORKERS])
            .args(["--languages", "executable", "--data"])
            .arg(data.path().join("data"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|l| Some(l.split_once("listen=")?.1.split(' ').next()?.to_owned()));
        std::thread::spawn(move || lines.for_each(drop));
        let service = Self {
            child,
            data,
            url: format!("http://{}", address.expect("the service starts")),
            agent: agent(),
        };
        wait_for("the service is ready", || {
            let ready = service.agent.get(format!("{}/readyz", service.url)).call();
            ready.is_ok_and(|answer| answer.status() == 200)
        });
        service
    }

    pub(crate) fn post(&self, path: &str, key: Option<&str>, body: &Value) -> (u16, Value) {
        post(&self.agent, &format!("{}{path}", self.url), key, body)
    }

    /// Makes an API key.
    pub(crate) fn key(&self) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_brig"))
            .args([
                "keys",
                "create",
                "--name",
                "bench",
                "--scopes",
                "run,judge",
                "--data",
            ])
            .arg(self.data_dir())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn data_dir(&self) -> PathBuf {
        self.data.path().join("data")
    }

    /// The value of a metric, summed over its labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let mut answer = self
            .agent
            .get(format!("{}/metrics", self.url))
            .call()
            .unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let value = |line: &str| {
            let rest = line.strip_prefix(name)?;
            (rest.starts_with(' ') || rest.starts_with('{'))
                .then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        };
        text.lines().filter_map(value).sum()
    }

    /// A figure of the server process's `/proc/<pid>/status`, in MiB.
    pub(crate) fn mib(&self, key: &str) -> f64 {
        let supervisor = self.child.id();
        let children = format!("/proc/{supervisor}/task/{supervisor}/children");
        let children = std::fs::read_to_string(children).unwrap();
        let statuses = children
            .split_whitespace()
            .filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/status")).ok());
        let mut servers = statuses.filter(|s| s.starts_with("Name:\tbrig-server\n"));
        let status = servers.next().expect("a server");
        let line = status.lines().find_map(|l| l.strip_prefix(key)).unwrap();
        let kib: f64 = line
            .trim_matches([':', '\t', ' ', 'k', 'B'])
            .parse()
            .unwrap();
        kib / 1024.0
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    config.timeout_global(Some(PATIENCE)).build().into()
}

pub(crate) fn post(
    agent: &ureq::Agent,
    url: &str,
    key: Option<&str>,
    body: &Value,
) -> (u16, Value) {
    let mut request = agent.post(url);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let mut answer = request.send_json(body).unwrap();
    (
        answer.status().as_u16(),
        answer.body_mut().read_json().unwrap(),
    )
}

/// A static program: with `spin` it computes for so many microseconds, with `sleep` it waits, with `write`
/// it writes so many bytes. Without a C library, so that 10,000 submissions of it are small.
const SOURCE: &str = r#"
__asm__(".globl _start\n_start: mov %rsp,%rdi; and $-16,%rsp; call begin");
static long call(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
}
enum { WRITE = 1, NANOSLEEP = 35, EXIT_GROUP = 231, CLOCK_GETTIME = 228, PROCESS_CPUTIME = 2 };
static char block[65536];
void begin(long *stack) {
  char **argv = (char **)(stack + 1), mode = 0;
  long amount = 0;
  if (stack[0] > 2) {
    mode = argv[1][1];
    for (char *digit = argv[2]; *digit; digit++) amount = amount * 10 + *digit - '0';
  }
  if (mode == 'p') {
    long now[2];
    do call(CLOCK_GETTIME, PROCESS_CPUTIME, (long)now, 0);
    while (now[0] * 1000000 + now[1] / 1000 < amount);
  } else if (mode == 'l') {
    long time[2] = {amount / 1000000, amount % 1000000 * 1000};
    call(NANOSLEEP, (long)time, 0, 0);
  } else if (mode == 'r') {
    for (long i = 0; i < (long)sizeof block; i++) ((volatile char *)block)[i] = 'x';
    while (amount > 0) {
      long size = amount < (long)sizeof block ? amount : (long)sizeof block;
      long written = call(WRITE, 1, (long)block, size);
      if (written <= 0) call(EXIT_GROUP, 1, 0, 0);
      amount -= written;
    }
    call(EXIT_GROUP, 0, 0, 0);
  }
  call(EXIT_GROUP, call(WRITE, 1, (long)"ok\n", 3) != 3, 0, 0);
}
"#;

/// The program, compiled.
pub(crate) fn program() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (source, program) = (dir.path().join("p.c"), dir.path().join("p"));
    std::fs::write(&source, SOURCE).unwrap();
    let done = Command::new("gcc")
        .args(["-O2", "-static", "-nostdlib", "-ffreestanding", "-s", "-o"])
        .args([&program, &source])
        .status();
    assert!(done.unwrap().success());
    std::fs::read(&program).unwrap()
}

/// What a run or a submission of `program` has in common.
pub(crate) fn request(program: &[u8], args: &[&str]) -> Value {
    let content = base64::engine::general_purpose::STANDARD.encode(program);
    json!({
        "language": "executable", "args": args,
        "files": [{"path": "main", "content": content, "encoding": "base64"}],
    })
}
