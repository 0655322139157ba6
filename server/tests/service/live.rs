//! Live runs of real programs.

use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::{Service, eventually, proc_status, python};
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

/// Signals are waited for rather than handled: Python calls a handler only once the system call it is in has
/// ended, and a signal that comes just before `input` reads does not end that.
const TERMINAL: &str = "
import os, signal, threading
print([os.isatty(fd) for fd in (0, 1, 2)], os.get_terminal_size(), os.environ['TERM'])
said = {signal.SIGWINCH: 'resized', signal.SIGINT: 'interrupted', signal.SIGTERM: 'terminated'}
signal.pthread_sigmask(signal.SIG_BLOCK, said)
def wait():
    while True:
        number = signal.sigwait(said)
        print(said[number], *[os.get_terminal_size()] * (number == signal.SIGWINCH))
threading.Thread(target=wait, daemon=True).start()
while True:
    try:
        print('typed', input('> '))
    except EOFError:
        print('end')
        input()
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
    socket.until("end\r\n");
    socket.stdin("\r");
    let (_, _, result) = socket.rest();
    assert_eq!(result["status"], "ok", "{result}");
}

/// Runs at a terminal that say something as the last thing they do, of several clients at once.
const LAST_WORDS: usize = 64;
const CLIENTS: usize = 8;

#[test]
fn last_words_at_a_terminal_are_heard() {
    let service = service();
    let run = json!({"language": "python", "pty": {"rows": 24, "cols": 80},
        "source": "import os\nos.write(1, b'last words')\nos._exit(0)"});
    let say = || {
        let mut socket = Socket::open(service.address);
        socket.started(&run);
        let (shown, _, result) = socket.rest();
        assert_eq!(shown, b"last words", "{result}");
        assert_eq!(result["run"]["stdout"], "last words");
    };
    std::thread::scope(|threads| {
        for _ in 0..CLIENTS {
            threads.spawn(|| (0..LAST_WORDS / CLIENTS).for_each(|_| say()));
        }
    });
}

const OPENS_AGAIN: &str = "
import os, time
os.write(1, b'first')
for fd in (0, 1, 2):
    os.close(fd)
time.sleep(0.3)
os.write(os.open('/dev/tty', os.O_RDWR), b' and last')
";

