//! Which interpreters are worth starting ahead of their jobs.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Whence, lseek};

use crate::limits::Limits;
use crate::protocol::Job;

/// What a job's stdin is like, as far as an interpreter may have noticed before it was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StdinKind {
    /// A pipe.
    Pipe,
    /// A regular file, not yet read from.
    File,
}

/// `st_blksize` of pipes and memfds, by which some runtimes choose the size of their buffers.
const BLOCK_BYTES: i64 = 4096;

impl StdinKind {
    /// What `fd` is; `None` if it is neither, or differs from others of its kind.
    pub fn of(fd: BorrowedFd<'_>) -> Option<Self> {
        let status = fstat(fd).ok()?;
        let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL).ok()?);
        let special = OFlag::O_ACCMODE | OFlag::O_APPEND | OFlag::O_NONBLOCK | OFlag::O_DIRECT;
        let plain = !flags.intersects(special | OFlag::O_ASYNC | OFlag::O_PATH);
        if !plain || status.st_blksize != BLOCK_BYTES {
            return None;
        }
        match SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFIFO => Some(Self::Pipe),
            SFlag::S_IFREG => (lseek(fd, 0, Whence::SeekCur).ok()? == 0).then_some(Self::File),
            _ => None,
        }
    }
}

/// What must be the same in a job and in the interpreter that was started for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    job: Job,
    stdin: StdinKind,
}

impl Key {
    /// Of a job and its stdin. `None`: it can only be started plainly.
    pub fn of(job: &Job, stdin: BorrowedFd<'_>) -> Option<Self> {
        let fit = job.script.is_some() && job.pty.is_none() && job.files.is_empty();
        if !fit {
            return None;
        }
        let stdin = StdinKind::of(stdin.as_fd())?;
        let job = Job {
            policy: job.policy.clone(),
            argv: job.argv.clone(),
            env: job.env.clone(),
            // What only the worker looks at, while the program runs.
            limits: Limits {
                cpu_time_ms: 0,
                wall_time_ms: 0,
                output_bytes: 0,
                ..job.limits
            },
            stdin_attached: true,
            script: job.script.clone(),
            ..Job::default()
        };
        Some(Self { job, stdin })
    }

    /// The job that starts such an interpreter.
    pub fn job(&self) -> Job {
        /// The interpreter gets the real limit when it is released; a limit can only be lowered.
        const NO_CPU_LIMIT_MS: u64 = 1 << 40;
        let mut job = self.job.clone();
        job.limits.cpu_time_ms = NO_CPU_LIMIT_MS;
        job
    }

    /// What its stdin is like.
    pub fn stdin(&self) -> StdinKind {
        self.stdin
    }

    /// The script at which it is held.
    pub fn script(&self) -> &str {
        self.job.script.as_deref().unwrap_or_default()
    }

    /// For the log: what is executed.
    pub fn program(&self) -> &str {
        self.job.argv.first().map_or("", String::as_str)
    }
}

/// Keys remembered.
const KEYS: usize = 16;
/// How many jobs of a key show that there will be more: one alone may have arguments that never
/// come again.
const JOBS_FOR_DEMAND: u32 = 2;
/// What a key's share of the demand is multiplied by with every job of any key: about the last ten count.
const FADING: f64 = 0.9;
/// By how much another key's share must be larger for its interpreter to take the place of one that is
/// held: jobs that come in turn must not end each other's.
const TO_REPLACE: f64 = 1.5;
/// How long after its last job a key is still taken to be in demand.
const DEMAND_LASTS: Duration = Duration::from_mins(15);
/// How long no interpreter is started for a key after one could not be held.
const NOT_AGAIN_FOR: Duration = Duration::from_mins(5);

#[derive(Debug)]
struct Known {
    key: Key,
    jobs: u32,
    share: f64,
    last: Instant,
    not_before: Option<Instant>,
}

/// What jobs have come lately.
#[derive(Debug, Default)]
pub struct Demand {
    /// The latest last.
    known: VecDeque<Known>,
}

impl Demand {
    /// Nothing known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A job with `key` came.
    pub fn note(&mut self, key: &Key, now: Instant) {
        self.count(key, now, 1);
    }

    /// Jobs with `key` are said to come.
    pub fn expect(&mut self, key: &Key, now: Instant) {
        self.count(key, now, JOBS_FOR_DEMAND);
    }

    fn count(&mut self, key: &Key, now: Instant, jobs: u32) {
        for known in &mut self.known {
            known.share *= FADING;
        }
        let known = match self.known.iter().position(|known| known.key == *key) {
            Some(at) => self.known.remove(at),
            None => None,
        };
        let mut known = known.unwrap_or_else(|| Known {
            key: key.clone(),
            jobs: 0,
            share: 0.0,
            last: now,
            not_before: None,
        });
        known.jobs = known.jobs.saturating_add(jobs);
        known.share += f64::from(jobs);
        known.last = now;
        self.known.push_back(known);
        if self.known.len() > KEYS {
            self.known.pop_front();
        }
    }

    /// An interpreter for `key` could not be held. Whether that is news.
    pub fn failed(&mut self, key: &Key, now: Instant) -> bool {
        let Some(known) = self.known.iter_mut().find(|known| known.key == *key) else {
            return false;
        };
        known.not_before.replace(now + NOT_AGAIN_FOR).is_none()
    }

    /// The keys to have an interpreter for, at most `most`, the most wanted first. `held` says for which
    /// there is one.
    pub fn wanted(&self, most: usize, now: Instant, held: impl Fn(&Key) -> bool) -> Vec<&Key> {
        let wanted = |known: &&Known| {
            known.jobs >= JOBS_FOR_DEMAND
                && now.saturating_duration_since(known.last) < DEMAND_LASTS
                && known.not_before.is_none_or(|then| then <= now)
        };
        let share = |known: &Known| {
            let advantage = if held(&known.key) { TO_REPLACE } else { 1.0 };
            known.share * advantage
        };
        let mut all: Vec<_> = self.known.iter().filter(wanted).collect();
        all.sort_by(|a, b| share(b).total_cmp(&share(a)));
        all.into_iter().map(|known| &known.key).take(most).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, pipe};

