//! What the same program costs without Brig: `posix_spawn`, and waiting for its end.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::SigSet;
use nix::sys::wait::{WaitStatus, waitpid};
use serde::Serialize;

use crate::scenario::BaselineSpec;
use crate::stats::{Latencies, Percentiles};

/// Most threads that start bare processes at once.
const MAX_THREADS: u32 = 64;

/// Bare processes, ready to be started.
#[derive(Debug)]
pub(crate) struct Baseline {
    /// Argument vectors, done one after the other.
    commands: Vec<Vec<CString>>,
    /// The same with `{dir}` in them.
    written: Vec<Vec<String>>,
    /// What `{dir}` stands for.
    dir: PathBuf,
    env: Vec<CString>,
    stdin: File,
    null: File,
}

impl Baseline {
    /// Does what `spec` does once, in `dir`, which holds the request's files.
    pub(crate) fn prepare(spec: &BaselineSpec, dir: &Path, stdin: &str) -> anyhow::Result<Self> {
        let input = dir.join(".stdin");
        std::fs::write(&input, stdin).with_context(|| input.display().to_string())?;
        let mut env = vec![CString::from(c"PATH=/usr/local/bin:/usr/bin:/bin")];
        for (name, value) in &spec.env {
            env.push(CString::new(format!("{name}={value}"))?);
        }
        let made = |commands: &[Vec<String>]| -> anyhow::Result<Vec<Vec<CString>>> {
            commands.iter().map(|c| arguments(c, dir)).collect()
        };
        let baseline = Self {
            commands: made(&spec.commands)?,
            written: spec.commands.clone(),
            dir: dir.to_owned(),
            env,
            stdin: File::open(&input).with_context(|| input.display().to_string())?,
            null: File::options().write(true).open("/dev/null")?,
        };
        for command in made(&spec.prepare)?.iter().chain(&baseline.commands) {
            let status = baseline.one(command)?;
            anyhow::ensure!(
                matches!(status, WaitStatus::Exited(_, 0)),
                "the baseline's {} ended with {status:?}",
                shown(command)
            );
        }
        Ok(baseline)
    }

    /// The same done by `wrapped`, which is a program that runs another one. `{unique}` in an argument
    /// stands for a number that is another one each time.
    pub(crate) fn wrapped(&self, wrapped: Vec<String>) -> anyhow::Result<Self> {
        Ok(Self {
            commands: vec![arguments(&wrapped, &self.dir)?],
            written: vec![wrapped],
            dir: self.dir.clone(),
            env: self.env.clone(),
            stdin: self.stdin.try_clone()?,
            null: self.null.try_clone()?,
        })
    }

    /// Where the files of the program are.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The command, for a place where these files are in `dir`.
    pub(crate) fn command_in(&self, dir: &str) -> Vec<String> {
        let written = self.written.first().map_or(&[][..], Vec::as_slice);
        written.iter().map(|a| a.replace("{dir}", dir)).collect()
    }

    /// Does all commands once.
    pub(crate) fn once(&self) -> anyhow::Result<()> {
        for command in &self.commands {
            self.one(command)?;
        }
        Ok(())
    }

    fn one(&self, command: &[CString]) -> anyhow::Result<WaitStatus> {
        let mut actions = PosixSpawnFileActions::init()?;
        actions.add_dup2(self.stdin.as_raw_fd(), 0)?;
        actions.add_dup2(self.null.as_raw_fd(), 1)?;
        actions.add_dup2(self.null.as_raw_fd(), 2)?;
        // What this process blocks to see Ctrl-C is not blocked in programs.
        let mut attributes = PosixSpawnAttr::init()?;
        attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK)?;
        attributes.set_sigmask(&SigSet::empty())?;
        let renamed;
        let mut command = command;
        if command.iter().any(|a| holds_unique(a)) {
            renamed = with_number(command)?;
            command = &renamed;
        }
        let path: &CStr = &command[0];
        let pid = posix_spawn(path, &actions, &attributes, command, &self.env)
            .with_context(|| format!("cannot start {}", shown(command)))?;
        Ok(waitpid(pid, None)?)
    }
}

fn arguments(command: &[String], dir: &Path) -> anyhow::Result<Vec<CString>> {
    let dir = String::from_utf8_lossy(dir.as_os_str().as_bytes()).into_owned();
    let argument = |a: &String| CString::new(a.replace("{dir}", &dir));
    let arguments: Result<Vec<CString>, _> = command.iter().map(argument).collect();
    arguments.context("an argument holds a NUL")
}

/// Stands for a number that is another one each time.
const UNIQUE: &str = "{unique}";

