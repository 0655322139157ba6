//! One stage: give the job to a sandbox, watch it, end it when it must end, and account for it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, ppoll};

use super::pool::Pool;
use super::prestarted::{Prestarts, StartUp};
use super::sandbox::Sandbox;
use super::{Context, Pipes, waiting};
use crate::cgroup::{Counters, online_cpus};
use crate::inside::{Ended, FromInit, FromProgramToWorker, ProgramJob, Resources, ToInit};
use crate::layers::Layers;
use crate::policy::seccomp::call_name;
use crate::prestart::MAX_FILES_BYTES;
use crate::protocol::{Collect, FromWorker, Job, StopReason, ToWorker, UserSignal};
use crate::report::{Outcome, Sample, SandboxFault, StageReport, Usage, Violation};
use crate::shelf::Shelf;
use crate::started::LastStarted;
use crate::step::Step;
use crate::sys::seccomp::StoppedCall;
use crate::sys::shared::Mark;
use crate::wire::Channel;

/// How a stage came out of [`execute`].
pub(super) enum Done {
    /// Nobody is there to report to.
    ServerGone,
    /// It ended; nothing of its program is alive.
    Finished {
        report: StageReport,
        archive: Option<OwnedFd>,
        /// Still to be destroyed.
        sandbox: Sandbox,
    },
}

/// The least time between two looks at a running program: it bounds the watching's own cost, and
/// the overshoot of the CPU time limit with it.
const MIN_LOOK: Duration = Duration::from_millis(1);
/// The most: a process tree that lost one process to the out-of-memory killer but goes on is ended
/// this soon where the kernel does not end it as a whole (v1).
const MAX_LOOK: Duration = Duration::from_millis(50);
/// How long a program runs before the worker makes a sandbox for the next job meanwhile. Most are over by then, and
/// one that is not hardly notices; whoever comes next finds a sandbox, also while all workers are always busy.
const PREPARE_AFTER: Duration = Duration::from_millis(4);
/// How long the worker sleeps before it looks for the first time: most programs are over by then, and need no looking after.
const FIRST_LOOK: Duration = PREPARE_AFTER.saturating_add(MIN_LOOK);
/// How long init may take to kill a program and report.
const KILL_BOUND: Duration = Duration::from_secs(15);
/// How long preparing and locking down may take, unpacking of the job's files included.
const SETUP_BOUND: Duration = Duration::from_secs(30);
/// How long bringing files back may take.
const COLLECT_BOUND: Duration = Duration::from_mins(1);

/// What a worker has for its stages.
pub(super) struct Equipment<'a> {
    pub(super) context: &'a Context,
    pub(super) pool: &'a mut Pool,
    pub(super) prestarts: &'a mut Prestarts,
    pub(super) shelf: &'a mut Shelf,
    pub(super) server: &'a Channel,
    pub(super) started: &'a LastStarted,
}

pub(super) fn execute(
    mut equipment: Equipment<'_>,
    message: ProgramJob,
    off: Layers,
    fds: Vec<OwnedFd>,
    pipes: Pipes,
) -> Result<Done, SandboxFault> {
    let received = Instant::now();
    let begun = begin(&mut equipment, message, off, &fds, &pipes, received);
    // What the pipes and files are known by here is closed: the program's process has the only
    // copies.
    drop((fds, pipes));
    let mut stage = begun?;
    match stage.watch() {
        Ok(Some(ended)) => {
            let report = stage.report(&ended)?;
            stage.finish(report)
        }
        Ok(None) => {
            stage.sandbox.kill();
            Ok(Done::ServerGone)
        }
        Err(mut fault) => {
            fault.started = stage.mark.is_some();
            stage.sandbox.destroy()?;
            Err(fault)
        }
    }
}

