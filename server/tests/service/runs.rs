//! Runs through the whole service.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use super::harness::{Service, eventually, python, request};

#[test]
fn every_way_to_end_has_its_status() {
    let service = Service::settled(&["--workers", "2"]);
    for (mode, status) in [
        ("ok", "ok"),
        ("exit", "runtime_error"),
        ("crash", "runtime_error"),
        ("spin", "time_limit_exceeded"),
        ("hog", "memory_limit_exceeded"),
        ("bomb", "time_limit_exceeded"),
        ("flood", "output_limit_exceeded"),
        ("daemon", "ok"),
        ("files", "ok"),
    ] {
        let answer = service.run(&request(mode));
        assert_eq!(answer["status"], status, "{mode}: {answer}");
    }
    assert!(service.metric("brig_runs_total") >= 9.0);
    assert!(service.stop().success());
}

#[test]
fn a_client_that_hangs_up_ends_its_run() {
    let service = Service::settled(&["--workers", "1"]);
    let stream = service.begin(&request("sleep"));
    eventually("the run is running", || {
        service.metric("brig_running") > 0.0
    });
    drop(stream);
    eventually("the run is not running any more", || {
        service.metric("brig_running") < 1.0
    });
    assert_eq!(service.run(&request("ok"))["status"], "ok");
}

#[test]
fn a_full_queue_is_said_with_503_and_when_to_come_back() {
    let service = Service::settled(&["--workers", "1", "--queue", "1"]);
    let running = service.begin(&request("sleep"));
    eventually("the run is running", || {
        service.metric("brig_running") > 0.0
    });
    let waiting = service.begin(&request("sleep"));
    eventually("one run waits", || service.metric("brig_queue_depth") > 0.0);
    let (status, problem) = service.try_run(&request("ok")).unwrap();
    assert_eq!(status, 503, "{problem}");
    drop((running, waiting));
    eventually("the queue empties", || {
        service.metric("brig_queue_depth") < 1.0
    });
    assert_eq!(service.run(&request("ok"))["status"], "ok");
}

#[test]
fn a_program_cannot_write_to_what_it_was_given() {
    let service = Service::settled(&["--workers", "1"]);
    let source = "import os\n\
        for how in (os.O_WRONLY, os.O_RDWR):\n\
        \x20 try: os.open('/proc/self/fd/0', how); print('opened')\n\
        \x20 except OSError: print('denied')\n\
        try: os.fchmod(0, 0o666); print('changed')\n\
        except OSError: print('denied')\n\
        print(os.read(0, 9), os.lseek(0, 0, 0), os.fstat(0).st_size)\n";
    let answer = service.run(&python(source));
    assert_eq!(
        answer["run"]["stdout"], "denied\ndenied\ndenied\nb'abc' 0 3\n",
        "{answer}"
    );
}

#[test]
fn interpreters_in_demand_are_started_ahead_and_serve_one_run_each() {
    let service = Service::settled(&["--workers", "1"]);
    let (mut run, mut prestarted) = (0, 0);
    eventually("three runs find an interpreter", || {
        run += 1;
        let name = format!("of_run_{run}");
        let source = format!("import os\nopen('{name}', 'w')\nprint(sorted(os.listdir('.')))");
        let answer = service.run(&python(&source));
        assert_eq!(answer["status"], "ok", "{answer}");
        let found = format!("['main.py', '{name}']\n");
        assert_eq!(answer["run"]["stdout"], found, "{answer}");
        prestarted += u32::from(answer["run"]["prestarted"] == true);
        prestarted >= 3
    });
    assert!(service.metric("brig_starts_total") >= f64::from(run));
    let (_, metrics) = service.get("/metrics").unwrap();
    let counted = format!("brig_starts_total{{found=\"interpreter\"}} {prestarted}");
    assert!(metrics.contains(&counted), "{metrics}");
    assert!(service.stop().success());
}

#[test]
fn memory_that_a_burst_took_is_given_back() {
    const WAITING: usize = 400;
    const MEBIBYTE: f64 = 1024.0 * 1024.0;
    let service = Service::settled(&["--workers", "1", "--queue", "1000"]);
    let resident = || service.metric("process_resident_memory_bytes") / MEBIBYTE;
    let before = resident();
    let running = service.begin(&request("sleep"));
    eventually("the worker is busy", || {
        service.metric("brig_running") > 0.0
    });
    let mut run = python("pass");
    run["stdin"] = "x".repeat(64 << 10).into();
    let waiting: Vec<_> = (0..WAITING).map(|_| service.begin(&run)).collect();
    eventually("many are in line", || {
        service.metric("brig_queue_depth") > 300.0
    });
    let meanwhile = resident();
    assert!(meanwhile > before + 20.0, "{before} and {meanwhile} MiB");
    // Who hangs up leaves the line.
    drop((running, waiting));
    eventually("most of it is given back", || {
        resident() < before + (meanwhile - before) / 3.0
    });
}

/// A connection that the server has closed while it was being written to is reset, and the answer with it.
#[test]
fn a_refusal_arrives_while_the_body_is_still_being_sent() {
    let service = Service::settled(&["--workers", "1"]);
    let mut stream = BufReader::new(TcpStream::connect(service.address).unwrap());
    let body = vec![b'x'; 4 << 20];
    for (line, status) in [
        ("POST /v1/runs?unknown=1", "400 Bad Request"),
        ("POST /v1/nowhere", "404 Not Found"),
        ("DELETE /v1/runs", "405 Method Not Allowed"),
        ("POST /v1/runs", "415 Unsupported Media Type"),
        ("PUT /v1/blobs/this-is-no-hash", "422 Unprocessable Entity"),
    ] {
        // The server knows its answer from the head, long before the rest has been written.
        let length = body.len();
        let head = format!("{line} HTTP/1.1\r\nhost: brig\r\ncontent-length: {length}\r\n\r\n");
        let sent = stream.get_mut().write_all(head.as_bytes());
        sent.and_then(|()| stream.get_mut().write_all(&body))
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(answer(&mut stream), format!("HTTP/1.1 {status}"), "{line}");
    }
}

/// The first line of the next answer, all of which is read.
fn answer(stream: &mut BufReader<TcpStream>) -> String {
    let head: Vec<String> = stream
        .lines()
        .map(|line| line.expect("a line of the head"))
        .take_while(|line| !line.is_empty())
        .collect();
    let length = |line: &String| line.strip_prefix("content-length: ")?.parse().ok();
    let length: u64 = head.iter().find_map(length).expect("a length");
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body).unwrap();
    head[0].clone()
}
