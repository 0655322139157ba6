//! The file tree that every sandbox of a worker starts from.
//!
//! A worker builds it once, in a mount namespace of its own, and makes it its own root: from then on
//! the worker itself sees nothing else of the host. A sandbox gets it by the copy of the mount
//! namespace that `clone3` makes, and adds only what must be fresh: `/box` and `/tmp`, `/proc`.
//!
//! Everything is read-only, nosuid and nodev (the few device nodes excepted). The copy belongs to
//! another user namespace, so nothing in it can be unmounted, moved or made writable
//! (mount_namespaces(7), "restrictions on mount namespaces").

use std::ffi::CString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};
use serde::{Deserialize, Serialize};

use crate::layers::Layers;
use crate::prepared;
use crate::report::SandboxFault;
use crate::shelf;
use crate::step::Step;
use crate::sys::mount::{NO_DEV, NO_SUID, READ_ONLY, attach, clone_tree, set_attributes};

/// What the tree shows of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootfsSpec {
    /// Host paths shown read-only at the same place. A `*` in the last part stands for any text; a
    /// path that does not exist is skipped, for not every host has every tool.
    pub mounts: Vec<String>,
    /// Host paths shown read-only at another place.
    pub binds: Vec<(PathBuf, PathBuf)>,
    /// Whether the working directory is shown as that of prepared files ([`prepared`]).
    pub prepared: bool,
}

impl RootfsSpec {
    /// The paths that [`RootfsSpec::mounts`] stand for on this host.
    pub(crate) fn mounted_paths(&self) -> Vec<String> {
        let paths = self.mounts.iter().flat_map(|pattern| expand(pattern));
        paths
            .filter_map(|path| path.into_os_string().into_string().ok())
            .collect()
    }
}

/// Top-level directories of the toolchain. On a merged-/usr host all but the first are symbolic
/// links, and become the same links in the tree.
const TOP_LEVEL: &[&str] = &["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// What of `/etc` any dynamically linked program or tool may need.
const ETC: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/localtime",
];
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];
const LINKS: &[(&str, &str)] = &[
    ("/proc/self/fd", "dev/fd"),
    ("/proc/self/fd/0", "dev/stdin"),
    ("/proc/self/fd/1", "dev/stdout"),
    ("/proc/self/fd/2", "dev/stderr"),
    ("/tmp", "dev/shm"),
    // There only for a program with a terminal, whose own this is.
    ("pts/0", "dev/tty"),
];
const FILES: &[(&str, &str)] = &[
    (
        "etc/passwd",
        "root:x:0:0:root:/:/usr/sbin/nologin\nsandbox:x:1000:1000:sandbox:/box:/bin/sh\n",
    ),
    ("etc/group", "root:x:0:\nsandbox:x:1000:\n"),
    ("etc/hosts", "127.0.0.1 localhost sandbox\n"),
    ("etc/hostname", "sandbox\n"),
    (
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files\n",
    ),
];
/// Where the tree is put together. Sources are taken hold of before it is covered.
const STAGING: &[&str] = &["/tmp", "/mnt", "/srv", "/var/tmp"];

/// A host tree to attach, and where.
struct Source {
    tree: OwnedFd,
    target: PathBuf,
    is_dir: bool,
}

/// Builds the tree and makes it this process's root. Needs CAP_SYS_ADMIN over a mount namespace
/// that nobody else uses. Returns the directory of the tree's [`shelf`].
pub fn enter(spec: &RootfsSpec, off: Layers) -> Result<OwnedFd, SandboxFault> {
    let mut sources = host_trees(spec, off)?;
    if spec.prepared {
        let tree = prepared::tree(off.contains(Layers::READONLY));
        sources.push(Source {
            tree: tree.step("bind the prepared files")?,
            target: prepared::PATH.into(),
            is_dir: true,
        });
    }
    let staging = STAGING
        .iter()
        .map(Path::new)
        .find(|p| p.is_dir())
        .ok_or_else(|| io::Error::other("none of /tmp, /mnt, /srv and /var/tmp exists"))
        .step("find a directory to build the root in")?;
    mount_tmpfs(staging).step("mount the root tmpfs")?;
    chdir(staging).step("enter the new root")?;
    make_skeleton(off).step("fill the new root")?;
    for source in sources {
        attach_source(&source).step(&format!("bind {}", source.target.display()))?;
    }
    let shelf = shelf::mount_at(Path::new("box")).step("mount the shelf")?;
    mount_proc().step("mount /proc for the worker")?;
    pivot_into_cwd().step("pivot into the new root")?;
    let flags = MsFlags::MS_REMOUNT
        | MsFlags::MS_BIND
        | MsFlags::MS_RDONLY
        | MsFlags::MS_NOSUID
        | MsFlags::MS_NODEV;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).step("make the root read-only")?;
    Ok(shelf)
}

fn mount_tmpfs(target: &Path) -> io::Result<()> {
    // Nothing may propagate back to where the mounts were copied from.
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    Ok(mount(
        Some("tmpfs"),
        target,
        Some("tmpfs"),
        flags,
        Some("mode=0755,size=1m,nr_inodes=4096"),
    )?)
}

