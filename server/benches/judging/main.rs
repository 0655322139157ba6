//! `cargo bench -p brig --bench judging [-- PART...]`: what judging costs beside what it judges. Prints
//! figures, asserts nothing. `make measure` runs all parts:
//!
//! - `overhead`: a submission of 100 tests against 100 stages on the same number of workers, without
//!   anything around them.
//! - `accept`: how many submissions are accepted, that is on the disk, in a second.
//! - `fairness`: one key's interactive runs, alone and beside another key's rejudge of 10,000.
//! - `memory`: of the server, while it judges outputs of 100 MB and while 10,000 submissions wait.
//!
//! A worker is this same binary, and is started while there is one thread.

mod accept;
mod engine;
mod fairness;
mod memory;
mod overhead;
mod service;

const PARTS: [(&str, fn()); 4] = [
    ("overhead", overhead::measure),
    ("accept", accept::measure),
    ("fairness", fairness::measure),
    ("memory", memory::measure),
];

fn main() {
    if brig_sandbox::spawn::worker_main().is_some() {
        return;
    }
    // Cargo adds `--bench`.
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let wanted: Vec<_> = wanted.iter().filter(|arg| !arg.starts_with("--")).collect();
    for (name, measure) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|arg| *arg == name) {
            println!("== {name}");
            measure();
        }
    }
}

/// The value below which the part `q` of `values` lies.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)] // for people to read
fn percentile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * q).round() as usize]
}
