//! Entries on disk: one file each, named by its key, and an index of them in memory.
//!
//! Nothing is synced: an entry that a crash damaged is known as such when it is read, and dropped. A
//! file's modification time is when it was last used, as far as the index of the next start is
//! concerned.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::entry::weight;
use super::lru::Lru;
use super::{CacheKey, Entry};

/// A use is noted in the file at most this often.
const NOTE_USE_EVERY: Duration = Duration::from_mins(10);
/// Where files are written before they get their name.
const UNFINISHED: &str = "tmp";

/// A directory of entries.
pub(super) struct Disk {
    directory: PathBuf,
    index: Mutex<Lru<Stored>>,
    unfinished: AtomicU64,
}

/// What the index has of an entry.
struct Stored {
    noted: Instant,
}

/// What came of a look for an entry.
pub(super) enum Found {
    Entry(Entry),
    /// There was one, but damaged; now there is none.
    Damaged,
    Nothing,
}

impl Disk {
    /// Takes over `directory`, which is made if need be; what does not belong there is removed.
    pub(super) fn open(directory: &Path, max_bytes: u64) -> io::Result<Self> {
        let unfinished = directory.join(UNFINISHED);
        fs::create_dir_all(&unfinished)?;
        for file in fs::read_dir(&unfinished)? {
            fs::remove_file(file?.path())?;
        }
        let disk = Self {
            directory: directory.to_owned(),
            index: Mutex::new(Lru::new(max_bytes)),
            unfinished: AtomicU64::new(0),
        };
        disk.find_entries()?;
        Ok(disk)
    }

    fn find_entries(&self) -> io::Result<()> {
        let mut found = Vec::new();
        for file in fs::read_dir(&self.directory)? {
            let file = file?;
            if file.file_name() == UNFINISHED {
                continue;
            }
            let metadata = file.metadata()?;
            let key = file.file_name().to_str().and_then(CacheKey::from_name);
            let Some(key) = key.filter(|_| metadata.is_file()) else {
                let name = file.file_name();
                tracing::warn!(?name, "this is no entry of the compile cache; it stays");
                continue;
            };
            found.push((metadata.modified()?, key, metadata.len()));
        }
        found.sort_unstable();
        let mut index = self.index();
        for (_, key, len) in found {
            let stored = Stored {
                noted: Instant::now(),
            };
            self.remove_files(&index.insert(key, stored, weight(len)));
        }
        Ok(())
    }

    /// Reads an entry. Blocks.
    pub(super) fn read(&self, key: &CacheKey) -> io::Result<Found> {
        if self.index().get(key).is_none() {
            return Ok(Found::Nothing);
        }
        let read = File::open(self.path(key)).and_then(|mut file| Entry::read(key, &mut file));
        match read {
            Ok(entry) => {
                self.note_use(key);
                Ok(Found::Entry(entry))
            }
            Err(error) => {
                self.index().remove(key);
                self.remove_file(key);
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
        let room = self.index().make_room(entry.weight());
        let mut evicted = room.len();
        self.remove_files(&room);
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.directory.join(UNFINISHED).join(number.to_string());
        let written = self.write_file(&unfinished, key, entry);
        if let Err(error) = written {
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        let stored = Stored {
            noted: Instant::now(),
        };
        let crowded = self.index().insert(*key, stored, entry.weight());
        evicted += crowded.len();
        self.remove_files(&crowded);
        Ok(evicted)
    }

    fn write_file(&self, unfinished: &Path, key: &CacheKey, entry: &Entry) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(unfinished)?;
        entry.write(key, &mut file)?;
        fs::rename(unfinished, self.path(key))
    }

    /// An entry was found elsewhere, and counts as used here too. `true`: [`Disk::note_use`] is due.
    pub(super) fn used(&self, key: &CacheKey) -> bool {
        let mut index = self.index();
        let Some(stored) = index.get(key) else {
            return false;
        };
        let due = stored.noted.elapsed() >= NOTE_USE_EVERY;
        if due {
            stored.noted = Instant::now();
        }
        due
    }

    /// Notes in the file that the entry is used. Blocks. A failure costs its place in the order only.
    pub(super) fn note_use(&self, key: &CacheKey) {
        if let Ok(file) = File::open(self.path(key)) {
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

    fn path(&self, key: &CacheKey) -> PathBuf {
        self.directory.join(key.to_string())
    }

    fn remove_files(&self, evicted: &[(CacheKey, Stored)]) {
        for (key, _) in evicted {
            self.remove_file(key);
        }
    }

    fn remove_file(&self, key: &CacheKey) {
        match fs::remove_file(self.path(key)) {
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

#[cfg(test)]
mod tests {
    use brig_sandbox::sys::memfd;

    use super::*;

    fn entry(bytes: usize) -> Entry {
        let archive = memfd::read_only(c"test", &vec![7; bytes]).unwrap();
        Entry::new(Some(archive), b"report".to_vec()).unwrap()
    }

    fn holds(disk: &Disk, byte: u8) -> bool {
        matches!(disk.read(&CacheKey::test(byte)).unwrap(), Found::Entry(_))
    }

    #[test]
    fn entries_survive_a_restart_and_the_oldest_used_go_first() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path(), 1 << 20).unwrap();
        for byte in 1..=3 {
            disk.write(&CacheKey::test(byte), &entry(1000)).unwrap();
        }
        let aged = |byte: u8, seconds| {
            let file = File::open(disk.path(&CacheKey::test(byte))).unwrap();
            let time = SystemTime::now() - Duration::from_secs(seconds);
            file.set_modified(time).unwrap();
        };
        aged(1, 10);
        aged(2, 30);
        aged(3, 20);
        drop(disk);
        let two = 2 * weight(1100);
        let disk = Disk::open(directory.path(), two + 2000).unwrap();
        assert!(holds(&disk, 1) && holds(&disk, 3) && !holds(&disk, 2));
        assert_eq!(disk.size().1, 2);
        assert!(!disk.path(&CacheKey::test(2)).exists());
    }

    #[test]
    fn the_directory_stays_below_its_bound() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path(), 64 << 10).unwrap();
        for byte in 0..100 {
            disk.write(&CacheKey::test(byte), &entry(5000)).unwrap();
        }
        let files = fs::read_dir(directory.path()).unwrap();
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
        let disk = Disk::open(directory.path(), 1 << 20).unwrap();
        let key = CacheKey::test(1);
        disk.write(&key, &entry(10)).unwrap();
        fs::write(disk.path(&key), "nonsense").unwrap();
        assert!(matches!(disk.read(&key).unwrap(), Found::Damaged));
        assert!(matches!(disk.read(&key).unwrap(), Found::Nothing));
        assert!(!disk.path(&key).exists());
        assert_eq!(disk.size(), (0, 0));
    }

    #[test]
    fn what_a_crash_left_unfinished_is_removed_at_the_start() {
        let directory = tempfile::tempdir().unwrap();
        drop(Disk::open(directory.path(), 1 << 20).unwrap());
        let left = directory.path().join(UNFINISHED).join("0");
        fs::write(&left, "half").unwrap();
        drop(Disk::open(directory.path(), 1 << 20).unwrap());
        assert!(!left.exists());
    }
}