fn holds_unique(argument: &CStr) -> bool {
    argument
        .to_bytes()
        .windows(UNIQUE.len())
        .any(|w| w == UNIQUE.as_bytes())
}

fn with_number(command: &[CString]) -> anyhow::Result<Vec<CString>> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let named = format!("{}-{number}", std::process::id());
    let argument = |a: &CString| CString::new(a.to_string_lossy().replace(UNIQUE, &named));
    let named: Result<Vec<CString>, _> = command.iter().map(argument).collect();
    Ok(named?)
}

fn shown(command: &[CString]) -> String {
    let words: Vec<_> = command.iter().map(|a| a.to_string_lossy()).collect();
    words.join(" ")
}

/// What bare processes took.
#[derive(Clone, Debug, Default)]
pub(crate) struct BareTimes {
    pub(crate) latencies: Latencies,
    /// For how long they were started.
    pub(crate) elapsed: Duration,
}

/// [`BareTimes`] as reports have it.
#[derive(Clone, Debug, Serialize, serde::Deserialize)]
pub(crate) struct BareReport {
    /// Time of one, from before its start to after its end.
    pub(crate) latency: Percentiles,
    /// How many a second.
    pub(crate) per_second: f64,
}

impl BareTimes {
    pub(crate) fn add(&mut self, other: &Self) {
        self.latencies.add(&other.latencies);
        self.elapsed += other.elapsed;
    }

    pub(crate) fn report(&self) -> BareReport {
        let latency = self.latencies.percentiles();
        #[allow(clippy::cast_precision_loss)]
        let per_second = latency.count as f64 / self.elapsed.as_secs_f64().max(1e-9);
        BareReport {
            latency,
            per_second,
        }
    }
}

/// Does `pick(0)`, `pick(1)`, ... in `threads` threads for `time`, or until `stop`. Each thread pauses for
/// `think` after each.
pub(crate) fn measure<'a>(
    pick: impl Fn(u64) -> &'a Baseline + Sync,
    threads: u32,
    think: Duration,
    time: Duration,
    stop: &AtomicBool,
) -> anyhow::Result<BareTimes> {
    let begun = Instant::now();
    let next = AtomicU64::new(0);
    let one_thread = || -> anyhow::Result<Latencies> {
        let mut latencies = Latencies::default();
        while begun.elapsed() < time && !stop.load(Ordering::Relaxed) {
            let baseline = pick(next.fetch_add(1, Ordering::Relaxed));
            let start = Instant::now();
            baseline.once()?;
            latencies.record(start.elapsed());
            if !think.is_zero() {
                std::thread::sleep(think);
            }
        }
        Ok(latencies)
    };
    let mut times = BareTimes::default();
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let threads: Vec<_> = (0..threads.clamp(1, MAX_THREADS))
            .map(|_| scope.spawn(one_thread))
            .collect();
        for thread in threads {
            let latencies = thread
                .join()
                .map_err(|_| anyhow::anyhow!("a thread panicked"))?;
            times.latencies.add(&latencies?);
        }
        Ok(())
    })?;
    times.elapsed = begun.elapsed();
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(commands: &[&[&str]]) -> BaselineSpec {
        BaselineSpec {
            source_name: None,
            prepare: Vec::new(),
            commands: commands
                .iter()
                .map(|c| c.iter().map(|a| (*a).to_owned()).collect())
                .collect(),
            env: std::collections::BTreeMap::default(),
        }
    }

    #[test]
    fn a_program_is_started_with_its_input_until_time_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let command: &[&str] = &["/usr/bin/tee", "{dir}/out"];
        let baseline = Baseline::prepare(&spec(&[command]), dir.path(), "hello").unwrap();
        assert_eq!(std::fs::read(dir.path().join("out")).unwrap(), b"hello");
        let stop = AtomicBool::new(false);
        let time = Duration::from_millis(200);
        let times = measure(|_| &baseline, 2, Duration::ZERO, time, &stop).unwrap();
        let report = times.report();
        assert!(report.latency.count > 0 && times.elapsed >= time);
        stop.store(true, Ordering::Relaxed);
        let times = measure(|_| &baseline, 2, Duration::ZERO, time, &stop).unwrap();
        assert_eq!(times.report().latency.count, 0);
    }

    #[test]
    fn a_baseline_that_fails_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |command: &[&str]| {
            let made = Baseline::prepare(&spec(&[command]), dir.path(), "");
            format!("{:#}", made.unwrap_err())
        };
        assert!(refused(&["/bin/false"]).contains("/bin/false ended with"));
        assert!(refused(&["/no/such/program"]).contains("cannot start /no/such/program"));
    }
}
