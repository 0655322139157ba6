//! The worker's part: the streams that an interpreter starts with, whether it has kept any of them, and
//! what its start-up used.
//!
//! A worker sees its sandboxes' processes in its own `/proc`; it owns their user namespace.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{fstat, stat};
use nix::unistd::{Whence, lseek, pipe2};

use super::demand::StdinKind;
use crate::inside::Resources;
use crate::sys::memfd;
use crate::sys::pipe::unread_bytes;

/// What stands for the standard streams until the job comes. The descriptors share their state with
/// those of the interpreter, so that the worker sees what it did to them.
#[derive(Debug)]
pub struct StandIns {
    streams: [OwnedFd; 3],
    /// As `fcntl(F_GETFL)` gave them before the interpreter had them.
    flags: [i32; 3],
    /// Where what it writes arrives.
    outputs: [OwnedFd; 2],
    /// The other end of stdin, if that is a pipe.
    _input: Option<OwnedFd>,
}

impl StandIns {
    /// Streams like those of a job with such a stdin.
    pub fn new(stdin: StdinKind) -> io::Result<Self> {
        let (stdin, input) = match stdin {
            StdinKind::Pipe => {
                let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
                (read, Some(write))
            }
            StdinKind::File => (memfd::read_only(c"stdin", b"")?, None),
        };
        let (from_stdout, stdout) = pipe2(OFlag::O_CLOEXEC)?;
        let (from_stderr, stderr) = pipe2(OFlag::O_CLOEXEC)?;
        let streams = [stdin, stdout, stderr];
        Ok(Self {
            flags: flags(&streams)?,
            streams,
            outputs: [from_stdout, from_stderr],
            _input: input,
        })
    }

    /// stdin, stdout and stderr.
    pub fn streams(&self) -> [BorrowedFd<'_>; 3] {
        self.streams.each_ref().map(AsFd::as_fd)
    }

    /// An error if process `pid`, which is held, has used any of them, or would still have one when
    /// they are replaced.
    pub fn untouched_by(&self, pid: i32) -> io::Result<()> {
        if flags(&self.streams)? != self.flags {
            return Err(io::Error::other("it changed its standard streams"));
        }
        // A pipe has no offset, and nothing to read.
        if lseek(&self.streams[0], 0, Whence::SeekCur).is_ok_and(|offset| offset != 0) {
            return Err(io::Error::other("it read its input before its script"));
        }
        for output in &self.outputs {
            if unread_bytes(output)? > 0 {
                return Err(io::Error::other("it wrote something before its script"));
            }
        }
        self.not_kept_by(pid)
    }

    fn not_kept_by(&self, pid: i32) -> io::Result<()> {
        let mut own = Vec::new();
        for stream in &self.streams {
            let status = fstat(stream)?;
            own.push((status.st_dev, status.st_ino));
        }
        let mut still = 0;
        for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
            let path = entry?.path();
            let number = number_of(&path)?;
            let status = stat(&path)?;
            let is = own
                .iter()
                .position(|id| *id == (status.st_dev, status.st_ino));
            if is != (number < own.len()).then_some(number) {
                return Err(io::Error::other("it moved its standard streams"));
            }
            still += usize::from(is.is_some());
            let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}"))?;
            if watches_streams(&info) {
                return Err(io::Error::other("it watches its standard streams"));
            }
        }
        if still < own.len() {
            return Err(io::Error::other("it closed a standard stream"));
        }
        Ok(())
    }
}

fn flags(streams: &[OwnedFd; 3]) -> io::Result<[i32; 3]> {
    let mut all = [0; 3];
    for (flags, stream) in all.iter_mut().zip(streams) {
        *flags = fcntl(stream, FcntlArg::F_GETFL)?;
    }
    Ok(all)
}

fn number_of(path: &Path) -> io::Result<usize> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.parse().ok())
        .ok_or_else(|| io::Error::other("/proc shows a descriptor without a number"))
}

/// Whether this is an epoll descriptor that has one of the standard streams: it would go on to
/// watch the file that is no longer there (proc_pid_fdinfo(5), `tfd`).
fn watches_streams(info: &str) -> bool {
    let watched = info.lines().filter_map(|line| line.strip_prefix("tfd:"));
    watched
        .filter_map(|rest| rest.split_ascii_whitespace().next())
        .any(|number| matches!(number, "0" | "1" | "2"))
}

