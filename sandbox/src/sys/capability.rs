//! Capability sets (capabilities(7)), emptied without being looked at first: a sandbox does this twice.

use std::io;

use super::check;

/// The highest number that any kernel may give a capability: the sets have 64 bits.
const MAX_CAPABILITY: libc::c_ulong = 63;

/// `struct __user_cap_header_struct` (linux/capability.h).
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`; version 3 has two.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`.
const VERSION_3: u32 = 0x2008_0522;

/// Empties the effective, permitted and inheritable sets of the calling thread, and with them the
/// ambient one, which has only what is in the latter two.
pub fn clear_working_sets() -> io::Result<()> {
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let data = [Data::default(); 2];
    // SAFETY: both outlive the call and have the form that version 3 asks for.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) })?;
    Ok(())
}

/// Empties the bounding set. What is in it can be taken out with CAP_SETPCAP only.
pub fn clear_bounding_set() -> io::Result<()> {
    for capability in 0..=MAX_CAPABILITY {
        match prctl(libc::PR_CAPBSET_DROP, capability) {
            // There are no more.
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => return Ok(()),
            Err(e) if prctl(libc::PR_CAPBSET_READ, capability)? == 1 => return Err(e),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

fn prctl(option: libc::c_int, argument: libc::c_ulong) -> io::Result<libc::c_long> {
    // SAFETY: these options take one number and touch no memory.
    check(unsafe { libc::prctl(option, argument, 0, 0, 0) }.into())
}