/// Hands the job to a held interpreter that fits, or else to a sandbox.
fn begin<'a>(
    equipment: &'a mut Equipment<'_>,
    mut message: ProgramJob,
    off: Layers,
    fds: &[OwnedFd],
    pipes: &Pipes,
    received: Instant,
) -> Result<Stage<'a>, SandboxFault> {
    let mut inputs = Inputs::new(&message.job, fds, pipes)?;
    tell_of_start(equipment, &message.job)?;
    let Equipment {
        context,
        pool,
        prestarts,
        shelf,
        server,
        ..
    } = equipment;
    let new = |sandbox, pool, job, warm, start_up: Option<StartUp>| Stage {
        sandbox,
        context,
        pool: Some(pool),
        job,
        server,
        received,
        warm,
        stop: None,
        mark: None,
        // What an interpreter was started with is closed since its own `execve`.
        handed_over: start_up.is_some(),
        start_up,
    };
    if off.is_empty()
        && message.probe.is_none()
        && let Some(ready) = prestarts.take(&message.job, &inputs)?
    {
        let released = ready.release(&message.job, &inputs);
        let (sandbox, start_up, key) = ready.into_parts();
        match released {
            Ok(()) => return Ok(new(sandbox, pool, message.job, true, Some(start_up))),
            Err(fault) => {
                sandbox.destroy()?;
                if fault.started {
                    return Err(fault);
                }
                prestarts.failed(&key, &fault);
            }
        }
    }
    inputs.put_on(shelf, &mut message);
    // A probe is our own code and executes nothing; it must not act in init's memory.
    let own_memory = message.probe.is_some() || inputs.are_large();
    let shape = context.shape(&message.job.policy, off, own_memory)?;
    let (sandbox, warm) = pool.take(context, shape, &message.job.policy)?;
    match hand_over(&sandbox, &message, &inputs) {
        Ok(()) => Ok(new(sandbox, pool, message.job, warm, None)),
        Err(fault) => {
            sandbox.destroy()?;
            Err(fault)
        }
    }
}

/// What comes with a job.
pub(super) struct Inputs<'a> {
    /// stdin, stdout, stderr.
    pub(super) streams: [BorrowedFd<'a>; 3],
    pub(super) archives: Vec<&'a OwnedFd>,
    /// To be copied into `/box`.
    files: &'a [OwnedFd],
}

impl<'a> Inputs<'a> {
    fn new(job: &Job, fds: &'a [OwnedFd], pipes: &'a Pipes) -> Result<Self, SandboxFault> {
        let archives = job.archives.len();
        let files = archives + job.files.len();
        let stdin = if job.stdin_attached {
            fds.get(files)
        } else {
            Some(&pipes.stdin)
        };
        let (Some(stdin), true) = (stdin, fds.len() >= files) else {
            return Err(SandboxFault {
                step: "receive the job".to_owned(),
                detail: "fewer descriptors came than the job announces".to_owned(),
                errno: None,
                started: false,
            });
        };
        Ok(Self {
            streams: [stdin.as_fd(), pipes.stdout.as_fd(), pipes.stderr.as_fd()],
            archives: fds[..archives].iter().collect(),
            files: &fds[archives..files],
        })
    }

    /// Has files shown, instead of copied, whose archive the shelf `keeper` can keep.
    fn put_on(&mut self, keeper: &mut Shelf, message: &mut ProgramJob) {
        let mut numbers = Vec::new();
        let all = self.archives.drain(..).zip(message.job.archives.drain(..));
        let archives = all.filter_map(|(archive, number)| {
            if let Some(files) = number.and_then(|number| keeper.files(number, archive)) {
                message.shown.extend(files);
                return None;
            }
            numbers.push(number);
            Some(archive)
        });
        self.archives = archives.collect();
        message.job.archives = numbers;
    }

    /// How large the archives are together.
    pub(super) fn archive_bytes(&self) -> u64 {
        let size = |fd: &&OwnedFd| {
            let status = nix::sys::stat::fstat(fd);
            status.map_or(u64::MAX, |s| u64::try_from(s.st_size).unwrap_or(u64::MAX))
        };
        self.archives.iter().map(size).fold(0, u64::saturating_add)
    }

    /// Whether the job's files must be charged to the program.
    fn are_large(&self) -> bool {
        !self.files.is_empty() || self.archive_bytes() > MAX_FILES_BYTES
    }
}

/// Tells the server that the program may run from here on. Said before the job is in the sandbox's
/// hands: if this worker dies later, the server must not take the job for one that never ran.
fn tell_of_start(equipment: &Equipment<'_>, job: &Job) -> Result<(), SandboxFault> {
    const STEP: &str = "tell the server that the program starts";
    equipment.started.set(job.id).step(STEP)?;
    if !job.tell_start {
        return Ok(());
    }
    let started = FromWorker::Started { job: job.id };
    match equipment.server.send(&started, &[]) {
        // Noticed where the server's messages are read.
        Err(e) if super::is_disconnected(&e) => Ok(()),
        answer => answer.step(STEP),
    }
}

