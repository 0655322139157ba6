//! `cargo bench -p brig --bench latency`: what a run through HTTP costs against bare fork+exec of the
//! same program, in the same pass on the same machine. Prints figures, asserts nothing.
//!
//! The program is a static C program that returns at once, linked without a C library so that its
//! upload (each run carries it in base64) does not hide the engine's part.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};

const PROGRAM: &str =
    "void _start(void){__asm__ volatile(\"mov $60,%eax;xor %edi,%edi;syscall\");}";
const ROUNDS: usize = 1000;
/// A pause before each run of the one-client pass, so that the pool is warm as on a calm service.
const PAUSE: Duration = Duration::from_millis(3);
const THROUGHPUT_SECONDS: u64 = 5;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("nop");
    compile(&program);
    let content =
        base64::engine::general_purpose::STANDARD.encode(std::fs::read(&program).unwrap());
    let request = json!({"language": "executable", "policy": "strict",
        "files": [{"path": "main", "content": content, "encoding": "base64"}]});
    let mut service = Service::start();
    one_client(&service, &request, &program);
    for clients in [2, 4, 8] {
        throughput(&service, &request, clients);
    }
    bare_throughput(&program);
    let _ = service.child.kill();
}

fn compile(program: &std::path::Path) {
    let source = program.with_extension("c");
    std::fs::write(&source, PROGRAM).unwrap();
    let done = Command::new("gcc")
        .args(["-O2", "-static", "-nostdlib", "-o"])
        .args([program, &source])
        .status();
    assert!(done.unwrap().success());
}

struct Service {
    child: Child,
    url: String,
}

impl Service {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_brig"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|l| Some(l.split_once("listen=")?.1.split(' ').next()?.to_owned()))
            .unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let service = Self {
            child,
            url: format!("http://{address}"),
        };
        // Looking at all languages' tools takes the first seconds.
        std::thread::sleep(Duration::from_secs(10));
        service
    }

    fn run(&self, agent: &ureq::Agent, request: &Value) -> Value {
        agent
            .post(format!("{}/v1/runs", self.url))
            .send_json(request)
            .unwrap()
            .body_mut()
            .read_json()
            .unwrap()
    }
}

fn bare(program: &std::path::Path) {
    Command::new(program)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
}

fn one_client(service: &Service, request: &Value, program: &std::path::Path) {
    let agent = ureq::Agent::new_with_defaults();
    let (mut http, mut raw, mut setup, mut inside) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        std::thread::sleep(PAUSE);
        let start = Instant::now();
        let answer = service.run(&agent, request);
        http.push(start.elapsed().as_secs_f64() * 1e3);
        assert_eq!(answer["status"], "ok", "{answer}");
        let ms = |key: &str| answer["timings"][key].as_f64().unwrap_or(0.0) / 1e3;
        setup.push(ms("setup_us"));
        inside.push(ms("run_us"));
        let start = Instant::now();
        bare(program);
        raw.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let names = [
        "through HTTP, one client",
        "  set-up in it",
        "  execve to exit in it",
        "bare fork+exec",
    ];
    for (name, values) in names
        .into_iter()
        .zip([&mut http, &mut setup, &mut inside, &mut raw])
    {
        println!(
            "{name:28} p50 {:.3} ms   p99 {:.3} ms",
            percentile(values, 0.5),
            percentile(values, 0.99)
        );
    }
    println!(
        "ratio p50 {:.2}, p99 {:.2}",
        percentile(&mut http, 0.5) / percentile(&mut raw, 0.5),
        percentile(&mut http, 0.99) / percentile(&mut raw, 0.99)
    );
}

fn percentile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    values[((values.len() - 1) as f64 * q) as usize]
}

fn throughput(service: &Service, request: &Value, clients: usize) {
    let end = Instant::now() + Duration::from_secs(THROUGHPUT_SECONDS);
    let total: u64 = std::thread::scope(|scope| {
        let client = || {
            let agent = ureq::Agent::new_with_defaults();
            let mut runs = 0;
            while Instant::now() < end {
                assert_eq!(service.run(&agent, request)["status"], "ok");
                runs += 1;
            }
            runs
        };
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    println!("{clients} clients: {} runs/s", total / THROUGHPUT_SECONDS);
}

fn bare_throughput(program: &std::path::Path) {
    let end = Instant::now() + Duration::from_secs(THROUGHPUT_SECONDS);
    let total: u64 = std::thread::scope(|scope| {
        let client = || {
            let mut runs = 0;
            while Instant::now() < end {
                bare(program);
                runs += 1;
            }
            runs
        };
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(client)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    println!(
        "bare fork+exec in 2 threads: {} runs/s",
        total / THROUGHPUT_SECONDS
    );
}
