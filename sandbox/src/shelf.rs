//! Compiled programs that a worker keeps, to be shown in its sandboxes instead of being copied into each.
//!
//! The shelf is a small tmpfs of the worker's. Only the worker can write to it, by a descriptor of a mount that is
//! attached nowhere. In the tree that sandboxes start from it is mounted read-only at `/box`, where each sandbox
//! covers it with its own `/box` before anything else happens. What is shown is a bind mount of a single file of it, which
//! takes a few microseconds whatever the file's size; pages of a program that runs again and again are there once,
//! and are charged to the worker. That a mount from outside is read-only cannot be changed inside
//! (mount_namespaces(7), "restrictions on mount namespaces").
//!
//! Files are told apart by the number of their archive, which the server gives and never gives twice. A worker
//! writes a file once, before anybody sees it.

use std::collections::VecDeque;
use std::ffi::CString;
use std::fmt::{self, Debug, Formatter};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use nix::fcntl::{OFlag, openat};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};

use crate::archive::{Entry, Reader};
use crate::attach::copy_bytes;
use crate::sys::mount::{attach, clone_tree, clone_tree_at};

/// The most bytes on a worker's shelf.
pub const MAX_BYTES: u64 = 64 << 20;
/// An archive that is larger is not put there: it would push out what others run.
const MAX_ARCHIVE_BYTES: u64 = MAX_BYTES / 4;
/// Less is as well copied. Measured: 12 to 24 us to show a file and to take the mount down again, 43 to 83 us to copy
/// 128 KiB and to free them.
const MIN_ARCHIVE_BYTES: u64 = 128 << 10;
/// Archives of more files are not put there, either: each file is a mount.
const MAX_FILES: usize = 4;
/// The most archives on a worker's shelf.
const MAX_ARCHIVES: usize = 256;

/// A file on the shelf that is shown to a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Its name on the shelf.
    name: CString,
    /// Where below `/box`.
    path: String,
}

/// A worker's shelf.
pub struct Shelf {
    /// Of the mount that can be written to.
    dir: OwnedFd,
    /// The least recently used first.
    kept: VecDeque<Kept>,
    bytes: u64,
    names: u64,
}

struct Kept {
    archive: u64,
    bytes: u64,
    files: Vec<Shown>,
}

impl Debug for Shelf {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Shelf({} archives, {} bytes)",
            self.kept.len(),
            self.bytes
        )
    }
}

/// Mounts a shelf, read-only, at `target`. Returns the directory to write to.
pub(crate) fn mount_at(target: &Path) -> io::Result<OwnedFd> {
    let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let inodes = MAX_ARCHIVES * MAX_FILES + 1;
    let options = format!("mode=0700,size={MAX_BYTES},nr_inodes={inodes}");
    mount(
        Some("tmpfs"),
        target,
        Some("tmpfs"),
        safe,
        Some(options.as_str()),
    )?;
    let dir = clone_tree(&CString::new(target.as_os_str().as_bytes())?)?;
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(
        None::<&str>,
        target,
        None::<&str>,
        read_only | safe,
        None::<&str>,
    )?;
    Ok(dir)
}

impl Shelf {
    /// An empty one, in the directory that [`mount_at`] gave.
    pub(crate) fn new(dir: OwnedFd) -> Self {
        Self {
            dir,
            kept: VecDeque::new(),
            bytes: 0,
            names: 0,
        }
    }

    /// The files of `archive`, which is called by `number`: they are on the shelf now. `None`: they are not to be had
    /// there.
    pub(crate) fn files(&mut self, number: u64, archive: &OwnedFd) -> Option<Vec<Shown>> {
        if let Some(at) = self.kept.iter().position(|kept| kept.archive == number) {
            let kept = self.kept.remove(at)?;
            let files = kept.files.clone();
            self.kept.push_back(kept);
            return Some(files);
        }
        let bytes = File::from(archive.try_clone().ok()?).metadata().ok()?.len();
        if !(MIN_ARCHIVE_BYTES..=MAX_ARCHIVE_BYTES).contains(&bytes) {
            return None;
        }
        // Whatever is wrong with it is found again, and told, by whoever unpacks it.
        let reader = Reader::open(archive.try_clone().ok()?).ok()?;
        if reader.entries().len() > MAX_FILES {
            return None;
        }
        self.make_room(bytes);
        self.put(number, bytes, &reader).ok()
    }

    /// Whether anything is on it.
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Takes everything off it. Who sees a file still does.
    pub(crate) fn clear(&mut self) {
        while self.drop_oldest() {}
    }

    fn make_room(&mut self, bytes: u64) {
        while self.bytes + bytes > MAX_BYTES || self.kept.len() >= MAX_ARCHIVES {
            if !self.drop_oldest() {
                return;
            }
        }
    }

    fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.kept.pop_front() else {
            return false;
        };
        self.bytes -= oldest.bytes;
        self.remove(&oldest.files);
        true
    }

    fn remove(&self, files: &[Shown]) {
        for file in files {
            // Without it the shelf is fuller than it seems; what does not fit is not put there.
            let _ = unlinkat(&self.dir, file.name.as_c_str(), UnlinkatFlags::NoRemoveDir);
        }
    }

    fn put(&mut self, number: u64, bytes: u64, reader: &Reader) -> io::Result<Vec<Shown>> {
        let mut files = Vec::new();
        let put = reader.positions().try_for_each(|(entry, at)| {
            self.names += 1;
            let name = CString::new(self.names.to_string())?;
            files.push(Shown {
                name: name.clone(),
                path: entry.path.clone(),
            });
            self.write(&name, entry, reader.file(), at)
        });
        if let Err(error) = put {
            self.remove(&files);
            return Err(error);
        }
        self.bytes += bytes;
        self.kept.push_back(Kept {
            archive: number,
            bytes,
            files: files.clone(),
        });
        Ok(files)
    }

    fn write(&self, name: &CString, entry: &Entry, from: &File, at: u64) -> io::Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(&self.dir, name.as_c_str(), flags, Mode::S_IRWXU)?);
        copy_bytes(from, at, entry.len, &mut file)?;
        let mode = if entry.executable { 0o755 } else { 0o644 };
        Ok(fchmod(&file, Mode::from_bits_truncate(mode))?)
    }
}

/// Shows `file` of the shelf in directory `shelf` (of the caller's mount namespace) at its place below `dir`, on top of
/// what is there. Needs CAP_SYS_ADMIN over the mount namespace.
pub(crate) fn show(shelf: BorrowedFd<'_>, file: &Shown, dir: &Path) -> io::Result<()> {
    let target = dir.join(&file.path);
    if let Some(parent) = target.parent().filter(|parent| *parent != dir) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent)?;
    }
    // A mount needs something to be on.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&target)?;
    let tree = clone_tree_at(shelf, &file.name)?;
    attach(tree, &CString::new(target.as_os_str().as_bytes())?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;
    use crate::archive;

    /// The smallest that is kept, with its index.
    const ENOUGH: usize = 128 << 10;

    fn shelf() -> (Shelf, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let fd = File::open(dir.path()).unwrap();
        (Shelf::new(fd.into()), dir)
    }

    fn pack(files: &[(&str, &[u8], bool)]) -> OwnedFd {
        archive::pack(files.iter().copied()).unwrap()
    }

    fn names(dir: &TempDir) -> BTreeSet<String> {
        let entries = fs::read_dir(dir.path()).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn files_are_written_once_and_as_they_are() {
        let (mut shelf, dir) = shelf();
        let content: Vec<u8> = (0..ENOUGH)
            .map(|i| u8::try_from(i % 251).unwrap())
            .collect();
        let archive = pack(&[("deep/main", &content, true), ("data", b"x", false)]);
        let files = shelf.files(7, &archive).unwrap();
        let found: Vec<_> = files
            .iter()
            .map(|file| {
                let path = dir.path().join(file.name.to_str().unwrap());
                let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
                (file.path.as_str(), fs::read(path).unwrap(), mode)
            })
            .collect();
        assert!(found[0] == ("deep/main", content, 0o755));
        assert_eq!(found[1], ("data", b"x".to_vec(), 0o644));
        assert_eq!(shelf.files(7, &archive).unwrap(), files);
        assert_eq!(names(&dir).len(), 2);
        shelf.clear();
        assert!(shelf.is_empty() && names(&dir).is_empty());
        // Names are not used again: who still sees a file must not see another's.
        assert_ne!(shelf.files(7, &archive).unwrap(), files);
    }

    #[test]
    fn what_is_small_large_many_or_broken_is_not_kept() {
        let (mut shelf, dir) = shelf();
        let content = vec![0; ENOUGH];
        let large = vec![0; usize::try_from(MAX_ARCHIVE_BYTES).unwrap()];
        let many: Vec<String> = (0..=MAX_FILES).map(|i| i.to_string()).collect();
        let many: Vec<_> = many
            .iter()
            .map(|path| (path.as_str(), content.as_slice(), true))
            .collect();
        let small = vec![0; ENOUGH / 2];
        for files in [
            &many[..],
            &[("main", &large, true)],
            &[("main", &small, true)],
        ] {
            assert_eq!(shelf.files(1, &pack(files)), None);
        }
        let broken = crate::sys::memfd::read_only(c"broken", &vec![1; ENOUGH]).unwrap();
        assert_eq!(shelf.files(1, &broken), None);
        assert!(shelf.is_empty() && names(&dir).is_empty());
        assert!(shelf.files(1, &pack(&many[..MAX_FILES])).is_some());
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let (mut shelf, dir) = shelf();
        let content = vec![0; usize::try_from(MAX_ARCHIVE_BYTES).unwrap() - 100];
        let archive = pack(&[("main", &content, true)]);
        let first: Vec<_> = (0..4).map(|n| shelf.files(n, &archive).unwrap()).collect();
        assert_eq!(shelf.files(0, &archive).unwrap(), first[0]);
        shelf.files(4, &archive).unwrap();
        assert_eq!(names(&dir).len(), 4);
        assert_eq!(shelf.files(0, &archive).unwrap(), first[0]);
        assert_ne!(shelf.files(1, &archive).unwrap(), first[1]);
        assert!(shelf.bytes <= MAX_BYTES);
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing() {
        let (mut shelf, dir) = shelf();
        drop(dir);
        let archive = pack(&[("main", &vec![0; ENOUGH], true)]);
        assert_eq!(shelf.files(1, &archive), None);
        assert!(shelf.is_empty() && shelf.bytes == 0);
    }
}
