//! Giving up capabilities (capabilities(7)).

use std::io;

use caps::{CapSet, Capability, CapsHashSet, errors::CapsError};

use crate::sys::capability::{clear_bounding_set, clear_working_sets};

/// Empties every set, the bounding set included, for good.
pub fn drop_all() -> io::Result<()> {
    // Leaving the bounding set takes CAP_SETPCAP, so that one goes first.
    drop_bounding_set()?;
    drop_working_sets()
}

/// Empties the set that limits what an `execve` may give, for this process and its children to come.
pub fn drop_bounding_set() -> io::Result<()> {
    clear_bounding_set()
}

/// Empties the sets that give rights now.
pub fn drop_working_sets() -> io::Result<()> {
    clear_working_sets()
}

/// Keeps only `keep` and, not in effect until [`raise`]d, `reserve`; of these, what this process
/// has.
pub fn keep_only(keep: &[Capability], reserve: &[Capability]) -> Result<(), CapsError> {
    let has = caps::read(None, CapSet::Permitted)?;
    let present = |list: &[Capability]| -> CapsHashSet {
        list.iter().copied().filter(|c| has.contains(c)).collect()
    };
    let (keep, reserve) = (present(keep), present(reserve));
    let permitted: CapsHashSet = keep.union(&reserve).copied().collect();
    for capability in caps::read(None, CapSet::Bounding)?.difference(&permitted) {
        caps::drop(None, CapSet::Bounding, *capability)?;
    }
    caps::clear(None, CapSet::Ambient)?;
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new())?;
    caps::set(None, CapSet::Effective, &keep)?;
    caps::set(None, CapSet::Permitted, &permitted)
}

/// Puts a capability in effect that was kept in reserve.
pub fn raise(capability: Capability) -> Result<(), CapsError> {
    caps::raise(None, CapSet::Effective, capability)
}

/// Lets an `execve` of an ordinary program keep `keep`.
pub fn make_ambient(keep: &[Capability]) -> Result<(), CapsError> {
    let keep: CapsHashSet = keep.iter().copied().collect();
    caps::set(None, CapSet::Inheritable, &keep)?;
    caps::set(None, CapSet::Ambient, &keep)
}

/// Lets an `execve` keep all that this process has.
pub fn keep_over_execve() -> Result<(), CapsError> {
    let all: Vec<_> = caps::read(None, CapSet::Permitted)?.into_iter().collect();
    make_ambient(&all)
}

/// Whether all sets are empty.
pub fn has_none() -> Result<bool, CapsError> {
    for set in [
        CapSet::Bounding,
        CapSet::Ambient,
        CapSet::Inheritable,
        CapSet::Effective,
        CapSet::Permitted,
    ] {
        if !caps::read(None, set)?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}
