//! Finding the hierarchies, and the part of the tree that the supervisor owns.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::{Version, WorkerPaths, cpuset};

/// Why no group can be made here.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Controllers are missing everywhere.
    #[error("the cgroup controller(s) {0} are on no mounted hierarchy")]
    Missing(String),
    /// v2: other processes live in our group, which therefore cannot have children with controllers.
    #[error(
        "{group} holds other processes (cgroup v2 allows controllers only below groups without \
         processes); start Brig in a group of its own: systemd-run --scope -p Delegate=yes COMMAND"
    )]
    Busy {
        /// The group.
        group: PathBuf,
    },
    /// v2: the group's parent does not hand down the controllers.
    #[error(
        "{group} does not get the controller(s) {missing} from its parent; start Brig in a \
         delegated group: systemd-run --user --scope -p Delegate=yes COMMAND"
    )]
    NotDelegated {
        /// The group.
        group: PathBuf,
        /// The missing ones.
        missing: String,
    },
}

fn io_at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> CgroupError {
    let path = path.into();
    |source| CgroupError::Io { path, source }
}

/// The hard caps of one worker's whole group, sandboxes and worker together.
#[derive(Clone, Copy, Debug)]
pub struct WorkerCaps {
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub processes: u64,
}

/// The directories that correspond to this process's own group, per controller.
#[derive(Clone, Debug)]
pub struct Hierarchies {
    version: Version,
    memory: Option<PathBuf>,
    cpu: Option<PathBuf>,
    cpuacct: Option<PathBuf>,
    pids: Option<PathBuf>,
    /// v1 only, and only for workers that are kept on a CPU.
    cpuset: Option<PathBuf>,
}

const NEEDED: [&str; 3] = ["memory", "cpu", "pids"];

impl Hierarchies {
    /// Finds them. `want` insists on one interface; otherwise v2 is used if it has the controllers.
    pub fn detect(want: Option<Version>) -> Result<Self, CgroupError> {
        let own = fs::read_to_string("/proc/self/cgroup").map_err(io_at("/proc/self/cgroup"))?;
        let mounts =
            fs::read_to_string("/proc/self/mountinfo").map_err(io_at("/proc/self/mountinfo"))?;
        let v1 = Self::v1(&own, &mounts);
        match want {
            Some(Version::V1) => Ok(v1),
            // A v1 hierarchy that has the memory controller keeps it from v2.
            None if v1.memory.is_some() || v1.pids.is_some() => Ok(v1),
            Some(Version::V2) | None => Self::v2(&own, &mounts),
        }
    }

    fn v1(own: &str, mounts: &str) -> Self {
        let dir = |controller: &str| {
            let path = own.lines().find_map(|line| {
                let mut fields = line.splitn(3, ':').skip(1);
                let names = fields.next()?;
                names
                    .split(',')
                    .any(|n| n == controller)
                    .then(|| fields.next())?
            })?;
            let is_it =
                |m: &Mount<'_>| m.kind == "cgroup" && m.options.split(',').any(|o| o == controller);
            parse_mounts(mounts)
                .find(is_it)
                .and_then(|m| m.dir_of(path))
        };
        Self {
            version: Version::V1,
            memory: dir("memory"),
            cpu: dir("cpu"),
            cpuacct: dir("cpuacct"),
            pids: dir("pids"),
            cpuset: dir("cpuset"),
        }
    }

    fn v2(own: &str, mounts: &str) -> Result<Self, CgroupError> {
        let dir = own
            .lines()
            .find_map(|line| line.strip_prefix("0::"))
            .and_then(|path| {
                parse_mounts(mounts)
                    .find(|m| m.kind == "cgroup2")?
                    .dir_of(path)
            })
            .ok_or_else(|| CgroupError::Missing(NEEDED.join(", ")))?;
        let file = dir.join("cgroup.controllers");
        let text = fs::read_to_string(&file).map_err(io_at(file))?;
        let has = |name: &str| text.split_whitespace().any(|c| c == name);
        if NEEDED.iter().all(|n| !has(n)) {
            return Err(CgroupError::NotDelegated {
                group: dir,
                missing: NEEDED.join(", "),
            });
        }
        let dir_if = |name| has(name).then(|| dir.clone());
        Ok(Self {
            version: Version::V2,
            memory: dir_if("memory"),
            cpu: dir_if("cpu"),
            // Counted in every v2 group, with or without the cpu controller.
            cpuacct: Some(dir.clone()),
            pids: dir_if("pids"),
            cpuset: None,
        })
    }

