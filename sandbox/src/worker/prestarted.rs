//! The interpreters that a worker keeps started and held. See [`crate::prestart`].

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Context;
use super::pool::Pool;
use super::sandbox::Sandbox;
use super::stage::Inputs;
use crate::cgroup::Counters;
use crate::inside::{FromInit, ProgramJob, Resources, ToInit};
use crate::layers::Layers;
use crate::prestart::demand::{Demand, Key};
use crate::prestart::inspect::{StandIns, resources_of};
use crate::prestart::{MAX_BYTES, MAX_FILES_BYTES, MAX_PROCESSES, Release};
use crate::program::rlimit_cpu_seconds;
use crate::protocol::Job;
use crate::report::SandboxFault;
use crate::step::Step;
use crate::wire::Channel;

/// How long an interpreter may take until it is held.
const HOLD_BOUND: Duration = Duration::from_secs(30);
/// How long init may take to release one; the job's files are written meanwhile.
const RELEASE_BOUND: Duration = Duration::from_secs(20);
/// Times that the interpreter's thread is woken while it gets the job's streams.
const RELEASE_SWITCHES: u64 = 3;

/// What the start-up of a held interpreter used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StartUp {
    pub(super) counters: Counters,
    resources: Resources,
}

impl StartUp {
    /// Takes what the start-up used out of what was counted until now. The CPU time is not in this: it
    /// may have gone on until the release.
    pub(super) fn leave_out_of(&self, counters: &mut Counters) {
        let before = &self.counters;
        let minus = |now: Option<u64>, before: Option<u64>| {
            now.map(|now| now.saturating_sub(before.unwrap_or(0)))
        };
        counters.user_ns = minus(counters.user_ns, before.user_ns);
        counters.system_ns = minus(counters.system_ns, before.system_ns);
        counters.throttled_us = minus(counters.throttled_us, before.throttled_us);
        counters.throttled_periods = minus(counters.throttled_periods, before.throttled_periods);
    }
}

/// An interpreter, starting or held.
struct Prestarted {
    key: Key,
    sandbox: Sandbox,
    stand_ins: StandIns,
    since: Instant,
    /// Known once it is held.
    start_up: Option<StartUp>,
}

/// One that waits for exactly such a job.
pub(super) struct Ready {
    pub(super) sandbox: Sandbox,
    pub(super) start_up: StartUp,
    key: Key,
}

pub(super) struct Prestarts {
    /// Kept at once.
    most: usize,
    demand: Demand,
    all: Vec<Prestarted>,
}

impl Prestarts {
    pub(super) fn new(most: u32) -> Self {
        Self {
            most: most as usize,
            demand: Demand::new(),
            all: Vec::new(),
        }
    }

