//! What becomes of live runs when clients, workers or the service misbehave; with workers that follow a
//! script.

mod http_support;
mod live_support;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use brig_sandbox::protocol::{FromWorker, StopReason, ToWorker, UserSignal};
use brig_sandbox::report::{Outcome, Sample};
use brig_server::auth::{Scope, Settings, Token};
use brig_server::config::Config;
use brig_server::http::listen;
use brig_server::store;
use http_support::{FakeJob, FakeWorker, TestApp, app, report};
use live_support::{Socket, bytes};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

/// Nothing takes as long.
const BOUND: Duration = Duration::from_mins(1);

/// A service that listens, in this process.
struct Host {
    app: TestApp,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    runtime: Runtime,
}

impl Host {
    fn start(change: impl FnOnce(&mut Config)) -> Self {
        let runtime = Runtime::new().unwrap();
        let entered = runtime.enter();
        let app = app(change);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = listen(listener, Arc::clone(&app), async move {
            let _ = stopped.await;
        });
        runtime.spawn(serving);
        drop(entered);
        Self {
            app,
            address,
            stop: Some(stop),
            runtime,
        }
    }

    fn workers(&self, count: u32, work: impl Fn(&FakeWorker, FakeJob) + Clone + Send + 'static) {
        let _entered = self.runtime.enter();
        for index in 0..count {
            FakeWorker::serve(&self.app, index, work.clone());
        }
    }

    fn open(&self) -> Socket {
        Socket::open(self.address)
    }

    fn key(&self, settings: &Settings) -> (Uuid, String) {
        let id = Uuid::now_v7();
        let token = Token::generate(id);
        let key = store::Key {
            id,
            hash: token.hash(),
            name: "test".to_owned(),
            settings: serde_json::to_vec(settings).unwrap(),
            created_at: OffsetDateTime::now_utc(),
            revoked_at: None,
        };
        self.runtime.block_on(async {
            self.app.store.add_key(key).await.unwrap();
            self.app.keys.refresh().await.unwrap();
        });
        (id, token.reveal())
    }

