//! The server's memory.

use serde_json::json;
use sha2::{Digest, Sha256};

use super::service::{Service, program, request};

const OUTPUT_BYTES: usize = 100_000_000;
const LARGE: usize = 8;
const QUEUED: usize = 10_000;

pub(crate) fn measure() {
    let program = program();
    let service = Service::start();
    println!("idle: {:.1} MiB", service.mib("VmRSS"));
    large_outputs(&service, &program);
    many_waiting(&service, &program);
}

fn large_outputs(service: &Service, program: &[u8]) {
    let expected = vec![b'x'; OUTPUT_BYTES];
    let hash = format!("sha256:{:x}", Sha256::digest(&expected));
    let answer = service
        .agent
        .put(format!("{}/v1/blobs/{hash}", service.url))
        .send(&expected);
    assert_eq!(answer.unwrap().status(), 201);
    let size = OUTPUT_BYTES.to_string();
    let mut submission = request(program, &["write", &size]);
    submission["limits"] = json!({"output_bytes": 120_000_000, "cpu_time_ms": 10_000});
    submission["tests"] = (0..LARGE)
        .map(|_| json!({"stdin": "", "expected_output_blob": hash}))
        .collect();
    let before = service.mib("VmRSS");
    let (_, answer) = service.post("/v1/submissions?wait=true", None, &submission);
    assert_eq!(answer["verdict"], "accepted", "{answer}");
    println!(
        "{LARGE} outputs of {} MB compared: {before:.1} MiB before, at most {:.1} MiB since the start",
        OUTPUT_BYTES / 1_000_000,
        service.mib("VmHWM")
    );
}

fn many_waiting(service: &Service, program: &[u8]) {
    let mut sleeper = request(program, &["sleep", "100000000"]);
    sleeper["limits"] = json!({"wall_time_ms": 120_000});
    sleeper["tests"] = json!([{"stdin": "", "expected_output": ""}]);
    for _ in 0..4 {
        assert_eq!(service.post("/v1/submissions", None, &sleeper).0, 202);
    }
    let before = service.mib("VmRSS");
    let small = json!({
        "language": "executable",
        "files": [{"path": "main", "content": "#!/bin/true\n"}],
        "tests": [{"stdin": "1 2\n", "expected_output": "3\n"}],
    });
    let batch = json!({"submissions": vec![&small; 500]});
    for _ in 0..QUEUED / 500 {
        assert_eq!(service.post("/v1/submissions/batch", None, &batch).0, 200);
    }
    println!(
        "{:.0} submissions wait: {:.1} MiB, {before:.1} MiB before",
        service.metric("brig_submissions_waiting"),
        service.mib("VmRSS")
    );
}
