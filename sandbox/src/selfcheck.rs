//! Proof, at start-up, that every layer of isolation holds on this host.
//!
//! Nothing is concluded from versions or configuration: for each layer a probe of our own runs in a
//! real sandbox and tries what the layer forbids, with those layers left out that would stop it
//! first. First each optional layer is tried alone, so that a host that lacks one is told which.

use std::io;
use std::time::Duration;

use nix::unistd::Pid;

use crate::cgroup::host::{Base, Hierarchies};
use crate::client::{Client, Execution};
use crate::layers::Layers;
use crate::limits::Limits;
use crate::probe::{self, Namespaces, Probe};
use crate::protocol::Job;
use crate::report::{Outcome, SandboxFault, StageReport};
use crate::step::Step;

/// What was found about one layer.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The layer.
    pub layer: Layers,
    /// Its name.
    pub name: &'static str,
    /// Whether it holds.
    pub enforced: bool,
    /// What it does, or why it does not hold.
    pub detail: String,
    /// What an operator can do, if it does not.
    pub remedy: Option<&'static str>,
}

/// A layer, what to try, without what else, and what must come of it.
struct Check {
    layer: Layers,
    probe: Probe,
    without: Layers,
    limits: Limits,
    expect: Expect,
}

/// What shows that the layer held.
#[derive(Clone, Copy, Debug)]
enum Expect {
    /// The probe says so by exit code 0.
    Denied,
    /// The stage ended like this.
    Outcome(Outcome),
    /// The kernel counted periods in which the probe was held back.
    Throttled,
}

/// How long the worker may take to get ready for the first probe.
const START_BOUND: Duration = Duration::from_mins(1);

/// Checks every layer through `client`, a worker with process id `worker`. `missing` are layers known
/// to be out of reach. The error is a fault that no optional layer explains.
pub fn run(
    client: &mut Client,
    worker: Pid,
    missing: Layers,
) -> Result<Vec<Finding>, SandboxFault> {
    client.wait_ready(START_BOUND)?;
    let mut runner = Runner { client, next_id: 0 };
    runner.probe(Probe::Nothing, Layers::DEGRADABLE, Limits::DEFAULT)??;
    let (mut absent, mut findings) = (missing, Vec::new());
    for layer in (Layers::DEGRADABLE - missing).iter() {
        if let Err(fault) =
            runner.probe(Probe::Nothing, Layers::DEGRADABLE - layer, Limits::DEFAULT)?
        {
            absent |= layer;
            findings.push(finding(layer, Err(fault.to_string())));
        }
    }
    findings.extend(missing.iter().map(|l| {
        finding(
            l,
            Err("the host has no such cgroup controller here".to_owned()),
        )
    }));
    let namespaces = foreign_namespaces(worker).map_err(|e| SandboxFault {
        step: "look at the worker's namespaces".to_owned(),
        detail: e.to_string(),
        errno: e.raw_os_error(),
        started: false,
    })?;
    for check in checks(&namespaces) {
        if !absent.contains(check.layer) {
            let verdict = runner.verdict(&check, absent)?;
            findings.push(finding(check.layer, verdict));
        }
    }
    let order = |f: &Finding| {
        Layers::all()
            .described()
            .position(|(layer, ..)| layer == f.layer)
    };
    // A layer with several checks holds if all of them say so.
    findings.sort_by_key(|f| (order(f), f.enforced));
    findings.dedup_by_key(|f| f.layer);
    Ok(findings)
}

/// The layers that need the cgroup controllers called `names`.
pub fn layers_of_controllers(names: &[&str]) -> Layers {
    let layer = |name: &&str| match *name {
        "memory" => Layers::MEMORY_LIMIT,
        "cpu" => Layers::CPU_QUOTA,
        "cpuacct" => Layers::CPU_TIME_LIMIT,
        "pids" => Layers::PIDS_LIMIT,
        _ => Layers::empty(),
    };
    names
        .iter()
        .map(layer)
        .fold(Layers::empty(), |all, l| all | l)
}

/// Makes the service's cgroup.
pub fn make_base(hierarchies: Hierarchies) -> Result<Base, SandboxFault> {
    hierarchies.create_base().step("make the service's cgroup")
}

/// The layers that `findings` show not to hold.
pub fn failed(findings: &[Finding]) -> Layers {
    findings
        .iter()
        .filter(|f| !f.enforced)
        .fold(Layers::empty(), |all, f| all | f.layer)
}

