//! One key's interactive runs, alone and beside another key's rejudge.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::percentile;
use super::service::{Service, WORKERS, program, request};

const REJUDGED: usize = 10_000;
const BATCH: usize = 1000;
const RUNS: u32 = 300;
/// Between two runs of somebody who looks at the answer. Of many lengths, or the runs fall in step with the
/// tests beside them.
const PAUSE_MS: std::ops::Range<f64> = 5.0..105.0;
/// Multiples of it are spread evenly modulo 1.
const GOLDEN_RATIO: f64 = 0.618_034;

pub(crate) fn measure() {
    let program = program();
    let service = Service::start();
    let (own, other) = (service.key(), service.key());
    let run = request(&program, &["spin", "1000"]);
    let mut rejudged = request(&program, &["spin", "20000"]);
    rejudged["priority"] = json!("bulk");
    rejudged["tests"] = json!([{"stdin": "", "expected_output": "ok\n"}]);
    runs(&service, &own, &run, 20);
    let mut idle = runs(&service, &own, &run, RUNS);
    show("alone", &mut idle);
    let batch = json!({"submissions": vec![&rejudged; BATCH]});
    for _ in 0..REJUDGED / BATCH {
        let (status, answer) = service.post("/v1/submissions/batch", Some(&other), &batch);
        assert_eq!(status, 200, "{answer}");
    }
    let left =
        || service.metric("brig_submissions_waiting") + service.metric("brig_submissions_active");
    let before = left();
    let mut beside = runs(&service, &own, &run, RUNS);
    show("beside the rejudge", &mut beside);
    let longest = longest_test(&service, &other);
    println!(
        "{WORKERS} workers; rejudge of {REJUDGED}: {before:.0} without a result before, {:.0} after; \
         its tests hold a worker for {longest:.1} ms",
        left()
    );
    for q in [0.5, 0.9, 0.99] {
        let more = percentile(&mut beside, q) - percentile(&mut idle, q);
        println!("p{:.0}: {more:+.1} ms", q * 100.0);
    }
}

/// Times of runs, one after the other, in milliseconds.
fn runs(service: &Service, key: &str, run: &Value, count: u32) -> Vec<f64> {
    let one = |number| {
        let part = (f64::from(number) * GOLDEN_RATIO).fract();
        let pause = PAUSE_MS.start + part * (PAUSE_MS.end - PAUSE_MS.start);
        std::thread::sleep(Duration::from_secs_f64(pause / 1e3));
        let begun = Instant::now();
        let (status, answer) = service.post("/v1/runs", Some(key), run);
        assert_eq!((status, &answer["status"]), (200, &json!("ok")), "{answer}");
        begun.elapsed().as_secs_f64() * 1e3
    };
    (0..count).map(one).collect()
}

fn show(name: &str, times: &mut [f64]) {
    let [p50, p90, p99, most] = [0.5, 0.9, 0.99, 1.0].map(|q| percentile(times, q));
    println!("{name:20} {RUNS} runs: p50 {p50:.1}, p90 {p90:.1}, p99 {p99:.1}, most {most:.1} ms");
}

/// How long the rejudged tests took on a worker, the longest of some.
fn longest_test(service: &Service, key: &str) -> f64 {
    let url = format!("{}/v1/submissions?state=finished&limit=100", service.url);
    let get = |url: &str| -> Value {
        let bearer = format!("Bearer {key}");
        let mut answer = service
            .agent
            .get(url)
            .header("authorization", bearer)
            .call()
            .unwrap();
        answer.body_mut().read_json().unwrap()
    };
    let page = get(&url);
    let ids = page["submissions"].as_array().unwrap().iter().take(50);
    let walls = ids.filter_map(|s| {
        let shown = get(&format!(
            "{}/v1/submissions/{}",
            service.url,
            s["id"].as_str()?
        ));
        shown["tests"][0]["stage"]["usage"]["wall_us"].as_f64()
    });
    walls.fold(0.0, f64::max) / 1e3
}