    use super::*;
    use crate::sys::memfd;

    fn key(argv: &str) -> Key {
        let job = Job {
            argv: vec![argv.to_owned()],
            script: Some("main".to_owned()),
            ..Job::default()
        };
        Key::of(&job, pipe().unwrap().0.as_fd()).unwrap()
    }

    fn wanted(demand: &Demand, now: Instant) -> Vec<&str> {
        let wanted = demand.wanted(2, now, |_| false);
        wanted.into_iter().map(Key::program).collect()
    }

    #[test]
    fn kinds_of_stdin() {
        let (read, write) = pipe().unwrap();
        assert_eq!(StdinKind::of(read.as_fd()), Some(StdinKind::Pipe));
        assert_eq!(StdinKind::of(write.as_fd()), None);
        let sealed = memfd::read_only(c"stdin", b"content").unwrap();
        assert_eq!(StdinKind::of(sealed.as_fd()), Some(StdinKind::File));
        let mut sealed = File::from(sealed);
        sealed.read_exact(&mut [0; 2]).unwrap();
        assert_eq!(StdinKind::of(sealed.as_fd()), None, "not at its start");
        let null = File::open("/dev/null").unwrap();
        assert_eq!(StdinKind::of(null.as_fd()), None);
    }

    #[test]
    fn keys_are_equal_if_an_interpreter_cannot_tell_the_jobs_apart() {
        let (stdin, _) = pipe().unwrap();
        let base = Job {
            id: 1,
            argv: vec!["python3".to_owned()],
            script: Some("main.py".to_owned()),
            archives: vec![None],
            ..Job::default()
        };
        let of = |job: &Job| Key::of(job, stdin.as_fd());
        let mut same = base.clone();
        (same.id, same.archives) = (2, vec![None; 2]);
        same.limits.cpu_time_ms += 1;
        same.limits.wall_time_ms += 1;
        same.limits.output_bytes += 1;
        assert_eq!(of(&base), of(&same));
        let different: [fn(&mut Job); 9] = [
            |job| job.policy = "strict".to_owned(),
            |job| job.argv.push("x".to_owned()),
            |job| job.env.push("K=V".to_owned()),
            |job| job.script = Some("other.py".to_owned()),
            |job| job.limits.stack_bytes += 1,
            |job| job.limits.memory_bytes += 1,
            |job| job.limits.processes += 1,
            |job| job.limits.open_files += 1,
            |job| job.limits.disk_bytes += 1,
        ];
        for (i, change) in different.iter().enumerate() {
            let mut job = base.clone();
            change(&mut job);
            assert_ne!(of(&base), of(&job), "change {i}");
        }
        let file = memfd::read_only(c"stdin", b"").unwrap();
        assert_ne!(of(&base), Key::of(&base, file.as_fd()));
        let plain: [fn(&mut Job); 3] = [
            |job| job.script = None,
            |job| job.files.push("input".to_owned()),
            |job| job.pty = Some(crate::protocol::WindowSize { rows: 1, cols: 1 }),
        ];
        for (i, change) in plain.iter().enumerate() {
            let mut job = base.clone();
            change(&mut job);
            assert_eq!(of(&job), None, "change {i}");
        }
    }

    #[test]
    fn one_job_is_no_demand_and_demand_ends() {
        let (mut demand, now) = (Demand::new(), Instant::now());
        demand.note(&key("a"), now);
        assert!(wanted(&demand, now).is_empty());
        demand.note(&key("a"), now);
        demand.expect(&key("b"), now);
        assert_eq!(wanted(&demand, now), ["b", "a"]);
        demand.expect(&key("c"), now);
        assert_eq!(wanted(&demand, now), ["c", "b"]);
        demand.note(&key("a"), now);
        assert_eq!(wanted(&demand, now), ["a", "c"]);
        assert!(wanted(&demand, now + DEMAND_LASTS).is_empty());
    }

    #[test]
    fn what_is_held_is_replaced_only_by_what_is_wanted_more() {
        let (mut demand, now) = (Demand::new(), Instant::now());
        let held = |demand: &Demand| {
            let held = |key: &Key| key.program() != "c";
            let wanted = demand.wanted(2, now, held);
            let mut names: Vec<_> = wanted.into_iter().map(Key::program).collect();
            names.sort_unstable();
            names.concat()
        };
        for _ in 0..20 {
            for name in ["a", "b", "c"] {
                demand.note(&key(name), now);
            }
        }
        assert_eq!(held(&demand), "ab");
        for _ in 0..5 {
            demand.note(&key("c"), now);
            demand.note(&key("a"), now);
        }
        assert_eq!(held(&demand), "ac");
    }

    #[test]
    fn what_failed_is_left_alone_for_a_while() {
        let (mut demand, now) = (Demand::new(), Instant::now());
        demand.expect(&key("a"), now);
        assert!(demand.failed(&key("a"), now));
        assert!(!demand.failed(&key("a"), now));
        assert!(wanted(&demand, now).is_empty());
        let later = now + NOT_AGAIN_FOR;
        demand.note(&key("a"), later);
        assert_eq!(wanted(&demand, later), ["a"]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut demand, now) = (Demand::new(), Instant::now());
        for i in 0..3 * KEYS {
            demand.note(&key(&i.to_string()), now);
        }
        assert_eq!(demand.known.len(), KEYS);
    }
}
