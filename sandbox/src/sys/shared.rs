//! One page shared between a worker, an init and its program until `execve`.

use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// What the program's process writes there right before it becomes the program. `execve` unmaps
/// the page, so no untrusted code ever sees it.
#[derive(Debug)]
pub struct Marks {
    page: NonNull<Page>,
}

#[repr(C)]
struct Page {
    execve_at_ns: AtomicU64,
    setup_cpu_ns: AtomicU64,
}

const PAGE_BYTES: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

impl Marks {
    /// A fresh page, all zero.
    pub fn new() -> io::Result<Self> {
        let (prot, flags) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED);
        // SAFETY: a new anonymous mapping at an address of the kernel's choice overlaps nothing.
        let page = unsafe { mmap_anonymous(None, PAGE_BYTES, prot, flags) }?;
        Ok(Self { page: page.cast() })
    }

    fn page(&self) -> &Page {
        // SAFETY: the mapping lives as long as `self`, is page-aligned, and all-zero bytes are a
        // valid `Page`; other processes change it only through atomics.
        unsafe { self.page.as_ref() }
    }

    /// Notes that `execve` comes next: the host's CLOCK_MONOTONIC, and the CPU time that the
    /// process spent on its own lock-down since it got the job. Both in nanoseconds.
    pub fn set(&self, execve_at_ns: u64, setup_cpu_ns: u64) {
        self.page().setup_cpu_ns.store(setup_cpu_ns, Ordering::Relaxed);
        self.page().execve_at_ns.store(execve_at_ns, Ordering::Release);
    }

    /// When `execve` came and the CPU time spent before it; `None` while it has not.
    pub fn get(&self) -> Option<(u64, u64)> {
        let at = self.page().execve_at_ns.load(Ordering::Acquire);
        (at != 0).then(|| (at, self.page().setup_cpu_ns.load(Ordering::Relaxed)))
    }
}

impl Drop for Marks {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and no reference into it outlives `self`.
        let _ = unsafe { munmap(self.page.cast(), PAGE_BYTES.get()) };
    }
}