    /// Which interface this is.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The controllers that are not to be had.
    pub fn missing(&self) -> Vec<&'static str> {
        let all = [
            ("memory", &self.memory),
            ("cpu", &self.cpu),
            ("cpuacct", &self.cpuacct),
            ("pids", &self.pids),
        ];
        all.into_iter()
            .filter(|(_, dir)| dir.is_none())
            .map(|(name, _)| name)
            .collect()
    }

    fn all(&self) -> Vec<PathBuf> {
        let mut dirs: Vec<_> = [&self.memory, &self.cpu, &self.cpuacct, &self.pids]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        dirs.sort();
        dirs.dedup();
        dirs
    }

    /// Makes `brig-<pid>` in every hierarchy, after removing what dead services left there.
    pub fn create_base(self) -> Result<Base, CgroupError> {
        for dir in self.all().iter().chain(&self.cpuset) {
            remove_stale(dir);
        }
        let name = format!("brig-{}", std::process::id());
        let mut base = Base {
            version: self.version,
            dirs: self.clone(),
            own_moved: None,
        };
        if self.version == Version::V2 {
            base.own_moved = self.delegate_v2()?;
        }
        let join = |dir: &Option<PathBuf>| dir.as_ref().map(|d| d.join(&name));
        base.dirs = Self {
            version: self.version,
            memory: join(&self.memory),
            cpu: join(&self.cpu),
            cpuacct: join(&self.cpuacct),
            pids: join(&self.pids),
            cpuset: join(&self.cpuset),
        };
        for dir in base.dirs.all() {
            fs::create_dir(&dir).map_err(io_at(&dir))?;
            base.enable_controllers(&dir)?;
        }
        Ok(base)
    }

    /// Makes our own v2 group hand controllers down. Where it holds processes and is not the root,
    /// the kernel refuses until they are gone, so this process moves to a group beside the base.
    /// Returns that group, if one was made.
    fn delegate_v2(&self) -> Result<Option<PathBuf>, CgroupError> {
        let group = self.cpuacct.clone().unwrap_or_default();
        let control = group.join("cgroup.subtree_control");
        let value = self.v2_controllers();
        match fs::write(&control, &value) {
            Ok(()) => return Ok(None),
            Err(e) if e.raw_os_error() == Some(libc::EBUSY) => {}
            Err(e) => return Err(io_at(&control)(e)),
        }
        let leaf = group.join(format!("brig-{}-supervisor", std::process::id()));
        fs::create_dir(&leaf).map_err(io_at(&leaf))?;
        fs::write(leaf.join("cgroup.procs"), "0").map_err(io_at(&leaf))?;
        match fs::write(&control, &value) {
            Ok(()) => Ok(Some(leaf)),
            Err(e) => {
                let _ = fs::write(group.join("cgroup.procs"), "0");
                let _ = fs::remove_dir(&leaf);
                Err(match e.raw_os_error() {
                    Some(libc::EBUSY) => CgroupError::Busy { group },
                    _ => io_at(&control)(e),
                })
            }
        }
    }

    fn v2_controllers(&self) -> String {
        let named = [
            ("memory", &self.memory),
            ("cpu", &self.cpu),
            ("pids", &self.pids),
        ];
        let present = named.into_iter().filter(|(_, dir)| dir.is_some());
        present
            .map(|(name, _)| format!("+{name}"))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// `brig-<pid>`: the service's own part of the tree. Removed on drop.
#[derive(Debug)]
pub struct Base {
    version: Version,
    dirs: Hierarchies,
    own_moved: Option<PathBuf>,
}

impl Base {
    /// Which interface this is.
    pub fn version(&self) -> Version {
        self.version
    }

    fn enable_controllers(&self, dir: &Path) -> Result<(), CgroupError> {
        if self.version == Version::V1 {
            return Ok(());
        }
        let control = dir.join("cgroup.subtree_control");
        fs::write(&control, self.dirs.v2_controllers()).map_err(io_at(control))
    }

    /// Makes the group of worker `index`, owned by `uid`, under hard `caps` that `uid` cannot raise.
    pub fn create_worker(
        &self,
        index: u32,
        uid: u32,
        caps: WorkerCaps,
    ) -> Result<WorkerPaths, CgroupError> {
        let join = |dir: &Option<PathBuf>| dir.as_ref().map(|d| d.join(format!("worker-{index}")));
        let dirs = Hierarchies {
            version: self.version,
            memory: join(&self.dirs.memory),
            cpu: join(&self.dirs.cpu),
            cpuacct: join(&self.dirs.cpuacct),
            pids: join(&self.dirs.pids),
            cpuset: None,
        };
        for dir in dirs.all() {
            remove_tree(&dir);
            fs::create_dir(&dir).map_err(io_at(&dir))?;
            self.enable_controllers(&dir)?;
            self.delegate(&dir, uid)?;
        }
        cap_worker(&dirs, caps)?;
        Ok(WorkerPaths {
            version: self.version,
            memory: dirs.memory,
            cpu: dirs.cpu,
            cpuacct: dirs.cpuacct,
            pids: dirs.pids,
            cpuset: None,
        })
    }

    /// Makes ready for [`Base::pin_worker`]; takes the rights that the service has at its start.
    pub fn prepare_pinning(&self) -> io::Result<()> {
        match (self.version, &self.dirs.cpuset, &self.dirs.cpuacct) {
            (Version::V1, Some(base), _) => cpuset::make_base_v1(base),
            (Version::V2, _, Some(base)) => cpuset::enable_v2(base),
            _ => Err(io::Error::other("there is no cpuset controller")),
        }
    }

    /// Keeps the worker `index`, which has `paths` and was not started yet, on `cpu`, if there is a cpuset
    /// to do it with.
    pub fn pin_worker(&self, index: u32, paths: &mut WorkerPaths, cpu: u32) -> io::Result<()> {
        match (self.version, &self.dirs.cpuset, &paths.cpuacct) {
            (Version::V1, Some(base), _) if base.exists() => {
                let worker = base.join(format!("worker-{index}"));
                cpuset::make_worker_v1(base, &worker, cpu)?;
                paths.cpuset = Some(worker);
                Ok(())
            }
            (Version::V2, _, Some(worker)) if worker.join("cpuset.cpus").exists() => {
                cpuset::limit_v2(worker, cpu)
            }
            _ => Ok(()),
        }
    }

    /// Lets `uid` make groups in `dir` and move its own processes between them, and no more.
    fn delegate(&self, dir: &Path, uid: u32) -> Result<(), CgroupError> {
        let mut owned = vec![dir.to_path_buf(), dir.join("cgroup.procs")];
        if self.version == Version::V2 {
            let main = dir.join("main");
            fs::create_dir(&main).map_err(io_at(&main))?;
            // The worker watches the clock for its program: it must not wait for its turn.
            let _ = fs::write(main.join("cpu.weight"), "10000");
            owned.extend([main.clone(), main.join("cgroup.procs")]);
        }
        owned.into_iter().try_for_each(|path| {
            // The group stays the supervisor's, which gives up overriding permissions.
            let mode = if path.is_dir() { 0o775 } else { 0o664 };
            fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(io_at(&path))?;
            chown(&path, Some(uid), None).map_err(io_at(&path))
        })
    }

    /// Moves process `pid` into the group that worker processes live in.
    pub fn enter_worker(paths: &WorkerPaths, pid: i32) -> Result<(), CgroupError> {
        let mut dirs: Vec<_> = [&paths.memory, &paths.cpu, &paths.cpuacct, &paths.pids]
            .into_iter()
            .chain([&paths.cpuset])
            .flatten()
            .collect();
        dirs.sort();
        dirs.dedup();
        for dir in dirs {
            let group = if paths.version == Version::V2 {
                dir.join("main")
            } else {
                dir.clone()
            };
            let procs = group.join("cgroup.procs");
            fs::write(&procs, pid.to_string()).map_err(io_at(procs))?;
        }
        Ok(())
    }

    /// Removes the group of worker `index`, whose processes are dead or dying.
    pub fn remove_worker(&self, index: u32) {
        for dir in self.dirs.all().iter().chain(&self.dirs.cpuset) {
            remove_tree(&dir.join(format!("worker-{index}")));
        }
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        let all = self.dirs.all();
        all.iter()
            .chain(&self.dirs.cpuset)
            .for_each(|dir| remove_tree(dir));
        if let Some(leaf) = &self.own_moved {
            if let Some(group) = leaf.parent() {
                let _ = fs::write(group.join("cgroup.subtree_control"), "-memory -cpu -pids");
                let _ = fs::write(group.join("cgroup.procs"), "0");
            }
            let _ = fs::remove_dir(leaf);
        }
    }
}

fn cap_worker(dirs: &Hierarchies, caps: WorkerCaps) -> Result<(), CgroupError> {
    let (memory_file, swap_file) = match dirs.version {
        Version::V1 => ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
        Version::V2 => ("memory.max", "memory.swap.max"),
    };
    if let Some(dir) = &dirs.memory {
        let file = dir.join(memory_file);
        fs::write(&file, caps.memory_bytes.to_string()).map_err(io_at(file))?;
        let swap = if dirs.version == Version::V1 {
            caps.memory_bytes
        } else {
            0
        };
        // Absent where the kernel does not account for swap.
        match fs::write(dir.join(swap_file), swap.to_string()) {
            Err(e)
                if e.kind() != io::ErrorKind::NotFound
                    && e.kind() != io::ErrorKind::PermissionDenied =>
            {
                return Err(io_at(dir.join(swap_file))(e));
            }
            _ => {}
        }
    }
    if let Some(dir) = &dirs.pids {
        let file = dir.join("pids.max");
        fs::write(&file, caps.processes.to_string()).map_err(io_at(file))?;
    }
    Ok(())
}

/// Removes `brig-<pid>` groups whose service is dead.
fn remove_stale(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|n| {
            n.strip_prefix("brig-")?
                .split('-')
                .next()?
                .parse::<u32>()
                .ok()
        });
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            remove_tree(&entry.path());
        }
    }
}

