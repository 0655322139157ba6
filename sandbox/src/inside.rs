//! What worker, init and the program's process say to each other.
//!
//! ```text
//! worker ----ToInit---> init          worker --ProgramJob--> program's process
//!        <--FromInit---                                        |
//!                       ^-------------FromProgram--------------'
//! (FromProgramToWorker goes the way of ProgramJob, back.)
//! ```
//!
//! The program's process has these channels only until `execve`: all are close-on-exec. Init trusts
//! what comes on `FromProgram` because only our own code can send there.

use serde::{Deserialize, Serialize};

use crate::prestart::Release;
use crate::probe::Probe;
use crate::protocol::{Collect, Job};
use crate::report::SandboxFault;
use crate::shelf::Shown;

/// From the worker to init.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToInit {
    /// Kill every process of the program.
    Kill,
    /// Send this signal to the process group of the program's first process; only while it runs.
    Signal(i32),
    /// Bring back files; only after `Ended`.
    Collect(Collect),
    /// Let the interpreter go that is held; only after `Held`. Carries stdin, stdout, stderr and
    /// the archives of files.
    Release(Release),
}

/// From init to the worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromInit {
    /// The sandbox could not be prepared, or the program not be started; it is unusable.
    Failed(SandboxFault),
    /// The interpreter is held at its script.
    Held,
    /// The interpreter is the program now.
    Released,
    /// The first process ended and every other one is dead and reaped.
    Ended(Ended),
    /// Carries a sealed archive, unless there is an error.
    Collected {
        /// Why there is none.
        error: Option<String>,
    },
}

/// How the program ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ended {
    /// Exit code of the first process, if it exited.
    pub exit_code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// CLOCK_MONOTONIC of the host when that was seen, in nanoseconds.
    pub at_ns: u64,
    /// `getrusage(RUSAGE_CHILDREN)` of init: all processes of the sandbox.
    pub resources: Resources,
    /// ABI and number of the forbidden call that ended it.
    pub violation: Option<(u32, i32)>,
}

impl Ended {
    /// What there is to say of a process that did not become the program.
    pub fn killed_early() -> std::io::Result<Self> {
        Ok(Self {
            exit_code: None,
            signal: Some(libc::SIGKILL),
            at_ns: crate::init::now_ns()?,
            resources: Resources::default(),
            violation: None,
        })
    }
}

/// What only getrusage(2) counts.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)] // named as in getrusage(2)
pub struct Resources {
    pub cpu_user_us: u64,
    pub cpu_system_us: u64,
    pub minor_faults: u64,
    pub major_faults: u64,
    pub blocks_in: u64,
    pub blocks_out: u64,
    pub voluntary_switches: u64,
    pub involuntary_switches: u64,
}

impl Resources {
    /// Those that `usage` carries.
    pub fn from_usage(usage: &nix::sys::resource::Usage) -> Self {
        let count = |n: libc::c_long| u64::try_from(n).unwrap_or(0);
        let us = |t: nix::sys::time::TimeVal| count(t.tv_sec()) * 1_000_000 + count(t.tv_usec());
        Self {
            cpu_user_us: us(usage.user_time()),
            cpu_system_us: us(usage.system_time()),
            minor_faults: count(usage.minor_page_faults()),
            major_faults: count(usage.major_page_faults()),
            blocks_in: count(usage.block_reads()),
            blocks_out: count(usage.block_writes()),
            voluntary_switches: count(usage.voluntary_context_switches()),
            involuntary_switches: count(usage.involuntary_context_switches()),
        }
    }
}

/// From the worker to the program's process. Carries stdin, stdout, stderr, then the archives, then
/// the attached files.
#[derive(Debug, Serialize, Deserialize)]
pub struct ProgramJob {
    /// The job.
    pub job: Job,
    /// Files from the worker's shelf, in the place of archives.
    pub shown: Vec<Shown>,
    /// What to do instead of executing the job's program.
    pub probe: Option<Probe>,
}

impl From<Job> for ProgramJob {
    /// One whose files are yet to be placed.
    fn from(job: Job) -> Self {
        Self {
            job,
            shown: Vec::new(),
            probe: None,
        }
    }
}

/// From the program's process to the worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromProgramToWorker {
    /// The job wants a terminal. Carries its master.
    Terminal,
}

/// From init to the program's process.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToProgram {
    /// Init has done its part, and the process may go on.
    Go,
}

/// From the program's process to init.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromProgram {
    /// Init may trace this process now; it waits for that. Only if what it executes is to be held.
    Traceable,
    /// This process shares init's memory, and waits until init does nothing but wait.
    Parked,
    /// The filter is on; `execve` comes next. Carries the filter's listener if there is a filter.
    Locked,
    /// A step failed; the process is exiting.
    Failed(SandboxFault),
}
