//! The service in this process, and workers that follow a script.

#![allow(dead_code)] // each test file uses its part

use std::cell::RefCell;
use std::io::{PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use brig_sandbox::protocol::{FromWorker, Job, PIPES, Prepared, ToWorker, VERSION};
use brig_sandbox::report::{Outcome, SandboxFault, StageReport, Usage};
use brig_sandbox::started::LastStarted;
use brig_sandbox::wire::Channel;
use brig_server::config::{Config, ServerConfig};
use brig_server::http::{App, router};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// A service and its data directory.
pub(crate) struct TestApp {
    app: Arc<App>,
    _data: tempfile::TempDir,
}

impl std::ops::Deref for TestApp {
    type Target = Arc<App>;

    fn deref(&self) -> &Arc<App> {
        &self.app
    }
}

pub(crate) fn app(change: impl FnOnce(&mut Config)) -> TestApp {
    let data = tempfile::tempdir().unwrap();
    let mut config = ServerConfig {
        data: data.path().to_owned(),
        ..ServerConfig::default()
    };
    change(&mut config.config);
    TestApp {
        app: App::new(config, None).unwrap(),
        _data: data,
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        errors
            .iter()
            .map(|error| error["pointer"].as_str().unwrap())
            .collect()
    }
}

pub(crate) async fn send(app: &Arc<App>, request: Request<Body>) -> Answer {
    let response = router(Arc::clone(app)).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    Answer {
        status: head.status,
        headers: head.headers,
        body,
    }
}

pub(crate) async fn get(app: &Arc<App>, path: &str) -> Answer {
    send(app, Request::get(path).body(Body::empty()).unwrap()).await
}

pub(crate) async fn post(app: &Arc<App>, body: impl Into<Body>) -> Answer {
    let request = Request::post("/v1/runs").header("content-type", "application/json");
    send(app, request.body(body.into()).unwrap()).await
}

/// A program of the language that is not compiled.
pub(crate) fn program() -> String {
    r#"{"language": "python", "source": "print(1)", "stdin": "in"}"#.to_owned()
}

/// What every fake worker says to have.
const PREPARED: Prepared = Prepared {
    warm: 1,
    prestarted: 0,
};

/// The worker's side of one channel.
pub(crate) struct FakeWorker {
    channel: Channel,
    note: LastStarted,
    /// Its ends of the pipes that it has announced.
    next: RefCell<Option<(PipeReader, PipeWriter, PipeWriter)>>,
}

/// A job as a fake worker has it.
pub(crate) struct FakeJob {
    pub(crate) job: Job,
    pub(crate) fds: Vec<OwnedFd>,
    pub(crate) stdin: PipeReader,
    pub(crate) stdout: PipeWriter,
    pub(crate) stderr: PipeWriter,
}

impl FakeWorker {
    /// Connects a worker and lets it follow `script` on a thread of its own.
    pub(crate) fn start(
        app: &App,
        index: u32,
        script: impl FnOnce(FakeWorker) + Send + 'static,
    ) -> JoinHandle<()> {
        let (servers_end, channel) = Channel::pair().unwrap();
        app.pool.add_worker(index, servers_end).unwrap();
        thread::spawn(move || {
            let worker = FakeWorker {
                channel,
                note: LastStarted::new().unwrap(),
                next: RefCell::default(),
            };
            worker.greet(index);
            script(worker);
        })
    }

    /// A worker that does `job` for every job, for as long as there is a server.
    pub(crate) fn serve(
        app: &App,
        index: u32,
        work: impl Fn(&FakeWorker, FakeJob) + Send + 'static,
    ) -> JoinHandle<()> {
        Self::start(app, index, move |worker| {
            while let Some(job) = worker.job() {
                work(&worker, job);
            }
        })
    }

    pub(crate) fn say(&self, message: &FromWorker) {
        // A server that is gone is noticed when it is listened to.
        let _ = self.channel.send(message, &[]);
    }

    fn greet(&self, index: u32) {
        let hello = FromWorker::Hello {
            version: VERSION,
            index,
        };
        let _ = self.channel.send(&hello, &[self.note.as_fd()]);
        let ends = self.make_pipes();
        let fds = ends.each_ref().map(AsFd::as_fd);
        let _ = self.channel.send(&FromWorker::Ready(PREPARED), &fds);
    }

    /// Makes the next job's pipes; returns the server's ends.
    fn make_pipes(&self) -> [OwnedFd; PIPES] {
        let (stdin, to_stdin) = std::io::pipe().unwrap();
        let (from_stdout, stdout) = std::io::pipe().unwrap();
        let (from_stderr, stderr) = std::io::pipe().unwrap();
        *self.next.borrow_mut() = Some((stdin, stdout, stderr));
        let ends = [to_stdin.into(), from_stdout.into(), from_stderr.into()];
        for fd in &ends {
            let flags = nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK);
            nix::fcntl::fcntl(fd, flags).unwrap();
        }
        ends
    }

    /// Waits for a job.
    pub(crate) fn job(&self) -> Option<FakeJob> {
        loop {
            match self.channel.recv().ok()?? {
                (ToWorker::Execute(job), fds) => {
                    let (stdin, stdout, stderr) = self.next.take().unwrap();
                    return Some(FakeJob {
                        job: *job,
                        fds,
                        stdin,
                        stdout,
                        stderr,
                    });
                }
                // Said before the end of the last job was heard of.
                (ToWorker::Sample { .. } | ToWorker::Signal { .. }, _) => {}
                (other, _) => panic!("{other:?} instead of Execute"),
            }
        }
    }

    /// The next message.
    pub(crate) fn hear(&self) -> Option<ToWorker> {
        self.channel.recv().ok()?.map(|(message, _)| message)
    }

    pub(crate) fn started(&self, job: &FakeJob) {
        self.note.set(job.job.id).unwrap();
        if job.job.tell_start {
            self.say(&FromWorker::Started { job: job.job.id });
        }
    }

    pub(crate) fn finished(&self, job: FakeJob, result: Result<StageReport, SandboxFault>) {
        let id = job.job.id;
        drop(job);
        let ends = self.make_pipes();
        let finished = FromWorker::Finished {
            job: id,
            result,
            collected: false,
            prepared: PREPARED,
        };
        let _ = self
            .channel
            .send(&finished, &ends.each_ref().map(AsFd::as_fd));
    }

    /// Prints `text` and exits with 0.
    pub(crate) fn print(&self, mut job: FakeJob, text: &str) {
        self.started(&job);
        job.stdout.write_all(text.as_bytes()).unwrap();
        self.finished(job, Ok(report(Outcome::Exited)));
    }
}

pub(crate) fn report(outcome: Outcome) -> StageReport {
    StageReport {
        outcome,
        exit_code: (outcome == Outcome::Exited).then_some(0),
        signal: None,
        violation: None,
        usage: Usage {
            wall_us: 1000,
            ..Usage::default()
        },
        setup_us: 100,
        warm: true,
        prestarted: false,
        collect_error: None,
    }
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{what}: not within 5 s");
}
