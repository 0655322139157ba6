//! What becomes of runs when workers, queue or clients misbehave; with workers that follow a script.

mod http_support;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use brig_sandbox::protocol::{FromWorker, StopReason, ToWorker, VERSION};
use brig_sandbox::report::{Outcome, SandboxFault};
use brig_sandbox::wire::Channel;
use brig_server::http::App;
use http_support::{Answer, FakeWorker, app, get, post, program, report, until};

type Flow = tokio::task::JoinHandle<Answer>;

fn run(app: &Arc<App>) -> Flow {
    let app = Arc::clone(app);
    tokio::spawn(async move { post(&app, program()).await })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_answers_with_what_the_program_wrote() {
    let app = app(|_| {});
    FakeWorker::serve(&app, 0, |worker, job| {
        assert!(job.job.stdin_attached);
        assert_eq!(job.fds.len(), job.job.archives.len() + 1);
        worker.print(job, "hello");
    });
    let answer = post(&app, program()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["status"], "ok");
    assert_eq!(answer.body["run"]["stdout"], "hello");
    assert_eq!(answer.body["run"]["outcome"], "exited");
    assert_eq!(answer.body["compile"], serde_json::Value::Null);
    assert_eq!(
        answer.body["run"]["usage"]["cpu_user_us"],
        serde_json::Value::Null
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_lost_before_the_start_is_made_up_for_once() {
    let app = app(|_| {});
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    FakeWorker::start(&app, 0, move |worker| {
        let _job = worker.job();
        counted.fetch_add(1, Ordering::SeqCst);
    });
    until("worker 0", || app.pool.stats().workers == 1).await;
    let run = run(&app);
    until("the first try", || tries.load(Ordering::SeqCst) == 1).await;
    FakeWorker::serve(&app, 1, |worker, job| worker.print(job, "second"));
    let answer = run.await.unwrap();
    assert_eq!(answer.body["status"], "ok");
    assert_eq!(answer.body["run"]["stdout"], "second");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_lost_are_an_internal_error_and_a_200() {
    let app = app(|_| {});
    for index in 0..2 {
        FakeWorker::start(&app, index, |worker| drop(worker.job()));
    }
    until("workers", || app.pool.stats().workers == 2).await;
    let answer = post(&app, program()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["status"], "internal_error");
    assert_eq!(answer.body["run"]["outcome"], "sandbox_error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_was_started_is_never_started_again() {
    let app = app(|_| {});
    let tries = Arc::new(AtomicUsize::new(0));
    for index in 0..2 {
        let tries = Arc::clone(&tries);
        FakeWorker::start(&app, index, move |worker| {
            let Some(job) = worker.job() else { return };
            worker.started(&job);
            tries.fetch_add(1, Ordering::SeqCst);
        });
    }
    let answer = post(&app, program()).await;
    assert_eq!(answer.body["status"], "internal_error");
    assert_eq!(tries.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_fault_is_not_the_programs_and_turns_readiness_red() {
    let app = app(|_| {});
    FakeWorker::serve(&app, 0, |worker, job| {
        if job.job.limits.output_bytes == 7 {
            let fault = SandboxFault {
                step: "mount /proc".to_owned(),
                detail: "secret of the host".to_owned(),
                errno: Some(1),
                started: false,
            };
            return worker.finished(job, Err(fault));
        }
        worker.print(job, "fine");
    });
    assert_eq!(
        get(&app, "/readyz").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(post(&app, program()).await.body["status"], "ok");
    assert_eq!(get(&app, "/readyz").await.status, StatusCode::OK);
    let body = r#"{"language": "python", "source": "", "limits": {"output_bytes": 7}}"#;
    let answer = post(&app, body).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["status"], "internal_error");
    assert!(
        answer.body["message"]
            .as_str()
            .unwrap()
            .contains("mount /proc")
    );
    assert!(!answer.body.to_string().contains("secret of the host"));
    assert_eq!(
        get(&app, "/readyz").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(get(&app, "/healthz").await.status, StatusCode::OK);
    let prober = Arc::clone(&app);
    let proving = tokio::spawn(async move { prober.health.keep_proving(&prober.pool).await });
    until("ready again", || app.health.problem(&app.pool).is_none()).await;
    proving.abort();
}

/// Waits until `/readyz` answers with `status`, and gives the answer.
async fn readiness(app: &Arc<App>, status: StatusCode) -> Answer {
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        let answer = get(app, "/readyz").await;
        if answer.status == status {
            return answer;
        }
        assert!(Instant::now() < end, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_fail_in_a_row_keep_readiness_red_until_one_succeeds() {
    let app = app(|_| {});
    let broken = Arc::new(AtomicUsize::new(0));
    let left = Arc::clone(&broken);
    FakeWorker::serve(&app, 0, move |worker, job| {
        let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if fails.is_err() {
            return worker.print(job, "fine");
        }
        let fault = SandboxFault {
            step: "clone the sandbox".to_owned(),
            detail: "no memory".to_owned(),
            errno: Some(12),
            started: false,
        };
        worker.finished(job, Err(fault));
    });
    assert_eq!(post(&app, program()).await.body["status"], "ok");
    readiness(&app, StatusCode::OK).await;
    broken.store(3, Ordering::SeqCst);
    for _ in 0..3 {
        let answer = post(&app, program()).await;
        assert_eq!(answer.body["status"], "internal_error");
        let red = get(&app, "/readyz").await;
        assert_eq!(red.status, StatusCode::SERVICE_UNAVAILABLE);
        let detail = red.body["detail"].as_str().unwrap();
        assert!(detail.starts_with("not ready: "), "{detail}");
        assert!(!red.header("retry-after").is_empty());
    }
    let metrics = get(&app, "/metrics").await.body;
    assert!(metrics.as_str().unwrap().contains("\nbrig_ready 0\n"));
    assert_eq!(post(&app, program()).await.body["status"], "ok");
    readiness(&app, StatusCode::OK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_workers_readiness_is_red() {
    let app = app(|_| {});
    let (end, ended) = mpsc::channel::<()>();
    FakeWorker::start(&app, 0, move |worker| {
        let job = worker.job().expect("a job");
        worker.print(job, "fine");
        let _ = ended.recv();
    });
    assert_eq!(post(&app, program()).await.body["status"], "ok");
    readiness(&app, StatusCode::OK).await;
    drop(end);
    let red = readiness(&app, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(red.body["detail"], "not ready: no worker is connected");
    FakeWorker::serve(&app, 0, |worker, job| worker.print(job, "fine"));
    readiness(&app, StatusCode::OK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_takes_no_writes_turns_readiness_red() {
    let app = app(|_| {});
    FakeWorker::serve(&app, 0, |worker, job| worker.print(job, "fine"));
    let proving = Arc::clone(&app);
    let proving =
        tokio::spawn(async move { proving.health.keep_proving_store(&*proving.store).await });
    assert_eq!(post(&app, program()).await.body["status"], "ok");
    readiness(&app, StatusCode::OK).await;
    // Somebody else holds the lock for writing, and does not let go.
    let database = app.config.data.join("brig.db");
    let other = rusqlite::Connection::open(database).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let red = readiness(&app, StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(
        red.body["detail"].as_str().unwrap().contains("the store"),
        "{red:?}"
    );
    other.execute_batch("ROLLBACK").unwrap();
    readiness(&app, StatusCode::OK).await;
    proving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_output_stops_the_program_and_is_counted_to_the_end() {
    let app = app(|_| {});
    FakeWorker::serve(&app, 0, |worker, mut job| {
        worker.started(&job);
        job.stdout.write_all(&vec![b'x'; 100_000]).unwrap();
        let stop = worker.hear().unwrap();
        assert!(
            matches!(stop, ToWorker::Stop { reason: StopReason::OutputLimit, job: id } if id == job.job.id)
        );
        job.stdout.write_all(&vec![b'x'; 200_000]).unwrap();
        worker.finished(job, Ok(report(Outcome::OutputLimit)));
    });
    let body = r#"{"language": "python", "source": "", "limits": {"output_bytes": 1000}}"#;
    let answer = post(&app, body).await;
    assert_eq!(answer.body["status"], "output_limit_exceeded");
    let run = &answer.body["run"];
    assert_eq!(run["stdout"].as_str().unwrap().len(), 1000);
    assert_eq!(run["stdout_bytes"], 300_000);
    assert_eq!(run["stdout_truncated"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_stops_its_run_and_the_worker_is_used_again() {
    let app = app(|_| {});
    let (tell, told) = mpsc::channel();
    FakeWorker::serve(&app, 0, move |worker, job| {
        if tell.send("job").is_err() {
            return worker.print(job, "next");
        }
        worker.started(&job);
        assert!(matches!(
            worker.hear(),
            Some(ToWorker::Stop {
                reason: StopReason::Cancelled,
                ..
            })
        ));
        worker.finished(job, Ok(report(Outcome::Cancelled)));
    });
    let first = run(&app);
    tokio::task::block_in_place(|| told.recv().unwrap());
    drop(told);
    first.abort();
    let answer = post(&app, program()).await;
    assert_eq!(answer.body["run"]["stdout"], "next");
    let metrics = get(&app, "/metrics").await.body;
    let metrics = metrics.as_str().unwrap();
    assert!(
        metrics.contains(r#"brig_runs_total{language="python",status="cancelled"} 1"#),
        "{metrics}"
    );
    assert!(metrics.contains(r#"brig_runs_total{language="python",status="ok"} 1"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_a_503_with_retry_after_and_nobody_else_suffers() {
    let app = app(|config| config.queue_length = 2);
    let waiting = [run(&app), run(&app)];
    until("the queue", || app.pool.stats().queued == 2).await;
    let refused = post(&app, program()).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    FakeWorker::serve(&app, 0, |worker, job| worker.print(job, ""));
    for run in waiting {
        assert_eq!(run.await.unwrap().body["status"], "ok");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_while_it_waits_leaves_the_queue() {
    let app = app(|config| config.queue_length = 1);
    let first = run(&app);
    until("the queue", || app.pool.stats().queued == 1).await;
    first.abort();
    until("an empty queue", || app.pool.stats().queued == 0).await;
    let second = run(&app);
    until("the queue", || app.pool.stats().queued == 1).await;
    FakeWorker::serve(&app, 0, |worker, job| worker.print(job, ""));
    assert_eq!(second.await.unwrap().body["status"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_in_the_queue_has_an_end() {
    let app = app(|config| config.http.queue_timeout_ms = 50);
    let answer = post(&app, program()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(app.pool.stats().queued, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pipes_that_stay_open_are_the_sandboxs_fault() {
    let app = app(|_| {});
    FakeWorker::start(&app, 0, |worker| {
        let Some(job) = worker.job() else { return };
        let held = job.stdout.try_clone().unwrap();
        worker.started(&job);
        worker.finished(job, Ok(report(Outcome::Exited)));
        assert!(worker.job().is_none());
        drop(held);
    });
    let begun = Instant::now();
    let answer = post(&app, program()).await;
    assert_eq!(answer.body["status"], "internal_error");
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_break_the_protocol_are_dropped() {
    let app = app(|_| {});
    let (servers_end, channel) = Channel::pair().unwrap();
    app.pool.add_worker(0, servers_end).unwrap();
    channel
        .send(
            &FromWorker::Hello {
                version: VERSION + 1,
                index: 0,
            },
            &[],
        )
        .unwrap();
    let closed = tokio::task::spawn_blocking(move || channel.recv::<ToWorker>().unwrap().is_none());
    assert!(closed.await.unwrap());
    for index in [1, 2] {
        FakeWorker::start(&app, index, |worker| {
            let Some(job) = worker.job() else { return };
            worker.say(&FromWorker::Started {
                job: job.job.id + 1,
            });
            assert!(worker.hear().is_none());
        });
    }
    assert_eq!(post(&app, program()).await.body["status"], "internal_error");
    until("no worker", || app.pool.stats().workers == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_service_takes_no_runs() {
    let app = app(|_| {});
    app.drain();
    let answer = post(&app, program()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(
        get(&app, "/readyz").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
}
