//! Which files below `/box` an interpreter looked at before it was held.

use nix::unistd::Pid;

use crate::sys::ptrace::{Call, read_string};

/// The most paths remembered: an interpreter that looks at more is not held.
const MAX_LOOKED_AT: usize = 64;
/// `PATH_MAX` (linux/limits.h), less its NUL.
const MAX_PATH_BYTES: usize = 4095;

/// What a call means for holding its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing.
    None,
    /// It is the first that concerns the script.
    Script,
    /// Its caller cannot be held, for this reason.
    Unfit(&'static str),
}

/// What has been looked at.
#[derive(Clone, Debug)]
pub struct LookedAt {
    /// The script, relative to `/box`.
    script: String,
    /// Relative to `/box`.
    paths: Vec<String>,
}

/// Calls by what they do with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// Asks about the file, or opens it.
    Look,
    /// The same, and a directory's entries may be read from what it opens.
    Open,
    /// Changes what relative paths mean, or which program this is.
    Change,
}

impl LookedAt {
    /// Nothing yet. `script` as the command names it, relative to `/box` or absolute. `None` if it is
    /// not below `/box`.
    pub fn new(script: &str) -> Option<Self> {
        let script = below_box(script.as_bytes()).filter(|path| !path.is_empty())?;
        Some(Self {
            script,
            paths: Vec::new(),
        })
    }

    /// Notes what `call` of `pid`, which stands before it, will look at.
    pub fn note(&mut self, pid: Pid, call: &Call) -> Meaning {
        let Some((usage, argument)) = path_argument(call.number) else {
            return Meaning::None;
        };
        if usage == Use::Change {
            return Meaning::Unfit("it changes its directory or executes another program");
        }
        match read_string(pid, call.arguments[argument], MAX_PATH_BYTES) {
            Some(path) => self.look(usage, &path),
            // The call will fail, or it is about what a descriptor refers to.
            None => Meaning::None,
        }
    }

    /// `usage` is of `path`.
    fn look(&mut self, usage: Use, path: &[u8]) -> Meaning {
        if path.is_empty() {
            return Meaning::None;
        }
        if goes_through_proc(path) {
            return Meaning::Unfit("it looks at files by way of /proc");
        }
        let Some(path) = below_box(path) else {
            return Meaning::None;
        };
        if path.is_empty() {
            return match usage {
                Use::Open => Meaning::Unfit("it opens /box before its script"),
                _ => Meaning::None,
            };
        }
        if is_at_or_below(&self.script, &path) {
            return Meaning::Script;
        }
        if !self.paths.contains(&path) {
            if self.paths.len() == MAX_LOOKED_AT {
                return Meaning::Unfit("it looks at too many files below /box");
            }
            self.paths.push(path);
        }
        Meaning::None
    }

    /// Whether something else would have been found had `file` (relative to `/box`) been there.
    pub fn concerns(&self, file: &str) -> bool {
        let touches = |path: &String| is_at_or_below(file, path) || is_at_or_below(path, file);
        self.paths.iter().any(touches)
    }
}

