//! Code of our own that runs in the program's place, under the whole lock-down, to prove that a
//! layer holds: the start-up self-check ([`crate::selfcheck`]) is made of these.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit};
use serde::{Deserialize, Serialize};

use crate::capabilities;
use crate::sys::clone::{Forked, fork};
use crate::sys::process::exit_now;

/// The namespaces that a process is in, by the inode numbers of `/proc/self/ns/*` (namespaces(7)).
pub type Namespaces = Vec<(String, u64)>;

/// What to try. The exit code is 0 if the attempt was denied as it should be, 1 if it went through;
/// some can only be judged by the stage's outcome.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Probe {
    /// Does nothing.
    Nothing,
    /// Touches this many bytes.
    Memory(u64),
    /// Burns CPU for this many milliseconds of wall time.
    Spin(u64),
    /// Starts this many processes that live on; exit code 0 if one could not be started.
    Processes(u32),
    /// Writes this many bytes to a file in `/box`; exit code 0 if they do not fit.
    Disk(u64),
    /// Calls ptrace(2).
    ForbiddenCall,
    /// Lists the root directory, which no policy grants.
    UnlistedPath,
    /// Mounts a tmpfs, and checks that all capability sets are empty.
    Privilege,
    /// Checks no_new_privs.
    NoNewPrivs,
    /// Looks for network interfaces that are up.
    Network,
    /// Looks for namespaces shared with those given.
    Namespaces(Namespaces),
    /// Looks for the host's directories.
    HostFiles,
    /// Writes where the toolchain is.
    WriteToolchain,
    /// Looks for more in `/proc` than the own processes.
    Proc,
    /// Checks that no more than this many descriptors can be open.
    OpenFiles(u64),
    /// Reads the host name.
    HostName,
    /// Makes a user namespace.
    NestedNamespace,
}

/// Runs `probe`; the answer is the exit code.
pub fn run(probe: Probe) -> i32 {
    let denied = match probe {
        Probe::Nothing => true,
        Probe::Memory(bytes) => touch(bytes),
        Probe::Spin(ms) => spin(ms),
        Probe::Processes(count) => start_processes(count),
        Probe::Disk(bytes) => fill_disk(bytes).is_err(),
        Probe::ForbiddenCall => nix::sys::ptrace::traceme().is_err(),
        Probe::UnlistedPath => fs::read_dir("/").is_err(),
        Probe::Privilege => has_no_privilege(),
        Probe::NoNewPrivs => prctl::get_no_new_privs() == Ok(true),
        Probe::Network => !any_interface_up(),
        Probe::Namespaces(theirs) => shares_none(&theirs),
        Probe::HostFiles => !any_host_file(),
        Probe::WriteToolchain => OpenOptions::new()
            .create(true)
            .append(true)
            .open("/usr/brig-probe")
            .is_err(),
        Probe::Proc => !shows_more_than_processes(),
        Probe::OpenFiles(limit) => getrlimit(Resource::RLIMIT_NOFILE) == Ok((limit, limit)),
        Probe::HostName => nix::unistd::gethostname().is_ok_and(|name| name == "sandbox"),
        Probe::NestedNamespace => unshare(CloneFlags::CLONE_NEWUSER).is_err(),
    };
    i32::from(!denied)
}

/// The namespaces of process `pid` (a number, or `self`).
pub fn namespaces_of(pid: &str) -> io::Result<Namespaces> {
    let mut found = Vec::new();
    // Listing another user's directory takes CAP_DAC_READ_SEARCH; the names are the same for all.
    for entry in fs::read_dir("/proc/self/ns")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // `*_for_children` repeat others.
        if !name.ends_with("_for_children") {
            let inode = fs::metadata(format!("/proc/{pid}/ns/{name}"))?.ino();
            found.push((name, inode));
        }
    }
    Ok(found)
}

/// Goes through only if nothing stops it.
fn touch(bytes: u64) -> bool {
    let mut memory = vec![0_u8; usize::try_from(bytes).unwrap_or(usize::MAX)];
    for page in memory.chunks_mut(4096) {
        page[0] = 1;
    }
    std::hint::black_box(&memory).is_empty()
}

fn spin(ms: u64) -> bool {
    let end = Instant::now() + Duration::from_millis(ms);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    false
}

fn start_processes(count: u32) -> bool {
    for _ in 0..count {
        match fork(CloneFlags::empty(), None) {
            Ok(Forked::Child) => {
                std::thread::sleep(Duration::from_mins(1));
                exit_now(0)
            }
            Ok(Forked::Parent { .. }) => {}
            Err(_) => return true,
        }
    }
    false
}

fn fill_disk(bytes: u64) -> io::Result<()> {
    let mut file = File::create("/box/probe")?;
    let block = vec![0; 64 << 10];
    for _ in 0..bytes.div_ceil(block.len() as u64) {
        file.write_all(&block)?;
    }
    Ok(())
}

fn has_no_privilege() -> bool {
    let mounted = mount(
        Some("tmpfs"),
        "/tmp",
        Some("tmpfs"),
        MsFlags::empty(),
        None::<&str>,
    );
    mounted.is_err() && capabilities::has_none().unwrap_or(false)
}

fn any_interface_up() -> bool {
    use nix::net::if_::InterfaceFlags;
    nix::ifaddrs::getifaddrs().map_or(true, |mut all| {
        all.any(|i| i.flags.contains(InterfaceFlags::IFF_UP))
    })
}

fn shares_none(theirs: &Namespaces) -> bool {
    let ours = |name: &str| fs::metadata(format!("/proc/self/ns/{name}")).map(|m| m.ino());
    theirs
        .iter()
        .all(|(name, inode)| ours(name).is_ok_and(|own| own != *inode))
}

fn any_host_file() -> bool {
    [
        "/root",
        "/home",
        "/var/log",
        "/var/lib/dpkg",
        "/sys",
        "/boot",
        "/etc/shadow",
        "/etc/machine-id",
    ]
    .iter()
    .any(|p| fs::metadata(p).is_ok())
}

fn shows_more_than_processes() -> bool {
    [
        "/proc/sys",
        "/proc/kcore",
        "/proc/keys",
        "/proc/cmdline",
        "/proc/1",
    ]
    .iter()
    .any(|p| fs::metadata(p).is_ok())
}
