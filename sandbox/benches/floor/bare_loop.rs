//! The floor: the kernel work of a sandbox and nothing else, in a process of its own that lives in the
//! same kind of root and namespaces as a worker.

use std::ffi::CString;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use brig_sandbox::layers::Layers;
use brig_sandbox::rootfs::{self, RootfsSpec};
use brig_sandbox::sys::clone::{Forked, fork};
use brig_sandbox::sys::exec::{StringArray, execve};
use brig_sandbox::sys::process::{be_child, exit_now, try_reap};
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};

const COMMAND: &str = "__loop";
const ID: u32 = 60_700;
/// Where the program is inside.
const INSIDE: &str = "/opt/nop";

/// A process that makes a sandbox whenever it is told to.
pub(crate) struct Child {
    process: std::process::Child,
    to: ChildStdin,
    from: ChildStdout,
}

impl Child {
    pub(crate) fn start(program: &Path) -> Self {
        let mut child = Command::new("/proc/self/exe")
            .arg(COMMAND)
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        from.read_exact(&mut [0]).unwrap();
        Self {
            process: child,
            to,
            from,
        }
    }

    /// Microseconds that one sandbox took.
    pub(crate) fn run_one(&mut self) -> f64 {
        self.to.write_all(&1u64.to_le_bytes()).unwrap();
        super::float(self.answer())
    }

    fn begin(&mut self, seconds: u64) {
        self.to.write_all(&(seconds << 32).to_le_bytes()).unwrap();
    }

    fn answer(&mut self) -> u64 {
        let mut answer = [0; 8];
        self.from.read_exact(&mut answer).unwrap();
        u64::from_le_bytes(answer)
    }

    fn stop(mut self) {
        drop(self.to);
        self.process.wait().unwrap();
    }
}

/// How many sandboxes `processes` loops make in `seconds`.
pub(crate) fn throughput(program: &Path, processes: u32, seconds: u64) -> u64 {
    let mut children: Vec<_> = (0..processes).map(|_| Child::start(program)).collect();
    for child in &mut children {
        child.begin(seconds);
    }
    let total = children.iter_mut().map(Child::answer).sum();
    children.into_iter().for_each(Child::stop);
    total
}

/// If this process was started to be a loop, is one.
pub(crate) fn main_of_child() -> Option<i32> {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_none_or(|a| a != COMMAND) {
        return None;
    }
    enter(Path::new(&args[2]));
    std::io::stdout().write_all(b"r").unwrap();
    std::io::stdout().flush().unwrap();
    let mut order = [0; 8];
    while std::io::stdin().read_exact(&mut order).is_ok() {
        let order = u64::from_le_bytes(order);
        let answer = if order == 1 {
            let start = Instant::now();
            sandbox();
            u64::try_from(start.elapsed().as_micros()).unwrap()
        } else {
            let (start, mut runs) = (Instant::now(), 0);
            while start.elapsed().as_secs() < order >> 32 {
                sandbox();
                runs += 1;
            }
            runs
        };
        std::io::stdout().write_all(&answer.to_le_bytes()).unwrap();
        std::io::stdout().flush().unwrap();
    }
    Some(0)
}

/// Makes this process live as a worker does.
fn enter(program: &Path) {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let spec = RootfsSpec {
        prepared: false,
        mounts: Vec::new(),
        binds: vec![(program.to_owned(), INSIDE.into())],
    };
    rootfs::enter(&spec, Layers::empty()).unwrap();
    nix::unistd::setgroups(&[]).unwrap();
    let (gid, uid) = (
        nix::unistd::Gid::from_raw(ID),
        nix::unistd::Uid::from_raw(ID),
    );
    nix::unistd::setresgid(gid, gid, gid).unwrap();
    nix::unistd::setresuid(uid, uid, uid).unwrap();
    // Changing the user made the process's files in /proc root's.
    nix::sys::prctl::set_dumpable(true).unwrap();
}

/// Makes a sandbox, runs the program in it, and waits for both to be gone.
fn sandbox() {
    let flags = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    match fork(flags, None).unwrap() {
        Forked::Parent { pidfd, .. } => {
            wait(pidfd.as_fd());
            assert_eq!(try_reap().unwrap().unwrap().exit_code(), Some(0));
        }
        Forked::Child => be_child(|| {
            prepare();
            match fork(CloneFlags::empty(), None).unwrap() {
                Forked::Child => be_child(|| {
                    let argv = StringArray::new(vec![CString::new("nop").unwrap()]);
                    let none = StringArray::new(Vec::new());
                    execve(&CString::new(INSIDE).unwrap(), &argv, &none);
                }),
                Forked::Parent { pidfd, .. } => {
                    wait(pidfd.as_fd());
                    let reaped = try_reap().unwrap().unwrap();
                    assert_eq!(reaped.exit_code(), Some(0));
                    exit_now(0);
                }
            }
        }),
    }
}

fn wait(pidfd: BorrowedFd<'_>) {
    let mut fds = [PollFd::new(pidfd, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::NONE).unwrap();
}

/// What init does for a sandbox's name spaces and files.
fn prepare() {
    /// linux/sched.h.
    const CLONE_NEWTIME: i32 = 0x80;
    for (file, content) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("1000 {ID} 1")),
        ("/proc/self/gid_map", format!("1000 {ID} 1")),
        ("/proc/sys/user/max_user_namespaces", "0".to_owned()),
    ] {
        std::fs::write(file, content).unwrap();
    }
    unshare(CloneFlags::from_bits_retain(CLONE_NEWTIME)).unwrap();
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let options = Some("mode=0755,size=64m,nr_inodes=4099");
    mount(Some("tmpfs"), "/box", Some("tmpfs"), flags, options).unwrap();
    std::fs::create_dir("/box/box").unwrap();
    std::fs::create_dir("/box/tmp").unwrap();
    for (from, to) in [("/box/tmp", "/tmp"), ("/box/box", "/box")] {
        mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    }
    let options = Some("subset=pid,hidepid=ptraceable");
    let flags = flags | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, options).unwrap();
    nix::unistd::sethostname("sandbox").unwrap();
}