fn is_at_or_below(path: &str, ancestor: &str) -> bool {
    path.strip_prefix(ancestor)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `/proc/self/cwd/x` and the like name files of `/box` by another name.
fn goes_through_proc(path: &[u8]) -> bool {
    let has = |part: &[u8]| path.windows(part.len()).any(|window| window == part);
    path.starts_with(b"/proc/") && (has(b"/cwd") || has(b"/root"))
}

/// `path`, relative to the working directory `/box` or absolute, as a plain path relative to `/box`.
/// `None` if it is elsewhere. Empty if it is `/box` itself. There are no symbolic links in or to `/box`
/// yet, so dots can be resolved by name.
fn below_box(path: &[u8]) -> Option<String> {
    let base: &[&[u8]] = if path.starts_with(b"/") {
        &[]
    } else {
        &[b"box"]
    };
    let mut parts = base.to_vec();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let (first, rest) = parts.split_first()?;
    if *first != b"box" {
        return None;
    }
    // What is not UTF-8 cannot be the name of a job's file; what remains of it still tells it from
    // others.
    Some(String::from_utf8_lossy(&rest.join(&b'/')).into_owned())
}

/// What call `number` does with which of its arguments, if that is a path.
fn path_argument(number: i64) -> Option<(Use, usize)> {
    #[cfg(target_arch = "x86_64")]
    match number {
        libc::SYS_open | libc::SYS_creat => return Some((Use::Open, 0)),
        libc::SYS_stat | libc::SYS_lstat | libc::SYS_access | libc::SYS_readlink => {
            return Some((Use::Look, 0));
        }
        _ => {}
    }
    Some(match number {
        libc::SYS_openat | libc::SYS_openat2 => (Use::Open, 1),
        libc::SYS_inotify_add_watch
        | libc::SYS_newfstatat
        | libc::SYS_statx
        | libc::SYS_faccessat
        | libc::SYS_faccessat2
        | libc::SYS_readlinkat
        | libc::SYS_name_to_handle_at => (Use::Look, 1),
        libc::SYS_statfs | libc::SYS_getxattr | libc::SYS_lgetxattr => (Use::Look, 0),
        libc::SYS_chdir | libc::SYS_fchdir | libc::SYS_chroot | libc::SYS_execve => {
            (Use::Change, 0)
        }
        libc::SYS_execveat => (Use::Change, 1),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(script: &str) -> LookedAt {
        LookedAt::new(script).unwrap()
    }

    #[test]
    fn paths_are_told_whatever_their_form() {
        let below = |path: &str| below_box(path.as_bytes());
        assert_eq!(below("main.py").as_deref(), Some("main.py"));
        assert_eq!(below("./a//b/../main.py").as_deref(), Some("a/main.py"));
        assert_eq!(below("/box/main.py").as_deref(), Some("main.py"));
        assert_eq!(below("../box/main.py").as_deref(), Some("main.py"));
        assert_eq!(below("/usr/../box/./x").as_deref(), Some("x"));
        assert_eq!(below("/box").as_deref(), Some(""));
        assert_eq!(below(".").as_deref(), Some(""));
        assert_eq!(below("/boxes/main.py"), None);
        assert_eq!(below("/usr/lib/main.py"), None);
        assert_eq!(below(".."), None);
        assert!(LookedAt::new("/usr/lib/x.py").is_none());
        assert!(LookedAt::new("/box").is_none());
    }

    #[test]
    fn the_script_and_the_directories_on_the_way_to_it_hold() {
        for path in ["src/main.py", "/box/src/main.py", "src", "/box/./src"] {
            let mut looked = looked("src/main.py");
            assert_eq!(looked.look(Use::Look, path.as_bytes()), Meaning::Script);
        }
        let mut looked = looked("src/main.py");
        assert_eq!(looked.look(Use::Look, b"src/main.pyc"), Meaning::None);
        assert_eq!(looked.look(Use::Look, b"/box"), Meaning::None);
        assert_eq!(looked.look(Use::Open, b"/usr/main.py"), Meaning::None);
    }

    #[test]
    fn what_would_show_the_files_to_come_makes_unfit() {
        for (usage, path) in [
            (Use::Open, "/box"),
            (Use::Open, "."),
            (Use::Look, "/proc/self/cwd/x"),
            (Use::Look, "/proc/2/root/box/x"),
        ] {
            let meaning = looked("main.py").look(usage, path.as_bytes());
            assert!(matches!(meaning, Meaning::Unfit(_)), "{path}");
        }
    }

    #[test]
    fn files_that_were_missed_are_known() {
        let mut looked = looked("main.py");
        looked.look(Use::Look, b"/box/.local/lib/python");
        looked.look(Use::Open, b"pyvenv.cfg");
        for file in [
            ".local/lib/python/x.pth",
            ".local",
            "pyvenv.cfg",
            "pyvenv.cfg/x",
        ] {
            assert!(looked.concerns(file), "{file}");
        }
        for file in ["main.py", ".local/lib/ruby", "x/pyvenv.cfg", "pyvenv.cfg2"] {
            assert!(!looked.concerns(file), "{file}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut looked = looked("main.py");
        for i in 0..MAX_LOOKED_AT {
            assert_eq!(
                looked.look(Use::Look, format!("f{i}").as_bytes()),
                Meaning::None
            );
        }
        assert_eq!(looked.look(Use::Look, b"f0"), Meaning::None);
        assert!(matches!(looked.look(Use::Look, b"g"), Meaning::Unfit(_)));
    }
}
