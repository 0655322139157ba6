//! Entries on disk: one file each, named by its key, and an index of them in memory.
//!
//! Beside the entries, under the same bound, are prepared files ([`prepared`]).
//!
//! No entry is synced: an entry that a crash damaged is known as such when it is read, and dropped. A
//! file's modification time is when it was last used, as far as the index of the next start is
//! concerned.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::stat::fstat;

use super::entry::weight;
use super::lru::Lru;
use super::{CacheKey, Entry, prepared};

/// A use is noted in the file at most this often.
const NOTE_USE_EVERY: Duration = Duration::from_mins(10);
/// Where files are written before they get their name.
const UNFINISHED: &str = "tmp";

/// A directory of entries.
pub(super) struct Disk {
    directory: PathBuf,
    /// Of prepared files.
    prepared: PathBuf,
    index: Mutex<Lru<Stored>>,
    unfinished: AtomicU64,
}

/// What the index has of an entry.
struct Stored {
    kind: Kind,
    noted: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Entry,
    Prepared,
}

impl Stored {
    fn new(kind: Kind) -> Self {
        let noted = Instant::now();
        Self { kind, noted }
    }

    /// Whether a use is to be noted in the file again; counts as done.
    fn note_is_due(&mut self) -> bool {
        let due = self.noted.elapsed() >= NOTE_USE_EVERY;
        if due {
            self.noted = Instant::now();
        }
        due
    }
}

/// What came of a look for an entry.
pub(super) enum Found {
    Entry(Entry),
    /// There was one, but damaged; now there is none.
    Damaged,
    Nothing,
}

impl Disk {
    /// Takes over `directory`, for entries, and `prepared`, which are made if need be; what was left unfinished
    /// is removed.
    pub(super) fn open(directory: &Path, prepared: &Path, max_bytes: u64) -> io::Result<Self> {
        let unfinished = directory.join(UNFINISHED);
        fs::create_dir_all(&unfinished)?;
        fs::create_dir_all(prepared)?;
        for file in fs::read_dir(&unfinished)? {
            let file = file?;
            if file.file_type()?.is_dir() {
                fs::remove_dir_all(file.path())?;
            } else {
                fs::remove_file(file.path())?;
            }
        }
        let disk = Self {
            directory: directory.to_owned(),
            prepared: prepared.to_owned(),
            index: Mutex::new(Lru::new(max_bytes)),
            unfinished: AtomicU64::new(0),
        };
        disk.find_entries()?;
        Ok(disk)
    }

    fn find_entries(&self) -> io::Result<()> {
        let mut found = Vec::new();
        for (kind, directory) in [
            (Kind::Entry, &self.directory),
            (Kind::Prepared, &self.prepared),
        ] {
            for file in fs::read_dir(directory)? {
                let file = file?;
                if file.file_name() == UNFINISHED {
                    continue;
                }
                let metadata = file.metadata()?;
                let key = file.file_name().to_str().and_then(CacheKey::from_name);
                let fits = metadata.is_dir() == (kind == Kind::Prepared);
                let Some(key) = key.filter(|_| fits) else {
                    let name = file.file_name();
                    tracing::warn!(?name, "this is no entry of the compile cache; it stays");
                    continue;
                };
                let len = match kind {
                    Kind::Entry => metadata.len(),
                    Kind::Prepared => prepared::size(&file.path())?,
                };
                found.push((metadata.modified()?, key, len, kind));
            }
        }
        found.sort_unstable_by_key(|(modified, key, ..)| (*modified, *key));
        let mut index = self.index();
        for (_, key, len, kind) in found {
            self.remove_files(&index.insert(key, Stored::new(kind), weight(len)));
        }
        Ok(())
    }

    /// Whether what was prepared as `key` is there; it counts as used. Looks at the disk, and no more.
    pub(super) fn has_prepared(&self, key: &CacheKey) -> bool {
        let path = self.path(key, Kind::Prepared);
        let there = path.is_dir();
        let mut index = self.index();
        let Some(stored) = index
            .get(key)
            .filter(|stored| stored.kind == Kind::Prepared)
        else {
            return false;
        };
        if !there {
            index.remove(key);
            return false;
        }
        if stored.note_is_due() {
            drop(index);
            self.note_use(key, Kind::Prepared);
        }
        true
    }