/// Gives out the job.
fn hand_over(
    sandbox: &Sandbox,
    message: &ProgramJob,
    inputs: &Inputs<'_>,
) -> Result<(), SandboxFault> {
    sandbox
        .leaf
        .apply(&message.job.limits, sandbox.shape.off)
        .step("set the cgroup's limits")?;
    let mut all = inputs.streams.to_vec();
    let archives = inputs.archives.iter().copied();
    all.extend(archives.chain(inputs.files).map(AsFd::as_fd));
    match sandbox.jobs.send(message, &all) {
        // Preparing failed; init tells why.
        Err(e) if e.raw_os_error() == Some(libc::EPIPE) => Ok(()),
        answer => answer.step("send the job into the sandbox"),
    }
}

/// Why a program was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    CpuTime,
    WallTime,
    Memory,
    Asked(StopReason),
}

struct Stage<'a> {
    sandbox: Sandbox,
    context: &'a Context,
    /// Until a sandbox was made for the next job.
    pool: Option<&'a mut Pool>,
    job: Job,
    server: &'a Channel,
    received: Instant,
    warm: bool,
    /// The first reason to end the program, and when that was.
    stop: Option<(Stop, Instant)>,
    mark: Option<Mark>,
    /// The sandbox has taken the job, and its end of the jobs channel is closed. Noticed when it matters:
    /// that comes right when the program begins, which should have the CPU for itself then.
    handed_over: bool,
    /// Of an interpreter that was started before the job was known.
    start_up: Option<StartUp>,
}

/// What woke the watching up.
struct Ready {
    server: bool,
    init: bool,
    jobs: bool,
}

