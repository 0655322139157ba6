//! Programs on a terminal of their own.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::harness::{BRIG_SANDBOX, Bench, Outcome};

/// Longer than any answer may take, on the slowest machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Somebody at the keyboard of a program's terminal.
struct Typist {
    bench: Bench,
    child: Child,
    keyboard: Option<ChildStdin>,
    chunks: Receiver<Vec<u8>>,
    /// What was shown and not yet expected.
    screen: String,
}

impl Typist {
    fn sit_down(args: &[&str], command: &[&str]) -> Self {
        let bench = Bench::new();
        let mut child = Command::new(BRIG_SANDBOX)
            .args(["run", "--pty", "24x80", "--wall-time", "60s"])
            .args(args)
            .arg("--report")
            .arg(bench.path("report.json"))
            .arg("--")
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = child.stdout.take().unwrap();
        let (tell, chunks) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n) = output.read(&mut buffer) {
                if n == 0 || tell.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            bench,
            keyboard: child.stdin.take(),
            child,
            chunks,
            screen: String::new(),
        }
    }

    fn type_in(&mut self, text: &str) {
        let keyboard = self.keyboard.as_mut().unwrap();
        keyboard.write_all(text.as_bytes()).unwrap();
        keyboard.flush().unwrap();
    }

    /// Waits until `text` is shown, and returns what was shown before it.
    fn expect(&mut self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some((before, after)) = self.screen.split_once(text) {
                let (before, after) = (before.to_owned(), after.to_owned());
                self.screen = after;
                return before;
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.chunks.recv_timeout(left) {
                Ok(chunk) => self.screen.push_str(&String::from_utf8_lossy(&chunk)),
                Err(why) => panic!("no {text:?} ({why}): {:?}", self.screen),
            }
        }
    }

    /// Leaves, and says what came of the program.
    fn leave(mut self) -> Outcome {
        drop(self.keyboard.take());
        while let Ok(chunk) = self.chunks.recv_timeout(PATIENCE) {
            self.screen.push_str(&String::from_utf8_lossy(&chunk));
        }
        let status = self.child.wait().unwrap();
        let report = std::fs::read_to_string(self.bench.path("report.json")).unwrap();
        Outcome {
            report: serde_json::from_str(&report).unwrap(),
            exit_status: status.code().unwrap_or(-1),
            stdout: self.screen.clone(),
            stderr: String::new(),
        }
    }
}

#[test]
fn the_standard_streams_are_its_terminal() {
    let script = "tty; stty size; echo shown > /dev/tty; ps -o tty= -p $$; \
                  stty -a | grep -o ' iutf8'; ls -l /proc/self/fd >&2";
    let done = Typist::sit_down(&[], &["sh", "-c", script]).leave().ok();
    let shown = "/dev/pts/0\r\n24 80\r\nshown\r\npts/0\r\n iutf8\r\n";
    let descriptors = done.stdout.strip_prefix(shown).expect(&done.stdout);
    assert_eq!(descriptors.matches("/dev/pts/0").count(), 3, "{done:?}");
}

#[test]
fn without_one_there_is_none() {
    let script = "tty; ls -A /dev/pts; (echo shown > /dev/tty) 2>/dev/null || echo none";
    let done = Bench::new().run(&[], &["sh", "-c", script]).ok();
    assert_eq!(done.stdout, "not a tty\nnone\n");
}

#[test]
fn the_interrupt_key_reaches_the_program() {
    let mut typist = Typist::sit_down(&[], &["sh", "-c", "echo ready; exec sleep 60"]);
    typist.expect("ready");
    typist.type_in("\x03");
    typist.expect("^C");
    let done = typist.leave();
    assert_eq!(done.outcome(), "signaled", "{done:?}");
    assert_eq!(done.report["stage"]["signal"], "SIGINT");
}

#[test]
fn a_shell_has_job_control() {
    let mut bash = Typist::sit_down(&["--env", "PS1=> "], &["bash", "--norc", "-i"]);
    bash.expect("> ");
    // What is expected is what the job says, not the echo of the command.
    bash.type_in("sh -c 'echo run\"\"ning; read x; echo he\"\"ard $x; exec sleep 50'\n");
    bash.expect("running\r\n");
    bash.type_in("\x1a");
    bash.expect("Stopped");
    bash.expect("> ");
    bash.type_in("jobs; fg\n");
    bash.expect("Stopped");
    // The terminal is the job's again once the job reads from it.
    bash.type_in("typed\n");
    bash.expect("heard typed");
    bash.type_in("\x03");
    bash.expect("> ");
    bash.type_in("echo $?\n");
    bash.expect("130\r\n");
    bash.type_in("(sleep 51 &) ; exit 7\n");
    let done = bash.leave();
    assert_eq!(done.report["stage"]["exit_code"], 7, "{done:?}");
}

#[test]
fn the_end_of_the_keyboard_is_the_end_of_input() {
    let mut cat = Typist::sit_down(&[], &["cat"]);
    cat.type_in("line\n");
    // Once by the terminal and once by the program.
    cat.expect("line\r\n");
    cat.expect("line\r\n");
    let done = cat.leave().ok();
    assert_eq!(done.stdout, "");
}

#[test]
fn nothing_of_a_long_output_is_lost_however_late_it_is_read() {
    let done = Bench::new()
        .run_with_stdin(
            &["--pty", "24x80", "--output", "4M"],
            &["seq", "200000"],
            b"",
        )
        .ok();
    assert_eq!(done.stdout.lines().count(), 200_000);
    assert!(done.stdout.ends_with("\n200000\r\n"));
}
