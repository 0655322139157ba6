//! Sessions: jobs whose caller reads and writes, on workers that follow a script.

mod http_support;

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use brig_sandbox::protocol::{FromWorker, Job, StopReason, ToWorker, UserSignal};
use brig_sandbox::report::{Outcome, Sample};
use brig_server::http::App;
use brig_server::pool::{Archive, ExecuteError, Inputs, Pace, Reading, Session, Turn};
use http_support::{FakeJob, FakeWorker, app, report, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn job() -> Job {
    Job {
        policy: "default".to_owned(),
        argv: vec!["cat".to_owned()],
        ..Job::default()
    }
}

async fn open(app: &App, inputs: Inputs) -> Result<Session, ExecuteError> {
    let lease = app.pool.lease(Turn::run(None)).await.unwrap();
    lease.open(job(), inputs, Pace::Programs).await
}

fn open_file(content: &str) -> OwnedFd {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file.into()
}

fn file(content: &str) -> Arc<OwnedFd> {
    Arc::new(open_file(content))
}

fn content_of(fd: &OwnedFd) -> String {
    use std::os::unix::fs::FileExt;
    let mut buffer = [0; 64];
    let len = std::fs::File::from(fd.try_clone().unwrap())
        .read_at(&mut buffer, 0)
        .unwrap();
    String::from_utf8_lossy(&buffer[..len]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_has_the_programs_pipes() {
    let app = app(|_| {});
    FakeWorker::serve(&app, 0, |worker, mut job| {
        worker.started(&job);
        let mut line = String::new();
        job.stdin.read_to_string(&mut line).unwrap();
        job.stdout.write_all(line.as_bytes()).unwrap();
        job.stderr.write_all(b"bye").unwrap();
        worker.finished(job, Ok(report(Outcome::Exited)));
    });
    for _ in 0..2 {
        let mut session = open(&app, Inputs::default()).await.unwrap();
        assert!(session.started().await.is_some());
        let Session {
            stdin,
            mut stdout,
            mut stderr,
            running,
        } = session;
        stdin.unwrap().write_all(b"hello").await.unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        stdout.read_to_string(&mut out).await.unwrap();
        stderr.read_to_string(&mut err).await.unwrap();
        assert_eq!((out.as_str(), err.as_str()), ("hello", "bye"));
        let control = running.control();
        let (report, collected) = running.finished().await.unwrap();
        assert_eq!(report.outcome, Outcome::Exited);
        assert!(collected.is_none());
        assert_eq!(control.sample().await, None);
        control.stop(StopReason::Cancelled);
        control.signal(UserSignal::Interrupt).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_between_archives_and_stdin() {
    let app = app(|_| {});
    FakeWorker::serve(&app, 0, |worker, mut job| {
        let fds: Vec<_> = job.fds.iter().map(content_of).collect();
        assert_eq!(fds, ["archive", "in", "ans", "stdin"]);
        assert_eq!(
            (job.job.archives.clone(), job.job.stdin_attached),
            (vec![None], true)
        );
        assert_eq!(job.job.files, ["input", "answer"]);
        assert_eq!(job.stdin.read(&mut [0]).unwrap(), 0);
        worker.print(job, "");
    });
    let inputs = Inputs {
        archives: vec![Archive::once(open_file("archive"))],
        files: vec![
            ("input".to_owned(), file("in")),
            ("answer".to_owned(), file("ans")),
        ],
        stdin: Some(file("stdin")),
    };
    let session = open(&app, inputs.clone()).await.unwrap();
    assert!(session.stdin.is_none());
    session.running.finished().await.unwrap();
    let lease = app.pool.lease(Turn::run(None)).await.unwrap();
    lease
        .execute(job(), inputs.clone(), Reading::default())
        .await
        .unwrap();
    let too_many = Inputs {
        files: vec![inputs.files[0].clone(); 4],
        ..Inputs::default()
    };
    let refused = open(&app, too_many).await;
    assert!(matches!(refused, Err(ExecuteError::Unsendable(_))));
}

/// Takes one job, tells of it, and reports the reason for which it was stopped.
fn stopped_for(app: &App) -> mpsc::Receiver<StopReason> {
    let (tell, told) = mpsc::channel();
    FakeWorker::serve(app, 0, move |worker, job| {
        worker.started(&job);
        match worker.hear() {
            Some(ToWorker::Stop { reason, job: id }) if id == job.job.id => {
                tell.send(reason).unwrap();
            }
            other => panic!("{other:?}"),
        }
        worker.finished(job, Ok(report(Outcome::Cancelled)));
    });
    told
}

fn next(told: &mpsc::Receiver<StopReason>) -> StopReason {
    tokio::task::block_in_place(|| told.recv().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_reason_to_stop_counts() {
    let app = app(|_| {});
    let told = stopped_for(&app);
    let session = open(&app, Inputs::default()).await.unwrap();
    let control = session.control();
    control.stop(StopReason::OutputLimit);
    control.stop(StopReason::Cancelled);
    assert_eq!(next(&told), StopReason::OutputLimit);
    session.running.finished().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn letting_go_of_a_session_cancels_it_and_the_worker_is_used_again() {
    let app = app(|_| {});
    let told = stopped_for(&app);
    let session = open(&app, Inputs::default()).await.unwrap();
    let control = session.control();
    drop(session);
    assert_eq!(next(&told), StopReason::Cancelled);
    drop(control);
    let session = open(&app, Inputs::default()).await.unwrap();
    let waiting = tokio::spawn(session.running.finished());
    waiting.abort();
    assert_eq!(next(&told), StopReason::Cancelled);
    until("an idle worker", || app.pool.stats().running == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_and_samples_reach_the_worker() {
    let app = app(|_| {});
    let sample = Sample {
        cpu_us: Some(7),
        ..Sample::default()
    };
    FakeWorker::serve(&app, 0, move |worker, job| {
        worker.started(&job);
        let signal = worker.hear().unwrap();
        assert!(
            matches!(signal, ToWorker::Signal { job: id, signal: UserSignal::User1 } if id == job.job.id)
        );
        for _ in 0..2 {
            assert!(
                matches!(worker.hear(), Some(ToWorker::Sample { job: id }) if id == job.job.id)
            );
            worker.say(&FromWorker::Sample {
                job: job.job.id,
                sample,
            });
        }
        // Asked, not answered, and over.
        assert!(matches!(worker.hear(), Some(ToWorker::Sample { .. })));
        worker.finished(job, Ok(report(Outcome::Exited)));
    });
    let mut session = open(&app, Inputs::default()).await.unwrap();
    assert!(session.started().await.is_some());
    let control = session.control();
    control.signal(UserSignal::User1).await;
    assert_eq!(control.sample().await, Some(sample));
    assert_eq!(control.sample().await, Some(sample));
    assert_eq!(control.sample().await, None);
    session.running.finished().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_holds_the_program_back() {
    let app = app(|_| {});
    let (tell, told) = mpsc::channel();
    FakeWorker::serve(&app, 0, move |worker, mut job: FakeJob| {
        worker.started(&job);
        let flags = nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK);
        nix::fcntl::fcntl(job.stdout.as_fd(), flags).unwrap();
        let mut written = 0;
        let full = loop {
            match job.stdout.write(&[0; 4096]) {
                Ok(n) => written += n,
                Err(e) => break e,
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        tell.send(written).unwrap();
        worker.finished(job, Ok(report(Outcome::Exited)));
    });
    let session = open(&app, Inputs::default()).await.unwrap();
    let written = tokio::task::block_in_place(|| told.recv().unwrap());
    assert!(written <= 64 << 10, "{written}");
    let Session {
        mut stdout,
        running,
        ..
    } = session;
    running.finished().await.unwrap();
    let mut read = Vec::new();
    stdout.read_to_end(&mut read).await.unwrap();
    assert_eq!(read.len(), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_worker_ends_the_session_and_it_is_known_whether_the_program_ran() {
    let app = app(|_| {});
    for starts in [false, true] {
        FakeWorker::start(&app, 0, move |worker| {
            let job = worker.job().unwrap();
            if starts {
                worker.started(&job);
            }
        });
        let mut session = open(&app, Inputs::default()).await.unwrap();
        assert_eq!(session.started().await.is_some(), starts);
        let end = session.running.finished().await;
        assert!(
            matches!(end, Err(ExecuteError::WorkerLost { started }) if started == starts),
            "{end:?}"
        );
    }
}

/// Longer than the least that anybody is told to wait.
const LONG: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread")]
async fn the_time_that_people_take_does_not_count_for_those_who_wait() {
    let app = app(|_| {});
    FakeWorker::serve(&app, 0, |worker, job| {
        worker.started(&job);
        std::thread::sleep(LONG);
        worker.finished(job, Ok(report(Outcome::Exited)));
    });
    let shortest = app.pool.expected_wait();
    for (pace, counts) in [(Pace::People, false), (Pace::Programs, true)] {
        let lease = app.pool.lease(Turn::run(None)).await.unwrap();
        let session = lease.open(job(), Inputs::default(), pace).await.unwrap();
        session.running.finished().await.unwrap();
        // Its time is known when the worker is ready again.
        drop(app.pool.lease(Turn::run(None)).await.unwrap());
        assert_eq!(app.pool.expected_wait() > shortest, counts, "{pace:?}");
    }
}
