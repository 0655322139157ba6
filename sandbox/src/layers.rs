//! The layers of isolation, each of which can be switched off by name: for an operator's explicit
//! `--allow-degraded`, and for the control of every attack test.

use serde::{Deserialize, Serialize};

bitflags::bitflags! {
    /// A set of layers.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
    pub struct Layers: u32 {
        /// Only the system calls that the policy lists, of this ABI only.
        const SECCOMP = 1;
        /// Only the files that the policy lists, whatever the mounts show.
        const LANDLOCK = 1 << 1;
        /// No capability in any set, bounding set included.
        const CAPABILITIES = 1 << 2;
        /// No set-uid program gives more rights.
        const NO_NEW_PRIVS = 1 << 3;
        /// No network, not even a loopback that is up.
        const NETWORK_NAMESPACE = 1 << 4;
        /// No shared memory, semaphores or queues of others.
        const IPC_NAMESPACE = 1 << 5;
        /// A made-up host name.
        const UTS_NAMESPACE = 1 << 6;
        /// The place in the host's cgroup tree is hidden.
        const CGROUP_NAMESPACE = 1 << 7;
        /// The host's uptime is hidden.
        const TIME_NAMESPACE = 1 << 8;
        /// The process tree's memory is capped, swap included.
        const MEMORY_LIMIT = 1 << 9;
        /// The process tree ends when its CPU time is used up.
        const CPU_TIME_LIMIT = 1 << 10;
        /// The process tree keeps no more CPUs busy than it may.
        const CPU_QUOTA = 1 << 11;
        /// Processes and threads are capped.
        const PIDS_LIMIT = 1 << 12;
        /// Stack, descriptors, file size and core files are capped.
        const RLIMITS = 1 << 13;
        /// Files in /box and /tmp are capped in bytes and number.
        const DISK_LIMIT = 1 << 14;
        /// /proc shows the sandbox's own processes and nothing of the host.
        const PROC_MASK = 1 << 15;
        /// A root of its own: the toolchain read-only, nothing else of the host.
        const ROOTFS = 1 << 16;
        /// What is bound from the host cannot be written.
        const READONLY = 1 << 17;
        /// No namespaces within the sandbox, whatever the filter lets through.
        const NESTED_NAMESPACES = 1 << 18;
    }
}

/// Every layer with its name and what it does, in the order in which they are shown.
const NAMES: &[(Layers, &str, &str)] = &[
    (
        Layers::ROOTFS,
        "rootfs",
        "a root of its own: the toolchain read-only, nothing else of the host",
    ),
    (
        Layers::READONLY,
        "readonly",
        "what is bound from the host cannot be written",
    ),
    (
        Layers::PROC_MASK,
        "proc_mask",
        "/proc shows the sandbox's own processes and nothing of the host",
    ),
    (
        Layers::NETWORK_NAMESPACE,
        "network_namespace",
        "no network, not even a loopback that is up",
    ),
    (
        Layers::IPC_NAMESPACE,
        "ipc_namespace",
        "no shared memory, semaphores or queues of others",
    ),
    (
        Layers::UTS_NAMESPACE,
        "uts_namespace",
        "a made-up host name",
    ),
    (
        Layers::CGROUP_NAMESPACE,
        "cgroup_namespace",
        "the place in the host's cgroup tree is hidden",
    ),
    (
        Layers::TIME_NAMESPACE,
        "time_namespace",
        "the host's uptime is hidden",
    ),
    (
        Layers::MEMORY_LIMIT,
        "memory_limit",
        "the process tree's memory is capped, swap included",
    ),
    (
        Layers::CPU_TIME_LIMIT,
        "cpu_time_limit",
        "the process tree ends when its CPU time is used up",
    ),
    (
        Layers::CPU_QUOTA,
        "cpu_quota",
        "the process tree keeps no more CPUs busy than it may",
    ),
    (
        Layers::PIDS_LIMIT,
        "pids_limit",
        "processes and threads are capped",
    ),
    (
        Layers::RLIMITS,
        "rlimits",
        "stack, descriptors, file size and core files are capped",
    ),
    (
        Layers::DISK_LIMIT,
        "disk_limit",
        "files in /box and /tmp are capped in bytes and number",
    ),
    (
        Layers::CAPABILITIES,
        "capabilities",
        "no capability in any set, bounding set included",
    ),
    (
        Layers::NO_NEW_PRIVS,
        "no_new_privs",
        "no set-uid program gives more rights",
    ),
    (
        Layers::LANDLOCK,
        "landlock",
        "only the files that the policy lists, whatever the mounts show",
    ),
    (
        Layers::NESTED_NAMESPACES,
        "nested_namespaces",
        "no namespaces within the sandbox, whatever the filter lets through",
    ),
    (
        Layers::SECCOMP,
        "seccomp",
        "only the system calls that the policy lists, of this ABI only",
    ),
];

impl Layers {
    /// The layers an operator can do without, if the host lacks them. The others are what a
    /// sandbox is made of.
    pub const DEGRADABLE: Self = Self::SECCOMP
        .union(Self::LANDLOCK)
        .union(Self::NETWORK_NAMESPACE)
        .union(Self::IPC_NAMESPACE)
        .union(Self::UTS_NAMESPACE)
        .union(Self::CGROUP_NAMESPACE)
        .union(Self::TIME_NAMESPACE)
        .union(Self::MEMORY_LIMIT)
        .union(Self::CPU_TIME_LIMIT)
        .union(Self::CPU_QUOTA)
        .union(Self::PIDS_LIMIT);

    /// The layer called `name`.
    pub fn by_name(name: &str) -> Result<Self, String> {
        NAMES
            .iter()
            .find(|(_, n, _)| *n == name)
            .map(|(layer, ..)| *layer)
            .ok_or_else(|| {
                let names: Vec<_> = NAMES.iter().map(|(_, n, _)| *n).collect();
                format!(
                    "there is no layer {name:?}; the layers are {}",
                    names.join(", ")
                )
            })
    }

    /// The names of the layers in this set.
    pub fn names(self) -> Vec<&'static str> {
        self.described().map(|(_, name, _)| name).collect()
    }

    /// The layers of this set, each with its name and what it does.
    pub fn described(self) -> impl Iterator<Item = (Self, &'static str, &'static str)> {
        NAMES
            .iter()
            .filter(move |(layer, ..)| self.contains(*layer))
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_has_a_name_and_back() {
        assert_eq!(Layers::all().names().len(), Layers::all().iter().count());
        for (layer, name, _) in NAMES {
            assert_eq!(Layers::by_name(name), Ok(*layer));
        }
        assert!(
            Layers::by_name("nonsense")
                .unwrap_err()
                .contains("landlock")
        );
    }
}
