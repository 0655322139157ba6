//! One hierarchy per controller (Documentation/admin-guide/cgroup-v1/).
//!
//! Making and removing four groups takes longer than most of what else a sandbox needs, so a group is
//! used again, once [`LeafV1::renew`] has proved that nothing of its last program is left in it. A group
//! whose figures cannot be set back (`pids.peak` above 1, a kill for memory, throttling) is not.

use std::cell::{Cell, OnceCell};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};

use super::{
    CPU_PERIOD_US, Counters, Entry, InUse, Leaf, WorkerPaths, cpu_quota_us, members, named,
    open_dir, remove_dir, value_of,
};
use crate::layers::Layers;
use crate::limits::Limits;

/// One directory per controller. Controllers mounted together share one, opened once for each.
#[derive(Debug)]
struct Dirs {
    memory: Option<OwnedFd>,
    cpu: Option<OwnedFd>,
    cpuacct: Option<OwnedFd>,
    pids: Option<OwnedFd>,
}

impl Dirs {
    fn all(&self) -> impl Iterator<Item = &OwnedFd> {
        [&self.memory, &self.cpu, &self.cpuacct, &self.pids]
            .into_iter()
            .flatten()
    }
}

/// A worker's directories.
#[derive(Debug)]
pub struct Group {
    dirs: Rc<Dirs>,
}

impl Group {
    pub(super) fn open(paths: &WorkerPaths) -> io::Result<Self> {
        let open = |path: &Option<std::path::PathBuf>| {
            path.as_ref()
                .map(|p| File::open(p).map(OwnedFd::from))
                .transpose()
        };
        Ok(Self {
            dirs: Rc::new(Dirs {
                memory: open(&paths.memory)?,
                cpu: open(&paths.cpu)?,
                cpuacct: open(&paths.cpuacct)?,
                pids: open(&paths.pids)?,
            }),
        })
    }

    pub(super) fn create_leaf(&self, name: &str) -> io::Result<LeafV1> {
        for dir in self.dirs.all() {
            match mkdirat(dir, name, Mode::from_bits_truncate(0o755)) {
                // Made through another controller of the same hierarchy.
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(e) => return Err(named(name, e.into())),
            }
        }
        LeafV1::open(&self.dirs, name)
    }
}

/// A control file, open from its first use on until its group rests: opening takes longer than reading,
/// but each open file makes forks dearer.
#[derive(Debug)]
struct Control {
    dir: Rc<OwnedFd>,
    name: &'static str,
    access: OFlag,
    file: OnceCell<File>,
}

/// Room for the longest control file that is read, `memory.oom_control` or `cpu.stat`.
const READ_BYTES: usize = 512;

impl Control {
    fn new(dir: &Rc<OwnedFd>, name: &'static str, access: OFlag) -> Self {
        Self {
            dir: Rc::clone(dir),
            name,
            access,
            file: OnceCell::new(),
        }
    }

