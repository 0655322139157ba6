//! `brig run -i` and `--tty`: a live run from a terminal, and from a pipe.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::harness::{BRIG, Service, eventually};

/// A program in a file.
struct Program {
    _dir: TempDir,
    path: PathBuf,
}

impl Program {
    fn new(source: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("main.py");
        std::fs::write(&path, source).unwrap();
        Self { _dir: dir, path }
    }

    /// `brig run FLAGS` of it.
    fn command(&self, service: &Service, flags: &[&str]) -> Command {
        let mut command = Command::new(BRIG);
        command.arg("run").args(flags).arg(&self.path);
        command.args(["--server", &format!("http://{}", service.address)]);
        command.env_remove("BRIG_KEY").env_remove("BRIG_KEY_FILE");
        command
    }

    fn piped(&self, service: &Service, flags: &[&str]) -> Child {
        self.command(service, flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// All that the command says when this is its input.
fn with_input(mut child: Child, input: &[u8]) -> Output {
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|threads| {
        threads.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    })
}

/// A command in a terminal of its own.
struct Terminal {
    child: Child,
    keyboard: File,
    /// The side that the command has.
    inside: OwnedFd,
    /// All that was shown so far.
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    /// Runs `command` in a session of its own, whose terminal is new.
    fn run(command: &Command) -> Self {
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(Some(&size), None).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let mut in_session = Command::new("setsid");
        in_session.arg("--ctty").arg(command.get_program());
        let child = in_session
            .args(command.get_args())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let keyboard = File::from(pty.master.try_clone().unwrap());
        let shown = Arc::new(Mutex::new(String::new()));
        let (screen, seen) = (File::from(pty.master), Arc::clone(&shown));
        std::thread::spawn(move || watch(screen, &seen));
        Self {
            child,
            keyboard,
            inside: pty.slave,
            shown,
        }
    }

    fn shows(&self, text: &str) {
        let what = format!("the terminal shows {text:?}");
        eventually(&what, || self.shown.lock().unwrap().contains(text));
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// As dragging the window's corner does.
    fn resize(&self, rows: u16, cols: u16) {
        let resized = Command::new("stty")
            .args(["rows", &rows.to_string(), "cols", &cols.to_string()])
            .stdin(self.inside.try_clone().unwrap())
            .status();
        assert!(resized.unwrap().success());
    }

    /// Whether lines are edited and echoed here, as shells want it.
    fn is_usual(&self) -> bool {
        let modes = tcgetattr(self.inside.as_fd()).unwrap();
        let usual = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG;
        modes.local_flags.contains(usual)
    }

    fn exit_code(&mut self) -> Option<i32> {
        let mut status = None;
        eventually("the command ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }
}

/// Notes what is shown, until nobody has the terminal open.
fn watch(mut screen: File, shown: &Mutex<String>) {
    let mut buffer = [0; 1024];
    while let Ok(len @ 1..) = screen.read(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..len]);
        shown.lock().unwrap().push_str(&text);
    }
}

const AT_A_TERMINAL: &str = "
import os, signal, sys
print('size', *os.get_terminal_size())
signal.signal(signal.SIGWINCH, lambda *_: print('now', *os.get_terminal_size(), flush=True))
print('hello', input('who? '))
try:
    while True:
        signal.pause()
except KeyboardInterrupt:
    print('interrupted')
    sys.exit(7)
";

#[test]
fn a_terminal_is_the_programs_own() {
    let service = Service::settled(&["--workers", "1"]);
    let program = Program::new(AT_A_TERMINAL);
    let mut terminal = Terminal::run(&program.command(&service, &["-i", "--tty"]));
    terminal.shows("size 80 24\r\n");
    terminal.shows("who? ");
    assert!(!terminal.is_usual());
    terminal.press("wor\u{7f}rld\r");
    // What is typed is shown by the program's terminal, which also edits the line.
    terminal.shows("hello world\r\n");
    terminal.resize(30, 100);
    terminal.shows("now 100 30\r\n");
    terminal.press("\u{3}");
    terminal.shows("interrupted\r\n");
    assert_eq!(terminal.exit_code(), Some(7));
    assert!(terminal.is_usual());
    terminal.shows("exited with code 7 after");
}

#[test]
fn a_key_ends_what_does_not_want_to_end() {
    let service = Service::settled(&["--workers", "1"]);
    let source = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('ready')\nsignal.pause()";
    let program = Program::new(source);
    let mut terminal = Terminal::run(&program.command(&service, &["-t", "-q"]));
    terminal.shows("ready\r\n");
    terminal.press("\u{3}\u{1d}");
    assert_eq!(terminal.exit_code(), Some(126));
    assert!(terminal.is_usual());
    eventually("the worker is free", || {
        service.metric("brig_running") < 1.0
    });
}

#[test]
fn what_is_piped_goes_through_and_comes_back_while_it_runs() {
    let service = Service::settled(&["--workers", "1"]);
    let source = "import sys\nfor line in sys.stdin:\n    print('you said', line.strip(), flush=True)\nsys.exit(3)";
    let program = Program::new(source);
    let mut child = program.piped(&service, &["-i", "--quiet"]);
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    for word in ["one", "zwei ä"] {
        // The program is not over: this is the answer to what was said last.
        writeln!(stdin, "{word}").unwrap();
        let expected = format!("you said {word}\n");
        let mut answer = vec![0; expected.len()];
        stdout.read_exact(&mut answer).unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), expected);
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

/// More than all buffers between the two ends hold.
const MUCH_BYTES: usize = 12 << 20;

#[test]
fn much_goes_both_ways_at_once() {
    let service = Service::settled(&["--workers", "1"]);
    let source = "import shutil, sys\nshutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)";
    let program = Program::new(source);
    let flags = ["-i", "-q", "--output", "32MiB", "--cpu-time", "10s"];
    // Neither UTF-8 nor anything that is the same backwards.
    let input: Vec<u8> = (0..MUCH_BYTES)
        .map(|n| ((n * n) >> 7).to_le_bytes()[0])
        .collect();
    let output = with_input(program.piped(&service, &flags), &input);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(output.stdout == input, "{} bytes", output.stdout.len());
}

#[test]
fn a_program_at_a_terminal_reads_what_is_piped() {
    let service = Service::settled(&["--workers", "1"]);
    let source = "import sys\nprint(sys.stdin.isatty(), sys.stdin.read())";
    let program = Program::new(source);
    let output = with_input(program.piped(&service, &["--tty", "-q"]), b"a\nb");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.ends_with("True a\r\nb\r\n"), "{text:?}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn signals_are_the_programs_and_sigterm_ends_it() {
    let service = Service::settled(&["--workers", "1"]);
    let source = "
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
print('ready', flush=True)
signal.sigwait([signal.SIGINT])
print('interrupted', flush=True)
signal.pause()
";
    let program = Program::new(source);
    let mut child = program.piped(&service, &["-i", "-q"]);
    let pid = Pid::from_raw(child.id().cast_signed());
    let mut stdout = child.stdout.take().unwrap();
    let mut expect = |text: &str| {
        let mut said = vec![0; text.len()];
        stdout.read_exact(&mut said).unwrap();
        assert_eq!(said, text.as_bytes());
    };
    expect("ready\n");
    kill(pid, Signal::SIGINT).unwrap();
    expect("interrupted\n");
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(126));
}

#[test]
fn mistakes_and_absence_are_told() {
    let service = Service::settled(&["--workers", "1"]);
    let program = Program::new("print(1)");
    let output = with_input(program.piped(&service, &["-i", "--language", "nope"]), b"");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("--language"), "{errors}");
    let broken = Program::new("print('first', flush=True)\nraise SystemExit(4)");
    let output = with_input(broken.piped(&service, &["-i"]), b"");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{errors}");
    assert_eq!(output.stdout, b"first\n");
    assert!(errors.contains("exited with code 4"), "{errors}");
    let mut gone = program.command(&service, &["-i", "--language", "python"]);
    assert!(service.stop().success());
    let output = gone.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(120));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("nothing listens"), "{errors}");
}
