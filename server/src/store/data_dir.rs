//! The data directory: all that the service keeps.
//!
//! ```text
//! brig.db   submissions, results, webhooks, keys (SQLite)
//! blobs/    uploaded test data
//! cache/    compiled programs
//! prepared/ files that compilers start from, which sandboxes see
//! spool/    outputs on their way to a checker; emptied at every start
//! ```
//!
//! It belongs to the server's user, whom nobody should trust blindly: whoever has more rights makes and
//! locks the directory itself, and neither looks at nor touches what is in it, but that it makes `prepared/`:
//! workers are started there ([`brig_sandbox::prepared`]), before there is a server.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::fcntl::{Flock, FlockArg, OFlag, open, openat};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use nix::unistd::{Gid, Uid, fchown, geteuid};

/// Where data are kept when the service is started as root.
const FOR_ROOT: &str = "/var/lib/brig";
/// Nobody else's business.
const MODE: u32 = 0o700;
/// In the data directory, where sandboxes' users see it.
const PREPARED: &str = "prepared";
const PREPARED_MODE: Mode = Mode::from_bits_truncate(0o755);

/// The paths in a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDir(PathBuf);

/// A data directory that no other service uses while this lives.
#[derive(Debug)]
pub struct Held {
    /// The directory.
    pub dir: DataDir,
    /// That of prepared files, open.
    pub prepared: OwnedFd,
    _lock: Flock<OwnedFd>,
}

impl DataDir {
    /// The directory at `root`, an absolute path.
    pub fn new(root: PathBuf) -> Self {
        Self(root)
    }

    /// The directory that `asked` names, or else the usual one: `/var/lib/brig` for root; for others what
    /// systemd gives (`$STATE_DIRECTORY`), `$XDG_STATE_HOME/brig` or `~/.local/state/brig`.
    pub fn choose(asked: Option<&Path>) -> anyhow::Result<Self> {
        let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let usual = || {
            if geteuid().is_root() {
                return Some(PathBuf::from(FOR_ROOT));
            }
            let systemd = of("STATE_DIRECTORY").map(PathBuf::from);
            let xdg = || of("XDG_STATE_HOME").map(|dir| Path::new(&dir).join("brig"));
            let home = || of("HOME").map(|dir| Path::new(&dir).join(".local/state/brig"));
            systemd.or_else(xdg).or_else(home)
        };
        let path = asked.map(Path::to_owned).or_else(usual);
        let path =
            path.context("no place for data is known (there is no HOME); name one with --data")?;
        let path = std::path::absolute(&path)
            .with_context(|| format!("data directory {}", path.display()))?;
        Ok(Self(path))
    }

    /// Makes the directory if need be, for `owner` (`None`: the user that this process runs as), and
    /// locks it.
    pub fn hold(self, owner: Option<(u32, u32)>) -> anyhow::Result<Held> {
        let shown = self.0.display().to_string();
        let lock = self.prepare(owner).and_then(|lock| {
            let prepared = make_prepared(&lock, owner).context(PREPARED)?;
            Ok((lock, prepared))
        });
        let (lock, prepared) = lock.with_context(|| format!("data directory {shown}"))?;
        Ok(Held {
            dir: self,
            prepared,
            _lock: lock,
        })
    }

    fn prepare(&self, owner: Option<(u32, u32)>) -> anyhow::Result<Flock<OwnedFd>> {
        if let Some(parent) = self.0.parent() {
            fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        }
        match DirBuilder::new().mode(MODE).create(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.context("making it")?,
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = open(&self.0, flags, Mode::empty()).context("opening it")?;
        let directory =
            Flock::lock(directory, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
                match errno {
                    nix::errno::Errno::EWOULDBLOCK => anyhow::anyhow!(
                        "another brig uses it; give this one a directory of its own with --data"
                    ),
                    errno => anyhow::Error::new(errno).context("locking it"),
                }
            })?;
        if let Some(owner) = owner {
            self.give_to(&directory, owner)?;
            self.check_reachable(owner)?;
        }
        Ok(directory)
    }

