//! Files on their way into and out of sandboxes.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;

use brig_sandbox::archive::{self, Reader};
use brig_sandbox::limits::Limits;

use crate::language::{Artifact, Plan, SourceFile};
use crate::pool::Archive;

/// The page size, in which tmpfs takes space.
const PAGE_BYTES: u64 = 4096;
/// Directory entries that a sandbox makes itself: `/box` and `/tmp` and the root above them.
const OWN_INODES: u64 = 8;

/// The request's files as an archive.
pub(super) fn pack(plan: &Plan) -> io::Result<Archive> {
    pack_files(plan.files.iter(), plan.executable)
}

/// Files as an archive.
pub(super) fn pack_files<'a>(
    files: impl Iterator<Item = &'a SourceFile> + Clone,
    executable: bool,
) -> io::Result<Archive> {
    let entries = files.map(|f| (f.path.as_str(), f.content.as_slice(), executable));
    archive::pack(entries).map(Archive::once)
}

/// What the compile stage left behind.
pub(super) struct Artifacts {
    archive: Archive,
    reader: Reader,
}

impl Artifacts {
    pub(super) fn open(archive: Archive) -> io::Result<Self> {
        let reader = Reader::open(archive.try_clone()?)?;
        Ok(Self { archive, reader })
    }

    pub(super) fn files(&self) -> io::Result<Vec<Artifact>> {
        self.reader.files()
    }

    /// The request's files that the compile stage did not leave behind, such as data that the
    /// program reads.
    pub(super) fn missing<'a>(&self, plan: &'a Plan) -> Vec<&'a SourceFile> {
        let made: BTreeSet<&str> = self
            .reader
            .entries()
            .iter()
            .map(|e| e.path.as_str())
            .collect();
        plan.files
            .iter()
            .filter(|f| !in_the_way(&made, &f.path))
            .collect()
    }

    /// Why a sandbox with `limits` cannot hold them and the `missing` ones, if so.
    pub(super) fn misfit(&self, missing: &[&SourceFile], limits: &Limits) -> Option<Misfit> {
        let made = self
            .reader
            .entries()
            .iter()
            .map(|e| (e.path.as_str(), e.len));
        let missing = missing
            .iter()
            .map(|f| (f.path.as_str(), f.content.len() as u64));
        misfit(made.chain(missing), limits)
    }

    /// What to unpack for the run stage.
    pub(super) fn archives(
        self,
        missing: &[&SourceFile],
        executable: bool,
    ) -> io::Result<Vec<Archive>> {
        let mut archives = vec![self.archive];
        if !missing.is_empty() {
            archives.push(pack_files(missing.iter().copied(), executable)?);
        }
        Ok(archives)
    }
}

/// Whether a file at `path` would meet another of `made` there, above or below.
fn in_the_way(made: &BTreeSet<&str>, path: &str) -> bool {
    let above = path
        .match_indices('/')
        .any(|(at, _)| made.contains(&path[..at]));
    let directory = format!("{path}/");
    let below = made
        .range(directory.as_str()..)
        .next()
        .is_some_and(|p| p.starts_with(&directory));
    made.contains(path) || above || below
}

/// Files that a stage's disk cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    Bytes(u64),
    Inodes(u64),
}

/// Why a disk with `limits` cannot hold files of these paths and sizes, if so. Told beforehand,
/// because a sandbox that cannot be filled is a fault of nobody's.
pub(super) fn misfit<'a>(
    files: impl Iterator<Item = (&'a str, u64)>,
    limits: &Limits,
) -> Option<Misfit> {
    let mut bytes = 0u64;
    let mut inodes = OWN_INODES;
    let mut directories = BTreeSet::new();
    for (path, len) in files {
        bytes = bytes.saturating_add(len.div_ceil(PAGE_BYTES).saturating_mul(PAGE_BYTES));
        inodes += 1;
        directories.extend(path.match_indices('/').map(|(at, _)| &path[..at]));
    }
    inodes += directories.len() as u64;
    if bytes > limits.disk_bytes {
        return Some(Misfit::Bytes(bytes));
    }
    (inodes > limits.disk_inodes).then_some(Misfit::Inodes(inodes))
}

/// The files in an archive that a program filled.
pub(crate) fn unpack(archive: OwnedFd) -> io::Result<Vec<(String, Vec<u8>)>> {
    let files = Reader::open(archive)?.files()?;
    Ok(files
        .into_iter()
        .map(|(path, content, _)| (path, content))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_meet_at_above_and_below_a_path() {
        let made = BTreeSet::from(["a", "b/c", "d.txt"]);
        for path in ["a", "a/x", "b", "b/c"] {
            assert!(in_the_way(&made, path), "{path}");
        }
        for path in ["ab", "b/d", "d", "c"] {
            assert!(!in_the_way(&made, path), "{path}");
        }
    }

    #[test]
    fn what_does_not_fit_is_known_beforehand() {
        let limits = Limits {
            disk_bytes: 8192,
            disk_inodes: 12,
            ..Limits::DEFAULT
        };
        let fit = |files: &[(&'static str, u64)]| misfit(files.iter().copied(), &limits);
        assert_eq!(fit(&[("a", 1), ("b", 4096)]), None);
        assert_eq!(fit(&[("a", 1), ("b", 4097)]), Some(Misfit::Bytes(12288)));
        assert_eq!(
            fit(&[("a", u64::MAX), ("b", 1)]),
            Some(Misfit::Bytes(u64::MAX))
        );
        assert_eq!(fit(&[("a/b/c/d/e", 0)]), Some(Misfit::Inodes(13)));
    }
}
