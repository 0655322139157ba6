//! How many submissions a second are accepted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::percentile;
use super::service::{Service, agent, post, program, request, wait_for};

const SECONDS: u64 = 8;

pub(crate) fn measure() {
    let small = json!({
        "language": "executable", "priority": "bulk",
        "files": [{"path": "main", "content": "#!/bin/true\n"}],
        "tests": [{"stdin": "", "expected_output": ""}],
    });
    // Each with a queue of its own, which holds what can be accepted in that time.
    for clients in [1, 8, 32] {
        one_by_one(&busy_service(), &small, clients);
    }
    in_batches(&busy_service(), &small);
}

fn busy_service() -> Service {
    let service = Service::start();
    // All workers wait in a program that does nothing, so what is measured is accepting alone.
    let mut sleeper = request(&program(), &["sleep", "100000000"]);
    sleeper["limits"] = json!({"wall_time_ms": 120_000});
    sleeper["tests"] = json!([{"stdin": "", "expected_output": ""}]);
    for _ in 0..4 {
        assert_eq!(service.post("/v1/submissions", None, &sleeper).0, 202);
    }
    wait_for("the workers are busy", || {
        service.metric("brig_running") > 1.5
    });
    service
}

fn in_batches(service: &Service, small: &Value) {
    let batch = json!({"submissions": vec![small; 100]});
    let begun = Instant::now();
    let mut accepted = 0;
    while begun.elapsed() < Duration::from_secs(SECONDS) {
        let (status, answer) = service.post("/v1/submissions/batch", None, &batch);
        assert_eq!(status, 200, "{answer}");
        accepted += answer["submissions"].as_array().unwrap().len();
    }
    #[allow(clippy::cast_precision_loss)] // for people to read
    let rate = accepted as f64 / begun.elapsed().as_secs_f64();
    println!("1 client, batches of 100: {rate:.0} accepted/s");
}

fn one_by_one(service: &Service, small: &Value, clients: usize) {
    let url = format!("{}/v1/submissions", service.url);
    let commits = ["count", "sum"].map(|part| format!("brig_store_commit_seconds_{part}"));
    let before = commits.each_ref().map(|name| service.metric(name));
    let accepted = AtomicU64::new(0);
    let end = Instant::now() + Duration::from_secs(SECONDS);
    let mut times: Vec<f64> = std::thread::scope(|scope| {
        let client = || {
            let (agent, mut times) = (agent(), Vec::new());
            while Instant::now() < end {
                let begun = Instant::now();
                let (status, answer) = post(&agent, &url, None, small);
                assert_eq!(status, 202, "{answer}");
                times.push(begun.elapsed().as_secs_f64() * 1e3);
                accepted.fetch_add(1, Ordering::Relaxed);
            }
            times
        };
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        let times = threads.into_iter().flat_map(|t| t.join().unwrap());
        times.collect()
    });
    let after = commits.each_ref().map(|name| service.metric(name));
    let (count, seconds) = (after[0] - before[0], after[1] - before[1]);
    #[allow(clippy::cast_precision_loss)] // for people to read
    let accepted = accepted.into_inner() as f64;
    println!(
        "{clients} clients: {:.0} accepted/s, p50 {:.2} ms, p99 {:.2} ms; {:.1} in a transaction of {:.2} ms",
        accepted / seconds_of(SECONDS),
        percentile(&mut times, 0.5),
        percentile(&mut times, 0.99),
        accepted / count,
        seconds / count * 1e3,
    );
}

fn seconds_of(seconds: u64) -> f64 {
    Duration::from_secs(seconds).as_secs_f64()
}