    /// Has what was prepared as `key` read into memory. Blocks.
    pub(super) fn read_ahead(&self, key: &CacheKey) -> io::Result<()> {
        prepared::read_ahead(&self.path(key, Kind::Prepared))
    }

    /// Writes prepared files. Blocks. Gives how many others had to go.
    pub(super) fn write_prepared(&self, key: &CacheKey, archive: OwnedFd) -> io::Result<usize> {
        let bytes = fstat(&archive)?.st_size.unsigned_abs();
        if !self.holds(weight(bytes)) {
            return Err(io::Error::other(
                "compile_cache.max_bytes is too small for them",
            ));
        }
        self.add(key, Kind::Prepared, weight(bytes), |unfinished| {
            prepared::write(archive, unfinished)
        })
    }

    /// Removes all prepared files but these. Blocks.
    pub(super) fn keep_only_prepared(&self, wanted: &BTreeSet<CacheKey>) {
        let mut index = self.index();
        let unwanted =
            index.keys(|key, stored| stored.kind == Kind::Prepared && !wanted.contains(key));
        for key in &unwanted {
            index.remove(key);
        }
        drop(index);
        for key in &unwanted {
            self.remove_file(key, Kind::Prepared);
        }
    }

    /// Reads an entry. Blocks.
    pub(super) fn read(&self, key: &CacheKey) -> io::Result<Found> {
        let known = self.index().get(key).map(|stored| stored.kind);
        if known != Some(Kind::Entry) {
            return Ok(Found::Nothing);
        }
        let read = File::open(self.path(key, Kind::Entry))
            .and_then(|mut file| Entry::read(key, &mut file));
        match read {
            Ok(entry) => {
                self.note_use(key, Kind::Entry);
                Ok(Found::Entry(entry))
            }
            Err(error) => {
                self.index().remove(key);
                self.remove_file(key, Kind::Entry);
                match error.kind() {
                    io::ErrorKind::NotFound => Ok(Found::Nothing),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Ok(Found::Damaged),
                    _ => Err(error),
                }
            }
        }
    }