#[test]
fn a_terminal_that_nobody_has_open_can_be_opened_again() {
    let service = service();
    let mut socket = Socket::open(service.address);
    let pty = json!({"pty": {"rows": 24, "cols": 80}});
    socket.started(&with(program(OPENS_AGAIN), pty));
    let (shown, _, result) = socket.rest();
    assert_eq!(result["status"], "ok", "{result}");
    assert_eq!(String::from_utf8(shown).unwrap(), "first and last");
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

const CPP: &str = r"
#include <iostream>
#include <string>
int main() { std::string line; while (std::getline(std::cin, line)) std::cout << line.size() << std::endl; }
";

#[test]
fn a_compiled_program_says_what_happens_and_is_compiled_once() {
    let service = Service::settled_for("cpp", &[]);
    let limits = json!({"cpu_time_ms": 10_000, "wall_time_ms": 60_000});
    for cached in [false, true] {
        let mut socket = Socket::open(service.address);
        socket.start(&json!({"language": "cpp", "source": CPP, "limits": limits}));
        let id = socket.expect("queued")["id"].clone();
        socket.expect("compiling");
        let compiled = socket.expect("compiled");
        assert_eq!(compiled["compile"]["outcome"], "exited", "{compiled}");
        assert_eq!(compiled["compile"]["cached"], cached);
        socket.expect("started");
        socket.stdin("four\n");
        assert_eq!(socket.until("\n"), "4\n");
        socket.eof();
        let result = socket.result();
        assert_eq!((&result["id"], &result["status"]), (&id, &json!("ok")));
        assert_eq!(result["compile"], compiled["compile"]);
    }
    let mut socket = Socket::open(service.address);
    socket.start(&json!({"language": "cpp", "source": "int main() { return x; }"}));
    socket.expect("queued");
    socket.expect("compiling");
    let compiled = socket.expect("compiled");
    let stderr = compiled["compile"]["stderr"].as_str().unwrap();
    assert!(stderr.contains("was not declared"), "{stderr}");
    let finished = socket.expect("finished");
    assert_eq!(finished["result"]["status"], "compile_error");
    assert_eq!(finished["result"]["run"], Value::Null);
    assert_eq!(socket.hear(), Err(1000));
}

const FLOOD: &str = "
import sys
line = b'0123456789abcde' * 4096 + b'\\n'
for _ in range(50 * (1 << 20) // len(line)):
    sys.stdout.buffer.write(line)
";

/// What the server process has in memory.
fn server_memory(service: &Service) -> u64 {
    let server = service.children("brig-server")[0];
    let kib = proc_status(server, "VmRSS");
    kib.trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn a_slow_client_gets_all_of_a_flood_and_costs_little_memory() {
    let service = service();
    let before = server_memory(&service);
    let mut socket = Socket::open(service.address);
    let limits = json!({"cpu_time_ms": 20_000, "wall_time_ms": 300_000, "output_bytes": 64 << 20});
    socket.started(&with(program(FLOOD), json!({"limits": limits})));
    let (mut bytes, mut most) = (0, 0);
    let result = loop {
        let message = socket.next();
        match message["type"].as_str() {
            Some("stdout") => bytes += message["data"].as_str().unwrap().len() as u64,
            Some("finished") => break message["result"].clone(),
            _ => panic!("{message}"),
        }
        // Slower than the program: it looks at the server's memory all the time.
        most = most.max(server_memory(&service));
    };
    assert_eq!(result["status"], "ok", "{}", result["message"]);
    assert_eq!(result["run"]["stdout_bytes"], bytes);
    assert!(bytes > 49 << 20);
    let grown = most.saturating_sub(before);
    println!("{bytes} bytes, {grown} more in memory");
    assert!(grown < 16 << 20, "{grown}");
}

#[test]
fn a_flood_ends_at_its_limit_and_figures_come_meanwhile() {
    let service = service();
    let mut socket = Socket::open(service.address);
    let limits = json!({"cpu_time_ms": 20_000, "output_bytes": 1 << 20});
    let source = "
import time
print('ready', flush=True)
time.sleep(1.5)
while True: print('x' * 1000)
";
    socket.started(&with(program(source), json!({"limits": limits})));
    assert_eq!(socket.until("\n"), "ready\n");
    let usage = socket.hear().unwrap();
    assert_eq!(usage["type"], "usage", "{usage}");
    assert!(usage["wall_us"].as_u64().unwrap() > 0);
    assert!(usage["cpu_us"].as_u64().unwrap() > 0);
    assert!(usage["memory_bytes"].as_u64().unwrap() > 1 << 20);
    assert_eq!(usage["processes"], 1);
    let (stdout, _, result) = socket.rest();
    assert_eq!(result["status"], "output_limit_exceeded");
    assert_eq!(stdout.len() + "ready\n".len(), 1 << 20);
}

#[test]
fn idle_sockets_cost_little_memory() {
    let service = service();
    let open = || {
        (0..250)
            .map(|_| Socket::open(service.address))
            .collect::<Vec<_>>()
    };
    let before = server_memory(&service);
    let sockets = [open(), open()];
    eventually("all are open", || {
        service.metric("brig_live_sockets") >= 500.0
    });
    let each = server_memory(&service).saturating_sub(before) / 500;
    println!("{each} bytes for each idle socket");
    assert!(each < 64 << 10, "{each}");
    let mut last = Socket::open(service.address);
    last.started(&program("print(input())"));
    last.stdin("still here\n");
    assert_eq!(last.until("\n"), "still here\n");
    drop(sockets);
    eventually("all are closed", || {
        service.metric("brig_live_sockets") <= 1.0
    });
}

#[test]
fn runs_go_on_while_the_service_drains() {
    let mut service = service();
    let mut socket = Socket::open(service.address);
    socket.started(&program(ECHO));
    service.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(service.logs("draining"));
    // Who comes now is answered at once, and told when to come again.
    assert_eq!(service.status("/healthz"), 200);
    assert_eq!(service.status("/readyz"), 503);
    let (status, refusal) = service.post("/v1/runs", &program("print(1)"));
    assert_eq!(
        (status, &refusal["detail"]),
        (503, &json!("the service is draining"))
    );
    socket.stdin("last words\n");
    assert_eq!(socket.until("\n"), "you said last words\n");
    socket.eof();
    assert_eq!(socket.result()["status"], "ok");
    assert!(service.wait().success());
}