struct Runner<'a> {
    client: &'a mut Client,
    next_id: u64,
}

impl Runner<'_> {
    /// The outer error is the worker's end, the inner one what went wrong with this sandbox.
    fn probe(
        &mut self,
        probe: Probe,
        off: Layers,
        limits: Limits,
    ) -> Result<Result<StageReport, SandboxFault>, SandboxFault> {
        self.next_id += 1;
        let job = Job {
            id: self.next_id,
            policy: "default".to_owned(),
            limits,
            ..Job::default()
        };
        let Execution { result, .. } = self.client.probe(job, probe, off)?;
        Ok(result)
    }

    fn verdict(
        &mut self,
        check: &Check,
        absent: Layers,
    ) -> Result<Result<(), String>, SandboxFault> {
        let result = self.probe(check.probe.clone(), check.without | absent, check.limits)?;
        Ok(match result {
            Err(fault) => Err(fault.to_string()),
            Ok(report) if held(check.expect, &report) => Ok(()),
            Ok(report) => Err(format!(
                "the probe {:?} was not stopped: {:?}, exit code {:?}",
                check.probe, report.outcome, report.exit_code
            )),
        })
    }
}

fn held(expect: Expect, report: &StageReport) -> bool {
    match expect {
        Expect::Denied => report.outcome == Outcome::Exited && report.exit_code == Some(0),
        Expect::Outcome(outcome) => report.outcome == outcome,
        Expect::Throttled => report.usage.cpu_throttled_periods > Some(0),
    }
}

fn finding(layer: Layers, verdict: Result<(), String>) -> Finding {
    let (_, name, does) = layer.described().next().unwrap_or((layer, "?", "?"));
    match verdict {
        Ok(()) => Finding {
            layer,
            name,
            enforced: true,
            detail: does.to_owned(),
            remedy: None,
        },
        Err(why) => Finding {
            layer,
            name,
            enforced: false,
            detail: why,
            remedy: Some(remedy(layer)),
        },
    }
}

/// The namespaces that a program must not be in: the supervisor's and the worker's.
fn foreign_namespaces(worker: Pid) -> io::Result<Namespaces> {
    let mut all = probe::namespaces_of("self")?;
    // A worker shares the supervisor's cgroup and time namespaces, so its own add no further names.
    all.extend(probe::namespaces_of(&worker.to_string())?);
    Ok(all)
}

fn checks(namespaces: &Namespaces) -> Vec<Check> {
    let base = Limits {
        wall_time_ms: 10_000,
        cpu_time_ms: 5_000,
        ..Limits::DEFAULT
    };
    let no_filters = Layers::SECCOMP | Layers::LANDLOCK;
    let check = |layer, probe| Check {
        layer,
        probe,
        without: no_filters,
        limits: base,
        expect: Expect::Denied,
    };
    let namespace = |layer, names: &[&str]| {
        let wanted = namespaces
            .iter()
            .filter(|(n, _)| names.contains(&n.as_str()))
            .cloned()
            .collect();
        check(layer, Probe::Namespaces(wanted))
    };
    vec![
        check(Layers::ROOTFS, Probe::HostFiles),
        // User, pid and mount namespaces come with it: a sandbox cannot do without.
        namespace(Layers::ROOTFS, &["user", "pid", "mnt"]),
        check(Layers::READONLY, Probe::WriteToolchain),
        check(Layers::PROC_MASK, Probe::Proc),
        namespace(Layers::NETWORK_NAMESPACE, &["net"]),
        check(Layers::NETWORK_NAMESPACE, Probe::Network),
        namespace(Layers::IPC_NAMESPACE, &["ipc"]),
        namespace(Layers::UTS_NAMESPACE, &["uts"]),
        check(Layers::UTS_NAMESPACE, Probe::HostName),
        namespace(Layers::CGROUP_NAMESPACE, &["cgroup"]),
        namespace(Layers::TIME_NAMESPACE, &["time"]),
        check(Layers::CAPABILITIES, Probe::Privilege),
        check(Layers::NESTED_NAMESPACES, Probe::NestedNamespace),
        check(Layers::NO_NEW_PRIVS, Probe::NoNewPrivs),
        check(Layers::RLIMITS, Probe::OpenFiles(base.open_files.into())),
        check(Layers::DISK_LIMIT, Probe::Disk(8 << 20)).with(|l| l.disk_bytes = 4 << 20),
        check(Layers::MEMORY_LIMIT, Probe::Memory(64 << 20))
            .with(|l| l.memory_bytes = 16 << 20)
            .expecting(Expect::Outcome(Outcome::MemoryLimit)),
        check(Layers::PIDS_LIMIT, Probe::Processes(8)).with(|l| l.processes = 4),
        check(Layers::CPU_TIME_LIMIT, Probe::Spin(2_000))
            .with(|l| l.cpu_time_ms = 20)
            .expecting(Expect::Outcome(Outcome::CpuTimeLimit)),
        check(Layers::CPU_QUOTA, Probe::Spin(500))
            .with(|l| l.cpus = 0.02)
            .expecting(Expect::Throttled),
        check(Layers::LANDLOCK, Probe::UnlistedPath).without(Layers::SECCOMP),
        check(Layers::SECCOMP, Probe::ForbiddenCall)
            .without(Layers::LANDLOCK)
            .expecting(Expect::Outcome(Outcome::PolicyViolation)),
    ]
}