/// A complete /proc of the worker's own pid namespace: the kernel lets a sandbox mount its own only
/// where a complete one is to be seen (mount_too_revealing(), fs/namespace.c). Every sandbox covers
/// it.
fn mount_proc() -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    Ok(mount(
        Some("proc"),
        "proc",
        Some("proc"),
        flags,
        None::<&str>,
    )?)
}

/// pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of the new one, and goes.
fn pivot_into_cwd() -> io::Result<()> {
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    Ok(chdir("/")?)
}

fn host_trees(spec: &RootfsSpec, off: Layers) -> Result<Vec<Source>, SandboxFault> {
    let mut paths: Vec<(PathBuf, PathBuf)> = Vec::new();
    let same = |p: PathBuf| (p.clone(), p);
    for path in ETC
        .iter()
        .map(|p| (*p).to_owned())
        .chain(spec.mounts.iter().cloned())
    {
        paths.extend(expand(&path).into_iter().map(same));
    }
    let top: Vec<PathBuf> = if off.contains(Layers::ROOTFS) {
        paths.clear();
        whole_host().step("list the host's root")?
    } else {
        TOP_LEVEL.iter().map(|n| Path::new("/").join(n)).collect()
    };
    paths.extend(
        top.into_iter()
            .filter(|p| p.is_dir() && !p.is_symlink())
            .map(same),
    );
    paths.extend(spec.binds.iter().cloned());
    paths.sort_by(|a, b| a.1.cmp(&b.1));
    paths.dedup_by(|a, b| a.1 == b.1);
    paths
        .into_iter()
        .map(|(host, inside)| take_hold(&host, &inside, off))
        .collect()
}

/// With the `rootfs` layer off: everything of the host, but for what the tree has of its own.
fn whole_host() -> io::Result<Vec<PathBuf>> {
    let own = ["proc", "dev", "box", "tmp"];
    let mut found = Vec::new();
    for entry in fs::read_dir("/")? {
        let entry = entry?;
        if !own.iter().any(|o| entry.file_name() == *o) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The paths that `pattern` stands for.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let path = Path::new(pattern);
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
    else {
        return Vec::new();
    };
    let Some((front, back)) = name.split_once('*') else {
        return path
            .exists()
            .then(|| path.to_path_buf())
            .into_iter()
            .collect();
    };
    let matches =
        |n: &str| n.len() >= front.len() + back.len() && n.starts_with(front) && n.ends_with(back);
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter(|e| e.file_name().to_str().is_some_and(matches))
        .map(|e| e.path())
        .collect()
}

fn take_hold(host: &Path, inside: &Path, off: Layers) -> Result<Source, SandboxFault> {
    let name = format!("bind {}", host.display());
    let resolved = host.canonicalize().step(&name)?;
    let c_path = CString::new(resolved.as_os_str().as_encoded_bytes())
        .map_err(io::Error::from)
        .step(&name)?;
    let tree = clone_tree(&c_path).step(&name)?;
    let is_device = resolved.starts_with("/dev");
    let mut attributes = NO_SUID;
    if !is_device {
        attributes |= NO_DEV;
        if !off.contains(Layers::READONLY) {
            attributes |= READ_ONLY;
        }
    }
    set_attributes(&tree, attributes).step(&name)?;
    Ok(Source {
        tree,
        target: inside.to_path_buf(),
        is_dir: resolved.is_dir(),
    })
}

/// Directories, links and files of the tree itself, in the current directory.
fn make_skeleton(off: Layers) -> io::Result<()> {
    for dir in ["box", "tmp", "proc", "dev", "dev/pts", "etc"] {
        make_dirs(Path::new(dir))?;
    }
    for name in TOP_LEVEL {
        if let Ok(target) = fs::read_link(Path::new("/").join(name)) {
            symlink(target, name)?;
        }
    }
    for (target, link) in LINKS {
        symlink(target, link)?;
    }
    if !off.contains(Layers::ROOTFS) {
        for (path, content) in FILES {
            fs::write(path, content)?;
        }
    }
    for name in DEVICES {
        let device = CString::new(format!("/dev/{name}"))?;
        let tree = clone_tree(&device)?;
        set_attributes(&tree, NO_SUID)?;
        let target = format!("dev/{name}");
        File::create(&target)?;
        attach(tree, &CString::new(target)?)?;
    }
    Ok(())
}

fn attach_source(source: &Source) -> io::Result<()> {
    let target = source.target.strip_prefix("/").unwrap_or(&source.target);
    if source.is_dir {
        make_dirs(target)?;
    } else {
        make_dirs(target.parent().unwrap_or(Path::new("")))?;
        if !target.exists() {
            File::create(target)?;
        }
    }
    attach(
        &source.tree,
        &CString::new(target.as_os_str().as_encoded_bytes())?,
    )
}

fn make_dirs(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o755).create(path)
}