    fn sockets(&self) -> u64 {
        let metrics = self.app.metrics.render(self.app.pool.stats(), true);
        let line = metrics
            .lines()
            .find_map(|l| l.strip_prefix("brig_live_sockets "));
        line.unwrap().parse().unwrap()
    }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < BOUND, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn run() -> Value {
    json!({"language": "python", "source": "print(1)"})
}

fn with_limit(output_bytes: u64) -> Value {
    json!({"language": "python", "source": "", "limits": {"output_bytes": output_bytes}})
}

/// Reports the reason that a job is stopped for, and ends it.
fn until_stopped(worker: &FakeWorker, job: FakeJob, told: &mpsc::Sender<StopReason>) {
    loop {
        match worker.hear() {
            Some(ToWorker::Stop { reason, .. }) => {
                told.send(reason).unwrap();
                let outcome = match reason {
                    StopReason::Cancelled => Outcome::Cancelled,
                    StopReason::OutputLimit => Outcome::OutputLimit,
                };
                return worker.finished(job, Ok(report(outcome)));
            }
            Some(ToWorker::Sample { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A host whose one worker starts programs that do nothing until they are stopped.
fn waiting(change: impl FnOnce(&mut Config)) -> (Host, mpsc::Receiver<StopReason>) {
    let host = Host::start(change);
    let (tell, told) = mpsc::channel();
    host.workers(1, move |worker, job| {
        worker.started(&job);
        until_stopped(worker, job, &tell);
    });
    (host, told)
}

#[test]
fn a_bad_start_is_told_field_by_field() {
    let host = Host::start(|_| {});
    let mut socket = host.open();
    socket.start(&json!({
        "language": "python", "source": "", "stdni": "", "pty": {"rows": 0, "cols": 80},
        "limits": {"wall_time_ms": 600_001, "cpus": 0},
    }));
    let (problem, code) = socket.problem();
    assert_eq!((problem["status"].as_u64(), code), (Some(422), 1008));
    let errors = problem["errors"].as_array().unwrap();
    let mut pointers: Vec<_> = errors
        .iter()
        .map(|e| e["pointer"].as_str().unwrap())
        .collect();
    pointers.sort_unstable();
    let expected = [
        "/limits/cpus",
        "/limits/wall_time_ms",
        "/pty/rows",
        "/stdni",
    ];
    assert_eq!(pointers, expected, "{problem}");
    assert!(
        problem.to_string().contains("the maximum of 600000"),
        "{problem}"
    );
    until("the seat is free", || host.sockets() == 0);
}

#[test]
fn what_is_no_message_is_told() {
    let host = Host::start(|config| config.live.max_message_bytes = 1000);
    let text = |text: &str| Message::text(text.to_owned());
    for (message, status, code, words) in [
        (text("nope"), 400, 1008, "not JSON"),
        (
            text(r#"{"type": "begin"}"#),
            422,
            1008,
            "one of start, stdin",
        ),
        (
            text(r#"{"type": "cancel"}"#),
            422,
            1008,
            "the first message must be start",
        ),
        (text(r#"{"type": "start"}"#), 422, 1008, "/run: is required"),
        (Message::binary(vec![1]), 400, 1003, "text frames"),
        (text(&"x".repeat(1001)), 413, 1009, "maximum of 1000 bytes"),
        (
            text(&"x".repeat(10 << 20)),
            413,
            1009,
            "maximum of 1000 bytes",
        ),
    ] {
        let mut socket = host.open();
        socket.socket.send(message).unwrap();
        let (problem, closed) = socket.problem();
        assert_eq!(
            (problem["status"].as_u64(), closed),
            (Some(status), code),
            "{problem}"
        );
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{detail}");
    }
}

#[test]
fn messages_that_do_not_fit_the_run_end_it() {
    let (host, told) = waiting(|_| {});
    let eof = json!({"type": "eof"});
    let stdin = json!({"type": "stdin", "data": "x"});
    let resize = json!({"type": "resize", "rows": 1, "cols": 1});
    let start = json!({"type": "start", "run": run()});
    for messages in [vec![eof, stdin], vec![resize], vec![start]] {
        let mut socket = host.open();
        socket.started(&run());
        for message in &messages {
            socket.say(message);
        }
        let (problem, code) = socket.problem();
        assert_eq!(
            (problem["status"].as_u64(), code),
            (Some(422), 1008),
            "{problem}"
        );
        assert_eq!(told.recv_timeout(BOUND), Ok(StopReason::Cancelled));
    }
}

#[test]
fn only_a_websocket_is_a_websocket() {
    let host = Host::start(|_| {});
    let url = format!("http://{}/v1/runs/ws", host.address);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let answer = agent.get(url).call().unwrap();
    assert_eq!(answer.status(), 426);
    assert_eq!(answer.headers()["upgrade"], "websocket");
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

#[test]
fn sockets_are_bounded_in_all_and_for_each_key() {
    let host = Host::start(|config| {
        config.live.max_sockets = 3;
        config.live.max_sockets_per_key = 2;
    });
    let run_scope = Settings {
        scopes: [Scope::Run].into_iter().collect(),
        ..Settings::default()
    };
    let [one, other] = [(), ()].map(|()| format!("Bearer {}", host.key(&run_scope).1));
    let open = |key: &str| Socket::try_open(host.address, &[("authorization", key)]);
    let held = [open(&one).unwrap(), open(&one).unwrap()];
    let refused = open(&one).err().unwrap();
    assert_eq!(refused.status, 429);
    assert!(refused.headers.contains_key("retry-after"));
    let third = open(&other).unwrap();
    let refused = open(&other).err().unwrap();
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.headers.contains_key("retry-after"));
    drop((held, third));
    until("all seats are free", || host.sockets() == 0);
    open(&one).unwrap();
}

#[test]
fn a_page_presents_its_key_as_a_protocol_and_does_not_get_it_back() {
    let host = Host::start(|_| {});
    let (id, key) = host.key(&Settings {
        scopes: [Scope::Run].into_iter().collect(),
        ..Settings::default()
    });
    let (_, reader) = host.key(&Settings {
        scopes: [Scope::Read].into_iter().collect(),
        ..Settings::default()
    });
    let open = |offers: &str| {
        let origin = ("origin", "https://elsewhere.example");
        Socket::try_open(host.address, &[origin, ("sec-websocket-protocol", offers)])
    };
    let mut socket = open(&format!("brig.v1, brig.bearer.{key}")).unwrap();
    assert_eq!(socket.headers["sec-websocket-protocol"], "brig.v1");
    assert!(!format!("{:?}", socket.headers).contains(&key));
    assert_eq!(open("brig.v1").err().unwrap().status, 401);
    let refused = open(&format!("brig.v1, brig.bearer.{reader}"))
        .err()
        .unwrap();
    assert_eq!(refused.status, 403, "{}", refused.body);

    // A key that is revoked before the start is of no use.
    host.runtime.block_on(async {
        let now = OffsetDateTime::now_utc();
        host.app.store.revoke_key(id, now).await.unwrap();
        host.app.keys.refresh().await.unwrap();
    });
    socket.start(&run());
    let (problem, code) = socket.problem();
    assert_eq!(
        (problem["status"].as_u64(), code),
        (Some(401), 1008),
        "{problem}"
    );
}

#[test]
fn without_keys_other_sites_pages_are_refused() {
    let host =
        Host::start(|config| config.http.cors_origins = vec!["https://mine.example".to_owned()]);
    let open = |origin: &str| Socket::try_open(host.address, &[("origin", origin)]);
    let refused = open("https://evil.example").err().unwrap();
    assert_eq!(refused.status, 403);
    assert!(
        refused.body["detail"]
            .as_str()
            .unwrap()
            .contains("evil.example")
    );
    open("https://mine.example").unwrap();
    open(&format!("http://{}", host.address)).unwrap();
}

#[test]
fn runs_in_progress_of_a_key_are_bounded() {
    let (host, _told) = waiting(|_| {});
    let (_, key) = host.key(&Settings {
        scopes: [Scope::Run].into_iter().collect(),
        concurrency: std::num::NonZeroU32::new(1),
        ..Settings::default()
    });
    let key = format!("Bearer {key}");
    let open = || Socket::try_open(host.address, &[("authorization", &key)]).unwrap();
    let (mut first, mut second) = (open(), open());
    first.started(&run());
    second.start(&run());
    let (problem, code) = second.problem();
    assert_eq!(
        (problem["status"].as_u64(), code),
        (Some(429), 1013),
        "{problem}"
    );
    first.say(&json!({"type": "cancel"}));
    assert_eq!(first.result()["status"], "cancelled");
    open().started(&run());
}

#[test]
fn a_full_queue_is_told_with_the_time_to_come_again() {
    let host = Host::start(|config| config.queue_length = 1);
    let mut first = host.open();
    first.start(&run());
    first.expect("queued");
    until("the queue", || host.app.pool.stats().queued == 1);
    let mut second = host.open();
    second.start(&run());
    second.expect("queued");
    let error = second.expect("error");
    assert_eq!(error["problem"]["status"], 503);
    assert!(error["retry_after_ms"].as_u64().unwrap() >= 1000, "{error}");
    assert_eq!(second.hear(), Err(1013));

    // Who goes leaves the line; who cancels gets a result.
    drop(first);
    until("an empty queue", || host.app.pool.stats().queued == 0);
    let mut third = host.open();
    third.start(&run());
    third.expect("queued");
    until("the queue", || host.app.pool.stats().queued == 1);
    third.say(&json!({"type": "cancel"}));
    let result = third.result();
    assert_eq!(result["status"], "cancelled");
    assert_eq!(result["run"], Value::Null);
    assert_eq!(host.app.pool.stats().queued, 0);
}

#[test]
fn a_draining_service_opens_no_socket_and_lets_runs_go_on() {
    let (mut host, _told) = waiting(|_| {});
    let (mut idle, mut busy) = (host.open(), host.open());
    busy.started(&run());
    host.app.drain();
    let refused = Socket::try_open(host.address, &[]).err().unwrap();
    assert_eq!(refused.status, 503);
    assert!(refused.headers.contains_key("retry-after"));
    let (problem, code) = idle.problem();
    assert_eq!((problem["status"].as_u64(), code), (Some(503), 1013));
    host.stop.take().unwrap().send(()).unwrap();
    busy.say(&json!({"type": "cancel"}));
    assert_eq!(busy.result()["status"], "cancelled");
}

#[test]
fn the_end_of_the_drain_ends_runs() {
    let (mut host, told) = waiting(|config| config.http.drain_timeout_ms = 50);
    let mut busy = host.open();
    busy.started(&run());
    host.stop.take().unwrap().send(()).unwrap();
    let (problem, code) = busy.problem();
    assert_eq!((problem["status"].as_u64(), code), (Some(503), 1013));
    assert_eq!(told.recv_timeout(BOUND), Ok(StopReason::Cancelled));
}

#[test]
fn a_socket_without_start_and_a_client_that_is_dead_are_given_up() {
    let host = Host::start(|config| config.live.start_timeout_ms = 100);
    let (problem, code) = host.open().problem();
    assert_eq!(
        (problem["status"].as_u64(), code),
        (Some(408), 1008),
        "{problem}"
    );

    let host = Host::start(|config| {
        config.live.ping_interval_ms = 20;
        config.live.peer_timeout_ms = 200;
    });
    // Without reading, it answers no ping.
    let dead = host.open();
    until("the socket is given up", || host.sockets() == 0);
    drop(dead);
    let mut live = host.open();
    live.socket
        .get_mut()
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    // Answers pings until nothing else has come for five times as long as the dead one had.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        assert!(matches!(live.socket.read(), Ok(Message::Ping(_))));
    }
    assert_eq!(host.sockets(), 1);
}

#[test]
fn a_run_in_which_nothing_is_said_is_ended() {
    let (host, told) = waiting(|config| config.live.idle_timeout_ms = 100);
    let mut socket = host.open();
    socket.started(&run());
    let result = socket.result();
    assert_eq!(told.recv_timeout(BOUND), Ok(StopReason::Cancelled));
    assert_eq!(result["status"], "cancelled");
    let message = result["message"].as_str().unwrap();
    assert!(
        message.contains("neither input nor output for 0.1 s"),
        "{message}"
    );
}

#[test]
fn a_client_that_vanishes_cancels_its_run() {
    let (host, told) = waiting(|_| {});
    for polite in [true, false] {
        let mut socket = host.open();
        socket.started(&run());
        if polite {
            socket.socket.close(None).unwrap();
        }
        drop(socket);
        assert_eq!(told.recv_timeout(BOUND), Ok(StopReason::Cancelled));
        until("a free worker", || host.app.pool.stats().running == 0);
    }
    until("all are counted", || {
        let metrics = host.app.metrics.render(host.app.pool.stats(), true);
        metrics.contains(r#"brig_runs_total{language="python",status="cancelled"} 2"#)
    });
}

/// Connects a worker that takes one job, starts it or not, and is gone.
fn lost(host: &Host, starts: bool) -> Arc<AtomicUsize> {
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let _entered = host.runtime.enter();
    FakeWorker::start(&host.app, 0, move |worker| {
        let job = worker.job().unwrap();
        if starts {
            worker.started(&job);
        }
        counted.fetch_add(1, Ordering::SeqCst);
    });
    taken
}

#[test]
fn a_worker_lost_before_the_start_is_made_up_for() {
    let host = Host::start(|_| {});
    let taken = lost(&host, false);
    let mut socket = host.open();
    socket.start(&run());
    until("the first try", || taken.load(Ordering::SeqCst) == 1);
    host.workers(1, |worker, job| worker.print(job, "second"));
    socket.expect("queued");
    socket.expect("started");
    assert_eq!(socket.rest().0, b"second");
}

#[test]
fn a_worker_lost_after_the_start_is_not_made_up_for() {
    let host = Host::start(|_| {});
    let taken = lost(&host, true);
    let mut socket = host.open();
    socket.started(&run());
    let result = socket.result();
    assert_eq!(taken.load(Ordering::SeqCst), 1);
    assert_eq!(result["status"], "internal_error");
    assert_eq!(result["run"]["outcome"], "sandbox_error");
}

#[test]
fn streams_held_open_after_the_end_are_the_sandboxs_fault() {
    let host = Host::start(|_| {});
    host.workers(1, |worker, job| {
        let held = job.stdout.try_clone().unwrap();
        worker.started(&job);
        worker.finished(job, Ok(report(Outcome::Exited)));
        std::mem::forget(held);
    });
    let mut socket = host.open();
    socket.started(&run());
    let result = socket.result();
    assert_eq!(result["status"], "internal_error");
    assert_eq!(result["run"]["outcome"], "sandbox_error");
}

#[test]
fn too_much_output_ends_the_run_and_is_not_told() {
    let host = Host::start(|_| {});
    let (tell, told) = mpsc::channel();
    host.workers(1, move |worker, mut job| {
        worker.started(&job);
        job.stdout.write_all(&vec![b'x'; 200_000]).unwrap();
        until_stopped(worker, job, &tell);
    });
    let mut socket = host.open();
    socket.started(&with_limit(100_000));
    let (stdout, _, result) = socket.rest();
    assert_eq!(told.recv_timeout(BOUND), Ok(StopReason::OutputLimit));
    assert_eq!(stdout.len(), 100_000);
    assert_eq!(result["status"], "output_limit_exceeded");
    assert_eq!(result["run"]["stdout"].as_str().unwrap().len(), 100_000);
    assert_eq!(result["run"]["stdout_bytes"], 200_000);
}

#[test]
fn a_result_repeats_only_so_much_of_the_output() {
    let host = Host::start(|config| config.live.kept_output_bytes = 10);
    host.workers(1, |worker, job| worker.print(job, "0123456789abc"));
    let mut socket = host.open();
    socket.started(&run());
    let (stdout, _, result) = socket.rest();
    assert_eq!(stdout, b"0123456789abc");
    assert_eq!(result["status"], "ok");
    assert_eq!(result["run"]["stdout"], "0123456789");
    assert_eq!(result["run"]["stdout_bytes"], 13);
    assert_eq!(result["run"]["stdout_truncated"], true);
}

#[test]
fn characters_stay_whole_and_bytes_survive() {
    let host = Host::start(|_| {});
    host.workers(1, |worker, mut job| {
        worker.started(&job);
        let mut go = [0];
        for part in [&b"a\xf0\x9f"[..], b"\xa6\x80\n", b"\xe2\x82", b"\xff\0"] {
            job.stdout.write_all(part).unwrap();
            job.stdin.read_exact(&mut go).unwrap();
        }
        job.stderr.write_all("é".as_bytes()).unwrap();
        worker.finished(job, Ok(report(Outcome::Exited)));
    });
    let mut socket = host.open();
    socket.started(&run());
    let mut hear = |data: &str, encoding: &str| {
        let message = socket.expect("stdout");
        assert_eq!(
            (&message["data"], &message["encoding"]),
            (&json!(data), &json!(encoding))
        );
        socket.stdin("x");
    };
    // The rest of the character is held back for a moment.
    hear("a", "utf-8");
    let (mut crab, mut message) = (Vec::new(), Value::Null);
    while !crab.ends_with(b"\n") {
        message = socket.expect("stdout");
        crab.extend(bytes(&message));
    }
    assert_eq!(crab, "🦀\n".as_bytes(), "{message}");
    socket.stdin("x");
    let mut hear = |data: &str, encoding: &str| {
        let message = socket.expect("stdout");
        assert_eq!(
            (&message["data"], &message["encoding"]),
            (&json!(data), &json!(encoding))
        );
        socket.stdin("x");
    };
    hear("4oI=", "base64");
    hear("/wA=", "base64");
    assert_eq!(socket.expect("stderr")["data"], "é");
    assert_eq!(socket.result()["run"]["stdout_encoding"], "base64");
}

#[test]
fn a_client_can_ask_for_base64_throughout() {
    let host = Host::start(|_| {});
    host.workers(1, |worker, job| worker.print(job, "hi"));
    let mut socket = Socket::try_open_at(host.address, "/v1/runs/ws?encoding=base64", &[]).unwrap();
    socket.started(&run());
    let message = socket.expect("stdout");
    assert_eq!(
        message,
        json!({"type": "stdout", "data": "aGk=", "encoding": "base64"})
    );
    assert_eq!(socket.result()["run"]["stdout"], "aGk=");
    let refused = Socket::try_open_at(host.address, "/v1/runs/ws?encoding=rot13", &[]);
    assert_eq!(refused.err().unwrap().status, 400);
}

#[test]
fn signals_and_figures() {
    let host = Host::start(|_| {});
    host.workers(1, |worker, job| {
        worker.started(&job);
        let (mut signalled, mut samples) = (false, 0);
        while !signalled || samples < 3 {
            match worker.hear().unwrap() {
                ToWorker::Signal { signal, .. } => {
                    assert_eq!(signal, UserSignal::User1);
                    signalled = true;
                }
                ToWorker::Sample { job } => {
                    samples += 1;
                    let sample = Sample {
                        wall_us: samples,
                        cpu_us: Some(7),
                        ..Sample::default()
                    };
                    worker.say(&FromWorker::Sample { job, sample });
                }
                other => panic!("{other:?}"),
            }
        }
        worker.finished(job, Ok(report(Outcome::Exited)));
    });
    let mut socket = host.open();
    socket.started(&run());
    let first = socket.hear().unwrap();
    let expected = json!({
        "type": "usage", "wall_us": 1, "cpu_us": 7, "memory_bytes": null, "processes": null,
    });
    assert_eq!(first, expected);
    socket.say(&json!({"type": "signal", "signal": "SIGUSR1"}));
    assert_eq!(socket.result()["status"], "ok");
}

/// More than all buffers between a program and a client hold: those of the kernel's sockets are the largest
/// (tcp(7), `tcp_wmem` and `tcp_rmem`).
const FLOOD_BYTES: usize = 50 << 20;

#[test]
fn a_client_that_does_not_read_holds_the_program_back() {
    let host = Host::start(|_| {});
    let written = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&written);
    host.workers(1, move |worker, mut job| {
        worker.started(&job);
        let line = [b"0123456789abcdef".repeat(255), b"\n".to_vec()].concat();
        while counted.load(Ordering::SeqCst) < FLOOD_BYTES {
            job.stdout.write_all(&line).unwrap();
            counted.fetch_add(line.len(), Ordering::SeqCst);
        }
        worker.finished(job, Ok(report(Outcome::Exited)));
    });
    let mut socket = host.open();
    socket.started(&with_limit(64 << 20));
    // It stands still at some point, and that is long before its end.
    let mut seen = 0;
    until("the program is held back", || {
        let now = written.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(500));
        now > 0 && now == written.load(Ordering::SeqCst)
    });
    let held = written.load(Ordering::SeqCst);
    assert!(held < FLOOD_BYTES / 2, "{held}");
    let result = loop {
        let message = socket.next();
        match message["type"].as_str() {
            Some("stdout") => seen += bytes(&message).len(),
            Some("finished") => break message["result"].clone(),
            _ => panic!("{message}"),
        }
    };
    assert_eq!(seen, written.load(Ordering::SeqCst));
    assert_eq!(result["run"]["stdout_bytes"], seen);
    assert_eq!(result["run"]["stdout"].as_str().unwrap().len(), 1 << 20);
    assert_eq!(result["status"], "ok");
}

#[test]
fn input_that_is_not_read_waits_and_the_run_can_still_be_ended() {
    let (host, told) = waiting(|config| config.live.stdin_buffer_bytes = 100_000);
    let piece = json!({"type": "stdin", "data": "x".repeat(10_000)});

    // Below the bound everything else is still heard.
    let mut socket = host.open();
    socket.started(&run());
    for _ in 0..15 {
        socket.say(&piece);
    }
    socket.say(&json!({"type": "cancel"}));
    assert_eq!(socket.result()["status"], "cancelled");
    assert_eq!(told.recv_timeout(BOUND), Ok(StopReason::Cancelled));

    // Above it the client is held back, and hanging up is noticed behind all that.
    let mut socket = host.open();
    socket.started(&run());
    socket
        .socket
        .get_mut()
        .set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let mut sent = 0;
    while socket.socket.send(Message::text(piece.to_string())).is_ok() {
        sent += 10_000;
        assert!(sent < FLOOD_BYTES, "nothing holds the client back");
    }
    drop(socket);
    assert_eq!(told.recv_timeout(BOUND), Ok(StopReason::Cancelled));
}

#[test]
fn input_reaches_the_program_in_order_and_ends() {
    let host = Host::start(|config| config.live.stdin_buffer_bytes = 1000);
    host.workers(1, |worker, mut job| {
        worker.started(&job);
        let mut input = Vec::new();
        job.stdin.read_to_end(&mut input).unwrap();
        job.stdout
            .write_all(format!("{}", input.len()).as_bytes())
            .unwrap();
        assert!(input.starts_with(b"first;") && input.ends_with(b"\xff\0"));
        worker.finished(job, Ok(report(Outcome::Exited)));
    });
    let mut socket = host.open();
    let mut run = run();
    run["stdin"] = json!("first;");
    socket.started(&run);
    for _ in 0..50 {
        socket.stdin(&"y".repeat(10_000));
    }
    socket.say(&json!({"type": "stdin", "data": "/wA=", "encoding": "base64"}));
    socket.eof();
    assert_eq!(socket.rest().0, b"500008");
}

#[test]
fn followers_of_what_waits_do_not_hold_up_the_drain() {
    let (mut host, _told) = waiting(|config| {
        config.judging.active = 1;
        config.http.drain_timeout_ms = 600_000;
    });
    let agent: ureq::Agent = ureq::Agent::config_builder().build().into();
    let url = |path: &str| format!("http://{}{path}", host.address);
    let tests = json!([{"stdin": "", "expected_output": ""}]);
    let submission = json!({"language": "python", "source": "", "tests": tests});
    let submit = || {
        let mut answer = agent
            .post(url("/v1/submissions"))
            .send_json(&submission)
            .unwrap();
        let answer: Value = answer.body_mut().read_json().unwrap();
        answer["id"].as_str().unwrap().to_owned()
    };
    submit();
    let waiting = submit();
    let mut events = agent
        .get(url(&format!("/v1/submissions/{waiting}/events")))
        .call()
        .unwrap();
    host.stop.take().unwrap().send(()).unwrap();
    let told = events.body_mut().read_to_string().unwrap();
    assert!(
        told.contains("queued") && !told.contains("finished"),
        "{told}"
    );
}
