//! What one stage did and what it cost.
//!
//! Two types keep apart what must never be confused: a [`StageReport`] says what the *program*
//! did, a [`SandboxFault`] says what the *sandbox* failed to do.

use serde::{Deserialize, Serialize};

/// How a stage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The program's first process exited by itself.
    Exited,
    /// A signal ended the program's first process.
    Signaled,
    /// The process tree used up its CPU time.
    CpuTimeLimit,
    /// The program was still running at its wall time limit.
    WallTimeLimit,
    /// The kernel's out-of-memory killer struck in the stage's cgroup.
    MemoryLimit,
    /// The program wrote more to stdout or stderr than it may.
    OutputLimit,
    /// The policy ended the program; see [`StageReport::violation`].
    PolicyViolation,
    /// The caller ended the stage.
    Cancelled,
}

/// The forbidden system call that ended a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Violation {
    /// Its name, such as `ptrace`; prefixed with `i386:` or `x32:` if called through a foreign ABI;
    /// `#<number>` if the number has no name.
    pub syscall: String,
}

/// What a stage consumed. `None` is a figure the host cannot give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time in user mode, in microseconds.
    pub cpu_user_us: Option<u64>,
    /// CPU time in kernel mode, in microseconds.
    pub cpu_system_us: Option<u64>,
    /// From `execve` to the end of the first process, in microseconds.
    pub wall_us: u64,
    /// The cgroup's highest memory use, in bytes.
    pub memory_peak_bytes: Option<u64>,
    /// The most processes and threads alive at once.
    pub processes_peak: Option<u64>,
    /// Page faults served without I/O.
    pub page_faults_minor: Option<u64>,
    /// Page faults that needed I/O.
    pub page_faults_major: Option<u64>,
    /// Times a process gave up the CPU by itself.
    pub context_switches_voluntary: Option<u64>,
    /// Times a process was made to give up the CPU.
    pub context_switches_involuntary: Option<u64>,
    /// Bytes read from block devices.
    pub read_bytes: Option<u64>,
    /// Bytes written to block devices.
    pub written_bytes: Option<u64>,
    /// Time the process tree was held back by the `cpus` limit, in microseconds.
    pub cpu_throttled_us: Option<u64>,
    /// Periods in which it was held back.
    pub cpu_throttled_periods: Option<u64>,
    /// Processes killed by the kernel for memory.
    pub oom_kills: Option<u64>,
}

impl Usage {
    /// User plus system CPU time in microseconds, where the host can give it.
    pub fn cpu_us(&self) -> Option<u64> {
        Some(self.cpu_user_us? + self.cpu_system_us?)
    }
}

/// What a running stage uses now. `None` is a figure the host cannot give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Since `execve`, in microseconds.
    pub wall_us: u64,
    /// CPU time of the process tree so far, in microseconds.
    pub cpu_us: Option<u64>,
    /// The cgroup's memory use now, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads alive.
    pub processes: Option<u64>,
    /// Whether the program can only wait.
    pub waiting: Option<Waiting>,
}

/// What all threads of a program together are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waiting {
    /// A thread runs, or sleeps for a time, or none is known to read or write.
    No,
    /// A thread reads from, or polls, what has nothing to read, without a time limit, and none runs
    /// or sleeps for a time.
    ForInput,
    /// The same of a thread that writes to what is full.
    ForRoom,
}

/// What the program did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageReport {
    /// How it ended.
    pub outcome: Outcome,
    /// The first process's exit code, when it exited.
    pub exit_code: Option<i32>,
    /// The number of the signal that ended the first process; [`signal_name`] names it.
    pub signal: Option<i32>,
    /// Set with [`Outcome::PolicyViolation`].
    pub violation: Option<Violation>,
    /// What it cost.
    pub usage: Usage,
    /// From the worker's receipt of the job to `execve`, in microseconds.
    pub setup_us: u64,
    /// Whether a sandbox was waiting, or had to be made for this stage.
    pub warm: bool,
    /// Whether its interpreter had been started before, too.
    pub prestarted: bool,
    /// Why files that should have been collected were not, if so.
    pub collect_error: Option<String>,
}

/// What the sandbox failed to do. Never the program's doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{step}: {detail}")]
pub struct SandboxFault {
    /// The step that failed, such as `mount /proc`.
    pub step: String,
    /// The error's text.
    pub detail: String,
    /// The error number, if there was one.
    pub errno: Option<i32>,
    /// Whether the program had been started.
    pub started: bool,
}

/// The name of signal `number`, such as `SIGSEGV`; real-time signals as `SIGRTMIN+n`.
pub fn signal_name(number: i32) -> String {
    match nix::sys::signal::Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        // 34 is SIGRTMIN as glibc counts it: it keeps 32 and 33 for itself (signal(7)).
        Err(_) if number >= 34 => format!("SIGRTMIN+{}", number - 34),
        Err(_) => format!("signal {number}"),
    }
}
