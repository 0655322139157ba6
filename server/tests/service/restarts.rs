//! Children that end again and again: each is held back for itself.

use nix::sys::signal::Signal;

use super::harness::{Service, eventually, kill_9};

/// So many early deaths, and the next start is seconds away (`supervisor::backoff`).
const EARLY_DEATHS: usize = 10;

/// The child of this name that is none of `others`.
fn new_child(service: &Service, name: &str, others: &[u32]) -> u32 {
    let mut new = None;
    // A child can be announced before it has its name.
    eventually("a new child", || {
        let children = service.children(name);
        new = children.into_iter().find(|pid| !others.contains(pid));
        new.is_some()
    });
    new.unwrap()
}

/// Kills a child each time it is there again, until the supervisor waits before it starts it anew.
/// `there` is what the log says when it is there, `gone` when it has ended.
fn hold_back(service: &Service, name: &str, others: &[u32], there: &str, gone: &str) {
    for death in 1..=EARLY_DEATHS {
        kill_9(new_child(service, name, others));
        assert!(service.logs(gone), "{name}: death {death} is not noticed");
        if death < EARLY_DEATHS {
            assert!(service.logs(there), "{name}: not there after {death}");
        }
    }
}

#[test]
fn a_worker_that_is_held_back_holds_up_no_other() {
    let service = Service::start(&["--workers", "2"]);
    let steady = new_child(&service, "brig-worker", &[]);
    let victim = new_child(&service, "brig-worker", &[steady]);
    for _ in 0..2 {
        assert!(service.logs("worker connected"));
    }
    kill_9(victim);
    let line = service.log_line("worker connected").unwrap();
    hold_back(
        &service,
        "brig-worker",
        &[steady, victim],
        "worker connected",
        "a worker has ended",
    );
    kill_9(steady);
    let next = service.log_line("worker connected").unwrap();
    let number = |line: &str| line.rsplit("worker=").next().map(str::to_owned);
    assert_ne!(number(&next), number(&line), "{next}");
    // The other one comes back in its time.
    let last = service.log_line("worker connected").unwrap();
    assert_eq!(number(&last), number(&line), "{last}");
}

#[test]
fn a_signal_ends_the_wait_for_a_worker() {
    let mut service = Service::start(&["--workers", "1"]);
    assert!(service.logs("worker connected"));
    let (there, gone) = ("worker connected", "a worker has ended");
    hold_back(&service, "brig-worker", &[], there, gone);
    service.signal(Signal::SIGTERM);
    assert!(service.wait().success());
    let log = service.rest_of_log();
    assert!(!log.iter().any(|line| line.contains(there)), "{log:#?}");
}

#[test]
fn a_signal_ends_the_wait_for_a_server() {
    let mut service = Service::start(&["--workers", "1"]);
    let (there, gone) = (" serving", "the server has ended");
    hold_back(&service, "brig-server", &[], there, gone);
    service.signal(Signal::SIGTERM);
    assert!(service.wait().success());
    let log = service.rest_of_log();
    assert!(!log.iter().any(|line| line.contains(there)), "{log:#?}");
}
