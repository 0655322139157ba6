//! Nothing stays behind, however a run ends.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::harness::{BRIG_SANDBOX, Bench};
use super::host::{eventually, groups_of};

fn start(marker: &str) -> Child {
    let script = format!("echo up; exec -a {marker} sleep 1000");
    let mut child = Command::new(BRIG_SANDBOX)
        .args(["run", "--wall-time", "1000s", "--", "bash", "-c", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
    assert_eq!(line, "up\n");
    eventually("the program runs", || processes_called(marker) == 1);
    child
}

fn processes_called(marker: &str) -> usize {
    let is_it = |e: &std::fs::DirEntry| {
        std::fs::read(e.path().join("cmdline")).is_ok_and(|c| c.starts_with(marker.as_bytes()))
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(is_it)
        .count()
}

#[test]
fn an_ordinary_run_leaves_no_group() {
    let child = Command::new(BRIG_SANDBOX)
        .args(["run", "--", "true"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(groups_of(pid), Vec::<std::path::PathBuf>::new());
}

#[test]
fn interrupting_ends_the_program_and_cleans_up() {
    let mut child = start("brig-test-interrupted");
    let pid = child.id();
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(processes_called("brig-test-interrupted"), 0);
    assert_eq!(groups_of(pid), Vec::<std::path::PathBuf>::new());
}

#[test]
fn killing_the_parent_kills_the_program_and_the_next_start_cleans_up() {
    let mut child = start("brig-test-orphaned");
    let pid = child.id();
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the program is dead", || {
        processes_called("brig-test-orphaned") == 0
    });
    Bench::new().run(&[], &["true"]).ok();
    eventually("the groups are gone", || groups_of(pid).is_empty());
}

#[test]
fn a_daemon_dies_with_the_program() {
    let source = "#include <unistd.h>\n#include <sys/prctl.h>\n\
        int main(){if(!fork()){setsid();if(!fork())for(;;)pause();_exit(0);}usleep(50000);return 0;}";
    let started = Instant::now();
    Bench::new().run_c(&["--wall-time", "300s"], source).ok();
    assert!(
        started.elapsed() < Duration::from_secs(250),
        "the daemon kept the run alive"
    );
}
