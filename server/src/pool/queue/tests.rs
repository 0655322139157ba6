use futures_util::FutureExt;

use super::*;

const RUN: Turn = Turn {
    class: Class::Interactive,
    owner: None,
    counted: true,
};

fn judging(class: Class) -> Turn {
    Turn::judging(class, None)
}

fn is_served(place: Place<'_>) -> bool {
    place.served().now_or_never().flatten().is_some()
}

fn wait(queue: &Queue, turn: Turn) -> Place<'_> {
    match queue.enter(turn) {
        Entry::Waiting(place) => place,
        Entry::Served(_) => panic!("served at once"),
        Entry::Full { .. } => panic!("full"),
    }
}

#[test]
fn first_come_first_served_and_continuing_runs_before_new_ones() {
    let queue = Queue::new(8);
    let (a, b) = (wait(&queue, RUN), wait(&queue, RUN));
    let c = wait(&queue, RUN.continuing());
    let mut served = Vec::new();
    let mut waiting = vec![
        ("a", a.served().boxed()),
        ("b", b.served().boxed()),
        ("c", c.served().boxed()),
    ];
    for _ in 0..3 {
        queue.offer(offer().0);
        waiting.retain_mut(|(name, place)| {
            let done = place.now_or_never().is_some();
            if done {
                served.push(*name);
            }
            !done
        });
    }
    assert_eq!(served, ["c", "a", "b"]);
}

#[test]
fn bulk_work_hears_of_everybody_else_who_waits() {
    let queue = Queue::new(8);
    let mut pressed = Box::pin(queue.pressed());
    let _bulk = wait(&queue, judging(Class::Bulk));
    assert!(pressed.as_mut().now_or_never().is_none());
    let place = wait(&queue, RUN);
    assert!(pressed.as_mut().now_or_never().is_some());
    assert!(queue.pressed().now_or_never().is_some());
    drop(place);
    assert!(queue.pressed().now_or_never().is_none());
    let _alone = queue.enter_alone(RUN);
    assert!(queue.pressed().now_or_never().is_some());
}

#[test]
fn a_full_queue_refuses_new_runs_only() {
    let queue = Queue::new(1);
    let _a = wait(&queue, RUN);
    assert!(matches!(queue.enter(RUN), Entry::Full { .. }));
    let _c = wait(&queue, RUN.continuing());
}

#[test]
fn upkeep_is_not_refused_and_takes_no_place() {
    let queue = Queue::new(1);
    let _upkeep = wait(&queue, Turn::UPKEEP);
    assert_eq!(queue.stats().queued, 0);
    let _a = wait(&queue, RUN);
    let _more = wait(&queue, Turn::UPKEEP);
    assert!(matches!(queue.enter(RUN), Entry::Full { .. }));
    assert_eq!(queue.stats().queued, 1);
    let [continuing, interactive, ..] = queue.line_up();
    assert_eq!((continuing.waiting, continuing.oldest), (0, None));
    assert_eq!(interactive.waiting, 3);
    assert!(interactive.oldest.is_some());
}

#[test]
fn classes_go_in_order_and_none_starves() {
    let queue = Queue::new(1000);
    let bulk = wait(&queue, judging(Class::Bulk));
    let normal = wait(&queue, judging(Class::Normal));
    let mut served = Vec::new();
    let _runs: Vec<_> = (0..40).map(|_| wait(&queue, RUN)).collect();
    let mut keep = Vec::new();
    for turn in 0..40 {
        let (offer, worker) = offer();
        let waiting = |class: Class| queue.lock().lines[class as usize].len();
        let before = (waiting(Class::Normal), waiting(Class::Bulk));
        queue.offer(offer);
        keep.push(worker);
        if waiting(Class::Normal) < before.0 {
            served.push(("normal", turn));
        }
        if waiting(Class::Bulk) < before.1 {
            served.push(("bulk", turn));
        }
    }
    assert_eq!(served, [("normal", 16), ("bulk", 17)]);
    drop((bulk, normal));
}

#[test]
fn a_class_before_another_is_served_first() {
    let queue = Queue::new(10);
    let bulk = wait(&queue, judging(Class::Bulk));
    let normal = wait(&queue, judging(Class::Normal));
    let run = wait(&queue, RUN);
    let (tx, _worker) = offer();
    queue.offer(tx);
    assert!(is_served(run));
    let (tx, _worker) = offer();
    queue.offer(tx);
    assert!(is_served(normal));
    let (tx, _worker) = offer();
    queue.offer(tx);
    assert!(is_served(bulk));
}

#[test]
fn leaving_the_line_makes_room_and_passes_the_worker_on() {
    let queue = Queue::new(1);
    drop(wait(&queue, RUN));
    assert_eq!(queue.stats().queued, 0);
    let b = wait(&queue, RUN);
    queue.offer(offer().0);
    assert!(b.served().now_or_never().flatten().is_some());
}

#[test]
fn an_offer_dropped_on_its_way_goes_back_to_the_worker() {
    let queue = Queue::new(1);
    let a = wait(&queue, RUN);
    let (tx, mut rx) = offer();
    queue.offer(tx);
    drop(a);
    assert!(matches!(
        rx.try_recv(),
        Err(oneshot::error::TryRecvError::Closed)
    ));
}

#[test]
fn offers_of_dead_workers_are_skipped() {
    let queue = Queue::new(1);
    let (dead, rx) = offer();
    queue.offer(dead);
    drop(rx);
    let (alive, _rx) = offer();
    queue.offer(alive);
    match queue.enter(RUN) {
        Entry::Served(offer) => assert!(!offer.is_closed()),
        _ => panic!("not served"),
    }
}

#[test]
fn the_expected_wait_follows_the_observed_service_rate() {
    let queue = Queue::new(10);
    assert_eq!(queue.expected_wait(), Duration::from_secs(1));
    queue.connect();
    queue.connect();
    queue.served(Duration::from_secs(4));
    let _places: Vec<_> = (0..9).map(|_| wait(&queue, RUN)).collect();
    assert_eq!(queue.expected_wait(), Duration::from_secs(20));
}
