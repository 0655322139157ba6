//! `kill -9` at random moments, under load: what was accepted has its result, once, and it stays.
//!
//! Clients submit without pause, each request with an idempotency key of its own and again until it
//! is answered. Observers look at what was accepted. A receiver takes the webhooks. Meanwhile the
//! server, a worker or all processes are killed, at a moment that is waited for: a compiler runs,
//! a program runs, an acceptance is under way, a webhook is under way, or any. At the end every
//! accepted submission must have the result that it should have, and there must be no other.
//!
//! `make crash-test` is the long form. `BRIG_CRASH_KILLS` and `BRIG_CRASH_SEED` say how many kills, and
//! which.

mod load;
mod receiver;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use self::load::{CLIENTS, Load, Tally};
use self::receiver::Receiver;
use super::harness::{Service, comm, data_dir, eventually, kill_9};

const SEED: u64 = 0x6272_6967;
/// How long a moment is waited for, before any will do.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who is killed.
const VICTIMS: [&str; 3] = ["server", "worker", "all"];
/// When.
const MOMENTS: [&str; 5] = ["compile", "test", "commit", "webhook", "any"];

/// How many kills were at their moment, and how many at another, by victim and moment.
type Kills = BTreeMap<(&'static str, &'static str), (u32, u32)>;

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {value}")),
    )
}

/// How many kills, and submissions without a result, where nothing else is said. An emulated machine
/// takes many times longer for everything.
fn usual() -> (u64, usize) {
    if std::env::var_os("BRIG_TEST_SLOW").is_some() {
        (4, 6)
    } else {
        (15, 24)
    }
}

fn start(data: &Arc<tempfile::TempDir>, config: &std::path::Path) -> Service {
    let config = config.to_str().unwrap();
    let args = ["--workers", "2", "--config", config, "--languages", "c"];
    Service::settled_on(Arc::clone(data), &args)
}

#[test]
fn what_was_accepted_has_one_result_whoever_is_killed() {
    let (kills, most_outstanding) = usual();
    let kills = setting("BRIG_CRASH_KILLS").unwrap_or(kills);
    let seed = setting("BRIG_CRASH_SEED").unwrap_or(SEED);
    println!("{kills} kills, BRIG_CRASH_SEED={seed}");
    let receiver = Receiver::start();
    let config = tempfile::NamedTempFile::new().unwrap();
    let text = "[webhooks]\nallow = [\"127.0.0.1\"]\nfirst_retry_ms = 100\nmax_retry_ms = 1000\n";
    std::fs::write(config.path(), text).unwrap();
    let data = Arc::new(data_dir());
    let mut service = start(&data, config.path());
    let load = Load::new(service.address, receiver.url(), most_outstanding);
    let begun = Instant::now();
    let mut done = Kills::new();
    let tally = std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let load = &load;
            scope.spawn(move || load.submit(client));
        }
        scope.spawn(|| load.observe());
        let ended = load.end_at_panic();
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..kills {
            let (victim, moment) = choose(&mut rng);
            std::thread::sleep(Duration::from_millis(rng.random_range(0..400)));
            let met = await_moment(moment, &service, &load, &receiver);
            match victim {
                "all" => {
                    service.signal(Signal::SIGKILL);
                    service.wait();
                    service = start(&data, config.path());
                    load.moved(service.address);
                }
                _ => kill_one(&service, victim, &mut rng),
            }
            let count = done.entry((victim, moment)).or_default();
            *if met { &mut count.0 } else { &mut count.1 } += 1;
            eventually("the service is ready again", || {
                service.status("/readyz") == 200
            });
        }
        load.stop();
        drop(ended);
        load.settle(&receiver)
    });
    println!("{}", table(&done, &tally, begun.elapsed()));
    tally.assert_nothing_wrong();
    assert!(service.stop().success());
}

fn choose(rng: &mut StdRng) -> (&'static str, &'static str) {
    let one_of = |names: &[&'static str], rng: &mut StdRng| *names.choose(rng).unwrap();
    (one_of(&VICTIMS, rng), one_of(&MOMENTS, rng))
}

/// Waits until `moment` is now; `false` if it does not come.
fn await_moment(moment: &str, service: &Service, load: &Load, receiver: &Receiver) -> bool {
    let now = || match moment {
        "compile" => runs_below(service, &["cc1", "as", "collect2", "ld"]),
        "test" => runs_below(service, &["python3", "main"]),
        "commit" => load.posting.load(Ordering::SeqCst) > 0,
        "webhook" => receiver.under_way.load(Ordering::SeqCst) > 0,
        _ => true,
    };
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if now() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

/// Whether a program with one of these names descends from the service.
fn runs_below(service: &Service, names: &[&str]) -> bool {
    let children = |pid: u32| {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let pids: Vec<u32> = text
            .split_whitespace()
            .filter_map(|p| p.parse().ok())
            .collect();
        pids
    };
    let mut level = service.children("brig-worker");
    while !level.is_empty() {
        if level.iter().any(|pid| names.contains(&comm(*pid).as_str())) {
            return true;
        }
        level = level.into_iter().flat_map(children).collect();
    }
    false
}

fn kill_one(service: &Service, victim: &str, rng: &mut StdRng) {
    let mut there = Vec::new();
    let name = format!("brig-{victim}");
    eventually("there is somebody to kill", || {
        there = service.children(&name);
        !there.is_empty()
    });
    kill_9(*there.choose(rng).unwrap());
}

fn table(kills: &Kills, tally: &Tally, took: Duration) -> String {
    let mut text = format!("{:>8}", "killed");
    for moment in MOMENTS {
        let _ = write!(text, " {moment:>9}");
    }
    for victim in VICTIMS {
        let _ = write!(text, "\n{victim:>8}");
        for moment in MOMENTS {
            let (met, missed) = kills.get(&(victim, moment)).copied().unwrap_or_default();
            let cell = match missed {
                0 => met.to_string(),
                _ => format!("{met}+{missed}"),
            };
            let _ = write!(text, " {cell:>9}");
        }
    }
    let all: u32 = kills.values().map(|(met, missed)| met + missed).sum();
    let _ = write!(
        text,
        "\n(n+m: at that moment, and when it did not come)\n{all} kills in {} s; {tally}",
        took.as_secs()
    );
    text
}
