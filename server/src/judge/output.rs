//! What becomes of a program's output while it is being written.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::compare::{Compared, Comparer};
use crate::pool::Tap;

/// Compares an output as it comes.
pub(super) struct Comparing(Arc<Mutex<Progress>>);

struct Progress {
    comparer: Option<Comparer>,
    failure: Option<io::Error>,
}

impl Comparing {
    pub(super) fn new(comparer: Comparer) -> Self {
        Self(Arc::new(Mutex::new(Progress {
            comparer: Some(comparer),
            failure: None,
        })))
    }

    pub(super) fn tap(&self) -> Tap {
        let shared = Arc::clone(&self.0);
        Box::new(move |bytes| {
            let mut progress = lock(&shared);
            let Progress { comparer, failure } = &mut *progress;
            if let Some(Err(error)) = comparer.as_mut().map(|comparer| comparer.feed(bytes)) {
                *failure = Some(error);
                *comparer = None;
            }
        })
    }

    /// What came of it, now that the output has ended. Errors are those of reading the expected side.
    pub(super) fn finish(&self) -> io::Result<Compared> {
        let mut progress = lock(&self.0);
        if let Some(failure) = progress.failure.take() {
            return Err(failure);
        }
        let comparer = progress.comparer.take();
        let finished = || io::Error::other("the comparison has ended already");
        comparer.ok_or_else(finished)?.finish()
    }
}

/// Keeps an output in a file, for a checker.
pub(super) struct Spool(Arc<Mutex<Spooled>>);

struct Spooled {
    writer: Option<File>,
    reader: File,
    failure: Option<io::Error>,
}

impl Spool {
    /// A file of its own in `directory`, which goes with its last descriptor.
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        let path: PathBuf = directory.join(Uuid::now_v7().to_string());
        let writer = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        let reader = File::open(&path);
        std::fs::remove_file(&path)?;
        Ok(Self(Arc::new(Mutex::new(Spooled {
            writer: Some(writer),
            reader: reader?,
            failure: None,
        }))))
    }

    pub(super) fn tap(&self) -> Tap {
        let shared = Arc::clone(&self.0);
        Box::new(move |bytes| {
            let mut spooled = lock(&shared);
            if let Some(Err(error)) = spooled.writer.as_mut().map(|file| file.write_all(bytes)) {
                spooled.failure = Some(error);
                spooled.writer = None;
            }
        })
    }

    /// The output, for reading, now that it has ended.
    pub(super) fn finish(&self) -> io::Result<OwnedFd> {
        let mut spooled = lock(&self.0);
        if let Some(failure) = spooled.failure.take() {
            return Err(failure);
        }
        spooled.writer = None;
        Ok(spooled.reader.try_clone()?.into())
    }
}

fn lock<T>(shared: &Arc<Mutex<T>>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::judge::compare::{Comparison, Match};

    #[test]
    fn what_is_spooled_is_read_back_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::create(dir.path()).unwrap();
        let mut tap = spool.tap();
        tap(b"one ");
        tap(b"two");
        drop(tap);
        let mut text = String::new();
        File::from(spool.finish().unwrap())
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "one two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_expected_side_may_fail() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let comparing = Comparing::new(Comparer::new(Comparison::Lines, Box::new(Broken)));
        comparing.tap()(b"x\n");
        assert!(
            comparing
                .finish()
                .unwrap_err()
                .to_string()
                .contains("broken")
        );
    }

    #[test]
    fn an_output_is_compared_piece_by_piece() {
        let expected = Box::new(&b"1 2 3"[..]);
        let comparing = Comparing::new(Comparer::new(
            Comparison::Tokens { ignore_case: false },
            expected,
        ));
        let mut tap = comparing.tap();
        tap(b"1 2");
        tap(b" 3\n");
        assert_eq!(comparing.finish().unwrap().verdict, Match::Same);
    }
}
