//! Talking to a worker from straight-line code: the command line and the self-check. (The server
//! does the same asynchronously.)

use std::fs::File;
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
    /// Interpreters held, once the worker has said so.
    prestarted: Option<u32>,
}

/// How long a worker may take to become ready.
const READY_BOUND: Duration = Duration::from_mins(1);

/// What to do while waiting.
pub struct Watch<'a> {
    /// Where the program's stdout goes.
    pub stdout: &'a mut dyn Write,
    /// Where its stderr goes.
    pub stderr: &'a mut dyn Write,
    /// When this becomes readable the stage is cancelled.
    pub cancel: Option<BorrowedFd<'a>>,
    /// What is typed into the program's terminal, if it has one; the end of it as ctrl-D.
    pub keyboard: Option<BorrowedFd<'a>>,
}

impl Client {
    /// Takes over the server's end of a worker's socket.
    pub fn new(channel: Channel) -> Self {
        Self {
            channel,
            ready: None,
            prestarted: None,
        }
    }

    /// Waits until the worker can take a job.
    pub fn wait_ready(&mut self, bound: Duration) -> Result<(), SandboxFault> {
        let end = Instant::now() + bound;
        while self.ready.is_none() {
            self.wait_for_message(end, "wait for the worker")?;
            self.receive()?;
        }
        Ok(())
    }

    fn wait_for_message(&self, end: Instant, step: &str) -> Result<(), SandboxFault> {
        let left = end.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(self.channel.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        if poll(&mut fds, timeout).step(step)? == 0 {
            return Err(fault(step, "the worker says nothing".to_owned()));
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

    /// Has the interpreter of jobs like `job`, with such a stdin, started and held. Whether one is.
    pub fn prestart(&mut self, job: &Job, stdin: BorrowedFd<'_>) -> Result<bool, SandboxFault> {
        const STEP: &str = "start the interpreter";
        self.wait_ready(READY_BOUND)?;
        self.channel
            .send(&ToWorker::Prestart(Box::new(job.clone())), &[stdin])
            .step(STEP)?;
        let end = Instant::now() + READY_BOUND;
        self.prestarted = None;
        while self.prestarted.is_none() {
            self.wait_for_message(end, STEP)?;
            self.receive()?;
        }
        Ok(self.prestarted > Some(0))
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
            keyboard: None,
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
        self.wait_ready(READY_BOUND)?;
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
            keyboard: watch.keyboard.map(Keyboard::new),
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

    /// Takes one message; returns what there is to know about a job.
    fn receive(&mut self) -> Result<Option<News>, SandboxFault> {
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
            FromWorker::Warm(prepared) => {
                self.prestarted = Some(prepared.prestarted);
                Ok(None)
            }
            FromWorker::Hello { .. } | FromWorker::Started { .. } | FromWorker::Sample { .. } => {
                Ok(None)
            }
            FromWorker::Terminal { .. } => Ok(fds.pop().map(News::Terminal)),
            FromWorker::Ready(_) => {
                self.ready = fds.try_into().ok();
                Ok(None)
            }
            FromWorker::Finished {
                job,
                result,
                collected,
                ..
            } => {
                let (archive, pipes) = protocol::split_finished(collected, fds);
                self.ready = pipes.try_into().ok();
                Ok(Some(News::Finished(Finished {
                    job,
                    result,
                    archive,
                })))
            }
        }
    }
}

enum News {
    /// The program started and this is its terminal.
    Terminal(OwnedFd),
    Finished(Finished),
}

struct Finished {
    job: u64,
    result: Result<StageReport, SandboxFault>,
    archive: Option<OwnedFd>,
}

struct Stream<'a> {
    /// `None` after its end.
    pipe: Option<File>,
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
            // Of a terminal that no program has open any more.
            Err(e) if e.raw_os_error() == Some(libc::EIO) => {
                self.pipe = None;
                return Ok(true);
            }
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
        // A prompt has no end of line.
        self.sink.flush()?;
        self.bytes += n as u64;
        Ok(self.bytes <= limit)
    }
}

/// What is typed, on its way into a terminal.
struct Keyboard<'a> {
    source: BorrowedFd<'a>,
    /// Once the program has started.
    terminal: Option<File>,
    /// Read and not yet written.
    pending: Vec<u8>,
    ended: bool,
}

impl<'a> Keyboard<'a> {
    /// Ctrl-D, as terminals are set unless a program sets them differently.
    const END: u8 = 4;

