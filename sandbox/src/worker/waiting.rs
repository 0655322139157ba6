//! Whether a program can only wait: what its threads are blocked in, by `/proc/<pid>/task/<tid>/syscall`
//! (proc_pid_syscall(5)).
//!
//! Used CPU time alone does not tell a program that waits for input from one that sleeps, and a
//! program that sleeps is not stuck. A worker may look at its sandboxes' processes: it owns their
//! user namespace, and its `/proc` is the whole one of its pid namespace.

use std::fs;
use std::io;

use crate::report::Waiting;

/// With more threads than this a program is not looked at: a look is to be cheap.
const MAX_THREADS: usize = 256;

/// What one thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thread {
    /// It runs, or sleeps for a time.
    Active,
    /// In a call that ends when there is something to read.
    Reads,
    /// In a call that ends when there is room to write.
    Writes,
    /// It waits for other threads or processes.
    Waits,
}

/// What all threads of `pids` together are doing. `None`: it cannot be told.
pub(super) fn of(pids: &[i32]) -> Option<Waiting> {
    let mut seen = Vec::new();
    for pid in pids {
        unless_gone(threads(*pid, &mut seen)).ok()?;
        if seen.len() > MAX_THREADS {
            return None;
        }
    }
    Some(together(&seen))
}

fn together(threads: &[Thread]) -> Waiting {
    if threads.contains(&Thread::Active) {
        Waiting::No
    } else if threads.contains(&Thread::Reads) {
        Waiting::ForInput
    } else if threads.contains(&Thread::Writes) {
        Waiting::ForRoom
    } else {
        Waiting::No
    }
}

fn threads(pid: i32, seen: &mut Vec<Thread>) -> io::Result<()> {
    let room = MAX_THREADS + 1 - seen.len();
    for task in fs::read_dir(format!("/proc/{pid}/task"))?.take(room) {
        if let Some(text) = unless_gone(fs::read_to_string(task?.path().join("syscall")))? {
            seen.push(doing(&text));
        }
    }
    Ok(())
}

/// What has ended meanwhile counts for nothing.
fn unless_gone<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(None),
        answer => answer.map(Some),
    }
}

/// `running`, or the call's number and its arguments: `0 0x0 0x7ffc5c29fce0 0x1000 ...`.
fn doing(text: &str) -> Thread {
    let mut words = text.split_ascii_whitespace();
    let call = words.next().and_then(|word| word.parse::<i64>().ok());
    let arguments: Vec<u64> = words
        .filter_map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok())
        .collect();
    let argument = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // The lower half of a register, as an `int`: negative is without end.
    #[allow(clippy::cast_possible_truncation)]
    let without_end = |milliseconds: u64| (milliseconds as u32).cast_signed() < 0;
    let reads_if = |without_limit: bool| {
        if without_limit {
            Thread::Reads
        } else {
            Thread::Active
        }
    };
    match call {
        // Dead and not yet waited for: no stack.
        Some(-1) if argument(0) == 0 => Thread::Waits,
        // `-1` is a thread that is blocked outside of any call, as by a page fault.
        None | Some(-1) => Thread::Active,
        Some(libc::SYS_read | libc::SYS_readv) => Thread::Reads,
        Some(libc::SYS_write | libc::SYS_writev) => Thread::Writes,
        Some(libc::SYS_ppoll) => reads_if(argument(2) == 0),
        Some(libc::SYS_pselect6) => reads_if(argument(4) == 0),
        Some(libc::SYS_epoll_pwait) => reads_if(without_end(argument(3))),
        Some(libc::SYS_epoll_pwait2) => reads_if(argument(3) == 0),
        #[cfg(target_arch = "x86_64")]
        Some(libc::SYS_poll) => reads_if(without_end(argument(2))),
        #[cfg(target_arch = "x86_64")]
        Some(libc::SYS_select) => reads_if(argument(4) == 0),
        #[cfg(target_arch = "x86_64")]
        Some(libc::SYS_epoll_wait) => reads_if(without_end(argument(3))),
        // A sleep that a signal interrupted goes on as `restart_syscall`.
        Some(libc::SYS_nanosleep | libc::SYS_clock_nanosleep | libc::SYS_restart_syscall) => {
            Thread::Active
        }
        // Runtimes have threads that wait for each other with a time limit (futex(2)), so a limit
        // says nothing there.
        Some(_) => Thread::Waits,
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn calls_and_their_time_limits_are_told_apart() {
        let call =
            |number: i64, arguments: &str| doing(&format!("{number} {arguments} 0x7ffc 0x7f1\n"));
        assert_eq!(doing("running\n"), Thread::Active);
        assert_eq!(doing(""), Thread::Active);
        assert_eq!(doing("-1 0x7ffc 0x7f1\n"), Thread::Active);
        assert_eq!(
            call(libc::SYS_read, "0x0 0x7ff 0x1000 0x0 0x0 0x0"),
            Thread::Reads
        );
        assert_eq!(
            call(libc::SYS_write, "0x1 0x7ff 0x1000 0x0 0x0 0x0"),
            Thread::Writes
        );
        assert_eq!(
            call(libc::SYS_ppoll, "0x7ff 0x1 0x0 0x0 0x8 0x0"),
            Thread::Reads
        );
        assert_eq!(
            call(libc::SYS_ppoll, "0x7ff 0x1 0x7fe 0x0 0x8 0x0"),
            Thread::Active
        );
        assert_eq!(
            call(
                libc::SYS_epoll_pwait,
                "0x4 0x7ff 0x400 0xffffffffffffffff 0x0 0x8"
            ),
            Thread::Reads
        );
        assert_eq!(
            call(libc::SYS_epoll_pwait, "0x4 0x7ff 0x400 0xffffffff 0x0 0x8"),
            Thread::Reads
        );
        assert_eq!(
            call(libc::SYS_epoll_pwait, "0x4 0x7ff 0x400 0x3e8 0x0 0x8"),
            Thread::Active
        );
        assert_eq!(
            call(libc::SYS_futex, "0x7ff 0x80 0x0 0x7fe 0x0 0x0"),
            Thread::Waits
        );
        assert_eq!(
            call(libc::SYS_clock_nanosleep, "0x0 0x0 0x7ff 0x0 0x0 0x0"),
            Thread::Active
        );
    }

    #[test]
    fn one_active_thread_is_enough() {
        use Thread::{Active, Reads, Waits, Writes};
        for (threads, waiting) in [
            (&[][..], Waiting::No),
            (&[Waits], Waiting::No),
            (&[Reads], Waiting::ForInput),
            (&[Waits, Reads, Waits], Waiting::ForInput),
            (&[Reads, Active], Waiting::No),
            (&[Waits, Writes], Waiting::ForRoom),
            (&[Writes, Active], Waiting::No),
        ] {
            assert_eq!(together(threads), waiting, "{threads:?}");
        }
    }

    struct Ended(Child);

    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn eventually(command: &str, wanted: Waiting) {
        let mut child = Command::new("sh");
        child
            .args(["-c", command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let child = Ended(child.spawn().unwrap());
        let pid = i32::try_from(child.0.id()).unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while of(&[pid]) != Some(wanted) {
            assert!(Instant::now() < end, "{command}: {:?}", of(&[pid]));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn real_processes_are_seen() {
        eventually("exec cat", Waiting::ForInput);
        eventually("exec yes", Waiting::ForRoom);
        eventually("exec sleep 60", Waiting::No);
        eventually("while :; do :; done", Waiting::No);
        assert_eq!(of(&[i32::MAX]), Some(Waiting::No));
    }
}
