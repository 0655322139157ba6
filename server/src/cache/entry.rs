//! One entry, and its form on disk.
//!
//! A file is a head of [`HEAD_BYTES`] (magic, key, digest, two little-endian lengths), the report,
//! the archive. The digest covers all but itself and the magic, so that a file that was cut off,
//! overwritten, or put under another name is known as such when it is read, and nothing has to be
//! synced when it is written.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use brig_sandbox::sys::memfd;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use sha2::{Digest, Sha256};

use super::CacheKey;
use crate::pool::Archive;

/// Changes with the form.
const MAGIC: [u8; 8] = *b"brigcc01";
const HEAD_BYTES: usize = 8 + 32 + 32 + 8 + 8;
/// What is copied at once.
const BUFFER_BYTES: usize = 64 << 10;
/// What an entry costs beside its bytes, in memory and on disk: its places in tables, rounding.
const OVERHEAD_BYTES: u64 = 4096;

/// What a compile stage made.
#[derive(Debug)]
pub struct Entry {
    archive: Option<Archive>,
    archive_bytes: u64,
    report: Vec<u8>,
}

impl Entry {
    /// Takes over what a compile made. An archive must be sealed: it comes from a worker, and must
    /// not change in anybody's hands any more.
    pub(super) fn new(archive: Option<OwnedFd>, report: Vec<u8>) -> io::Result<Self> {
        let archive_bytes = archive.as_ref().map_or(Ok(0), sealed_len)?;
        Ok(Self {
            archive: archive.map(Archive::reusable),
            archive_bytes,
            report,
        })
    }

    /// The compiled files as a sealed [`brig_sandbox::archive`]; `None` for a compile that failed.
    pub fn archive(&self) -> Option<Archive> {
        self.archive.clone()
    }

    /// The compile stage's report, as it was given to the cache.
    pub fn report(&self) -> &[u8] {
        &self.report
    }

    /// What it counts for in a cache.
    pub(super) fn weight(&self) -> u64 {
        weight(self.archive_bytes.saturating_add(self.report.len() as u64))
    }

    /// Writes the file's form of an entry that has an archive. Gives the bytes written.
    pub(super) fn write(&self, key: &CacheKey, file: &mut File) -> io::Result<u64> {
        let archive = self.archive.as_ref();
        let archive = archive.ok_or_else(|| io::Error::other("a failed compile has no file"))?;
        let archive = File::from(archive.try_clone()?);
        let mut head = Head {
            digest: [0; 32],
            report_bytes: self.report.len() as u64,
            archive_bytes: self.archive_bytes,
        };
        let mut hash = head.hash(key);
        file.write_all(&[0; HEAD_BYTES])?;
        hash.update(&self.report);
        file.write_all(&self.report)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut at = 0;
        while at < self.archive_bytes {
            let left = usize::try_from(self.archive_bytes - at).unwrap_or(usize::MAX);
            let part = &mut buffer[..left.min(BUFFER_BYTES)];
            archive.read_exact_at(part, at)?;
            hash.update(&*part);
            file.write_all(part)?;
            at += part.len() as u64;
        }
        head.digest = hash.finalize().into();
        file.write_all_at(&head.encode(key), 0)?;
        Ok(HEAD_BYTES as u64 + head.report_bytes + head.archive_bytes)
    }

    /// Reads and verifies what [`Entry::write`] wrote under `key`. Whatever differs is
    /// [`io::ErrorKind::InvalidData`].
    pub(super) fn read(key: &CacheKey, file: &mut File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        let mut head = [0; HEAD_BYTES];
        file.read_exact(&mut head)?;
        let head = Head::decode(&head, key).ok_or_else(corrupt)?;
        let contents = head.report_bytes.checked_add(head.archive_bytes);
        if contents.and_then(|n| n.checked_add(HEAD_BYTES as u64)) != Some(len) {
            return Err(corrupt());
        }
        let mut hash = head.hash(key);
        let mut report = vec![0; usize::try_from(head.report_bytes).map_err(io::Error::other)?];
        file.read_exact(&mut report)?;
        hash.update(&report);
        let mut archive = File::from(memfd::create(c"compiled")?);
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut left = head.archive_bytes;
        while left > 0 {
            let part = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(BUFFER_BYTES);
            file.read_exact(&mut buffer[..part])?;
            hash.update(&buffer[..part]);
            archive.write_all(&buffer[..part])?;
            left -= part as u64;
        }
        if head.digest != <[u8; 32]>::from(hash.finalize()) {
            return Err(corrupt());
        }
        let archive = OwnedFd::from(archive);
        memfd::seal(&archive)?;
        Self::new(Some(archive), report)
    }
}

