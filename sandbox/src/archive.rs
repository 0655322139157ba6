//! A set of files in one sealed memfd: how source files enter a sandbox, how artifacts and output
//! files leave it.
//!
//! Form: a little-endian `u32` length, that many bytes of postcard (a `Vec` of [`Entry`]), then the
//! contents one after another. Written by the server (files in) or by a sandbox's init (files out),
//! which copies contents but interprets none.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};

use crate::sys::memfd;

/// One regular file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Relative path with `/` between its parts; see [`check_path`].
    pub path: String,
    /// Length of its content in bytes.
    pub len: u64,
    /// Whether its mode is 0755 rather than 0644.
    pub executable: bool,
}

/// The most bytes of postcard in front of the contents.
pub const MAX_INDEX_BYTES: u32 = 4 << 20;
/// The longest path in bytes.
pub const MAX_PATH_BYTES: usize = 1024;
/// The longest part of a path in bytes (`NAME_MAX`, limits.h).
pub const MAX_PART_BYTES: usize = 255;
/// The most parts of a path.
pub const MAX_PATH_DEPTH: usize = 32;

/// Whether `path` can name a file below `/box`; if not, why not.
pub fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("the path is empty");
    }
    if path.len() > MAX_PATH_BYTES {
        return Err("the path is longer than 1024 bytes");
    }
    if path.starts_with('/') {
        return Err("the path is absolute; it must be relative to /box");
    }
    if path.contains('\0') {
        return Err("the path contains a NUL byte");
    }
    if path.split('/').count() > MAX_PATH_DEPTH {
        return Err("the path has more than 32 parts");
    }
    path.split('/').try_for_each(|part| match part {
        "" => Err("the path has an empty part"),
        "." | ".." => Err("the path has a part '.' or '..'"),
        _ if part.len() > MAX_PART_BYTES => Err("a part of the path is longer than 255 bytes"),
        _ => Ok(()),
    })
}

/// Writes `files` into a sealed memfd.
pub fn pack<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a [u8], bool)> + Clone,
) -> io::Result<OwnedFd> {
    let index: Vec<Entry> = files
        .clone()
        .into_iter()
        .map(|(path, content, executable)| Entry {
            path: path.to_owned(),
            len: content.len() as u64,
            executable,
        })
        .collect();
    let mut file = File::from(memfd::create(c"archive")?);
    write_index(&mut file, &index)?;
    for (_, content, _) in files {
        file.write_all(content)?;
    }
    let fd = OwnedFd::from(file);
    memfd::seal(&fd)?;
    Ok(fd)
}

/// Writes the front part of an archive.
pub(crate) fn write_index(file: &mut File, index: &[Entry]) -> io::Result<()> {
    let bytes = postcard::to_stdvec(index).map_err(io::Error::other)?;
    let len = u32::try_from(bytes.len())
        .ok()
        .filter(|len| *len <= MAX_INDEX_BYTES)
        .ok_or_else(|| io::Error::other("too many files for one archive"))?;
    file.write_all(&len.to_le_bytes())?;
    file.write_all(&bytes)
}

/// An archive opened for reading, positioned at the first file's content.
#[derive(Debug)]
pub struct Reader {
    file: File,
    entries: Vec<Entry>,
    contents_at: u64,
}

/// Reads a part of a file by position: several stages share one archive, and with it one open file
/// description and its offset.
struct ReadAt<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for ReadAt<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let n = self.file.read_at(&mut buf[..len], self.offset)?;
        self.offset += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}

impl Reader {
    /// Reads the front part and checks every path.
    pub fn open(fd: OwnedFd) -> io::Result<Self> {
        let file = File::from(fd);
        let mut len = [0; 4];
        file.read_exact_at(&mut len, 0)?;
        let len = u32::from_le_bytes(len);
        if len > MAX_INDEX_BYTES {
            return Err(invalid("the index is too long"));
        }
        let mut index = vec![0; len as usize];
        file.read_exact_at(&mut index, 4)?;
        let entries: Vec<Entry> = postcard::from_bytes(&index).map_err(io::Error::other)?;
        entries
            .iter()
            .try_for_each(|e| check_path(&e.path))
            .map_err(invalid)?;
        let total = file.metadata()?.len();
        let content: u128 = entries.iter().map(|e| u128::from(e.len)).sum();
        if u128::from(total) != content + 4 + u128::from(len) {
            return Err(invalid("the contents do not fit the index"));
        }
        Ok(Self {
            file,
            entries,
            contents_at: 4 + u64::from(len),
        })
    }

    /// What is in it, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Each entry with the place of its content in [`Reader::file`], in order.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (&Entry, u64)> {
        self.entries.iter().scan(self.contents_at, |next, entry| {
            let at = *next;
            *next += entry.len;
            Some((entry, at))
        })
    }

    /// The file that it reads.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Gives each entry with a reader over its content to `each`, in order.
    pub fn for_each(
        &self,
        mut each: impl FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
    ) -> io::Result<()> {
        for (entry, offset) in self.positions() {
            let mut content = ReadAt {
                file: &self.file,
                offset,
                left: entry.len,
            };
            each(entry, &mut content)?;
        }
        Ok(())
    }

    /// All contents in memory, as (path, content, executable).
    pub fn files(&self) -> io::Result<Vec<(String, Vec<u8>, bool)>> {
        let mut files = Vec::with_capacity(self.entries.len());
        self.for_each(|entry, content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            files.push((entry.path.clone(), bytes, entry.executable));
            Ok(())
        })?;
        Ok(files)
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
