//! Waiting, and looking at the host: for this crate's tests and those of the service.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// No wait in these tests should come near it on any machine.
pub(crate) const BOUND: Duration = Duration::from_mins(2);

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, condition: impl FnMut() -> bool) {
    assert!(within(BOUND, condition), "not within {BOUND:?}: {what}");
}

/// Whether `condition` comes to hold within `bound`.
pub(crate) fn within(bound: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + bound;
    while !condition() {
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// The `brig-<pid>` groups of process `pid`, wherever the hierarchies are mounted.
pub(crate) fn groups_of(pid: u32) -> Vec<PathBuf> {
    fn search(dir: &Path, name: &str, depth: u32, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy() == name {
                found.push(entry.path());
            } else if depth > 0 && entry.file_type().is_ok_and(|t| t.is_dir()) {
                search(&entry.path(), name, depth - 1, found);
            }
        }
    }
    let mut found = Vec::new();
    search(
        Path::new("/sys/fs/cgroup"),
        &format!("brig-{pid}"),
        6,
        &mut found,
    );
    found
}