    /// A new directory is given to `owner`; one that is somebody else's is not taken away.
    fn give_to(&self, directory: &OwnedFd, (uid, gid): (u32, u32)) -> anyhow::Result<()> {
        let metadata = File::from(directory.try_clone()?).metadata()?;
        if metadata.uid() == uid {
            return Ok(());
        }
        if fs::read_dir(&self.0)?.next().is_some() {
            bail!(
                "it belongs to user id {}, and the service runs as {uid}; if it is to have it: chown -R {uid}:{gid} {}",
                metadata.uid(),
                self.0.display()
            );
        }
        fchown(
            directory,
            Some(Uid::from_raw(uid)),
            Some(Gid::from_raw(gid)),
        )
        .context("giving it to the service's user")
    }

    /// The service's user must be able to get there.
    fn check_reachable(&self, (uid, gid): (u32, u32)) -> anyhow::Result<()> {
        for above in self.0.ancestors().skip(1) {
            let metadata = fs::metadata(above).with_context(|| above.display().to_string())?;
            let execute = if metadata.uid() == uid {
                0o100
            } else if metadata.gid() == gid {
                0o010
            } else {
                0o001
            };
            if metadata.mode() & execute == 0 {
                bail!(
                    "the service's user (id {uid}) cannot get through {}; allow it (chmod o+x) or choose another \
                     directory with --data",
                    above.display()
                );
            }
        }
        Ok(())
    }

    /// Makes what is in it; called by the process that uses it.
    pub fn fill(&self) -> anyhow::Result<()> {
        let spool = self.spool();
        match fs::remove_dir_all(&spool) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.with_context(|| format!("emptying {}", spool.display()))?,
        }
        for directory in [self.blobs(), self.cache(), self.prepared(), spool] {
            fs::create_dir_all(&directory)
                .with_context(|| format!("making {}", directory.display()))?;
        }
        Ok(())
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.0.join("brig.db")
    }

    /// Uploaded test data.
    pub fn blobs(&self) -> PathBuf {
        self.0.join("blobs")
    }

    /// Compiled programs.
    pub fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }

    /// Files that compilers start from.
    pub fn prepared(&self) -> PathBuf {
        self.0.join(PREPARED)
    }

    /// Outputs on their way to a checker.
    pub fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }
}

/// Makes the directory of prepared files in `data`, if need be, for `owner`, and opens it. No link is followed.
fn make_prepared(data: &OwnedFd, owner: Option<(u32, u32)>) -> nix::Result<OwnedFd> {
    let made = match mkdirat(data, PREPARED, PREPARED_MODE) {
        Err(nix::errno::Errno::EEXIST) => false,
        made => made.map(|()| true)?,
    };
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let directory = openat(data, PREPARED, flags, Mode::empty())?;
    // Whatever the process's mask is.
    fchmod(&directory, PREPARED_MODE)?;
    if let Some((uid, gid)) = owner.filter(|_| made) {
        fchown(
            &directory,
            Some(Uid::from_raw(uid)),
            Some(Gid::from_raw(gid)),
        )?;
    }
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_and_used_by_one_at_a_time() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = DataDir::new(temporary.path().join("a/b"));
        let held = dir.clone().hold(None).unwrap();
        assert_eq!(fs::metadata(dir.root()).unwrap().mode() & 0o7777, MODE);
        let error = format!("{:#}", dir.clone().hold(None).unwrap_err());
        assert!(error.contains("another brig uses it"), "{error}");
        drop(held);
        dir.clone().hold(None).unwrap();
        fs::create_dir_all(dir.spool()).unwrap();
        fs::write(dir.spool().join("left"), "x").unwrap();
        dir.fill().unwrap();
        assert_eq!(fs::read_dir(dir.spool()).unwrap().count(), 0);
        assert!(dir.blobs().is_dir() && dir.cache().is_dir());
        assert_eq!(fs::metadata(dir.prepared()).unwrap().mode() & 0o7777, 0o755);
    }

    #[test]
    fn a_link_in_place_of_the_prepared_files_is_not_followed() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = DataDir::new(temporary.path().to_owned());
        std::os::unix::fs::symlink("/etc", dir.prepared()).unwrap();
        let error = format!("{:#}", dir.hold(None).unwrap_err());
        assert!(error.contains("prepared: "), "{error}");
    }

    #[test]
    fn a_link_is_not_followed() {
        let temporary = tempfile::tempdir().unwrap();
        let link = temporary.path().join("link");
        std::os::unix::fs::symlink("/etc", &link).unwrap();
        let error = DataDir::new(link).hold(None).unwrap_err();
        assert!(format!("{error:#}").contains("opening it"), "{error:#}");
    }
}