    /// `None`: this kernel does not have it.
    fn if_any(dir: &Rc<OwnedFd>, name: &'static str, access: OFlag) -> io::Result<Option<Self>> {
        let control = Self::new(dir, name, access);
        match control.file() {
            Ok(_) => Ok(Some(control)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn file(&self) -> io::Result<&File> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let flags = self.access | OFlag::O_CLOEXEC;
        let fd = openat(&self.dir, self.name, flags, Mode::empty())
            .map_err(|e| named(self.name, e.into()))?;
        Ok(self.file.get_or_init(|| fd.into()))
    }

    fn close(&mut self) {
        self.file.take();
    }

    fn write(&self, value: &str) -> io::Result<()> {
        match self.file()?.write_at(value.as_bytes(), 0) {
            Ok(_) => Ok(()),
            Err(e) => Err(named(self.name, e)),
        }
    }

    fn text(&self) -> io::Result<String> {
        let mut buffer = [0; READ_BYTES];
        let len = self
            .file()?
            .read_at(&mut buffer, 0)
            .map_err(|e| named(self.name, e))?;
        Ok(String::from_utf8_lossy(&buffer[..len]).into_owned())
    }

    fn number(&self) -> io::Result<u64> {
        let text = self.text()?;
        text.trim()
            .parse()
            .map_err(|_| named(self.name, io::Error::other(format!("{text:?}"))))
    }
}

/// The files of the memory hierarchy.
#[derive(Debug)]
struct Memory {
    limit: Control,
    /// Memory plus swap; absent without swap accounting, and so is its usage.
    swap_limit: Option<Control>,
    usage: Control,
    swap_usage: Option<Control>,
    peak: Control,
    oom: Control,
    limited: Cell<Option<u64>>,
    swap_limited: Cell<Option<u64>>,
}

impl Memory {
    fn files(&mut self) -> impl Iterator<Item = &mut Control> {
        [
            Some(&mut self.limit),
            Some(&mut self.usage),
            Some(&mut self.peak),
            Some(&mut self.oom),
            self.swap_limit.as_mut(),
            self.swap_usage.as_mut(),
        ]
        .into_iter()
        .flatten()
    }

    fn open(dir: &Rc<OwnedFd>) -> io::Result<Self> {
        let swap_limit = Control::if_any(dir, "memory.memsw.limit_in_bytes", OFlag::O_WRONLY)?;
        if swap_limit.is_none() {
            // Then this keeps the group's pages out of swap.
            Control::new(dir, "memory.swappiness", OFlag::O_WRONLY).write("0")?;
        }
        Ok(Self {
            limit: Control::new(dir, "memory.limit_in_bytes", OFlag::O_WRONLY),
            swap_limit,
            usage: Control::new(dir, "memory.usage_in_bytes", OFlag::O_RDONLY),
            swap_usage: Control::if_any(dir, "memory.memsw.usage_in_bytes", OFlag::O_RDONLY)?,
            peak: Control::new(dir, "memory.max_usage_in_bytes", OFlag::O_RDWR),
            oom: Control::new(dir, "memory.oom_control", OFlag::O_RDONLY),
            limited: Cell::new(None),
            swap_limited: Cell::new(None),
        })
    }

    /// Memory plus swap no larger than memory: no swap. The kernel keeps the first at least as large
    /// as the second, so the order depends on the direction.
    fn set_limit(&self, bytes: Option<u64>) -> io::Result<()> {
        let above = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
        if above(bytes) > above(self.swap_limited.get()) {
            self.set_swap_limit(bytes)?;
        }
        if self.limited.get() != bytes {
            self.limit.write(&limit_text(bytes))?;
            self.limited.set(bytes);
        }
        self.set_swap_limit(bytes)
    }

    fn set_swap_limit(&self, bytes: Option<u64>) -> io::Result<()> {
        let Some(file) = &self.swap_limit else {
            return Ok(());
        };
        if self.swap_limited.get() != bytes {
            file.write(&limit_text(bytes))?;
            self.swap_limited.set(bytes);
        }
        Ok(())
    }

    fn oom_kills(&self) -> io::Result<Option<u64>> {
        Ok(value_of(&self.oom.text()?, "oom_kill"))
    }

    fn in_use(&self) -> io::Result<bool> {
        let swap = self.swap_usage.as_ref().map(Control::number).transpose()?;
        Ok(self.usage.number()? > 0 || swap.unwrap_or(0) > 0)
    }

    /// Whether it is empty and its peak is set back.
    ///
    /// Each CPU keeps some pages charged in reserve. A limit below the usage makes the kernel give them
    /// back (`mem_cgroup_resize_max()`, mm/memcontrol-v1.c); where something else is charged, the limit
    /// is refused.
    fn renew(&self) -> io::Result<bool> {
        if self.oom_kills()? != Some(0) {
            return Ok(false);
        }
        if self.in_use()? {
            if self.limit.write("0").is_err() {
                return Ok(false);
            }
            self.limited.set(Some(0));
            if self.in_use()? {
                return Ok(false);
            }
        }
        self.peak.write("0")?;
        Ok(self.peak.number()? == 0)
    }
}

fn limit_text(limit: Option<u64>) -> String {
    limit.map_or_else(|| "-1".to_owned(), |n| n.to_string())
}

/// The files of the cpu hierarchy.
#[derive(Debug)]
struct Cpu {
    quota: Control,
    stat: Control,
    limited: Cell<bool>,
}

impl Cpu {
    fn files(&mut self) -> impl Iterator<Item = &mut Control> {
        [Some(&mut self.quota), Some(&mut self.stat)]
            .into_iter()
            .flatten()
    }

    fn open(dir: &Rc<OwnedFd>) -> io::Result<Self> {
        // What a fresh group has, too; but nothing promises it.
        Control::new(dir, "cpu.cfs_period_us", OFlag::O_WRONLY)
            .write(&CPU_PERIOD_US.to_string())?;
        Ok(Self {
            quota: Control::new(dir, "cpu.cfs_quota_us", OFlag::O_WRONLY),
            stat: Control::new(dir, "cpu.stat", OFlag::O_RDONLY),
            limited: Cell::new(false),
        })
    }

    /// A quota is written even if it is the same: that gives the group a whole period's time, whatever
    /// the last program used of it (`tg_set_cfs_bandwidth()`, kernel/sched/core.c).
    fn set_quota(&self, us: Option<u64>) -> io::Result<()> {
        if us.is_some() || self.limited.get() {
            self.quota.write(&limit_text(us))?;
            self.limited.set(us.is_some());
        }
        Ok(())
    }
}

/// The files of the cpuacct hierarchy.
#[derive(Debug)]
struct Cpuacct {
    usage: Control,
    user: Option<Control>,
    system: Option<Control>,
}

impl Cpuacct {
    fn files(&mut self) -> impl Iterator<Item = &mut Control> {
        [
            Some(&mut self.usage),
            self.user.as_mut(),
            self.system.as_mut(),
        ]
        .into_iter()
        .flatten()
    }

    fn open(dir: &Rc<OwnedFd>) -> io::Result<Self> {
        Ok(Self {
            usage: Control::new(dir, "cpuacct.usage", OFlag::O_RDWR),
            user: Control::if_any(dir, "cpuacct.usage_user", OFlag::O_RDONLY)?,
            system: Control::if_any(dir, "cpuacct.usage_sys", OFlag::O_RDONLY)?,
        })
    }

    fn split(&self) -> io::Result<(Option<u64>, Option<u64>)> {
        let number = |file: &Option<Control>| file.as_ref().map(Control::number).transpose();
        Ok((number(&self.user)?, number(&self.system)?))
    }

    fn renew(&self) -> io::Result<bool> {
        self.usage.write("0")?;
        let (user, system) = self.split()?;
        Ok(self.usage.number()? == 0 && user.unwrap_or(0) == 0 && system.unwrap_or(0) == 0)
    }
}

/// The files of the pids hierarchy.
#[derive(Debug)]
struct Pids {
    max: Control,
    current: Control,
    /// Linux 6.1 and later have it.
    peak: Option<Control>,
    limited: Cell<Option<u64>>,
}

impl Pids {
    fn files(&mut self) -> impl Iterator<Item = &mut Control> {
        [
            Some(&mut self.max),
            Some(&mut self.current),
            self.peak.as_mut(),
        ]
        .into_iter()
        .flatten()
    }

    fn open(dir: &Rc<OwnedFd>) -> io::Result<Self> {
        Ok(Self {
            max: Control::new(dir, "pids.max", OFlag::O_WRONLY),
            current: Control::new(dir, "pids.current", OFlag::O_RDONLY),
            peak: Control::if_any(dir, "pids.peak", OFlag::O_RDONLY)?,
            limited: Cell::new(None),
        })
    }

    fn set_limit(&self, processes: Option<u64>) -> io::Result<()> {
        if self.limited.get() != processes {
            let text = processes.map_or_else(|| "max".to_owned(), |n| n.to_string());
            self.max.write(&text)?;
            self.limited.set(processes);
        }
        Ok(())
    }

    fn peak(&self) -> io::Result<Option<u64>> {
        self.peak.as_ref().map(Control::number).transpose()
    }

    /// The peak cannot be set back. A peak of 1 can hide nothing: every program has a process.
    fn is_as_new(&self) -> io::Result<bool> {
        Ok(self.current.number()? == 0 && self.peak()?.unwrap_or(0) <= 1)
    }
}

/// One sandbox's directories.
#[derive(Debug)]
pub(super) struct LeafV1 {
    parents: Rc<Dirs>,
    name: String,
    memory: Option<Memory>,
    cpu: Option<Cpu>,
    cpuacct: Option<Cpuacct>,
    pids: Option<Pids>,
    /// `tasks` of each. A single thread that moves itself needs no lock on the forks of the whole machine, unlike
    /// a write to `cgroup.procs`, which waits for an RCU grace period now and then: some 10 ms
    /// (`cgroup_procs_write_start()`, kernel/cgroup/cgroup.c, since 5.5).
    tasks: Vec<Control>,
    /// Its figures may stand for one more program.
    reusable: Cell<bool>,
}

impl LeafV1 {
    fn open(parents: &Rc<Dirs>, name: &str) -> io::Result<Self> {
        let dir = |parent: &Option<OwnedFd>| {
            let open = |parent| open_dir(parent, name).map(Rc::new);
            parent.as_ref().map(open).transpose()
        };
        let (memory, cpu) = (dir(&parents.memory)?, dir(&parents.cpu)?);
        let (cpuacct, pids) = (dir(&parents.cpuacct)?, dir(&parents.pids)?);
        let dirs = [&memory, &cpu, &cpuacct, &pids].into_iter().flatten();
        Ok(Self {
            parents: Rc::clone(parents),
            name: name.to_owned(),
            tasks: dirs
                .map(|dir| Control::new(dir, "tasks", OFlag::O_WRONLY))
                .collect(),
            memory: memory.as_ref().map(Memory::open).transpose()?,
            cpu: cpu.as_ref().map(Cpu::open).transpose()?,
            cpuacct: cpuacct.as_ref().map(Cpuacct::open).transpose()?,
            pids: pids.as_ref().map(Pids::open).transpose()?,
            reusable: Cell::new(false),
        })
    }
}

impl LeafV1 {
    fn lift_limits(&self) -> io::Result<()> {
        if let Some(memory) = &self.memory {
            memory.set_limit(None)?;
        }
        if let Some(pids) = &self.pids {
            pids.set_limit(None)?;
        }
        match &self.cpu {
            Some(cpu) => cpu.set_quota(None),
            None => Ok(()),
        }
    }
}

impl Leaf for LeafV1 {
    fn entry(&self) -> io::Result<Entry<'_>> {
        let tasks = self.tasks.iter().map(|tasks| tasks.file().map(File::as_fd));
        tasks.collect::<io::Result<_>>().map(Entry::Write)
    }

    fn apply(&self, limits: &Limits, off: Layers) -> io::Result<()> {
        let on = |layer| !off.contains(layer);
        if let Some(memory) = &self.memory {
            memory.set_limit(on(Layers::MEMORY_LIMIT).then_some(limits.memory_bytes))?;
        }
        if let Some(pids) = &self.pids {
            pids.set_limit(on(Layers::PIDS_LIMIT).then_some(limits.processes.into()))?;
        }
        if let Some(cpu) = &self.cpu {
            let quota = cpu_quota_us(limits.cpus).filter(|_| on(Layers::CPU_QUOTA));
            cpu.set_quota(quota)?;
        }
        Ok(())
    }

    fn cpu_ns(&self) -> io::Result<Option<u64>> {
        let usage = |files: &Cpuacct| files.usage.number();
        self.cpuacct.as_ref().map(usage).transpose()
    }

    fn oom_kills(&self) -> io::Result<Option<u64>> {
        match &self.memory {
            Some(memory) => memory.oom_kills(),
            None => Ok(None),
        }
    }

    fn in_use(&self) -> io::Result<InUse> {
        let memory = self.memory.as_ref().map(|files| files.usage.number());
        let pids = self.pids.as_ref().map(|files| files.current.number());
        Ok(InUse {
            memory_bytes: memory.transpose()?,
            processes: pids.transpose()?,
        })
    }

    fn members(&self) -> io::Result<Vec<i32>> {
        // All directories have the same.
        match self.parents.all().next() {
            Some(parent) => members(open_dir(parent, &self.name)?.as_fd()),
            None => Ok(Vec::new()),
        }
    }

    fn counters(&self) -> io::Result<Counters> {
        let throttling = match &self.cpu {
            Some(cpu) => cpu.stat.text()?,
            None => String::new(),
        };
        let (user_ns, system_ns) = match &self.cpuacct {
            Some(files) => files.split()?,
            None => (None, None),
        };
        let peak = |memory: &Memory| memory.peak.number();
        let counters = Counters {
            cpu_ns: self.cpu_ns()?,
            user_ns,
            system_ns,
            memory_peak_bytes: self.memory.as_ref().map(peak).transpose()?,
            processes_peak: match &self.pids {
                Some(pids) => pids.peak()?,
                None => None,
            },
            oom_kills: self.oom_kills()?,
            // In nanoseconds here, unlike v2 (scheduler/sched-bwc.rst).
            throttled_us: value_of(&throttling, "throttled_time").map(|ns| ns / 1000),
            throttled_periods: value_of(&throttling, "nr_throttled"),
        };
        self.reusable.set(
            counters.processes_peak.unwrap_or(0) <= 1
                && counters.oom_kills.unwrap_or(0) == 0
                && counters.throttled_periods.unwrap_or(0) == 0,
        );
        Ok(counters)
    }

    fn kill(&self) -> io::Result<bool> {
        Ok(false)
    }

    fn reusable(&self) -> bool {
        self.reusable.get()
    }

    fn rest(&mut self) {
        let memory = self.memory.iter_mut().flat_map(Memory::files);
        let cpu = self.cpu.iter_mut().flat_map(Cpu::files);
        let cpuacct = self.cpuacct.iter_mut().flat_map(Cpuacct::files);
        let pids = self.pids.iter_mut().flat_map(Pids::files);
        let all = memory.chain(cpu).chain(cpuacct).chain(pids);
        all.chain(&mut self.tasks).for_each(Control::close);
    }

    fn renew(&self) -> io::Result<bool> {
        if let Some(pids) = &self.pids
            && !pids.is_as_new()?
        {
            return Ok(false);
        }
        if self.pids.is_none() && !self.members()?.is_empty() {
            return Ok(false);
        }
        if let Some(cpu) = &self.cpu {
            let stat = cpu.stat.text()?;
            if value_of(&stat, "nr_throttled") != Some(0) {
                return Ok(false);
            }
        }
        if let Some(memory) = &self.memory
            && !memory.renew()?
        {
            return Ok(false);
        }
        if let Some(cpuacct) = &self.cpuacct
            && !cpuacct.renew()?
        {
            return Ok(false);
        }
        // The next program's process enters before its limits are known.
        self.lift_limits()?;
        Ok(true)
    }

    fn remove(&self) -> io::Result<()> {
        self.parents
            .all()
            .try_for_each(|parent| remove_dir(parent.as_fd(), &self.name))
    }
}