    /// Writes an entry. Blocks. Gives how many others had to go.
    pub(super) fn write(&self, key: &CacheKey, entry: &Entry) -> io::Result<usize> {
        self.add(key, Kind::Entry, entry.weight(), |unfinished| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(unfinished)?;
            entry.write(key, &mut file).map(drop)
        })
    }

    /// Makes room, has `write` make what gets the name then. Gives how many others had to go.
    fn add(
        &self,
        key: &CacheKey,
        kind: Kind,
        weight: u64,
        write: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<usize> {
        let room = self.index().make_room(weight);
        let mut evicted = room.len();
        self.remove_files(&room);
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.directory.join(UNFINISHED).join(number.to_string());
        let written =
            write(&unfinished).and_then(|()| fs::rename(&unfinished, self.path(key, kind)));
        if let Err(error) = written {
            let _ = remove(&unfinished, kind);
            return Err(error);
        }
        let crowded = self.index().insert(*key, Stored::new(kind), weight);
        evicted += crowded.len();
        self.remove_files(&crowded);
        Ok(evicted)
    }

    /// An entry was found elsewhere, and counts as used here too. `true`: [`Disk::note_entry_use`] is due.
    pub(super) fn used(&self, key: &CacheKey) -> bool {
        let mut index = self.index();
        index.get(key).is_some_and(Stored::note_is_due)
    }

    /// Notes in its file that an entry is used. Blocks.
    pub(super) fn note_entry_use(&self, key: &CacheKey) {
        self.note_use(key, Kind::Entry);
    }

    /// A failure costs its place in the order only.
    fn note_use(&self, key: &CacheKey, kind: Kind) {
        if let Ok(file) = File::open(self.path(key, kind)) {
            let _ = file.set_modified(SystemTime::now());
        }
    }

    /// Whether an entry of `bytes` can be kept.
    pub(super) fn holds(&self, bytes: u64) -> bool {
        self.index().holds(bytes)
    }

    /// Bytes and number of the entries.
    pub(super) fn size(&self) -> (u64, usize) {
        let index = self.index();
        (index.bytes(), index.len())
    }

    fn path(&self, key: &CacheKey, kind: Kind) -> PathBuf {
        let directory = match kind {
            Kind::Entry => &self.directory,
            Kind::Prepared => &self.prepared,
        };
        directory.join(key.to_string())
    }

    fn remove_files(&self, evicted: &[(CacheKey, Stored)]) {
        for (key, stored) in evicted {
            self.remove_file(key, stored.kind);
        }
    }

    fn remove_file(&self, key: &CacheKey, kind: Kind) {
        match remove(&self.path(key, kind), kind) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%key, "a compiled program cannot be removed from the cache: {error}");
            }
            _ => {}
        }
    }

    fn index(&self) -> MutexGuard<'_, Lru<Stored>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove(path: &Path, kind: Kind) -> io::Result<()> {
    match kind {
        Kind::Entry => fs::remove_file(path),
        Kind::Prepared => fs::remove_dir_all(path),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use brig_sandbox::sys::memfd;

    use super::*;

    fn entry(bytes: usize) -> Entry {
        let archive = memfd::read_only(c"test", &vec![7; bytes]).unwrap();
        Entry::new(Some(archive), b"report".to_vec()).unwrap()
    }

    fn open(directory: &tempfile::TempDir, max_bytes: u64) -> io::Result<Disk> {
        let (entries, prepared) = (directory.path().join("e"), directory.path().join("p"));
        Disk::open(&entries, &prepared, max_bytes)
    }

    fn holds(disk: &Disk, byte: u8) -> bool {
        matches!(disk.read(&CacheKey::test(byte)).unwrap(), Found::Entry(_))
    }

    #[test]
    fn entries_survive_a_restart_and_the_oldest_used_go_first() {
        let directory = tempfile::tempdir().unwrap();
        let disk = open(&directory, 1 << 20).unwrap();
        for byte in 1..=3 {
            disk.write(&CacheKey::test(byte), &entry(1000)).unwrap();
        }
        let aged = |byte: u8, seconds| {
            let file = File::open(disk.path(&CacheKey::test(byte), Kind::Entry)).unwrap();
            let time = SystemTime::now() - Duration::from_secs(seconds);
            file.set_modified(time).unwrap();
        };
        aged(1, 10);
        aged(2, 30);
        aged(3, 20);
        drop(disk);
        let two = 2 * weight(1100);
        let disk = open(&directory, two + 2000).unwrap();
        assert!(holds(&disk, 1) && holds(&disk, 3) && !holds(&disk, 2));
        assert_eq!(disk.size().1, 2);
        assert!(!disk.path(&CacheKey::test(2), Kind::Entry).exists());
    }

    #[test]
    fn the_directory_stays_below_its_bound() {
        let directory = tempfile::tempdir().unwrap();
        let disk = open(&directory, 64 << 10).unwrap();
        for byte in 0..100 {
            disk.write(&CacheKey::test(byte), &entry(5000)).unwrap();
        }
        let files = fs::read_dir(directory.path().join("e")).unwrap();
        let bytes: u64 = files
            .map(|file| file.unwrap().metadata().unwrap())
            .filter(fs::Metadata::is_file)
            .map(|metadata| metadata.len())
            .sum();
        assert!(bytes <= 64 << 10, "{bytes}");
        assert!(holds(&disk, 99) && !holds(&disk, 0));
    }

    #[test]
    fn a_damaged_file_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let disk = open(&directory, 1 << 20).unwrap();
        let key = CacheKey::test(1);
        disk.write(&key, &entry(10)).unwrap();
        fs::write(disk.path(&key, Kind::Entry), "nonsense").unwrap();
        assert!(matches!(disk.read(&key).unwrap(), Found::Damaged));
        assert!(matches!(disk.read(&key).unwrap(), Found::Nothing));
        assert!(!disk.path(&key, Kind::Entry).exists());
        assert_eq!(disk.size(), (0, 0));
    }

    #[test]
    fn what_a_crash_left_unfinished_is_removed_at_the_start() {
        let directory = tempfile::tempdir().unwrap();
        drop(open(&directory, 1 << 20).unwrap());
        let left = directory.path().join("e").join(UNFINISHED).join("0");
        fs::write(&left, "half").unwrap();
        drop(open(&directory, 1 << 20).unwrap());
        assert!(!left.exists());
        fs::create_dir_all(left.join("half")).unwrap();
        drop(open(&directory, 1 << 20).unwrap());
        assert!(!left.exists());
    }

    fn prepare(disk: &Disk, byte: u8, bytes: usize) -> io::Result<usize> {
        let content = vec![byte; bytes];
        let files = [("a/b.h.gch", content.as_slice(), false)];
        let archive = brig_sandbox::archive::pack(files).unwrap();
        disk.write_prepared(&CacheKey::test(byte), archive)
    }

    #[test]
    fn prepared_files_lie_in_a_directory_of_their_own_for_all_to_read() {
        let directory = tempfile::tempdir().unwrap();
        let disk = open(&directory, 1 << 20).unwrap();
        let key = CacheKey::test(1);
        assert!(!disk.has_prepared(&key));
        prepare(&disk, 1, 1000).unwrap();
        let path = directory.path().join("p").join(key.to_string());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(fs::read(path.join("a/b.h.gch")).unwrap(), [1; 1000]);
        let modes = ["", "a", "a/b.h.gch"].map(|name| mode(&path.join(name)));
        assert_eq!(modes, [0o755, 0o755, 0o444]);
        drop(disk);
        let disk = open(&directory, 1 << 20).unwrap();
        assert!(disk.has_prepared(&key) && disk.size().1 == 1);
        assert!(matches!(disk.read(&key).unwrap(), Found::Nothing));
        disk.read_ahead(&key).unwrap();
        fs::remove_dir_all(path).unwrap();
        assert!(!disk.has_prepared(&key));
        assert_eq!(disk.size(), (0, 0));
    }

    #[test]
    fn prepared_files_and_entries_share_one_bound() {
        let directory = tempfile::tempdir().unwrap();
        let disk = open(&directory, 64 << 10).unwrap();
        prepare(&disk, 1, 30_000).unwrap();
        for byte in 2..20 {
            disk.write(&CacheKey::test(byte), &entry(5000)).unwrap();
            assert!(disk.size().0 <= 64 << 10);
            // What is used stays.
            assert!(disk.has_prepared(&CacheKey::test(1)));
        }
        for byte in 20..40 {
            disk.write(&CacheKey::test(byte), &entry(5000)).unwrap();
        }
        assert!(!disk.has_prepared(&CacheKey::test(1)));
        assert_eq!(fs::read_dir(directory.path().join("p")).unwrap().count(), 0);
        assert!(prepare(&disk, 2, 70_000).is_err());
        assert!(holds(&disk, 39), "nothing had to go for what does not fit");
    }

    #[test]
    fn only_those_wanted_stay() {
        let directory = tempfile::tempdir().unwrap();
        let disk = open(&directory, 1 << 20).unwrap();
        prepare(&disk, 1, 10).unwrap();
        prepare(&disk, 2, 10).unwrap();
        disk.write(&CacheKey::test(3), &entry(10)).unwrap();
        disk.keep_only_prepared(&BTreeSet::from([CacheKey::test(2)]));
        let there = [1, 2].map(|byte| disk.has_prepared(&CacheKey::test(byte)));
        assert_eq!((there, disk.size().1), ([false, true], 2));
        assert_eq!(fs::read_dir(directory.path().join("p")).unwrap().count(), 1);
        assert!(holds(&disk, 3));
    }
}
