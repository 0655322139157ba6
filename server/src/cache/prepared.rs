//! Files that a language's tools made once for compiles to start from, as they lie on disk: a directory for
//! each, named by its key, which every sandbox sees read-only ([`brig_sandbox::prepared`]).
//!
//! They are no entries: a compiler opens them by their path, so they lie there as they are, without a digest
//! to verify. So they are synced before they get their name: after a crash one is whole, or is not there.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use brig_sandbox::archive::Reader;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

/// Everybody may look: sandboxes do so with other user ids.
const DIRECTORY_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o444;

/// Writes what is in `archive` below `directory`, which must not exist, to the disk.
pub(super) fn write(archive: OwnedFd, directory: &Path) -> io::Result<()> {
    make_directory(directory)?;
    Reader::open(archive)?.for_each(|entry, content| {
        let mut above = directory.to_owned();
        let (parents, _) = entry.path.rsplit_once('/').unwrap_or_default();
        for part in parents.split('/').filter(|part| !part.is_empty()) {
            above.push(part);
            make_directory(&above)?;
        }
        let path = directory.join(&entry.path);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(FILE_MODE);
        let mut file = options.open(&path)?;
        io::copy(content, &mut file)?;
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
        file.sync_all()
    })
}

fn make_directory(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    // Whatever the process's mask is.
    fs::set_permissions(path, Permissions::from_mode(DIRECTORY_MODE))
}

/// The bytes of all files below `directory`.
pub(super) fn size(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    each_file(directory, &mut |path| {
        bytes += fs::metadata(path)?.len();
        Ok(())
    })?;
    Ok(bytes)
}

/// Has all files below `directory` in the page cache soon, on the service's account: pages are charged to
/// who brings them in, and would count as the memory of the first program that looks.
pub(super) fn read_ahead(directory: &Path) -> io::Result<()> {
    each_file(directory, &mut |path| {
        let file = File::open(path)?;
        Ok(posix_fadvise(
            file.as_fd(),
            0,
            0,
            PosixFadviseAdvice::POSIX_FADV_WILLNEED,
        )?)
    })
}

fn each_file(directory: &Path, each: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            each_file(&entry.path(), each)?;
        } else {
            each(&entry.path())?;
        }
    }
    Ok(())
}
