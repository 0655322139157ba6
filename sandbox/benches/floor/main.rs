//! `cargo bench -p brig-sandbox --bench floor`: what a stage costs a worker against the least that the
//! same kernel work costs, in the same pass. Needs root. Prints figures, asserts nothing.
//!
//! - `bare`: posix_spawn and wait, no isolation.
//! - `loop`: clone3 into the same fresh namespaces, the same mounts, exec, and nothing of Brig: no cgroup, no
//!   filter, no Landlock, no accounting, no messages.
//! - `worker`: a worker, driven without a server.
//!
//! The program is static and returns at once. CPU figures are the whole machine's (`/proc/stat`), kernel
//! threads that clean up included, so they are right only when nothing else runs.
//!
//! Options: `--rounds N`, `--seconds N`, `--workers N`, `--pause-us N`, `--only worker`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

mod bare_loop;
mod machine;
mod workers;

const PROGRAM: &str =
    "void _start(void){__asm__ volatile(\"mov $60,%eax;xor %edi,%edi;syscall\");}";

/// What to measure, and how long.
struct Options {
    rounds: usize,
    seconds: u64,
    workers: u32,
    /// Before each round, so that sandboxes are warm as on a calm service.
    pause: Duration,
    only_worker: bool,
}

impl Options {
    fn parse() -> Self {
        let args: Vec<String> = std::env::args().collect();
        let number = |name: &str, default: u64| {
            args.iter()
                .position(|a| a == name)
                .and_then(|i| args.get(i + 1)?.parse().ok())
                .unwrap_or(default)
        };
        Self {
            rounds: usize::try_from(number("--rounds", 1000)).unwrap_or(1000),
            seconds: number("--seconds", 5),
            workers: u32::try_from(number("--workers", 2)).unwrap_or(2),
            pause: Duration::from_micros(number("--pause-us", 3000)),
            only_worker: args.iter().any(|a| a == "--only"),
        }
    }
}

fn main() {
    if let Some(code) = brig_sandbox::spawn::worker_main() {
        std::process::exit(code);
    }
    if let Some(code) = bare_loop::main_of_child() {
        std::process::exit(code);
    }
    let options = Options::parse();
    let dir = tempfile::Builder::new()
        .prefix("brig-floor-")
        .tempdir_in("/var/tmp")
        .unwrap();
    let program = compile(dir.path());
    // Workers are forked, so before there are threads.
    let mut workers = workers::Workers::start(options.workers, &program);
    latency(&options, &program, &mut workers);
    throughput(&options, &program, &mut workers);
    workers.stop();
}

fn compile(dir: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (source, program) = (dir.join("nop.c"), dir.join("nop"));
    std::fs::write(&source, PROGRAM).unwrap();
    let done = Command::new("gcc")
        .args(["-O2", "-static", "-nostdlib", "-o"])
        .args([&program, &source])
        .status();
    assert!(done.unwrap().success());
    program
}

fn bare(program: &Path) {
    Command::new(program)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
}

/// One at a time, the three ways by turns.
fn latency(options: &Options, program: &Path, workers: &mut workers::Workers) {
    let mut bare_us = Vec::new();
    let mut loop_us = Vec::new();
    let mut worker_us = Vec::new();
    let mut setup_us = Vec::new();
    let mut inside_us = Vec::new();
    let mut bare_loop = (!options.only_worker).then(|| bare_loop::Child::start(program));
    for _ in 0..options.rounds {
        std::thread::sleep(options.pause);
        let start = Instant::now();
        bare(program);
        bare_us.push(micros(start));
        if let Some(child) = &mut bare_loop {
            loop_us.push(child.run_one());
        }
        std::thread::sleep(options.pause);
        let start = Instant::now();
        let report = workers.run_one();
        worker_us.push(micros(start));
        setup_us.push(float(report.setup_us));
        inside_us.push(float(report.usage.wall_us));
    }
    println!("one at a time, microseconds:");
    for (name, values) in [
        ("bare", &mut bare_us),
        ("loop, from nothing", &mut loop_us),
        ("worker, warm", &mut worker_us),
        ("  set-up in it", &mut setup_us),
        ("  execve to exit in it", &mut inside_us),
    ] {
        if !values.is_empty() {
            let at = |q| percentile(values.clone(), q);
            println!(
                "  {name:24} p50 {:8.0}  p90 {:8.0}  p99 {:8.0}",
                at(0.5),
                at(0.9),
                at(0.99)
            );
        }
    }
    println!(
        "  worker / bare: p50 {:.2}, p99 {:.2}",
        percentile(worker_us.clone(), 0.5) / percentile(bare_us.clone(), 0.5),
        percentile(worker_us, 0.99) / percentile(bare_us, 0.99)
    );
}

/// All CPUs busy, the ways by turns, twice.
fn throughput(options: &Options, program: &Path, workers: &mut workers::Workers) {
    println!("all at once, {} at a time:", options.workers);
    let mut rates = Vec::new();
    for _ in 0..2 {
        if !options.only_worker {
            let (floor, cpu) = machine::cpu_of(|| {
                bare_loop::throughput(program, options.workers, options.seconds)
            });
            report("loop", floor, options.seconds, cpu);
            rates.push(floor);
        }
        let (runs, cpu) = machine::cpu_of(|| workers.throughput(options.seconds));
        report("worker", runs, options.seconds, cpu);
        if let Some(floor) = rates.last() {
            println!("  worker / loop: {:.2}", float(runs) / float(*floor));
        }
    }
}

fn report(name: &str, runs: u64, seconds: u64, cpu: machine::Cpu) {
    let per_run = |ticks_us: u64| float(ticks_us) / float(runs.max(1));
    println!(
        "  {name:8} {:5} runs/s, {:5.0} us of CPU a run (user {:.0}, system {:.0}, interrupts {:.0}), idle {:.0} %",
        runs / seconds,
        per_run(cpu.user_us + cpu.system_us + cpu.interrupt_us),
        per_run(cpu.user_us),
        per_run(cpu.system_us),
        per_run(cpu.interrupt_us),
        100.0 * float(cpu.idle_us)
            / float((cpu.user_us + cpu.system_us + cpu.interrupt_us + cpu.idle_us).max(1)),
    );
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

#[allow(clippy::cast_precision_loss)] // far below 2^52
fn float(n: u64) -> f64 {
    n as f64
}

fn percentile(mut values: Vec<f64>, q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    values[((values.len() - 1) as f64 * q) as usize]
}