/// Kills what is in `dir` and below, and removes the directories. Best effort: what cannot be
/// removed now is removed by the next start.
fn remove_tree(dir: &Path) {
    const TRIES: u32 = 400;
    if !dir.exists() {
        return;
    }
    for _ in 0..TRIES {
        kill_tree(dir);
        match remove_dirs(dir) {
            // Its last processes are still on their way out.
            Err(e) if e.raw_os_error() == Some(libc::EBUSY) => {}
            _ => return,
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn remove_dirs(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_dirs(&entry.path())?;
        }
    }
    fs::remove_dir(dir)
}

fn kill_tree(dir: &Path) {
    if fs::write(dir.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    for pid in fs::read_to_string(dir.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
    {
        if let Ok(pid) = pid.parse::<i32>() {
            // 0 stands for a process of another pid namespace; as kill(2) takes it, it is our group.
            if pid > 0 && pid.cast_unsigned() != std::process::id() {
                let _ = nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(pid),
                    nix::sys::signal::SIGKILL,
                );
            }
        }
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            kill_tree(&entry.path());
        }
    }
}

/// The fields of a mountinfo line (proc_pid_mountinfo(5)) that matter here.
struct Mount<'a> {
    root: &'a str,
    target: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl Mount<'_> {
    /// Where the group at `path` of this hierarchy is to be seen below this mount.
    fn dir_of(&self, path: &str) -> Option<PathBuf> {
        let below = if self.root == "/" {
            path
        } else {
            path.strip_prefix(self.root)?
        };
        Some(Path::new(self.target).join(below.trim_start_matches('/')))
    }
}

