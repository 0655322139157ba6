//! Talking to a worker from straight-line code: the command line and the self-check. (The server
//! does the same asynchronously.)

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::layers::Layers;
use crate::probe::Probe;
use crate::protocol::{self, FromWorker, Job, StopReason, ToWorker};
use crate::report::{SandboxFault, StageReport};
use crate::step::Step;
use crate::wire::Channel;

/// How a stage came out.
#[derive(Debug)]
pub struct Execution {
    /// What the program did, or the sandbox failed to do.
    pub result: Result<StageReport, SandboxFault>,
    /// Files brought back, an [`crate::archive`].
    pub collected: Option<OwnedFd>,
    /// Bytes written to stdout, kept or not.
    pub stdout_bytes: u64,
    /// Bytes written to stderr, kept or not.
    pub stderr_bytes: u64,
}

/// A connection to one worker.
#[derive(Debug)]
pub struct Client {
    channel: Channel,
    /// The server's ends of the next job's pipes: stdin, stdout, stderr.
    ready: Option<[OwnedFd; 3]>,
}

/// What to do while waiting.
pub struct Watch<'a> {
    /// Where the program's stdout goes.
    pub stdout: &'a mut dyn Write,
    /// Where its stderr goes.
    pub stderr: &'a mut dyn Write,
    /// When this becomes readable the stage is cancelled.
    pub cancel: Option<BorrowedFd<'a>>,
}

impl Client {
    /// Takes over the server's end of a worker's socket.
    pub fn new(channel: Channel) -> Self {
        Self {
            channel,
            ready: None,
        }
    }

    /// Waits until the worker can take a job.
    pub fn wait_ready(&mut self, bound: Duration) -> Result<(), SandboxFault> {
        let end = Instant::now() + bound;
        while self.ready.is_none() {
            let left = end.saturating_duration_since(Instant::now());
            let mut fds = [PollFd::new(self.channel.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            if poll(&mut fds, timeout).step("wait for the worker")? == 0 {
                return Err(fault(
                    "wait for the worker",
                    format!("not ready after {bound:?}"),
                ));
            }
            self.receive()?;
        }
        Ok(())
    }

    /// Runs `job`, with its archives, its files and, if it says so, an attached stdin, in `fds`.
    pub fn execute(
        &mut self,
        job: Job,
        fds: &[BorrowedFd<'_>],
        watch: Watch<'_>,
    ) -> Result<Execution, SandboxFault> {
        let (id, output_bytes) = (job.id, job.limits.output_bytes);
        self.run(
            &ToWorker::Execute(Box::new(job)),
            id,
            output_bytes,
            fds,
            watch,
        )
    }

    /// Runs `probe` under `job`'s limits and policy, without the layers `off`.
    pub fn probe(
        &mut self,
        job: Job,
        probe: Probe,
        off: Layers,
    ) -> Result<Execution, SandboxFault> {
        let id = job.id;
        let watch = Watch {
            stdout: &mut io::sink(),
            stderr: &mut io::sink(),
            cancel: None,
        };
        self.run(
            &ToWorker::Probe {
                job: Box::new(job),
                probe,
                off,
            },
            id,
            u64::MAX,
            &[],
            watch,
        )
    }

    fn run(
        &mut self,
        message: &ToWorker,
        id: u64,
        output_bytes: u64,
        fds: &[BorrowedFd<'_>],
        watch: Watch<'_>,
    ) -> Result<Execution, SandboxFault> {
        self.wait_ready(Duration::from_mins(1))?;
        let [stdin, stdout, stderr] = self
            .ready
            .take()
            .ok_or_else(|| fault("wait for the worker", "not ready".into()))?;
        self.channel.send(message, fds).step("send the job")?;
        let mut running = Running {
            streams: [
                Stream::new(stdout, watch.stdout),
                Stream::new(stderr, watch.stderr),
            ],
            cancel: watch.cancel,
            finished: None,
            stopped: false,
        };
        drop(stdin);
        while !running.is_over() {
            running.step(self, id, output_bytes)?;
        }
        let [stdout_bytes, stderr_bytes] = running.streams.map(|s| s.bytes);
        let (result, collected) = running
            .finished
            .ok_or_else(|| fault("run the job", "no answer".into()))?;
        Ok(Execution {
            result,
            collected,
            stdout_bytes,
            stderr_bytes,
        })
    }

    /// Takes one message; returns the end of a job.
    fn receive(&mut self) -> Result<Option<Finished>, SandboxFault> {
        let Some((message, mut fds)) = self
            .channel
            .recv::<FromWorker>()
            .step("hear from the worker")?
        else {
            return Err(fault(
                "hear from the worker",
                "it ended; its last words are on stderr".into(),
            ));
        };
        match message {
            FromWorker::Hello { version, .. } if version != protocol::VERSION => Err(fault(
                "greet the worker",
                format!("it speaks version {version}"),
            )),
            FromWorker::Hello { .. }
            | FromWorker::Warm { .. }
            | FromWorker::Started { .. }
            | FromWorker::Sample { .. } => Ok(None),
            FromWorker::Ready { .. } => {
                self.ready = fds.try_into().ok();
                Ok(None)
            }
            FromWorker::Finished {
                job,
                result,
                collected,
            } => Ok(Some(Finished {
                job,
                result,
                archive: fds.pop().filter(|_| collected),
            })),
        }
    }
}

struct Finished {
    job: u64,
    result: Result<StageReport, SandboxFault>,
    archive: Option<OwnedFd>,
}

struct Stream<'a> {
    /// `None` after its end.
    pipe: Option<std::fs::File>,
    sink: &'a mut dyn Write,
    bytes: u64,
}

impl<'a> Stream<'a> {
    fn new(pipe: OwnedFd, sink: &'a mut dyn Write) -> Self {
        Self {
            pipe: Some(pipe.into()),
            sink,
            bytes: 0,
        }
    }

    /// Passes on what is there, up to `limit` bytes in all. `false`: there was more.
    fn pump(&mut self, limit: u64) -> io::Result<bool> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(true);
        };
        let mut buffer = vec![0; 64 << 10];
        let n = match pipe.read(&mut buffer) {
            Ok(0) => {
                self.pipe = None;
                return Ok(true);
            }
            Ok(n) => n,
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                return Ok(true);
            }
            Err(e) => return Err(e),
        };
        let room = usize::try_from(limit.saturating_sub(self.bytes)).unwrap_or(usize::MAX);
        self.sink.write_all(&buffer[..n.min(room)])?;
        self.bytes += n as u64;
        Ok(self.bytes <= limit)
    }
}

