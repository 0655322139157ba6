//! The loops, against a service that answers without running anything, and stalls once.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{Measured, Options, Session, Stop};
use crate::client::{Target, TargetFlags};
use crate::scenario::{Arrivals, Load, Loaded, Plan, Scenario};
use crate::stats::{Phase, Recorder};

const STALL: Duration = Duration::from_millis(600);
const RUN: &str = r#"{"id": "x", "status": "ok", "message": "", "compile": null, "run": {"stdout": "1\n"},
    "timings": {"queued_us": 1, "compile_us": null, "setup_us": 2, "run_us": 3, "total_us": 6}}"#;
const BUSY: &str =
    r#"{"type": "urn:brig:problem:busy", "title": "Busy", "status": 503, "detail": "full"}"#;

/// A service that answers at once, except that it does nothing for [`STALL`] when it gets its
/// `stall_at`th run, and that it refuses every `refuse`th.
struct Fake {
    address: SocketAddr,
    runs: Arc<AtomicU64>,
}

#[derive(Clone, Copy)]
struct Behaviour {
    stall_at: u64,
    refuse: u64,
}

impl Fake {
    fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let runs = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&runs);
        let stalled = Arc::new(Mutex::new(()));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (runs, stalled) = (Arc::clone(&counted), Arc::clone(&stalled));
                std::thread::spawn(move || serve(&stream, &runs, &stalled, behaviour));
            }
        });
        Self { address, runs }
    }

    fn target(&self) -> Target {
        Target::new(&TargetFlags {
            server: format!("http://{}", self.address),
            key_file: None,
            allow_remote: false,
        })
        .unwrap()
    }
}

/// Answers requests until the client goes away.
fn serve(
    stream: &TcpStream,
    runs: &AtomicU64,
    stalled: &Mutex<()>,
    behaviour: Behaviour,
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut length, mut is_run) = (0, false);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            is_run |= line.starts_with("POST /v1/runs ");
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        let (mut status, mut body) = (200, "{}");
        if is_run {
            let number = runs.fetch_add(1, Ordering::SeqCst) + 1;
            let all = stalled.lock().unwrap();
            if number == behaviour.stall_at {
                std::thread::sleep(STALL);
            }
            drop(all);
            body = RUN;
            if behaviour.refuse > 0 && number.is_multiple_of(behaviour.refuse) {
                (status, body) = (503, BUSY);
            }
        }
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = stream;
        stream.write_all((head + body).as_bytes()).ok()?;
    }
}

fn plan(load: Load) -> Plan {
    let text = r#"
about = "x"
[[groups]]
name = "a"
[[groups.operations]]
name = "print"
request = { language = "python", source = "print(1)" }
expect = { stdout = "1\n" }
"#;
    let mut plan = Plan::new(Loaded {
        name: "x".to_owned(),
        text: text.to_owned(),
        scenario: Scenario::parse("x.toml", text).unwrap(),
    })
    .unwrap();
    plan.main_mut().load = load;
    plan
}

fn measured(fake: &Fake, load: Load, time: Duration, requests: u64) -> Measured {
    let plan = plan(load);
    let observer = Box::new(|_| {});
    let stop = Stop::default();
    let mut session = Session::open(&plan, fake.target(), None, stop, observer).unwrap();
    session
        .measure(&Options {
            duration: time,
            warmup: Duration::ZERO,
            requests,
            baseline: None,
        })
        .unwrap()
}

fn client_at(recorder: &Recorder, quantile: f64) -> Duration {
    let us = recorder.groups[0].all().phase(Phase::Client).at(quantile);
    Duration::from_secs_f64(us / 1e6)
}

#[test]
fn a_stall_is_seen_by_every_operation_that_was_due_meanwhile() {
    let fake = Fake::start(Behaviour {
        stall_at: 50,
        refuse: 0,
    });
    let load = Load::Open {
        rate: 100.0,
        arrivals: Arrivals::Constant,
        connections: 1,
    };
    let measured = measured(&fake, load, Duration::from_secs(2), u64::MAX);
    let all = measured.recorder.groups[0].all();
    assert_eq!(all.ok + measured.recorder.groups[0].unsent, 200);
    // 60 operations were due in these 600 ms. The last tenth of all, 20 operations, waited 400 ms or more;
    // a loop that waits for answers before it sends would have seen one slow answer.
    assert!(client_at(&measured.recorder, 0.9) >= Duration::from_millis(390));
    assert!(client_at(&measured.recorder, 1.0) >= STALL);
    let late = all.phase(Phase::Late);
    assert_eq!(late.count(), all.ok);
    assert!(
        late.at(0.9) >= 390_000.0,
        "it was due, not sent: {}",
        late.at(0.9)
    );
}

#[test]
fn a_closed_loop_sends_no_more_than_it_is_allowed_and_times_its_own_requests() {
    let fake = Fake::start(Behaviour {
        stall_at: 10,
        refuse: 0,
    });
    let load = Load::Closed {
        clients: 3,
        think: Duration::ZERO,
    };
    let measured = measured(&fake, load, Duration::from_mins(1), 100);
    let all = measured.recorder.groups[0].all();
    assert_eq!((all.ok, all.errors.total()), (100, 0));
    // One more to see that it works.
    assert_eq!(fake.runs.load(Ordering::SeqCst), 101);
    assert!(client_at(&measured.recorder, 1.0) >= STALL);
    assert_eq!(all.phase(Phase::Setup).count(), 100);
    assert!(measured.elapsed < Duration::from_mins(1) && !measured.interrupted);
}

#[test]
fn refusals_are_counted_by_what_they_say() {
    let fake = Fake::start(Behaviour {
        stall_at: 0,
        refuse: 4,
    });
    let load = Load::Closed {
        clients: 1,
        think: Duration::ZERO,
    };
    let measured = measured(&fake, load, Duration::from_mins(1), 40);
    let all = measured.recorder.groups[0].all();
    assert_eq!(all.ok, 30);
    let errors = &all.errors.0;
    assert_eq!(errors.len(), 1);
    assert_eq!(errors["http 503 busy"].0, 10);
}

#[test]
fn a_load_that_is_stopped_gives_what_it_has() {
    let fake = Fake::start(Behaviour {
        stall_at: 0,
        refuse: 0,
    });
    let plan = plan(Load::Closed {
        clients: 2,
        think: Duration::ZERO,
    });
    let stop = Stop::default();
    let observer = {
        let stop = stop.clone();
        // Called once a second.
        Box::new(move |_| stop.set())
    };
    let mut session = Session::open(&plan, fake.target(), None, stop, observer).unwrap();
    let begun = Instant::now();
    let measured = session
        .measure(&Options {
            duration: Duration::from_hours(1),
            warmup: Duration::ZERO,
            requests: u64::MAX,
            baseline: None,
        })
        .unwrap();
    assert!(measured.interrupted && begun.elapsed() < Duration::from_mins(10));
    assert!(measured.recorder.groups[0].all().ok > 0);
    assert!(!measured.series.is_empty());
}

#[test]
fn a_service_that_is_not_there_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let gone = Fake {
        address,
        runs: Arc::default(),
    };
    let plan = plan(Load::Closed {
        clients: 1,
        think: Duration::ZERO,
    });
    let opened = Session::open(
        &plan,
        gone.target(),
        None,
        Stop::default(),
        Box::new(|_| {}),
    );
    let error = format!("{:#}", opened.err().unwrap());
    assert!(error.contains("connection refused"), "{error}");
}
