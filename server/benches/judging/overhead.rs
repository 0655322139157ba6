//! A submission of 100 tests of a program of one millisecond, against 100 such stages.

use std::time::Instant;

use serde_json::json;

use super::engine;
use super::percentile;
use super::service::{Service, WORKERS, program, request};

const TESTS: usize = 100;
const PASSES: usize = 15;
const SPIN: &[&str] = &["spin", "1000"];

pub(crate) fn measure() {
    let workers = engine::Workers::launch(WORKERS.parse().unwrap());
    let program = program();
    let service = Service::start();
    let mut submission = request(&program, SPIN);
    submission["tests"] = (0..TESTS)
        .map(|_| json!({"stdin": "", "expected_output": "ok\n"}))
        .collect();
    let judge = || {
        let begun = Instant::now();
        let (status, answer) = service.post("/v1/submissions?wait=true", None, &submission);
        assert_eq!(
            (status, &answer["verdict"]),
            (200, &json!("accepted")),
            "{answer}"
        );
        begun.elapsed().as_secs_f64() * 1e3
    };
    judge();
    let mut judged = Vec::new();
    let alone = engine::passes(&program, SPIN, workers, (TESTS, PASSES), || {
        judged.push(judge());
    });
    let mut alone: Vec<f64> = alone.iter().map(|t| t.as_secs_f64() * 1e3).collect();
    for (name, times) in [
        ("stages alone", &mut alone),
        ("one submission", &mut judged),
    ] {
        let (least, median) = (percentile(times, 0.0), percentile(times, 0.5));
        println!(
            "{name:16} {TESTS} tests, {WORKERS} workers: median {median:.1} ms, least {least:.1} ms"
        );
    }
    let part = |q: f64, judged: &mut [f64], alone: &mut [f64]| {
        (percentile(judged, q) / percentile(alone, q) - 1.0) * 100.0
    };
    let (median, least) = (
        part(0.5, &mut judged, &mut alone),
        part(0.0, &mut judged, &mut alone),
    );
    println!(
        "the judge's part, from the request to the answer: {median:.1} % (medians), {least:.1} % (least)"
    );
}