fn parse_mounts(text: &str) -> impl Iterator<Item = Mount<'_>> {
    text.lines().filter_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        let mut front = front.split(' ').skip(3);
        let (root, target) = (front.next()?, front.next()?);
        let mut back = back.split(' ');
        let kind = back.next()?;
        let options = back.nth(1)?;
        Some(Mount {
            root,
            target,
            kind,
            options,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID_OWN: &str = "9:name=systemd:/\n8:pids:/a\n4:memory:/x/y\n2:cpu,cpuacct:/\n0::/\n";
    const HYBRID_MOUNTS: &str = "\
        30 24 0:26 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
        31 24 0:27 /x /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        32 24 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:1 - cgroup cgroup rw,cpu,cpuacct\n\
        33 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn v1_directories_are_those_of_the_own_group() {
        let found = Hierarchies::v1(HYBRID_OWN, HYBRID_MOUNTS);
        assert_eq!(found.pids, Some("/sys/fs/cgroup/pids/a".into()));
        assert_eq!(found.memory, Some("/sys/fs/cgroup/memory/y".into()));
        assert_eq!(found.cpu, found.cpuacct);
        assert_eq!(found.missing(), Vec::<&str>::new());
        assert_eq!(found.all().len(), 3);
    }

    #[test]
    fn a_controller_on_no_hierarchy_is_missing() {
        let found = Hierarchies::v1("8:pids:/a\n", HYBRID_MOUNTS);
        assert_eq!(found.missing(), ["memory", "cpu", "cpuacct"]);
    }
}
