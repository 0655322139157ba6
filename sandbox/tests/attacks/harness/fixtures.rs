//! What an attack finds on the host: the things it is after.
//!
//! In `args` and `run` these stand for something that exists while the attack runs:
//!
//! | placeholder | is |
//! | --- | --- |
//! | `{secret_file}` | a file outside the sandbox that everybody may read |
//! | `{open_dir}` | a directory in which everybody may write |
//! | `{prepared_dir}` | the same, with `key/bits/stdc++.h.gch` in it |
//! | `{abstract_socket}` | the name of an abstract Unix socket that listens on the host |
//! | `{tcp_port}` | a port on which the host listens at 127.0.0.1 |
//! | `{shm_id}` | a System V shared memory segment that everybody may attach |
//! | `{host_pid}` | a process of the host with the user id of the tests |
//! | `{uptime_s}` | the host's uptime in seconds |

use std::fs::{self, Permissions};
use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Child, Command};

use nix::sys::statvfs::{FsFlags, statvfs};
use tempfile::TempDir;

/// What is kept alive for one run.
#[derive(Default)]
pub(crate) struct Fixtures {
    directories: Vec<TempDir>,
    unix: Option<UnixListener>,
    tcp: Option<TcpListener>,
    shared_memory: Option<SharedMemory>,
    process: Option<Victim>,
}

impl Fixtures {
    /// `word` with its placeholders replaced, after making what they stand for.
    pub(crate) fn expand(&mut self, word: &str) -> io::Result<String> {
        let Some((before, rest)) = word.split_once('{') else {
            return Ok(word.to_owned());
        };
        let Some((name, after)) = rest.split_once('}') else {
            return Ok(word.to_owned());
        };
        let value = match name {
            "secret_file" => self.secret_file()?,
            "open_dir" => self.directory(0o777)?,
            "prepared_dir" => self.prepared_directory()?,
            "abstract_socket" => self.abstract_socket()?,
            "tcp_port" => self.tcp_port()?.to_string(),
            "shm_id" => self
                .shared_memory
                .insert(SharedMemory::create()?)
                .0
                .to_string(),
            "host_pid" => self.process.insert(Victim::start()?).0.id().to_string(),
            "uptime_s" => uptime_seconds()?,
            other => return Err(io::Error::other(format!("unknown placeholder {{{other}}}"))),
        };
        Ok(format!("{before}{value}{}", self.expand(after)?))
    }

    /// A new directory with this mode.
    pub(crate) fn directory(&mut self, mode: u32) -> io::Result<String> {
        // Not /tmp: in a sandbox that is the sandbox's own even if it sees all the rest.
        self.directory_in("/var/tmp", mode)
    }

    /// A new directory with a file in it that everybody may change.
    fn prepared_directory(&mut self) -> io::Result<String> {
        let path = self.directory(0o777)?;
        let everybody = |path: &str, mode| fs::set_permissions(path, Permissions::from_mode(mode));
        for directory in ["key", "key/bits"] {
            let directory = format!("{path}/{directory}");
            fs::create_dir(&directory)?;
            everybody(&directory, 0o777)?;
        }
        let file = format!("{path}/key/bits/stdc++.h.gch");
        fs::write(&file, "prepared")?;
        everybody(&file, 0o666)?;
        Ok(path)
    }

    /// A new directory in which set-uid programs are what they are.
    pub(crate) fn setuid_directory(&mut self) -> io::Result<String> {
        let honours =
            |path: &&&str| statvfs(**path).is_ok_and(|fs| !fs.flags().contains(FsFlags::ST_NOSUID));
        let parent = ["/var/tmp", "/tmp", "/opt", "/srv"]
            .iter()
            .find(honours)
            .ok_or_else(|| io::Error::other("every writable directory is mounted nosuid"))?;
        self.directory_in(parent, 0o755)
    }

    fn directory_in(&mut self, parent: &str, mode: u32) -> io::Result<String> {
        let dir = tempfile::Builder::new()
            .prefix("brig-attack-")
            .tempdir_in(parent)?;
        fs::set_permissions(dir.path(), Permissions::from_mode(mode))?;
        let path = dir.path().to_string_lossy().into_owned();
        self.directories.push(dir);
        Ok(path)
    }

    /// A new file that everybody may read and write.
    pub(crate) fn secret_file(&mut self) -> io::Result<String> {
        let path = format!("{}/secret", self.directory(0o755)?);
        fs::write(&path, "the host's secret\n")?;
        fs::set_permissions(&path, Permissions::from_mode(0o666))?;
        Ok(path)
    }

    fn abstract_socket(&mut self) -> io::Result<String> {
        let name = format!("brig-attack-{}", uuid_like()?);
        self.unix = Some(UnixListener::bind_addr(&SocketAddr::from_abstract_name(
            &name,
        )?)?);
        Ok(name)
    }

    fn tcp_port(&mut self) -> io::Result<u16> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        self.tcp = Some(listener);
        Ok(port)
    }
}

struct SharedMemory(i32);

impl SharedMemory {
    fn create() -> io::Result<Self> {
        // SAFETY: takes no pointers.
        match unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, libc::IPC_CREAT | 0o666) } {
            -1 => Err(io::Error::last_os_error()),
            id => Ok(Self(id)),
        }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: IPC_RMID does not look at the pointer (shmctl(2)).
        unsafe { libc::shmctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

struct Victim(Child);

impl Victim {
    fn start() -> io::Result<Self> {
        Command::new("/bin/sleep").arg("60").spawn().map(Self)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn uptime_seconds() -> io::Result<String> {
    let text = fs::read_to_string("/proc/uptime")?;
    Ok(text.split('.').next().unwrap_or_default().to_owned())
}

/// Something that nobody else has.
pub(crate) fn uuid_like() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/uuid")?
        .trim()
        .to_owned())
}
