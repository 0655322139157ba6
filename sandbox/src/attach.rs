//! Files that come as open descriptors and are copied into `/box` by the sandbox itself.
//!
//! The bytes go straight from the file to the sandbox's tmpfs, so nobody else holds them in memory,
//! and what they take there is charged to the sandbox.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, PermissionsExt};
use std::path::Path;

use crate::archive::check_path;

/// The most attached files of one job.
pub const MAX_FILES: usize = 3;

/// What is copied at once.
const CHUNK_BYTES: usize = 128 << 10;

/// Copies all of `fd` to `dir`/`path`, read-only, in place of what an archive put there.
///
/// Fails if `fd` is anything but a regular file open for reading (nothing is read from it then, so
/// a FIFO cannot block), and if the file changes its size meanwhile. `fd`'s offset is neither used
/// nor moved: other stages may share it.
pub fn copy_in(fd: OwnedFd, dir: &Path, path: &str) -> io::Result<()> {
    check_path(path).map_err(invalid)?;
    let source = File::from(fd);
    let status = source.metadata()?;
    if !status.is_file() {
        return Err(invalid("the descriptor is not of a regular file"));
    }
    let target = dir.join(path);
    if let Some(parent) = target.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent)?;
    }
    let mut copy = File::create(&target)?;
    copy_bytes(&source, 0, status.len(), &mut copy)?;
    copy.set_permissions(Permissions::from_mode(0o444))
}

/// Appends the `len` bytes of `source` from `offset` on to `copy`.
pub(crate) fn copy_bytes(
    source: &File,
    mut offset: u64,
    len: u64,
    copy: &mut File,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let end = offset.saturating_add(len);
    while offset < end {
        let wanted = usize::try_from(end - offset).map_or(CHUNK_BYTES, |n| n.min(CHUNK_BYTES));
        match source.read_at(&mut chunk[..wanted], offset) {
            Ok(0) => return Err(invalid("the file is shorter than it was")),
            Ok(n) => {
                copy.write_all(&chunk[..n])?;
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom};
    use std::os::fd::AsFd;

    use super::*;

    fn refusal(fd: impl Into<OwnedFd>) -> String {
        let dir = tempfile::tempdir().unwrap();
        let error = copy_in(fd.into(), dir.path(), "input").unwrap_err();
        assert!(!dir.path().join("input").exists());
        error.to_string()
    }

    #[test]
    fn only_regular_files_are_read() {
        let (read, _write) = std::io::pipe().unwrap();
        assert!(refusal(read).contains("not of a regular file"));
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(refusal(socket).contains("not of a regular file"));
        assert!(refusal(File::open("/dev/zero").unwrap()).contains("not of a regular file"));
        assert!(refusal(File::open("/").unwrap()).contains("not of a regular file"));
    }

    #[test]
    fn a_descriptor_that_cannot_be_read_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create(dir.path().join("source")).unwrap();
        file.set_len(10).unwrap();
        let error = copy_in(file.into(), dir.path(), "input").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }

    #[test]
    fn paths_stay_below_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["../x", "/x", "", "a/../../x"] {
            let file = tempfile::tempfile().unwrap();
            assert!(copy_in(file.into(), dir.path(), path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn the_whole_file_is_copied_and_its_offset_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        file.seek(SeekFrom::Start(7)).unwrap();
        let shared = file.as_fd().try_clone_to_owned().unwrap();
        std::fs::create_dir(dir.path().join("deep")).unwrap();
        std::fs::write(dir.path().join("deep/input"), "in the way").unwrap();
        copy_in(shared, dir.path(), "deep/input").unwrap();
        let mut copy = File::open(dir.path().join("deep/input")).unwrap();
        assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o444);
        let mut read = Vec::new();
        copy.read_to_end(&mut read).unwrap();
        assert!(read == content);
        assert_eq!(file.stream_position().unwrap(), 7);
    }
}
