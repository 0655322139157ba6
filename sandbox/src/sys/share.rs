//! A child that shares this process's memory until it executes another program, as after vfork(2).
//!
//! Nothing is copied for it, and nothing has to be given up again at its `execve`. The price: parent and
//! child use one heap and one thread's storage, so no two of them may run at once. [`share`] sees to it: whenever
//! the child runs, the parent waits, in code that uses its registers and its own stack and nothing else (no
//! library call, which would set `errno`).
//!
//! Only for x86-64; elsewhere [`AVAILABLE`] is false, and a fork has to do.

use std::io;
use std::os::fd::BorrowedFd;

use nix::unistd::Pid;

use super::shared::Marks;

/// Whether this is built for an architecture that it is written for.
pub const AVAILABLE: bool = cfg!(target_arch = "x86_64");

#[cfg(not(target_arch = "x86_64"))]
pub use elsewhere::{ChildStack, park, say, share};
#[cfg(target_arch = "x86_64")]
pub use x86_64::{ChildStack, park, say, share};

/// The descriptors that [`share`] looks at.
#[derive(Clone, Copy, Debug)]
pub struct Watched<'a> {
    /// This process's end of a channel to the child. When the child speaks on it for the first time, it waits for
    /// an answer; when its own end closes, it has executed a program or is dead.
    pub child: BorrowedFd<'a>,
    /// A signalfd(2) for SIGCHLD.
    pub signals: BorrowedFd<'a>,
    /// As soon as there is anything to hear on this, the child is killed.
    pub supervisor: BorrowedFd<'a>,
    /// Set by the child right before it executes a program; from then on it leaves the heap alone.
    pub marks: &'a Marks,
}