impl Check {
    fn with(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    fn without(mut self, layers: Layers) -> Self {
        self.without = layers;
        self
    }

    fn expecting(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }
}

/// What an operator can do about a fault that keeps every sandbox from being made.
pub fn remedy_for_fault(fault: &SandboxFault) -> &'static str {
    match fault.step.as_str() {
        s if s.contains("namespace") => {
            "allow unprivileged user namespaces: sysctl user.max_user_namespaces (above 0), \
             kernel.unprivileged_userns_clone=1 (Debian), kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu); \
             in a container: --security-opt seccomp=docker/seccomp.json; in a chroot the kernel allows none"
        }
        s if s.contains("/proc") => {
            "the host's /proc must be complete for a new one to be mounted; in a container: \
             --security-opt unmask=ALL (podman), --security-opt systempaths=unconfined (docker)"
        }
        s if s.contains("cgroup") => {
            "start Brig in a delegated cgroup: systemd-run --scope -p Delegate=yes COMMAND"
        }
        "map the worker's user" | "map the worker's group" => {
            "the user ids from --uid-base on must exist where Brig runs: see /proc/self/uid_map and gid_map"
        }
        // It has said itself why, unless it was killed.
        s if s.contains("the worker") || s == "send the job" => {
            "the line above that begins with `brig worker` says at which step the worker failed, and \
             docs/operations.md, \"When it does not start\", what to do; without such a line something \
             killed it: look at the kernel's log"
        }
        _ => {
            "look for the step in docs/operations.md, \"When it does not start\"; if it is not there, please \
             report it with the output of `brig-sandbox doctor`"
        }
    }
}

/// What an operator can do about `layer` not being enforced.
pub fn remedy(layer: Layers) -> &'static str {
    match layer {
        Layers::SECCOMP => "use a kernel with CONFIG_SECCOMP_FILTER, 5.5 or later",
        Layers::LANDLOCK => {
            "use a kernel with CONFIG_SECURITY_LANDLOCK and \"landlock\" in the lsm= list of its command line"
        }
        Layers::MEMORY_LIMIT => {
            "enable the memory cgroup controller (kernel command line cgroup_enable=memory) and delegate it"
        }
        Layers::PIDS_LIMIT => "enable and delegate the pids cgroup controller",
        Layers::CPU_QUOTA => {
            "enable and delegate the cpu cgroup controller, on a kernel with CONFIG_CFS_BANDWIDTH"
        }
        Layers::CPU_TIME_LIMIT => "enable the cpuacct cgroup controller, or use cgroup v2",
        Layers::TIME_NAMESPACE => "use a kernel with CONFIG_TIME_NS, 5.6 or later",
        Layers::CGROUP_NAMESPACE => {
            "use a kernel with CONFIG_CGROUPS and cgroup namespaces, 4.6 or later"
        }
        Layers::NETWORK_NAMESPACE => {
            "use a kernel with CONFIG_NET_NS, and raise sysctl user.max_net_namespaces"
        }
        Layers::IPC_NAMESPACE => {
            "use a kernel with CONFIG_IPC_NS, and raise sysctl user.max_ipc_namespaces"
        }
        Layers::UTS_NAMESPACE => {
            "use a kernel with CONFIG_UTS_NS, and raise sysctl user.max_uts_namespaces"
        }
        _ => {
            "a sandbox cannot do without; please report this with the output of `brig-sandbox doctor`"
        }
    }
}
