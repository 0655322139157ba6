//! Blobs on disk: one file each, `<first two digits>/<all digits>`, mode 0444.
//!
//! A file gets its name once it is whole and synced, and the directory is synced after that, so a
//! name stands for its content whatever happens. All methods block.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::BlobHash;

/// The directory of blobs in the data directory.
pub(crate) const DIRECTORY: &str = "blobs";
/// Where uploads are written before they get their name.
const UNFINISHED: &str = "tmp";

/// The directory of blobs.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    /// The data directory, as descriptors that programs get are opened from it.
    data: OwnedFd,
    unfinished: AtomicU64,
}

/// A file without its name yet. It is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) file: File,
    path: PathBuf,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        match fs::remove_file(&self.path) {
            // It has its name now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!("an unfinished upload cannot be removed: {error}"),
            Ok(()) => {}
        }
    }
}

impl Files {
    /// The blobs of the data directory `data`; directories are made if need be, what was not
    /// finished is removed. What programs get is opened through `view`, if given, another way to
    /// the same directory.
    pub(super) fn open(data: &Path, view: Option<OwnedFd>) -> io::Result<Self> {
        let directory = data.join(DIRECTORY);
        make_directory(&directory)?;
        make_directory(&directory.join(UNFINISHED))?;
        for first in 0..=u8::MAX {
            make_directory(&directory.join(format!("{first:02x}")))?;
        }
        for file in fs::read_dir(directory.join(UNFINISHED))? {
            fs::remove_file(file?.path())?;
        }
        let data = match view {
            Some(view) => view,
            None => File::open(data)?.into(),
        };
        Ok(Self {
            directory,
            data,
            unfinished: AtomicU64::new(0),
        })
    }

    /// A new empty file.
    pub(super) fn create(&self) -> io::Result<Unfinished> {
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(UNFINISHED).join(number.to_string());
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o444)
            .open(&path)?;
        Ok(Unfinished { file, path })
    }

    /// Gives a file, which has been synced, its name; `false`: there is such a file already.
    pub(super) fn commit(&self, finished: &Unfinished, hash: BlobHash) -> io::Result<bool> {
        let len = finished.file.metadata()?.len();
        if self.len(hash)? == Some(len) {
            return Ok(false);
        }
        let path = self.path(hash);
        fs::rename(&finished.path, &path)?;
        File::open(path.parent().unwrap_or(&path))?.sync_all()?;
        Ok(true)
    }

    /// Length of a blob's file, if there is one.
    pub(super) fn len(&self, hash: BlobHash) -> io::Result<Option<u64>> {
        match fs::metadata(self.path(hash)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens a blob for reading, fit for a program.
    pub(super) fn read(&self, hash: BlobHash) -> io::Result<OwnedFd> {
        let path = Path::new(DIRECTORY).join(place(hash));
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        Ok(openat(self.data.as_fd(), &path, flags, Mode::empty())?)
    }

    /// Removes a blob's file; gives its length, if there was one. Not synced: a file without a row
    /// is removed at the next start.
    pub(super) fn remove(&self, hash: BlobHash) -> io::Result<Option<u64>> {
        let len = self.len(hash)?;
        if len.is_some() {
            fs::remove_file(self.path(hash))?;
        }
        Ok(len)
    }

    /// The blobs whose hash begins with `first`, and their lengths.
    pub(super) fn list(&self, first: u8) -> io::Result<BTreeMap<BlobHash, u64>> {
        let mut found = BTreeMap::new();
        for file in fs::read_dir(self.directory.join(format!("{first:02x}")))? {
            let file = file?;
            let name = file.file_name();
            match BlobHash::from_hex(name.as_encoded_bytes()) {
                Some(hash) if hash.0[0] == first => {
                    found.insert(hash, file.metadata()?.len());
                }
                _ => tracing::warn!(?name, "this is no blob; it stays"),
            }
        }
        Ok(found)
    }

    fn path(&self, hash: BlobHash) -> PathBuf {
        self.directory.join(place(hash))
    }
}

fn place(hash: BlobHash) -> PathBuf {
    let digits = hash.hex();
    Path::new(&digits[..2]).join(&digits)
}

fn make_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const HASH: BlobHash = BlobHash([0xab; 32]);

    fn upload(files: &Files, content: &str) -> bool {
        let mut unfinished = files.create().unwrap();
        unfinished.file.write_all(content.as_bytes()).unwrap();
        files.commit(&unfinished, HASH).unwrap()
    }

    fn text(fd: OwnedFd) -> String {
        let mut text = String::new();
        File::from(fd).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_file_is_there_once_it_is_whole() {
        let data = tempfile::tempdir().unwrap();
        let files = Files::open(data.path(), None).unwrap();
        let missing = files.read(HASH).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert!(upload(&files, "content"));
        assert!(!upload(&files, "content"));
        let fd = files.read(HASH).unwrap();
        let metadata = File::from(fd.try_clone().unwrap()).metadata().unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o444);
        assert_eq!(text(fd), "content");
        assert_eq!(files.list(0xab).unwrap(), BTreeMap::from([(HASH, 7)]));
        assert_eq!(files.remove(HASH).unwrap(), Some(7));
        assert_eq!(files.remove(HASH).unwrap(), None);
        let unfinished = data.path().join(DIRECTORY).join(UNFINISHED);
        assert_eq!(fs::read_dir(unfinished).unwrap().count(), 0);
    }

    #[test]
    fn a_file_of_the_wrong_length_is_replaced() {
        let data = tempfile::tempdir().unwrap();
        let files = Files::open(data.path(), None).unwrap();
        upload(&files, "cont");
        assert!(upload(&files, "content"));
        assert_eq!(text(files.read(HASH).unwrap()), "content");
    }

    #[test]
    fn what_a_crash_left_unfinished_is_removed_at_the_start() {
        let data = tempfile::tempdir().unwrap();
        let files = Files::open(data.path(), None).unwrap();
        let unfinished = files.create().unwrap();
        let path = unfinished.path.clone();
        std::mem::forget(unfinished);
        assert!(path.exists());
        Files::open(data.path(), None).unwrap();
        assert!(!path.exists());
    }
}
