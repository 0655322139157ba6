//! A service of our own, on a free port and with a data directory that goes away with it.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Target, TargetFlags, get_json};

/// How long the service may take to be ready and to have looked at its languages' tools.
const START: Duration = Duration::from_mins(2);
/// How long it may take to end.
const END: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Languages of the programs that are measured.
const LANGUAGES: &str = "executable,c,cpp,python,javascript,java";

/// A running service; it ends with this.
pub(super) struct OwnService {
    child: Child,
    url: String,
    /// Its data and its log.
    dir: TempDir,
}

impl OwnService {
    /// Starts `brig serve`, by `wrap` if that is given, and waits until it has nothing to do.
    pub(super) fn start(brig: &Path, workers: u32, wrap: Option<&str>) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("brig-bench-").tempdir()?;
        // The service's user must get through.
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o711))?;
        let mut words: Vec<&str> = wrap.unwrap_or_default().split_whitespace().collect();
        let brig = brig.to_str().context("the path of brig is not UTF-8")?;
        words.push(brig);
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .args(["serve", "--listen", "127.0.0.1:0", "--languages", LANGUAGES])
            .args(["--workers", &workers.to_string(), "--data"])
            .arg(dir.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(dir.path().join("log"))?)
            // Ctrl-C is for this program alone, which then ends it.
            .process_group(0);
        // Signals that this program waits for are blocked; a child would inherit that.
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        signals.add(Signal::SIGTERM);
        signals.thread_unblock()?;
        let child = command.spawn();
        signals.thread_block()?;
        let child = child.with_context(|| format!("cannot start {}", words[0]))?;
        let mut own = Self {
            child,
            url: String::new(),
            dir,
        };
        own.settle()?;
        Ok(own)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn settle(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("the service ended with {status}:\n{}", self.log());
            }
            anyhow::ensure!(
                begun.elapsed() < START,
                "the service is not ready after {} s:\n{}",
                START.as_secs(),
                self.log()
            );
            std::thread::sleep(PAUSE);
            if self.url.is_empty() {
                let log = self.log();
                let Some((_, rest)) = log.split_once("listen=") else {
                    continue;
                };
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                self.url = format!("http://{}", &rest[..end]);
            }
            if self.is_settled() {
                return Ok(());
            }
        }
    }

    /// Whether it has looked at all of its languages' tools: until then workers are busy with that.
    fn is_settled(&self) -> bool {
        let flags = TargetFlags {
            server: self.url.clone(),
            key_file: None,
            allow_remote: false,
        };
        let Ok(target) = Target::new(&flags) else {
            return false;
        };
        if get_json(&target, "/readyz").is_err() {
            return false;
        }
        let languages = get_json(&target, "/v1/languages").unwrap_or_default();
        let known = |l: &Value| l["available"] == false || l["version"].is_string();
        languages
            .as_array()
            .is_some_and(|all| all.iter().all(known))
    }
}

impl Drop for OwnService {
    fn drop(&mut self) {
        let _ = kill(
            Pid::from_raw(self.child.id().cast_signed()),
            Signal::SIGTERM,
        );
        let begun = Instant::now();
        while begun.elapsed() < END {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