/// What getrusage(2) would give for process `pid`, all threads, were it to end now; less the CPU time,
/// which the cgroup knows better.
pub fn resources_of(pid: i32) -> io::Result<Resources> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (minor, major) = faults(&stat).ok_or_else(|| io::Error::other("/proc/<pid>/stat"))?;
    let mut resources = Resources {
        minor_faults: minor,
        major_faults: major,
        ..Resources::default()
    };
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(task?.path().join("status"))?;
        resources.voluntary_switches += field(&status, "voluntary_ctxt_switches:");
        resources.involuntary_switches += field(&status, "nonvoluntary_ctxt_switches:");
    }
    // Absent from kernels that do not count it; then getrusage(2) does not, either.
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    resources.blocks_in = field(&io, "read_bytes:") / 512;
    resources.blocks_out = field(&io, "write_bytes:") / 512;
    Ok(resources)
}

/// Minor and major page faults (proc_pid_stat(5), fields 10 and 12). The name in field 2 may hold
/// anything, parentheses included.
fn faults(stat: &str) -> Option<(u64, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(7);
    let minor = fields.next()?.parse().ok()?;
    let major = fields.nth(1)?.parse().ok()?;
    Some((minor, major))
}

fn field(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    struct Ended(Child);

    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// Whether the process sleeps: before, its loader opens files, which get the lowest free numbers.
    fn sleeps(pid: u32) -> bool {
        let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap();
        let number = call.split(' ').next().and_then(|word| word.parse().ok());
        matches!(
            number,
            Some(libc::SYS_clock_nanosleep | libc::SYS_nanosleep)
        )
    }

    /// Runs `script` in a shell with the streams, and waits until its `sleep` sleeps.
    fn shell(streams: &StandIns, script: &str) -> Ended {
        let [stdin, stdout, stderr] = streams
            .streams()
            .map(|fd| Stdio::from(fd.try_clone_to_owned().unwrap()));
        let child = Command::new("sh")
            .args(["-c", script])
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap();
        let child = Ended(child);
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !sleeps(child.0.id()) {
            assert!(std::time::Instant::now() < end, "{script}");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        child
    }

    fn verdict(stdin: StdinKind, script: &str) -> Result<(), String> {
        let streams = StandIns::new(stdin).unwrap();
        let child = shell(&streams, script);
        let pid = i32::try_from(child.0.id()).unwrap();
        streams.untouched_by(pid).map_err(|e| e.to_string())
    }

    #[test]
    fn streams_that_nobody_touched_can_be_replaced() {
        for stdin in [StdinKind::Pipe, StdinKind::File] {
            assert_eq!(verdict(stdin, "exec sleep 60"), Ok(()));
        }
    }

    #[test]
    fn whatever_would_show_later_is_seen() {
        for (script, why) in [
            ("echo x; exec sleep 60", "wrote"),
            ("echo x >&2; exec sleep 60", "wrote"),
            ("exec 9<&0; exec sleep 60", "moved"),
            ("exec 9>&2; exec sleep 60", "moved"),
            ("exec 1>&2; exec sleep 60", "moved"),
            ("exec 0</dev/null; exec sleep 60", "moved"),
            ("exec <&-; exec sleep 60", "closed"),
        ] {
            let verdict = verdict(StdinKind::Pipe, script);
            assert!(verdict.unwrap_err().contains(why), "{script}");
        }
    }

    #[test]
    fn flags_and_offset_are_compared() {
        let streams = StandIns::new(StdinKind::File).unwrap();
        let child = shell(&streams, "exec sleep 60");
        let pid = i32::try_from(child.0.id()).unwrap();
        fcntl(&streams.streams[1], FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let error = streams.untouched_by(pid).unwrap_err();
        assert!(error.to_string().contains("changed"), "{error}");
        fcntl(&streams.streams[1], FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        streams.untouched_by(pid).unwrap();
        lseek(&streams.streams[0], 5, Whence::SeekSet).unwrap();
        let error = streams.untouched_by(pid).unwrap_err();
        assert!(error.to_string().contains("read its input"), "{error}");
    }

    #[test]
    fn epoll_entries_are_seen() {
        let info =
            "pos:\t0\nflags:\t02\ntfd:       12 events: 1 data: c\ntfd:        1 events: 1\n";
        assert!(watches_streams(info));
        assert!(!watches_streams(
            "pos:\t1\nflags:\t02\ntfd:       12 events:        1\n"
        ));
    }

    #[test]
    fn resources_of_a_process_are_read() {
        assert_eq!(
            faults("7 (a) b) c) S 1 7 7 0 -1 4194560 151 9 2 8 0 1"),
            Some((151, 2))
        );
        assert_eq!(faults("7 (sh"), None);
        let child = shell(&StandIns::new(StdinKind::Pipe).unwrap(), "exec sleep 60");
        let resources = resources_of(i32::try_from(child.0.id()).unwrap()).unwrap();
        assert!(resources.minor_faults > 0, "{resources:?}");
    }
}
