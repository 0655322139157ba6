//! Live runs of real programs.

use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::{Service, eventually, python};
use crate::live_support::Socket;

const OK_RUNS: &str = r#"brig_runs_total{language="python",status="ok"}"#;
const CANCELLED_RUNS: &str = r#"brig_runs_total{language="python",status="cancelled"}"#;

fn service() -> Service {
    Service::settled(&[])
}

/// A live run of a Python program that is not hurried on a slow or busy machine.
fn program(source: &str) -> Value {
    let mut run = python(source);
    run.as_object_mut().unwrap().remove("stdin");
    run
}

fn with(mut run: Value, more: Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        run[key] = value.clone();
    }
    run
}

const ECHO: &str = "
import sys
for line in sys.stdin:
    print('you said', line.strip(), flush=True)
print('bye')
";

#[test]
fn a_conversation_line_by_line() {
    let service = service();
    let mut socket = Socket::open(service.address);
    socket.started(&with(program(ECHO), json!({"stdin": "first\n"})));
    assert_eq!(socket.until("\n"), "you said first\n");
    for line in ["second", "dritte Zeile: ä€🦀"] {
        socket.stdin(&format!("{line}\n"));
        assert_eq!(socket.until("\n"), format!("you said {line}\n"));
    }
    socket.eof();
    let (stdout, stderr, result) = socket.rest();
    assert_eq!(
        (stdout.as_slice(), stderr.as_slice()),
        (&b"bye\n"[..], &b""[..])
    );
    assert_eq!(result["status"], "ok", "{result}");
    let all = "you said first\nyou said second\nyou said dritte Zeile: ä€🦀\nbye\n";
    assert_eq!(result["run"]["stdout"], all);
    assert_eq!(result["run"]["limits"]["wall_time_ms"], 60_000);
    eventually("the run is counted", || service.metric(OK_RUNS) >= 1.0);
}

const TERMINAL: &str = "
import os, signal, sys
print([os.isatty(fd) for fd in (0, 1, 2)], os.get_terminal_size(), os.environ['TERM'])
signal.signal(signal.SIGWINCH, lambda *_: print('resized', os.get_terminal_size()))
def interrupted(*_):
    print('interrupted')
signal.signal(signal.SIGINT, interrupted)
signal.signal(signal.SIGTERM, lambda *_: print('terminated'))
while True:
    try:
        print('typed', input('> '))
    except EOFError:
        print('end')
        break
";

#[test]
fn a_terminal_with_its_size_ctrl_c_and_ctrl_d() {
    let service = service();
    let mut socket = Socket::open(service.address);
    socket.started(&with(
        program(TERMINAL),
        json!({"pty": {"rows": 24, "cols": 80}}),
    ));
    let shown = socket.until("> ");
    let expected = "[True, True, True] os.terminal_size(columns=80, lines=24) xterm-256color";
    assert!(shown.starts_with(expected), "{shown}");
    socket.stdin("hello\r");
    assert!(socket.until("typed hello\r\n> ").starts_with("hello\r\n"));
    socket.say(&json!({"type": "resize", "rows": 30, "cols": 100}));
    socket.until("resized os.terminal_size(columns=100, lines=30)\r\n");
    socket.stdin("\x03");
    socket.until("interrupted\r\n");
    socket.say(&json!({"type": "signal", "signal": "SIGTERM"}));
    socket.until("terminated\r\n");
    socket.eof();
    let (_, _, result) = socket.rest();
    assert_eq!(result["status"], "ok", "{result}");
    assert!(
        result["run"]["stdout"]
            .as_str()
            .unwrap()
            .ends_with("end\r\n")
    );
}

#[test]
fn a_run_is_cancelled_and_its_worker_is_free_at_once() {
    let service = Service::settled(&["--workers", "1"]);
    let mut socket = Socket::open(service.address);
    socket.started(&program("print('ready', flush=True)\nwhile True: pass"));
    socket.until("ready\n");
    socket.say(&json!({"type": "cancel"}));
    let result = socket.result();
    assert_eq!(result["status"], "cancelled");
    assert_eq!(result["run"]["outcome"], "cancelled");
    assert!(result["run"]["usage"]["cpu_user_us"].is_u64());

    let mut vanishing = Socket::open(service.address);
    vanishing.started(&program("print('ready', flush=True)\nwhile True: pass"));
    vanishing.until("ready\n");
    let begun = Instant::now();
    drop(vanishing);
    eventually("a free worker", || service.metric("brig_running") == 0.0);
    println!("free after {:?}", begun.elapsed());
    assert_eq!(service.run(&python("print(1)"))["status"], "ok");
    eventually("both are counted", || service.metric(CANCELLED_RUNS) >= 2.0);
}
