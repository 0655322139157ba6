//! Who server and workers are on the host.

use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt;

use nix::unistd::{Gid, Group, Uid, User};

/// The first of the host user ids when Brig is started as root: the server has this one, worker `n`
/// this plus one plus `n`. 60578 to 61183 belong to nobody (systemd, "Users, Groups, UIDs and GIDs"),
/// and they are mapped in containers with 65,536 ids.
pub const DEFAULT_UID_BASE: u32 = 60_600;

/// The most workers.
pub const MAX_WORKERS: u32 = 500;

/// Who the workers are on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Each a user of its own, from this id plus one on. Needs root.
    Separate {
        /// See [`DEFAULT_UID_BASE`].
        base: u32,
    },
    /// All the user who started Brig.
    Shared,
}

/// Why ids cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// 0 is root, and there is an end.
    #[error("user ids {base} to {base} + {workers}: there are no such ids to run programs as")]
    OutOfRange {
        /// The first.
        base: u32,
        /// How many follow.
        workers: u32,
    },
    /// Somebody has it.
    #[error(
        "id {id} is {name}'s, and programs need ids that are nobody's; choose another --uid-base"
    )]
    Taken {
        /// The id.
        id: u32,
        /// Of the user or group.
        name: String,
    },
    /// A container with few ids.
    #[error("{map} has no place for the ids {first} to {last}; choose another --uid-base")]
    NotMapped {
        /// The file that says so.
        map: &'static str,
        /// First id needed.
        first: u32,
        /// Last id needed.
        last: u32,
    },
    /// The system could not be asked.
    #[error("{what}: {source}")]
    Io {
        /// Asked what.
        what: String,
        /// Why not.
        source: io::Error,
    },
}

impl Identity {
    /// `Separate` for root, with ids that are nobody's, and `Shared` for others.
    pub fn detect(base: u32, workers: u32) -> Result<Self, IdentityError> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(Self::Shared);
        }
        let ids = ids(base, workers)?;
        for map in ["/proc/self/uid_map", "/proc/self/gid_map"] {
            let text = fs::read_to_string(map).map_err(|source| IdentityError::Io {
                what: map.to_owned(),
                source,
            })?;
            if !mapped(&text, &ids) {
                let (first, last) = (*ids.start(), *ids.end());
                return Err(IdentityError::NotMapped { map, first, last });
            }
        }
        ids.clone().try_for_each(unnamed)?;
        Ok(Self::Separate { base })
    }

    /// User and group id of the server; `None`: those of the user who started Brig.
    pub fn of_server(self) -> Option<(u32, u32)> {
        match self {
            Self::Separate { base } => Some((base, base)),
            Self::Shared => None,
        }
    }

    /// User and group id of worker `index`.
    pub(crate) fn of_worker(self, index: u32) -> (u32, u32) {
        match self {
            Self::Separate { base } => (base + 1 + index, base + 1 + index),
            Self::Shared => (
                nix::unistd::geteuid().as_raw(),
                nix::unistd::getegid().as_raw(),
            ),
        }
    }

    /// A process that already runs as one of the ids of this many workers, and which id that is.
    pub fn in_use(self, workers: u32) -> Option<(u32, u32)> {
        let Self::Separate { base } = self else {
            return None;
        };
        let ids = ids(base, workers).ok()?;
        fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let uid = entry.metadata().ok()?.uid();
            ids.contains(&uid).then_some((pid, uid))
        })
    }
}

/// Of the server and the workers.
fn ids(base: u32, workers: u32) -> Result<RangeInclusive<u32>, IdentityError> {
    // The last one is "no id" (setresuid(2)).
    match base.checked_add(workers) {
        Some(last) if base > 0 && last < u32::MAX => Ok(base..=last),
        _ => Err(IdentityError::OutOfRange { base, workers }),
    }
}

/// Whether a line of a map (user_namespaces(7)) has all of `ids`.
fn mapped(map: &str, ids: &RangeInclusive<u32>) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u64> = line
            .split_whitespace()
            .filter_map(|n| n.parse().ok())
            .collect();
        let [first, _, count] = numbers[..] else {
            return false;
        };
        first <= u64::from(*ids.start()) && u64::from(*ids.end()) < first + count
    })
}

fn unnamed(id: u32) -> Result<(), IdentityError> {
    let asking = |e: nix::errno::Errno| IdentityError::Io {
        what: format!("asking whose id {id} is"),
        source: e.into(),
    };
    let user = User::from_uid(Uid::from_raw(id)).map_err(asking)?;
    let group = Group::from_gid(Gid::from_raw(id)).map_err(asking)?;
    match user.map(|u| u.name).or(group.map(|g| g.name)) {
        Some(name) => Err(IdentityError::Taken { id, name }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_neither_roots_nor_beyond_the_last() {
        assert!(ids(0, 4).is_err());
        assert!(ids(u32::MAX - 4, 4).is_err());
        assert_eq!(ids(u32::MAX - 5, 4).unwrap().end(), &(u32::MAX - 1));
        assert_eq!(ids(60_600, 2).unwrap(), 60_600..=60_602);
    }

    #[test]
    fn all_ids_must_be_mapped_together() {
        let host = "         0          0 4294967295\n";
        let container = "0 1000 1\n1 100000 65536\n";
        assert!(mapped(host, &(60_600..=60_700)));
        assert!(mapped(container, &(60_600..=60_700)));
        assert!(!mapped(container, &(65_500..=65_537)));
        assert!(!mapped("0 1000 1\n", &(60_600..=60_601)));
    }

    #[test]
    fn ids_with_names_are_refused() {
        let error = unnamed(0).unwrap_err();
        assert!(error.to_string().contains("root"), "{error}");
    }
}
