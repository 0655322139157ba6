//! One page shared between a worker, an init and its program until `execve`.

use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::inside::Resources;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// What the program's process writes there right before it becomes the program. `execve` unmaps
/// the page, so no untrusted code ever sees it.
#[derive(Debug)]
pub struct Marks {
    page: NonNull<Page>,
}

/// What a program's process notes right before `execve`.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// The host's CLOCK_MONOTONIC, in nanoseconds.
    pub execve_at_ns: u64,
    /// CPU time that the process spent on its own preparation inside its cgroup, in nanoseconds.
    pub setup_cpu_ns: u64,
    /// What getrusage(2) counted for the process so far.
    pub resources: Resources,
}

#[repr(C)]
struct Page {
    /// Written last: all others are valid once it is not zero.
    execve_at_ns: AtomicU64,
    others: [AtomicU64; 9],
}

const PAGE_BYTES: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

impl Marks {
    /// A fresh page, all zero.
    pub fn new() -> io::Result<Self> {
        let (prot, flags) = (
            ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
            MapFlags::MAP_SHARED,
        );
        // SAFETY: a new anonymous mapping at an address of the kernel's choice overlaps nothing.
        let page = unsafe { mmap_anonymous(None, PAGE_BYTES, prot, flags) }?;
        Ok(Self { page: page.cast() })
    }

    fn page(&self) -> &Page {
        // SAFETY: the mapping lives as long as `self`, is page-aligned, and all-zero bytes are a
        // valid `Page`; other processes change it only through atomics.
        unsafe { self.page.as_ref() }
    }

    /// Notes that `execve` comes next.
    pub fn set(&self, mark: &Mark) {
        let r = &mark.resources;
        let others = [
            mark.setup_cpu_ns,
            r.cpu_user_us,
            r.cpu_system_us,
            r.minor_faults,
            r.major_faults,
            r.blocks_in,
            r.blocks_out,
            r.voluntary_switches,
            r.involuntary_switches,
        ];
        for (to, value) in self.page().others.iter().zip(others) {
            to.store(value, Ordering::Relaxed);
        }
        self.page()
            .execve_at_ns
            .store(mark.execve_at_ns, Ordering::Release);
    }

    /// Forgets what was noted: the program that was executed is not yet the job's.
    pub fn clear(&self) {
        self.page().execve_at_ns.store(0, Ordering::Release);
    }

    /// What was noted; `None` while `execve` is still to come.
    pub fn get(&self) -> Option<Mark> {
        let execve_at_ns = self.page().execve_at_ns.load(Ordering::Acquire);
        let at = |i: usize| self.page().others[i].load(Ordering::Relaxed);
        (execve_at_ns != 0).then(|| Mark {
            execve_at_ns,
            setup_cpu_ns: at(0),
            resources: Resources {
                cpu_user_us: at(1),
                cpu_system_us: at(2),
                minor_faults: at(3),
                major_faults: at(4),
                blocks_in: at(5),
                blocks_out: at(6),
                voluntary_switches: at(7),
                involuntary_switches: at(8),
            },
        })
    }
}

impl Drop for Marks {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and no reference into it outlives `self`.
        let _ = unsafe { munmap(self.page.cast(), PAGE_BYTES.get()) };
    }
}
