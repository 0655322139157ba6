//! Interpreters that are started before their job is known.
//!
//! Theory of operation. A worker that has been asked for the same interpreter more than once
//! ([`demand`]) makes a sandbox for it while idle, and gives it what a plain start would get (command,
//! environment, policy, limits), but no files, and standard streams that stand for the real ones.
//! The program's process walks the same lock-down and executes the interpreter: nothing here knows any
//! language. Init traces it from `execve` on ([`hold`]), looks at the paths in its system calls
//! ([`paths`]), and stops it at the first that concerns the script: so the whole start-up is done, and not
//! a byte of the job could be read, for it is not there.
//!
//! *How it is held.* The call is turned into one that no policy allows. So the interpreter waits as any
//! program that broke its policy would: in a notification of the filter that only init can answer.
//!
//! *How it is released.* The worker makes sure that the interpreter has kept nothing of the streams that
//! it started with ([`inspect`]). When a job comes whose key is the same, init writes its files, puts the
//! real streams in place of the others (`SECCOMP_IOCTL_NOTIF_ADDFD`), and answers the notification with
//! the number of the original call. The instruction pointer had been set back: so the interpreter
//! makes that call now. Before it does, it is no longer traced, and the accounting begins. (It cannot be
//! held without being traced: detaching wakes what sleeps, and a woken notification is gone,
//! `__ptrace_unlink()`, kernel/ptrace.c.)
//!
//! Whatever does not fit ends in a plain start: another command, environment, policy or limit, a
//! terminal, attached files, files that the interpreter has looked for in vain, an interpreter that
//! died. An interpreter that cannot be held is not tried again for a while.

pub mod demand;
pub mod hold;
pub mod inspect;
pub mod paths;

use serde::{Deserialize, Serialize};

use crate::inside::Resources;

/// The most bytes of a job's files that are written by init, for an interpreter, or in its memory. They are charged
/// to the worker's group and not to the program's, which init is not in; jobs with more are started plainly, by a
/// process with memory of its own.
pub const MAX_FILES_BYTES: u64 = 1 << 20;

/// The most memory of an interpreter that is kept, in bytes.
pub const MAX_BYTES: u64 = 128 << 20;
/// The most threads of one.
pub const MAX_PROCESSES: u64 = 64;

/// What init needs for letting an interpreter go. Comes with stdin, stdout, stderr, then the archives
/// of files.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Release {
    /// `RLIMIT_CPU` in seconds, start-up included.
    pub cpu_seconds: u64,
    /// What the program's cgroup counted for the start-up, in nanoseconds of CPU time.
    pub start_up_cpu_ns: u64,
    /// What getrusage(2) counted for it.
    pub start_up: Resources,
}