    /// How many are held.
    pub(super) fn len(&self) -> u32 {
        let held = self.all.iter().filter(|p| p.start_up.is_some());
        u32::try_from(held.count()).unwrap_or(u32::MAX)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Jobs like `job`, with such a stdin, are said to come. `false`: they can only be started
    /// plainly.
    pub(super) fn expect(&mut self, job: &Job, stdin: BorrowedFd<'_>) -> bool {
        match Key::of(job, stdin).filter(|_| self.most > 0) {
            Some(key) => {
                self.demand.expect(&key, Instant::now());
                true
            }
            None => false,
        }
    }

    /// The key that there should be an interpreter for, and is not.
    pub(super) fn lacking(&self) -> Option<Key> {
        let mut wanted = self.wanted().into_iter();
        wanted.find(|key| !self.has(key)).cloned()
    }

    fn wanted(&self) -> Vec<&Key> {
        self.demand
            .wanted(self.most, Instant::now(), |key| self.has(key))
    }

    fn has(&self, key: &Key) -> bool {
        self.all.iter().any(|p| p.key == *key)
    }

    /// Ends those that are in the way of others or that nobody asks for any more.
    pub(super) fn discard_unwanted(&mut self) -> Result<(), SandboxFault> {
        let wanted: Vec<Key> = self.wanted().into_iter().cloned().collect();
        let unwanted = self.all.extract_if(.., |p| !wanted.contains(&p.key));
        let unwanted: Vec<_> = unwanted.collect();
        unwanted.into_iter().try_for_each(|p| p.sandbox.destroy())
    }

    /// Begins to start one. It goes on by itself.
    pub(super) fn begin(&mut self, context: &Context, pool: &mut Pool, key: &Key) {
        match Prestarted::begin(context, pool, key) {
            Ok(prestarted) => self.all.push(prestarted),
            Err(fault) => self.failed(key, &fault),
        }
    }

    /// The channel of the one that is starting, and how long it still may take.
    pub(super) fn starting(&self) -> Option<(&Channel, Duration)> {
        let starting = self.all.iter().find(|p| p.start_up.is_none())?;
        let left = HOLD_BOUND.saturating_sub(starting.since.elapsed());
        Some((&starting.sandbox.init, left))
    }

    /// Deals with what the one that is starting has said, or with its taking too long.
    pub(super) fn settle(&mut self) -> Result<(), SandboxFault> {
        match self.all.iter().position(|p| p.start_up.is_none()) {
            Some(at) => self.settle_one(at).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Whether it is held. One that cannot be is ended.
    fn settle_one(&mut self, at: usize) -> Result<bool, SandboxFault> {
        match self.all[at].settle() {
            Ok(held) => Ok(held),
            Err(fault) => {
                let Prestarted { key, sandbox, .. } = self.all.remove(at);
                self.failed(&key, &fault);
                sandbox.destroy().map(|()| false)
            }
        }
    }

    /// Takes one for `job` with what comes with it, if one is held, and notes the demand.
    pub(super) fn take(
        &mut self,
        job: &Job,
        inputs: &Inputs<'_>,
    ) -> Result<Option<Ready>, SandboxFault> {
        if self.most == 0 || inputs.archive_bytes() > MAX_FILES_BYTES {
            return Ok(None);
        }
        let Some(key) = Key::of(job, inputs.streams[0]) else {
            return Ok(None);
        };
        self.demand.note(&key, Instant::now());
        let Some(at) = self.all.iter().position(|p| p.key == key) else {
            return Ok(None);
        };
        if self.all[at].start_up.is_none() && !self.settle_one(at)? {
            return Ok(None);
        }
        let Prestarted {
            key,
            sandbox,
            start_up,
            ..
        } = self.all.remove(at);
        let Some(start_up) = start_up.filter(|_| !has_spoken(&sandbox.init)) else {
            // It has died meanwhile.
            return sandbox.destroy().map(|()| None);
        };
        Ok(Some(Ready {
            sandbox,
            start_up,
            key,
        }))
    }

    /// One could not be started, held or released: jobs are started plainly for a while.
    pub(super) fn failed(&mut self, key: &Key, fault: &SandboxFault) {
        if self.demand.failed(key, Instant::now()) {
            eprintln!(
                "brig worker: {} is not started ahead of its jobs: {fault}",
                key.program()
            );
        }
    }
}

impl Ready {
    /// Hands `job` over. An error with `started` unset: nothing of it has run, and it can be started
    /// plainly.
    pub(super) fn release(&self, job: &Job, inputs: &Inputs<'_>) -> Result<(), SandboxFault> {
        let sandbox = &self.sandbox;
        let used = sandbox.leaf.cpu_ns().step("read the CPU time")?;
        let start_up_cpu_ns = used.unwrap_or(0);
        let release = Release {
            cpu_seconds: rlimit_cpu_seconds(job.limits.cpu_time_ms, start_up_cpu_ns),
            start_up_cpu_ns,
            start_up: self.start_up.resources,
        };
        let mut fds = inputs.streams.to_vec();
        fds.extend(inputs.archives.iter().map(AsFd::as_fd));
        sandbox
            .init
            .send(&ToInit::Release(release), &fds)
            .step("send the job into the sandbox")?;
        let fault = |detail: &str| SandboxFault {
            step: "release the interpreter".to_owned(),
            detail: detail.to_owned(),
            errno: None,
            started: sandbox.marks.get().is_some(),
        };
        if !readable_within(&sandbox.init, RELEASE_BOUND).step("hear from init")? {
            return Err(fault("init did not do it in time"));
        }
        match sandbox.init.recv::<FromInit>().step("hear from init")? {
            Some((FromInit::Released, _)) => Ok(()),
            Some((FromInit::Failed(fault), _)) => Err(fault),
            Some((FromInit::Ended(_), _)) => Err(SandboxFault {
                started: false,
                ..fault("it has ended meanwhile")
            }),
            _ => Err(fault("init ended or sent something else")),
        }
    }

    pub(super) fn into_parts(self) -> (Sandbox, StartUp, Key) {
        (self.sandbox, self.start_up, self.key)
    }
}

impl Prestarted {
    fn begin(context: &Context, pool: &mut Pool, key: &Key) -> Result<Self, SandboxFault> {
        let job = key.job();
        let shape = context.shape(&job.policy, Layers::empty(), true)?;
        let stand_ins = StandIns::new(key.stdin()).step("make streams for the interpreter")?;
        let sandbox = pool.create_for(context, shape, Some(key.script()))?;
        let begun = sandbox
            .leaf
            .apply(&job.limits, shape.off)
            .step("set the cgroup's limits")
            .and_then(|()| {
                let job = ProgramJob::from(job);
                sandbox
                    .jobs
                    .send(&job, &stand_ins.streams())
                    .step("send the job into the sandbox")
            });
        if let Err(fault) = begun {
            sandbox.destroy()?;
            return Err(fault);
        }
        Ok(Self {
            key: key.clone(),
            sandbox,
            stand_ins,
            since: Instant::now(),
            start_up: None,
        })
    }

    /// Whether it is held.
    fn settle(&mut self) -> Result<bool, SandboxFault> {
        const STEP: &str = "start the interpreter";
        if !has_spoken(&self.sandbox.init) {
            if self.since.elapsed() > HOLD_BOUND {
                return Err(io::Error::other("it did not come to its script in time")).step(STEP);
            }
            return Ok(false);
        }
        match self.sandbox.init.recv::<FromInit>().step(STEP)? {
            Some((FromInit::Held, _)) => {
                self.start_up = Some(self.inspect().step("look at the interpreter")?);
                Ok(true)
            }
            Some((FromInit::Failed(fault), _)) => Err(fault),
            _ => Err(io::Error::other("it or its init ended")).step(STEP),
        }
    }

    /// What its start-up used; an error if it is not fit to be released.
    fn inspect(&self) -> io::Result<StartUp> {
        let leaf = &self.sandbox.leaf;
        let [pid] = leaf.members()?[..] else {
            return Err(io::Error::other("it is not one process"));
        };
        let in_use = leaf.in_use()?;
        if in_use.memory_bytes > Some(MAX_BYTES) || in_use.processes > Some(MAX_PROCESSES) {
            return Err(io::Error::other("it takes too much to be kept"));
        }
        self.stand_ins.untouched_by(pid)?;
        let counters = leaf.counters()?;
        if counters.oom_kills > Some(0) {
            return Err(io::Error::other("it ran out of memory"));
        }
        let mut resources = resources_of(pid)?;
        resources.cpu_user_us = counters.user_ns.unwrap_or(0) / 1000;
        resources.cpu_system_us = counters.system_ns.unwrap_or(0) / 1000;
        resources.voluntary_switches += RELEASE_SWITCHES;
        Ok(StartUp {
            counters,
            resources,
        })
    }
}

/// An init that has something to say unasked has failed or reports an end.
fn has_spoken(init: &Channel) -> bool {
    readable_within(init, Duration::ZERO).unwrap_or(true)
}

fn readable_within(channel: &Channel, bound: Duration) -> io::Result<bool> {
    let mut fds = [PollFd::new(channel.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(bound).unwrap_or(PollTimeout::MAX);
    loop {
        match poll(&mut fds, timeout) {
            Err(nix::errno::Errno::EINTR) => {}
            answer => return Ok(answer? > 0),
        }
    }
}
