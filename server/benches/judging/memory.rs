//! The server's memory.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::service::{Service, program, request, wait_for};

const OUTPUT_BYTES: usize = 100_000_000;
const LARGE: usize = 8;
/// As many of them take longer than accepting [`QUEUED`].
const LARGE_BESIDE_QUEUE: usize = 60;
const QUEUED: usize = 10_000;
const SOCKETS: usize = 500;

pub(crate) fn measure() {
    let program = program();
    let service = Service::start();
    let began = service.mib("VmRSS");
    println!("idle: {began:.1} MiB");
    let sockets: Vec<_> = (0..SOCKETS).map(|_| open_socket(&service)).collect();
    wait_for("the sockets are open", || {
        service.metric("brig_live_sockets") >= 500.0
    });
    let before = service.mib("VmRSS");
    println!("{SOCKETS} idle WebSockets: {before:.1} MiB");
    let hash = upload_expected(&service);
    let large = large_outputs(&program, &hash, LARGE);
    let (_, answer) = service.post("/v1/submissions?wait=true", None, &large);
    assert_eq!(answer["verdict"], "accepted", "{answer}");
    println!(
        "and {LARGE} outputs of {} MB compared: at most {:.1} MiB",
        OUTPUT_BYTES / 1_000_000,
        service.mib("VmHWM")
    );
    beside_a_queue(
        &service,
        &large_outputs(&program, &hash, LARGE_BESIDE_QUEUE),
    );
    drop(sockets);
}

fn open_socket(service: &Service) -> TcpStream {
    let address = service.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET /v1/runs/ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .unwrap();
    let mut status = String::new();
    BufReader::new(&stream).read_line(&mut status).unwrap();
    assert!(status.contains(" 101 "), "{status}");
    stream
}

fn upload_expected(service: &Service) -> String {
    let expected = vec![b'x'; OUTPUT_BYTES];
    let hash = format!("sha256:{:x}", Sha256::digest(&expected));
    let answer = service
        .agent
        .put(format!("{}/v1/blobs/{hash}", service.url))
        .send(&expected);
    assert_eq!(answer.unwrap().status(), 201);
    hash
}

fn large_outputs(program: &[u8], hash: &str, count: usize) -> Value {
    let mut submission = request(program, &["write", &OUTPUT_BYTES.to_string()]);
    submission["limits"] = json!({"output_bytes": 120_000_000, "cpu_time_ms": 10_000});
    submission["tests"] = (0..count)
        .map(|_| json!({"stdin": "", "expected_output_blob": hash}))
        .collect();
    submission
}

/// All at once: the workers are busy with `large` while others wait.
fn beside_a_queue(service: &Service, large: &Value) {
    let (status, answer) = service.post("/v1/submissions", None, large);
    assert_eq!(status, 202, "{answer}");
    let small = json!({
        "language": "executable",
        "files": [{"path": "main", "content": "#!/bin/true\n"}],
        "tests": [{"stdin": "1 2\n", "expected_output": "3\n"}],
        "priority": "bulk",
    });
    let batch = json!({"submissions": vec![&small; 500]});
    for _ in 0..QUEUED / 500 {
        assert_eq!(service.post("/v1/submissions/batch", None, &batch).0, 200);
    }
    let (waiting, now) = (
        service.metric("brig_submissions_waiting"),
        service.mib("VmRSS"),
    );
    let path = format!("/v1/submissions/{}", answer["id"].as_str().unwrap());
    let url = format!("{}{path}", service.url);
    let document: Value = service
        .agent
        .get(&url)
        .call()
        .unwrap()
        .body_mut()
        .read_json()
        .unwrap();
    let done = document["tests"].as_array().map_or(0, |tests| {
        tests.iter().filter(|t| t["verdict"] == "accepted").count()
    });
    println!(
        "and {waiting:.0} submissions wait behind {LARGE_BESIDE_QUEUE} such outputs, {done} of them compared: {now:.1} MiB, \
         at most {:.1} MiB",
        service.mib("VmHWM")
    );
}