/// What an entry of `bytes` counts for.
pub(super) fn weight(bytes: u64) -> u64 {
    bytes.saturating_add(OVERHEAD_BYTES)
}

/// The length of a memfd that nobody can change.
fn sealed_len(fd: &OwnedFd) -> io::Result<u64> {
    let seals = fcntl(fd.as_fd(), FcntlArg::F_GET_SEALS)?;
    let needed = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK;
    if !SealFlag::from_bits_truncate(seals).contains(needed) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "an archive of compiled files is not sealed",
        ));
    }
    Ok(File::from(fd.try_clone()?).metadata()?.len())
}

fn corrupt() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the entry is damaged")
}

struct Head {
    digest: [u8; 32],
    report_bytes: u64,
    archive_bytes: u64,
}

impl Head {
    /// The digest so far, with what the head says of the contents.
    fn hash(&self, key: &CacheKey) -> Sha256 {
        Sha256::new()
            .chain_update(key.as_bytes())
            .chain_update(self.report_bytes.to_le_bytes())
            .chain_update(self.archive_bytes.to_le_bytes())
    }

    fn encode(&self, key: &CacheKey) -> Vec<u8> {
        [
            &MAGIC[..],
            key.as_bytes(),
            &self.digest,
            &self.report_bytes.to_le_bytes(),
            &self.archive_bytes.to_le_bytes(),
        ]
        .concat()
    }

    fn decode(bytes: &[u8; HEAD_BYTES], key: &CacheKey) -> Option<Self> {
        let rest = bytes.strip_prefix(&MAGIC)?;
        let rest = rest.strip_prefix(key.as_bytes())?;
        let (digest, rest) = rest.split_first_chunk::<32>()?;
        let (report_bytes, rest) = rest.split_first_chunk::<8>()?;
        let (archive_bytes, _) = rest.split_first_chunk::<8>()?;
        Some(Self {
            digest: *digest,
            report_bytes: u64::from_le_bytes(*report_bytes),
            archive_bytes: u64::from_le_bytes(*archive_bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Seek;

    use super::*;

    fn entry(content: &[u8]) -> Entry {
        let archive = memfd::read_only(c"test", content).unwrap();
        Entry::new(Some(archive), b"report".to_vec()).unwrap()
    }

    fn written(entry: &Entry) -> File {
        let mut file = tempfile::tempfile().unwrap();
        let written = entry.write(&CacheKey::test(1), &mut file).unwrap();
        assert_eq!(written, file.metadata().unwrap().len());
        file.rewind().unwrap();
        file
    }

    #[test]
    fn an_entry_survives_the_disk() {
        for len in [0, 1, BUFFER_BYTES, 3 * BUFFER_BYTES + 7] {
            let content: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let mut file = written(&entry(&content));
            let read = Entry::read(&CacheKey::test(1), &mut file).unwrap();
            assert_eq!(read.report(), b"report");
            let archive = File::from(read.archive().unwrap().try_clone().unwrap());
            let mut back = vec![0; len];
            archive.read_exact_at(&mut back, 0).unwrap();
            assert_eq!(archive.metadata().unwrap().len(), len as u64);
            assert_eq!(back, content);
        }
    }

    #[test]
    fn every_single_changed_byte_is_noticed() {
        let len = written(&entry(b"some compiled files"))
            .metadata()
            .unwrap()
            .len();
        for at in 0..len {
            let mut file = written(&entry(b"some compiled files"));
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 1], at).unwrap();
            assert!(
                Entry::read(&CacheKey::test(1), &mut file).is_err(),
                "byte {at}"
            );
        }
    }

    #[test]
    fn a_cut_lengthened_or_misplaced_file_is_noticed() {
        let whole = written(&entry(b"files")).metadata().unwrap().len();
        for len in [0, 1, HEAD_BYTES as u64, whole - 1, whole + 1] {
            let mut file = written(&entry(b"files"));
            file.set_len(len).unwrap();
            assert!(Entry::read(&CacheKey::test(1), &mut file).is_err(), "{len}");
        }
        let mut file = written(&entry(b"files"));
        assert!(Entry::read(&CacheKey::test(2), &mut file).is_err());
    }

    #[test]
    fn lengths_that_lie_take_no_memory() {
        let mut file = written(&entry(b"files"));
        file.write_all_at(&u64::MAX.to_le_bytes(), 72).unwrap();
        assert!(Entry::read(&CacheKey::test(1), &mut file).is_err());
    }

    #[test]
    fn an_archive_that_can_still_change_is_not_taken() {
        let open = memfd::create(c"open").unwrap();
        assert!(Entry::new(Some(open), Vec::new()).is_err());
    }
}
