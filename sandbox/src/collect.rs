//! Bringing files back from `/box`, in init, once every process of the program is dead.
//!
//! The tree was written by the program: names, links, sizes and types are hostile. Nothing is
//! followed (every open is below `/box`, without symbolic links), only regular files are read, and
//! depth, number and sizes are bounded. Since all writers are dead, what is seen stays as it is.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use nix::dir::{Dir, Type};
use nix::sys::stat::{Mode, SFlag, fstat};

use crate::archive::{self, Entry, MAX_PATH_DEPTH};
use crate::protocol::Collect;
use crate::sys::{memfd, open};

/// The most directory entries looked at.
const MAX_ENTRIES: usize = 100_000;

/// Why files could not be brought back.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// More bytes than allowed.
    #[error("the files to bring back are larger than {0} bytes together")]
    TooLarge(u64),
    /// More files than allowed.
    #[error("there are more than {0} files to bring back")]
    TooMany(u32),
    /// More directory entries than are looked at.
    #[error("/box holds more than {MAX_ENTRIES} files")]
    TooManyEntries,
    /// A pattern is no glob.
    #[error("the pattern {0:?} is not valid")]
    Pattern(String),
    /// Reading failed.
    #[error("reading /box: {0}")]
    Io(#[from] io::Error),
}

/// Compiles patterns: `*` and `?` stay within a directory, `**` crosses them.
pub fn patterns(globs: &[String]) -> Result<GlobSet, CollectError> {
    let compile = |glob: &String| -> Result<Glob, CollectError> {
        GlobBuilder::new(glob)
            .literal_separator(true)
            .build()
            .map_err(|_| CollectError::Pattern(glob.clone()))
    };
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(compile(glob)?);
    }
    set.build()
        .map_err(|e| CollectError::Pattern(e.to_string()))
}

/// A sealed archive of what `what` asks for.
pub fn collect(what: &Collect) -> Result<OwnedFd, CollectError> {
    let root: OwnedFd = File::open("/box")?.into();
    let mut walk = Walk {
        globs: patterns(&what.globs)?,
        what,
        found: Vec::new(),
        seen: 0,
        bytes: 0,
    };
    walk.directory(&root, "", 0)?;
    walk.found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(pack(&root, &walk.found)?)
}

struct Walk<'a> {
    globs: GlobSet,
    what: &'a Collect,
    found: Vec<Entry>,
    seen: usize,
    bytes: u64,
}

impl Walk<'_> {
    fn directory(&mut self, dir: &OwnedFd, prefix: &str, depth: usize) -> Result<(), CollectError> {
        let mut entries = Dir::from_fd(open::beneath(
            dir.as_fd(),
            c".",
            libc::O_RDONLY | libc::O_DIRECTORY,
            0,
        )?)
        .map_err(io::Error::from)?;
        for entry in entries.iter() {
            let entry = entry.map_err(io::Error::from)?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            self.seen += 1;
            if self.seen > MAX_ENTRIES {
                return Err(CollectError::TooManyEntries);
            }
            // JSON and the archive carry text; other names cannot be asked for either.
            let Ok(text) = name.to_str() else { continue };
            let path = format!("{prefix}{text}");
            match entry.file_type() {
                Some(Type::Directory) if depth + 1 < MAX_PATH_DEPTH => {
                    // A directory that its owner made unreadable is left alone.
                    if let Ok(below) =
                        open::beneath(dir.as_fd(), name, libc::O_RDONLY | libc::O_DIRECTORY, 0)
                    {
                        self.directory(&below, &format!("{path}/"), depth + 1)?;
                    }
                }
                Some(Type::File) if self.globs.is_match(&path) => self.file(dir, name, path)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn file(&mut self, dir: &OwnedFd, name: &CStr, path: String) -> Result<(), CollectError> {
        if archive::check_path(&path).is_err() {
            return Ok(());
        }
        let Some(file) = open_regular(dir, name)? else {
            return Ok(());
        };
        let status = fstat(&file).map_err(io::Error::from)?;
        let len = u64::try_from(status.st_size).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(len);
        if self.bytes > self.what.max_bytes {
            return Err(CollectError::TooLarge(self.what.max_bytes));
        }
        if self.found.len() >= self.what.max_files as usize {
            return Err(CollectError::TooMany(self.what.max_files));
        }
        let executable = Mode::from_bits_truncate(status.st_mode).contains(Mode::S_IXUSR);
        self.found.push(Entry {
            path,
            len,
            executable,
        });
        Ok(())
    }
}

/// `None` if it is no regular file, or one that may not be read.
fn open_regular(dir: &OwnedFd, name: &CStr) -> io::Result<Option<File>> {
    // A FIFO or device must not block or act upon being opened.
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    let fd = match open::beneath(dir.as_fd(), name, flags, 0) {
        Ok(fd) => fd,
        Err(e)
            if matches!(
                e.raw_os_error(),
                Some(libc::EACCES | libc::ELOOP | libc::ENXIO)
            ) =>
        {
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    let is_regular =
        SFlag::from_bits_truncate(fstat(&fd)?.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG;
    Ok(is_regular.then(|| fd.into()))
}

fn pack(root: &OwnedFd, entries: &[Entry]) -> io::Result<OwnedFd> {
    let mut out = File::from(memfd::create(c"collected")?);
    archive::write_index(&mut out, entries)?;
    for entry in entries {
        let path = CString::new(entry.path.as_str())?;
        let file = open_regular(root, &path)?.ok_or(io::ErrorKind::NotFound)?;
        let copied = io::copy(&mut io::Read::take(file, entry.len), &mut out)?;
        if copied != entry.len {
            return Err(io::Error::other(format!(
                "{} is shorter than it was",
                entry.path
            )));
        }
    }
    let fd = OwnedFd::from(out);
    memfd::seal(&fd)?;
    Ok(fd)
}