struct Running<'a> {
    streams: [Stream<'a>; 2],
    cancel: Option<BorrowedFd<'a>>,
    finished: Option<(Result<StageReport, SandboxFault>, Option<OwnedFd>)>,
    stopped: bool,
}

impl Running<'_> {
    fn is_over(&self) -> bool {
        self.finished.is_some() && self.streams.iter().all(|s| s.pipe.is_none())
    }

    fn step(&mut self, client: &mut Client, id: u64, limit: u64) -> Result<(), SandboxFault> {
        let (streams, channel, cancel) = self.wait(client)?;
        for (stream, ready) in self.streams.iter_mut().zip(streams) {
            if ready && !stream.pump(limit).step("pass on output")? && !self.stopped {
                self.stopped = true;
                stop(client, id, StopReason::OutputLimit)?;
            }
        }
        if channel
            && self.finished.is_none()
            && let Some(finished) = client.receive()?.filter(|f| f.job == id)
        {
            self.finished = Some((finished.result, finished.archive));
        }
        if cancel && !self.stopped {
            self.stopped = true;
            stop(client, id, StopReason::Cancelled)?;
        }
        Ok(())
    }

    /// Which of the two streams, the channel and the cancel descriptor have something.
    fn wait(&self, client: &Client) -> Result<([bool; 2], bool, bool), SandboxFault> {
        let sources = [
            self.streams[0].pipe.as_ref().map(AsFd::as_fd),
            self.streams[1].pipe.as_ref().map(AsFd::as_fd),
            self.finished.is_none().then(|| client.channel.as_fd()),
            self.cancel.filter(|_| !self.stopped),
        ];
        let mut fds: Vec<_> = sources
            .iter()
            .flatten()
            .map(|fd| PollFd::new(*fd, PollFlags::POLLIN))
            .collect();
        match poll(&mut fds, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => return Ok(([false; 2], false, false)),
            answer => answer.step("wait for the program")?,
        };
        let mut polled = fds.iter().map(|fd| fd.any().unwrap_or(false));
        let [stdout, stderr, channel, cancel] =
            sources.map(|source| source.is_some() && polled.next().unwrap_or(false));
        Ok(([stdout, stderr], channel, cancel))
    }
}

fn stop(client: &Client, job: u64, reason: StopReason) -> Result<(), SandboxFault> {
    client
        .channel
        .send(&ToWorker::Stop { job, reason }, &[])
        .step("stop the job")
}

fn fault(step: &str, detail: String) -> SandboxFault {
    SandboxFault {
        step: step.to_owned(),
        detail,
        errno: None,
        started: false,
    }
}