/// How a child came out of [`share`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It was about to execute a program, or ended by itself. The memory is in order.
    InOrder,
    /// It was killed before that, wherever it was. The heap may be in any state: nothing but ending is safe.
    Killed,
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::asm;
    use std::ffi::c_void;
    use std::mem::ManuallyDrop;
    use std::num::NonZeroUsize;
    use std::os::fd::AsRawFd;
    use std::ptr::NonNull;

    use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

    use super::{BorrowedFd, Gone, Pid, Watched, io};
    use crate::sys::clone::CloneArgs;
    use crate::sys::process::be_child;

    /// Far more than our own code needs; only what is touched takes memory.
    const STACK_BYTES: NonZeroUsize = NonZeroUsize::new(1 << 20).unwrap();
    const GUARD_BYTES: usize = 4096;

    /// A stack for the child; below it is a page that nobody may touch.
    #[derive(Debug)]
    pub struct ChildStack(NonNull<c_void>);

    impl ChildStack {
        /// Maps one.
        pub fn new() -> io::Result<Self> {
            let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE | MapFlags::MAP_STACK;
            let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
            // SAFETY: a new anonymous mapping at an address of the kernel's choice overlaps nothing.
            let base = unsafe { mmap_anonymous(None, STACK_BYTES, protection, flags) }?;
            let stack = Self(base);
            // SAFETY: the first page of a mapping that nobody uses yet.
            unsafe { mprotect(base, GUARD_BYTES, ProtFlags::PROT_NONE) }?;
            Ok(stack)
        }
    }

    impl Drop for ChildStack {
        fn drop(&mut self) {
            // SAFETY: the mapping is this value's own, and `share` borrows it until the child is gone.
            let _ = unsafe { munmap(self.0, STACK_BYTES.get()) };
        }
    }

    /// Starts a child that runs `body`, in `cgroup` (a directory of a v2 hierarchy) if given. Once it has spoken,
    /// or is dead, `meanwhile` is called with its pid; it must close this process's copy of the child's end of the
    /// channel, and what it returns is the word that lets the child go on. Returns when the child shares nothing
    /// any more.
    ///
    /// Only for a PID 1 of a pid namespace that has a single thread, and only for a `body` that first speaks on the
    /// channel and then waits for the word: in between it must do nothing.
    pub fn share<E>(
        cgroup: Option<BorrowedFd<'_>>,
        stack: &ChildStack,
        watched: Watched<'_>,
        body: impl FnOnce(),
        meanwhile: impl FnOnce(Pid) -> Result<Vec<u8>, E>,
    ) -> io::Result<Result<(Pid, Gone), E>> {
        assert_eq!(
            std::process::id(),
            1,
            "kill(-1) is for PID 1 of a pid namespace"
        );
        let mut body = ManuallyDrop::new(body);
        let pid = start(cgroup, stack, &mut body)?;
        until_readable(watched.child, watched.signals);
        match meanwhile(pid) {
            Ok(word) => {
                let_go(watched, &word);
                let in_order = watched.marks.get().is_some() || ended_by_itself(pid);
                let gone = if in_order {
                    Gone::InOrder
                } else {
                    Gone::Killed
                };
                Ok(Ok((pid, gone)))
            }
            Err(e) => {
                kill_all_others();
                until_readable(watched.signals, watched.signals);
                Ok(Err(e))
            }
        }
    }

    fn start<F: FnOnce()>(
        cgroup: Option<BorrowedFd<'_>>,
        stack: &ChildStack,
        body: &mut ManuallyDrop<F>,
    ) -> io::Result<Pid> {
        let mut args = CloneArgs::new(libc::CLONE_VM, cgroup);
        args.set_stack(stack.0.as_ptr() as u64, STACK_BYTES.get() as u64);
        // SAFETY: `enter::<F>` takes exactly such a pointer, and the child alone uses what is behind it, which `share`
        // keeps until the child is gone; the stack is large enough and nobody else's.
        let answer = unsafe { clone_onto(&raw mut args, enter::<F>, (&raw mut *body).cast()) };
        let answer = i32::try_from(answer).map_err(io::Error::other)?;
        if answer < 0 {
            return Err(io::Error::from_raw_os_error(-answer));
        }
        Ok(Pid::from_raw(answer))
    }

    extern "C" fn enter<F: FnOnce()>(body: *mut c_void) -> ! {
        // SAFETY: `share` passes a pointer to such a closure, which it will not touch again.
        let body = unsafe { ManuallyDrop::take(&mut *body.cast::<ManuallyDrop<F>>()) };
        be_child(body)
    }

    /// For the child: says `message` on its end of the channel, and waits until it is answered. The parent goes on as
    /// soon as it hears, so from there to the answer nothing shared is touched: not even to free the message.
    pub fn park(channel: BorrowedFd<'_>, message: &[u8]) {
        say(channel, message);
        until_readable(channel, channel);
    }

    /// For the child: says `message` on its end of the channel and touches nothing shared after it, not even `errno`.
    pub fn say(channel: BorrowedFd<'_>, message: &[u8]) {
        let fd = u64::from(channel.as_raw_fd().cast_unsigned());
        // SAFETY: the kernel reads `message`, which outlives the call.
        unsafe {
            syscall(
                libc::SYS_write,
                [fd, message.as_ptr() as u64, message.len() as u64, 0, 0, 0],
            )
        };
    }

    /// Sends `word`, and waits until the child has closed its end.
    fn let_go(watched: Watched<'_>, word: &[u8]) {
        let fd = u64::from(watched.child.as_raw_fd().cast_unsigned());
        // SAFETY: the kernel reads `word`, which outlives the call.
        unsafe {
            syscall(
                libc::SYS_write,
                [fd, word.as_ptr() as u64, word.len() as u64, 0, 0, 0],
            )
        };
        // Of the channel only its end: what is said before that wakes nobody.
        let mut fds = [
            watch(watched.child, 0),
            watch(watched.supervisor, libc::POLLIN),
        ];
        loop {
            poll(&mut fds);
            if fds[0].revents != 0 {
                break;
            }
            if fds[1].revents != 0 {
                kill_all_others();
                // Once is enough; poll(2) passes over negative descriptors.
                fds[1].fd = -1;
            }
        }
    }

    /// Whether the child, which is dead or about to be, was not killed. It can still be waited for.
    fn ended_by_itself(pid: Pid) -> bool {
        // SAFETY: all-zero is a valid `siginfo_t`, which is made of integers.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let [kind, id] = [
            u64::from(libc::P_PID),
            u64::from(pid.as_raw().cast_unsigned()),
        ];
        let options = u64::from((libc::WEXITED | libc::WNOWAIT).cast_unsigned());
        // SAFETY: the kernel writes one `siginfo_t`, which outlives the call; no usage is asked for.
        let answer = unsafe {
            syscall(
                libc::SYS_waitid,
                [kind, id, (&raw mut info) as u64, options, 0, 0],
            )
        };
        answer == 0 && info.si_code == libc::CLD_EXITED
    }

    fn kill_all_others() {
        // SAFETY: touches no memory. `share` has made sure that this is PID 1 of a pid namespace.
        unsafe { syscall(libc::SYS_kill, [u64::MAX, libc::SIGKILL as u64, 0, 0, 0, 0]) };
    }

    fn until_readable(one: BorrowedFd<'_>, other: BorrowedFd<'_>) {
        let mut fds = [watch(one, libc::POLLIN), watch(other, libc::POLLIN)];
        while fds[0].revents == 0 && fds[1].revents == 0 {
            poll(&mut fds);
        }
    }

    fn watch(fd: BorrowedFd<'_>, events: i16) -> libc::pollfd {
        libc::pollfd {
            fd: fd.as_raw_fd(),
            events,
            revents: 0,
        }
    }

    fn poll(fds: &mut [libc::pollfd]) {
        // SAFETY: the kernel reads and writes as many entries as there are. Nothing else can go wrong than a
        // signal, after which nothing is reported.
        unsafe {
            syscall(
                libc::SYS_poll,
                [fds.as_mut_ptr() as u64, fds.len() as u64, u64::MAX, 0, 0, 0],
            )
        };
    }

    /// A system call, and nothing but that: the answer is not looked at, nor `errno` set.
    ///
    /// # Safety
    ///
    /// As of the call.
    unsafe fn syscall(number: libc::c_long, args: [u64; 6]) -> i64 {
        let answer;
        // SAFETY: the kernel's calling convention (syscall(2)); what the call does is the caller's to answer for.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") number => answer,
                in("rdi") args[0],
                in("rsi") args[1],
                in("rdx") args[2],
                in("r10") args[3],
                in("r8") args[4],
                in("r9") args[5],
                lateout("rcx") _,
                lateout("r11") _,
            );
        }
        answer
    }

    /// clone3(2); the child calls `entry` with `argument`, on its new stack.
    ///
    /// # Safety
    ///
    /// `args` describes a stack for the child that nobody else uses, and `entry` may be called with `argument`.
    unsafe fn clone_onto(
        args: *mut CloneArgs,
        entry: extern "C" fn(*mut c_void) -> !,
        argument: *mut c_void,
    ) -> i64 {
        let answer;
        // SAFETY: `args` is as long as is said. The parent goes on behind the label with its registers and stack as
        // they were, but for those named as written. The child has an empty stack, aligned to 16 bytes as a call
        // demands, and leaves this code for `entry`, which never returns.
        unsafe {
            asm!(
                "syscall",
                "test rax, rax",
                "jnz 2f",
                // The outermost frame.
                "xor ebp, ebp",
                "mov rdi, r12",
                "call r13",
                "ud2",
                "2:",
                inlateout("rax") libc::SYS_clone3 => answer,
                in("rdi") args,
                in("rsi") size_of::<CloneArgs>(),
                in("r12") argument,
                in("r13") entry,
                lateout("rcx") _,
                lateout("r11") _,
            );
        }
        answer
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod elsewhere {
    use super::{BorrowedFd, Gone, Pid, Watched, io};

    /// None is needed.
    #[derive(Debug)]
    pub struct ChildStack;

    impl ChildStack {
        /// Never fails.
        pub fn new() -> io::Result<Self> {
            Ok(Self)
        }
    }

    /// Of no use: nobody shares.
    pub fn park(_: BorrowedFd<'_>, _: &[u8]) {}

    /// Says `message`; nothing is shared.
    pub fn say(channel: BorrowedFd<'_>, message: &[u8]) {
        let _ = nix::unistd::write(channel, message);
    }

    /// Always fails.
    pub fn share<E>(
        _: Option<BorrowedFd<'_>>,
        _: &ChildStack,
        _: Watched<'_>,
        _: impl FnOnce(),
        _: impl FnOnce(Pid) -> Result<Vec<u8>, E>,
    ) -> io::Result<Result<(Pid, Gone), E>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