impl Stage<'_> {
    /// Watches until the program has ended. `None`: the server is gone.
    fn watch(&mut self) -> Result<Option<Ended>, SandboxFault> {
        loop {
            let timeout = self.look()?;
            let ready = self.wait(timeout)?;
            if ready.init
                && let Some(ended) = self.on_init()?
            {
                // A program may be over before its start was noticed. Its process is dead, so the
                // channel has an end.
                while !self.handed_over {
                    self.on_program()?;
                }
                self.mark = self.mark.or_else(|| self.sandbox.marks.get());
                return Ok(Some(ended));
            }
            if ready.jobs {
                self.on_program()?;
            }
            if ready.server && !self.on_server()? {
                return Ok(None);
            }
        }
    }

    /// Looks at the clocks and counters, ends the program if it must end, and says when to look
    /// again.
    fn look(&mut self) -> Result<Duration, SandboxFault> {
        if let Some((_, since)) = self.stop {
            if since.elapsed() > KILL_BOUND {
                return Err(self.stuck("kill the program", KILL_BOUND));
            }
            return Ok(KILL_BOUND);
        }
        self.mark = self.mark.or_else(|| self.sandbox.marks.get());
        let Some(mark) = self.mark else {
            if self.received.elapsed() > SETUP_BOUND {
                return Err(self.stuck("set up the sandbox", SETUP_BOUND));
            }
            return Ok(FIRST_LOOK);
        };
        let Some(wall_left) = self.wall_left(&mark)? else {
            return self.stop(Stop::WallTime);
        };
        let off = self.sandbox.shape.off;
        let cpu_left = match self.cpu_left(&mark)? {
            Some(left) => left,
            None if off.contains(Layers::CPU_TIME_LIMIT) => MAX_LOOK,
            None => return self.stop(Stop::CpuTime),
        };
        if self
            .sandbox
            .leaf
            .oom_kills()
            .step("read the cgroup's memory events")?
            > Some(0)
        {
            return self.stop(Stop::Memory);
        }
        let unprepared = self.prepare_for_next(&mark)?;
        Ok(wall_left
            .min(cpu_left)
            .min(unprepared)
            .clamp(MIN_LOOK, MAX_LOOK))
    }

    /// Makes a sandbox for the next job if it is time for that and none waits. Returns how long there is nothing to do.
    fn prepare_for_next(&mut self, mark: &Mark) -> Result<Duration, SandboxFault> {
        if self.pool.is_none() {
            return Ok(MAX_LOOK);
        }
        let now = crate::init::now_ns().step("read the clock")?;
        let running = Duration::from_nanos(now.saturating_sub(mark.execve_at_ns));
        let left = PREPARE_AFTER.saturating_sub(running);
        if !left.is_zero() {
            return Ok(left);
        }
        // What fails here fails again when a job needs it, and is reported then; this one goes on.
        if let Some(pool) = self.pool.take()
            && let Some(shape) = pool.wanted(self.context)
        {
            let _ = pool.prepare(self.context, shape);
        }
        Ok(MAX_LOOK)
    }

    fn wall_left(&self, mark: &Mark) -> Result<Option<Duration>, SandboxFault> {
        let now = crate::init::now_ns().step("read the clock")?;
        let end = mark.execve_at_ns + self.job.limits.wall_time_ms * 1_000_000;
        Ok(end
            .checked_sub(now)
            .filter(|left| *left > 0)
            .map(Duration::from_nanos))
    }

    /// How long the program can at most go on before it may have used up its CPU time.
    fn cpu_left(&self, mark: &Mark) -> Result<Option<Duration>, SandboxFault> {
        let Some(used) = self.sandbox.leaf.cpu_ns().step("read the CPU time")? else {
            return Ok(Some(MAX_LOOK));
        };
        let limit = self.job.limits.cpu_time_ms * 1_000_000 + mark.setup_cpu_ns;
        let online = online_cpus() as u64;
        Ok(limit
            .checked_sub(used)
            .filter(|left| *left > 0)
            .map(|left| Duration::from_nanos(left / online)))
    }

    fn stop(&mut self, why: Stop) -> Result<Duration, SandboxFault> {
        if self.stop.is_none() {
            self.stop = Some((why, Instant::now()));
            self.sandbox.leaf.kill().step("kill the program's cgroup")?;
            match self.sandbox.init.send(&ToInit::Kill, &[]) {
                Err(e) if e.raw_os_error() == Some(libc::EPIPE) => {}
                answer => answer.step("tell init to kill the program")?,
            }
        }
        Ok(KILL_BOUND)
    }

    fn stuck(&self, what: &str, bound: Duration) -> SandboxFault {
        SandboxFault {
            step: what.to_owned(),
            detail: format!("not done after {bound:?}"),
            errno: None,
            started: self.mark.is_some(),
        }
    }

    fn wait(&self, timeout: Duration) -> Result<Ready, SandboxFault> {
        let mut fds = vec![
            PollFd::new(self.server.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.sandbox.init.as_fd(), PollFlags::POLLIN),
        ];
        // Nothing else than a terminal is ever sent on it.
        if !self.handed_over && self.job.pty.is_some() {
            fds.push(PollFd::new(self.sandbox.jobs.as_fd(), PollFlags::POLLIN));
        }
        match ppoll(&mut fds, Some(timeout.into()), None) {
            Err(nix::errno::Errno::EINTR) => {
                return Ok(Ready {
                    server: false,
                    init: false,
                    jobs: false,
                });
            }
            answer => answer.step("watch the program")?,
        };
        let ready = |i: usize| fds.get(i).and_then(PollFd::any).unwrap_or(false);
        Ok(Ready {
            server: ready(0),
            init: ready(1),
            jobs: ready(2),
        })
    }

    fn on_init(&mut self) -> Result<Option<Ended>, SandboxFault> {
        match self
            .sandbox
            .init
            .recv::<FromInit>()
            .step("hear from init")?
        {
            Some((FromInit::Ended(ended), _)) => Ok(Some(ended)),
            Some((FromInit::Failed(fault), _)) => Err(fault),
            Some((FromInit::Collected { .. } | FromInit::Held | FromInit::Released, _)) => Ok(None),
            // It goes, too, when the program's process is killed before it is the program.
            None if self.mark.or_else(|| self.sandbox.marks.get()).is_none() => {
                Ended::killed_early().map(Some).step("hear from init")
            }
            None => Err(SandboxFault {
                step: "hear from init".to_owned(),
                detail: "it ended without a word".to_owned(),
                errno: None,
                started: true,
            }),
        }
    }

    /// The program's process says something, or has closed its end: then it is the program, or dead.
    fn on_program(&mut self) -> Result<(), SandboxFault> {
        let message = self.sandbox.jobs.recv::<FromProgramToWorker>();
        match message.step("hear from the program's process")? {
            Some((FromProgramToWorker::Terminal, fds)) => self.pass_on_terminal(&fds),
            None => {
                self.handed_over = true;
                self.mark = self.sandbox.marks.get();
                Ok(())
            }
        }
    }

    fn is_handed_over(&mut self) -> Result<bool, SandboxFault> {
        let mut fds = [PollFd::new(self.sandbox.jobs.as_fd(), PollFlags::POLLIN)];
        let said = |n: nix::Result<i32>| n.step("look at the program's channel").map(|n| n > 0);
        if !self.handed_over && said(nix::poll::poll(&mut fds, PollTimeout::ZERO))? {
            self.on_program()?;
        }
        Ok(self.handed_over)
    }

    fn pass_on_terminal(&self, fds: &[OwnedFd]) -> Result<(), SandboxFault> {
        let terminal = FromWorker::Terminal { job: self.job.id };
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        self.tell(&terminal, &fds, "give the server the terminal")
    }

    fn tell(
        &self,
        message: &FromWorker,
        fds: &[BorrowedFd<'_>],
        step: &'static str,
    ) -> Result<(), SandboxFault> {
        match self.server.send(message, fds) {
            // Noticed where the server's messages are read.
            Err(e) if super::is_disconnected(&e) => Ok(()),
            answer => answer.step(step),
        }
    }

    /// `false`: the server is gone.
    fn on_server(&mut self) -> Result<bool, SandboxFault> {
        match self
            .server
            .recv::<ToWorker>()
            .step("hear from the server")?
        {
            None => Ok(false),
            Some((ToWorker::Stop { job, reason }, _)) if job == self.job.id => {
                self.stop(Stop::Asked(reason)).map(|_| true)
            }
            Some((ToWorker::Signal { job, signal }, _)) if job == self.job.id => {
                self.signal(signal).map(|()| true)
            }
            Some((ToWorker::Sample { job }, _)) if job == self.job.id => {
                self.sample().map(|()| true)
            }
            // For an earlier job that had just ended.
            Some((
                ToWorker::Stop { .. } | ToWorker::Signal { .. } | ToWorker::Sample { .. },
                _,
            )) => Ok(true),
            Some((ToWorker::Execute(_) | ToWorker::Probe { .. } | ToWorker::Prestart(_), _)) => {
                Err(SandboxFault {
                    step: "hear from the server".to_owned(),
                    detail: "it sent a job while one is running".to_owned(),
                    errno: None,
                    started: self.mark.is_some(),
                })
            }
        }
    }

    /// Before `execve` a signal would end our own process, which must do its steps.
    fn signal(&mut self, signal: UserSignal) -> Result<(), SandboxFault> {
        if !self.is_handed_over()? || self.mark.is_none() {
            return Ok(());
        }
        let signal = ToInit::Signal(signal.as_signal() as i32);
        match self.sandbox.init.send(&signal, &[]) {
            // It is gone; what it said last is yet to be read.
            Err(e) if super::is_disconnected(&e) => Ok(()),
            answer => answer.step("tell init to signal the program"),
        }
    }

    fn sample(&self) -> Result<(), SandboxFault> {
        let Some(mark) = self.mark else {
            return Ok(());
        };
        let leaf = &self.sandbox.leaf;
        let now = crate::init::now_ns().step("read the clock")?;
        let cpu_ns = leaf.cpu_ns().step("read the CPU time")?;
        let in_use = leaf.in_use().step("read the memory in use")?;
        let sample = Sample {
            wall_us: now.saturating_sub(mark.execve_at_ns) / 1000,
            cpu_us: cpu_ns.map(|ns| ns.saturating_sub(mark.setup_cpu_ns) / 1000),
            memory_bytes: in_use.memory_bytes,
            processes: in_use.processes,
            waiting: waiting::of(&leaf.members().step("list the program's processes")?),
        };
        let job = self.job.id;
        match self.server.send(&FromWorker::Sample { job, sample }, &[]) {
            // Noticed where the server's messages are read.
            Err(e) if super::is_disconnected(&e) => Ok(()),
            answer => answer.step("tell the server what the program uses"),
        }
    }

    fn report(&self, ended: &Ended) -> Result<StageReport, SandboxFault> {
        let mut counters = self
            .sandbox
            .leaf
            .counters()
            .step("read the cgroup's counters")?;
        if let Some(start_up) = &self.start_up {
            start_up.leave_out_of(&mut counters);
        }
        let Some(mark) = self.mark else {
            return self.report_without_execve(ended, &counters);
        };
        let usage = usage(&counters, ended, &mark);
        let outcome = self.outcome(ended, &counters, &usage);
        Ok(StageReport {
            outcome,
            exit_code: ended.exit_code.filter(|_| outcome == Outcome::Exited),
            signal: ended.signal.filter(|_| outcome != Outcome::Exited),
            violation: violation(ended).filter(|_| outcome == Outcome::PolicyViolation),
            usage,
            setup_us: self.setup_us(&mark),
            warm: self.warm,
            prestarted: self.start_up.is_some(),
            collect_error: None,
        })
    }

    /// The process was killed before it became the program: for memory, while it wrote the job's
    /// files, or because the caller lost interest.
    fn report_without_execve(
        &self,
        ended: &Ended,
        counters: &Counters,
    ) -> Result<StageReport, SandboxFault> {
        let outcome = match self.stop {
            Some((Stop::Asked(StopReason::Cancelled), _)) => Outcome::Cancelled,
            _ if counters.oom_kills > Some(0) => Outcome::MemoryLimit,
            _ => {
                return Err(SandboxFault {
                    step: "start the program".to_owned(),
                    detail: format!(
                        "its process ended early: {:?} {:?}",
                        ended.exit_code, ended.signal
                    ),
                    errno: None,
                    started: false,
                });
            }
        };
        let setup = self.received.elapsed();
        Ok(StageReport {
            outcome,
            exit_code: None,
            signal: ended.signal,
            violation: None,
            usage: Usage {
                memory_peak_bytes: counters.memory_peak_bytes,
                oom_kills: counters.oom_kills,
                ..Usage::default()
            },
            setup_us: u64::try_from(setup.as_micros()).unwrap_or(u64::MAX),
            warm: self.warm,
            prestarted: self.start_up.is_some(),
            collect_error: None,
        })
    }

    fn outcome(&self, ended: &Ended, counters: &Counters, usage: &Usage) -> Outcome {
        if ended.violation.is_some() {
            return Outcome::PolicyViolation;
        }
        match self.stop.map(|(why, _)| why) {
            Some(Stop::Asked(StopReason::Cancelled)) => return Outcome::Cancelled,
            Some(Stop::Asked(StopReason::OutputLimit)) => return Outcome::OutputLimit,
            Some(Stop::CpuTime) => return Outcome::CpuTimeLimit,
            Some(Stop::WallTime) => return Outcome::WallTimeLimit,
            Some(Stop::Memory) => return Outcome::MemoryLimit,
            None => {}
        }
        let limits = &self.job.limits;
        let on = |layer| !self.sandbox.shape.off.contains(layer);
        if counters.oom_kills > Some(0) {
            Outcome::MemoryLimit
        } else if on(Layers::CPU_TIME_LIMIT) && usage.cpu_us() > Some(limits.cpu_time_ms * 1000) {
            // It ended between two looks, but too late.
            Outcome::CpuTimeLimit
        } else if usage.wall_us > limits.wall_time_ms * 1000 {
            Outcome::WallTimeLimit
        } else if ended.exit_code.is_some() {
            Outcome::Exited
        } else {
            Outcome::Signaled
        }
    }

    fn setup_us(&self, mark: &Mark) -> u64 {
        let since_received = u64::try_from(self.received.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let since_execve = crate::init::now_ns()
            .unwrap_or(0)
            .saturating_sub(mark.execve_at_ns);
        since_received.saturating_sub(since_execve) / 1000
    }

    /// Brings files back if asked to.
    fn finish(self, mut report: StageReport) -> Result<Done, SandboxFault> {
        let wanted = self.job.collect.clone().filter(|c| {
            let succeeded = report.outcome == Outcome::Exited && report.exit_code == Some(0);
            succeeded || !c.only_on_success
        });
        let mut archive = None;
        if let Some(what) = wanted {
            match self.collect(what)? {
                Ok(fd) => archive = Some(fd),
                Err(why) => report.collect_error = Some(why),
            }
        }
        Ok(Done::Finished {
            report,
            archive,
            sandbox: self.sandbox,
        })
    }

    fn collect(&self, what: Collect) -> Result<Result<OwnedFd, String>, SandboxFault> {
        let init = &self.sandbox.init;
        init.send(&ToInit::Collect(what), &[])
            .step("ask init for files")?;
        let mut fds = [PollFd::new(init.as_fd(), PollFlags::POLLIN)];
        let bound = PollTimeout::try_from(COLLECT_BOUND).unwrap_or(PollTimeout::MAX);
        if nix::poll::poll(&mut fds, bound).step("wait for files")? == 0 {
            return Err(self.stuck("bring files back", COLLECT_BOUND));
        }
        match init.recv::<FromInit>().step("receive files")? {
            Some((FromInit::Collected { error: None }, mut fds)) => {
                Ok(fds.pop().ok_or_else(|| "init sent no archive".to_owned()))
            }
            Some((FromInit::Collected { error: Some(why) }, _)) => Ok(Err(why)),
            _ => Err(SandboxFault {
                step: "receive files".to_owned(),
                detail: "init sent something else or died".to_owned(),
                errno: None,
                started: true,
            }),
        }
    }
}

fn violation(ended: &Ended) -> Option<Violation> {
    let (arch, number) = ended.violation?;
    Some(Violation {
        syscall: call_name(&StoppedCall { arch, number }),
    })
}

/// The program's own part of what was counted: what its process used before `execve` is ours.
fn usage(counters: &Counters, ended: &Ended, mark: &Mark) -> Usage {
    let (all, before) = (&ended.resources, &mark.resources);
    let minus = |a: u64, b: u64| Some(a.saturating_sub(b));
    let (user, system) = cpu_split(counters, all, mark);
    Usage {
        cpu_user_us: user,
        cpu_system_us: system,
        wall_us: ended.at_ns.saturating_sub(mark.execve_at_ns) / 1000,
        memory_peak_bytes: counters.memory_peak_bytes,
        processes_peak: counters.processes_peak,
        page_faults_minor: minus(all.minor_faults, before.minor_faults),
        page_faults_major: minus(all.major_faults, before.major_faults),
        context_switches_voluntary: minus(all.voluntary_switches, before.voluntary_switches),
        context_switches_involuntary: minus(all.involuntary_switches, before.involuntary_switches),
        // Blocks of 512 bytes (getrusage(2)).
        read_bytes: minus(all.blocks_in, before.blocks_in).map(|n| n * 512),
        written_bytes: minus(all.blocks_out, before.blocks_out).map(|n| n * 512),
        cpu_throttled_us: counters.throttled_us,
        cpu_throttled_periods: counters.throttled_periods,
        oom_kills: counters.oom_kills,
    }
}

/// User and system time in microseconds. The sum is the cgroup's, exact; the split is the kernel's
/// estimate, which for short programs is better taken from getrusage(2).
fn cpu_split(counters: &Counters, all: &Resources, mark: &Mark) -> (Option<u64>, Option<u64>) {
    let before = &mark.resources;
    let Some(total_ns) = counters
        .cpu_ns
        .map(|ns| ns.saturating_sub(mark.setup_cpu_ns))
    else {
        let own = |a: u64, b: u64| Some(a.saturating_sub(b));
        return (
            own(all.cpu_user_us, before.cpu_user_us),
            own(all.cpu_system_us, before.cpu_system_us),
        );
    };
    let total = total_ns / 1000;
    let (user, system) = match (counters.user_ns, counters.system_ns) {
        (Some(user), Some(system)) if user + system > 0 => (user / 1000, system / 1000),
        _ => (
            all.cpu_user_us.saturating_sub(before.cpu_user_us),
            all.cpu_system_us.saturating_sub(before.cpu_system_us),
        ),
    };
    // Nothing seen in either mode counts as user time.
    let share = u128::from(total) * u128::from(user + u64::from(user + system == 0));
    let user = u64::try_from(share / u128::from((user + system).max(1))).unwrap_or(total);
    (Some(user), Some(total - user))
}