    fn new(source: BorrowedFd<'a>) -> Self {
        Self {
            source,
            terminal: None,
            pending: Vec::new(),
            ended: false,
        }
    }

    /// What to wait for.
    fn wants(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let terminal = self.terminal.as_ref()?;
        if !self.pending.is_empty() {
            return Some((terminal.as_fd(), PollFlags::POLLOUT));
        }
        (!self.ended).then_some((self.source, PollFlags::POLLIN))
    }

    fn pump(&mut self) -> io::Result<()> {
        let Some(terminal) = &mut self.terminal else {
            return Ok(());
        };
        if self.pending.is_empty() {
            let mut buffer = [0; 1024];
            let n = nix::unistd::read(self.source, &mut buffer)?;
            self.pending.extend_from_slice(&buffer[..n]);
            self.ended = n == 0;
            if self.ended {
                self.pending.push(Self::END);
            }
        }
        match terminal.write(&self.pending) {
            Ok(n) => drop(self.pending.drain(..n)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            // The program is gone.
            Err(e) if e.raw_os_error() == Some(libc::EIO) => self.terminal = None,
            Err(e) => return Err(e),
        }
        Ok(())
    }
}

struct Running<'a> {
    streams: [Stream<'a>; 2],
    cancel: Option<BorrowedFd<'a>>,
    keyboard: Option<Keyboard<'a>>,
    finished: Option<(Result<StageReport, SandboxFault>, Option<OwnedFd>)>,
    stopped: bool,
}

/// What has something to say.
#[derive(Default)]
struct Ready {
    streams: [bool; 2],
    channel: bool,
    cancel: bool,
    keyboard: bool,
}

impl Running<'_> {
    fn is_over(&self) -> bool {
        self.finished.is_some() && self.streams.iter().all(|s| s.pipe.is_none())
    }

    fn step(&mut self, client: &mut Client, id: u64, limit: u64) -> Result<(), SandboxFault> {
        let ready = self.wait(client)?;
        for (stream, ready) in self.streams.iter_mut().zip(ready.streams) {
            if ready && !stream.pump(limit).step("pass on output")? && !self.stopped {
                self.stopped = true;
                stop(client, id, StopReason::OutputLimit)?;
            }
        }
        if ready.channel && self.finished.is_none() {
            match client.receive()? {
                Some(News::Terminal(master)) => self.has_terminal(master)?,
                Some(News::Finished(f)) if f.job == id => {
                    self.finished = Some((f.result, f.archive));
                    self.keyboard = None;
                }
                _ => {}
            }
        }
        if ready.cancel && !self.stopped {
            self.stopped = true;
            stop(client, id, StopReason::Cancelled)?;
        }
        if let Some(keyboard) = self.keyboard.as_mut().filter(|_| ready.keyboard) {
            keyboard.pump().step("pass on what is typed")?;
        }
        Ok(())
    }

    /// From now on all output comes from there.
    fn has_terminal(&mut self, master: OwnedFd) -> Result<(), SandboxFault> {
        if let Some(keyboard) = &mut self.keyboard {
            let copy = master.try_clone().step("share the terminal")?;
            keyboard.terminal = Some(copy.into());
        }
        self.streams[0].pipe = Some(master.into());
        Ok(())
    }

    fn wait(&self, client: &Client) -> Result<Ready, SandboxFault> {
        let readable = |fd| (fd, PollFlags::POLLIN);
        let sources = [
            self.streams[0].pipe.as_ref().map(AsFd::as_fd).map(readable),
            self.streams[1].pipe.as_ref().map(AsFd::as_fd).map(readable),
            self.finished
                .is_none()
                .then(|| readable(client.channel.as_fd())),
            self.cancel.filter(|_| !self.stopped).map(readable),
            self.keyboard.as_ref().and_then(Keyboard::wants),
        ];
        let mut fds: Vec<_> = sources
            .iter()
            .flatten()
            .map(|(fd, events)| PollFd::new(*fd, *events))
            .collect();
        match poll(&mut fds, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => return Ok(Ready::default()),
            answer => answer.step("wait for the program")?,
        };
        let mut polled = fds.iter().map(|fd| fd.any().unwrap_or(false));
        let [stdout, stderr, channel, cancel, keyboard] =
            sources.map(|source| source.is_some() && polled.next().unwrap_or(false));
        Ok(Ready {
            streams: [stdout, stderr],
            channel,
            cancel,
            keyboard,
        })
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
