//! Other sandboxes, each set up as a judge would: a root of the host's `/usr`, read-only, a `/proc` and
//! a minimal `/dev` of its own, a tmpfs to work in, the program's files read-only, no network, no
//! capabilities, all namespaces that it makes by a flag. What each leaves out is in its `isolation`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;
use serde_json::{Value, json};

use crate::baseline::Baseline;

/// Where the program's files are inside.
const INSIDE: &str = "/prog";
/// Limits, where a sandbox sets some.
const MEMORY_BYTES: u64 = 256 << 20;
const PROCESSES: u64 = 32;
/// How much of what a failing one says is told.
const MAX_REASON_CHARS: usize = 200;

/// Another sandbox.
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// What it keeps apart.
    pub(super) isolation: &'static str,
    /// How a program is started in it.
    command: Vec<String>,
    /// What has to be there first.
    bundle: Option<Value>,
}

/// All that are known; whether this machine has them is another matter.
pub(super) fn all(program: &Baseline, brig_sandbox: Option<&Path>) -> Vec<Peer> {
    let mut all = vec![
        bubblewrap(program),
        oci("crun", program),
        oci("runc", program),
        systemd_run(program),
    ];
    if let Some(binary) = brig_sandbox {
        all.insert(0, own_command(binary, program));
    }
    all
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn own_command(binary: &Path, program: &Baseline) -> Peer {
    let mut command = vec![binary.to_string_lossy().into_owned(), "run".to_owned()];
    for entry in fs::read_dir(program.dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && entry.file_type().is_ok_and(|t| t.is_file()) {
            let host = entry.path();
            command.push("--file".to_owned());
            command.push(format!("{}:{name}", host.display()));
        }
    }
    command.push("--".to_owned());
    command.extend(program.command_in("/box"));
    Peer {
        name: "brig-sandbox run",
        isolation: "fresh; all layers, cgroup",
        command,
        bundle: None,
    }
}

fn bubblewrap(program: &Baseline) -> Peer {
    let mut command = words(
        "/usr/bin/bwrap --unshare-all --die-with-parent --new-session --cap-drop ALL \
         --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib \
         --symlink usr/lib64 /lib64 --symlink usr/sbin /sbin \
         --proc /proc --dev /dev --tmpfs /tmp --tmpfs /box --chdir /box --hostname sandbox --ro-bind",
    );
    command.push(program.dir().to_string_lossy().into_owned());
    command.push(INSIDE.to_owned());
    command.push("--".to_owned());
    command.extend(program.command_in(INSIDE));
    Peer {
        name: "bubblewrap",
        isolation: "fresh; no cgroup, no seccomp, no limits",
        command,
        bundle: None,
    }
}

/// A runtime of the Open Container Initiative.
fn oci(name: &'static str, program: &Baseline) -> Peer {
    let bundle = program.dir().join(".bundle");
    let mut command = vec![name.to_owned(), "run".to_owned(), "--bundle".to_owned()];
    command.push(bundle.to_string_lossy().into_owned());
    command.push("brig-bench-{unique}".to_owned());
    Peer {
        name,
        isolation: "fresh, without a user namespace; cgroup; no seccomp",
        command,
        bundle: Some(config(program)),
    }
}

/// The bundle's `config.json`.
fn config(program: &Baseline) -> Value {
    let tmpfs = |at: &str| {
        json!({"destination": at, "type": "tmpfs", "source": "tmpfs",
        "options": ["nosuid", "nodev", "size=64m", "mode=777"]})
    };
    let bind = |from: &str, to: &str| {
        json!({"destination": to, "type": "bind", "source": from,
        "options": ["bind", "ro", "nosuid", "nodev"]})
    };
    let dir = program.dir().to_string_lossy();
    let namespaces = ["pid", "network", "ipc", "uts", "mount"];
    let namespaces: Vec<Value> = namespaces.iter().map(|n| json!({"type": n})).collect();
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 65534, "gid": 65534},
            "args": program.command_in(INSIDE),
            "env": ["PATH=/usr/bin:/bin"],
            "cwd": "/box",
            "noNewPrivileges": true,
            "capabilities": {"bounding": [], "effective": [], "inheritable": [], "permitted": [], "ambient": []},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 64, "soft": 64}]
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "sandbox",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
            bind("/usr", "/usr"), tmpfs("/tmp"), tmpfs("/box"), bind(&dir, INSIDE)
        ],
        "linux": {
            "resources": {
                "memory": {"limit": MEMORY_BYTES},
                "pids": {"limit": PROCESSES},
                "cpu": {"quota": 100_000, "period": 100_000}
            },
            "namespaces": namespaces,
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
            "readonlyPaths": ["/proc/sys", "/proc/bus", "/proc/irq"]
        }
    })
}

fn systemd_run(program: &Baseline) -> Peer {
    let mut command = words(
        "systemd-run --quiet --wait --pipe --collect -p DynamicUser=yes -p ProtectSystem=strict \
         -p ProtectHome=yes -p PrivateTmp=yes -p PrivateDevices=yes -p PrivateNetwork=yes \
         -p CapabilityBoundingSet= -p NoNewPrivileges=yes -p MemoryMax=256M -p TasksMax=32 \
         -p CPUQuota=100%",
    );
    command.push("-p".to_owned());
    // At its own place, for systemd-run looks for the program before it is started.
    let dir = program.dir().to_string_lossy();
    command.push(format!("BindReadOnlyPaths={dir}"));
    command.push("--".to_owned());
    command.extend(program.command_in(&dir));
    Peer {
        name: "systemd-run",
        isolation: "fresh mounts and network only; cgroup",
        command,
        bundle: None,
    }
}

impl Peer {
    /// Sees whether it runs the program; gives what does.
    pub(super) fn try_out(&self, program: &Baseline) -> anyhow::Result<Baseline> {
        let mut command = self.command.clone();
        command[0] = in_path(&command[0])?;
        if let Some(config) = &self.bundle {
            make_bundle(&program.dir().join(".bundle"), config)?;
        }
        let once: Vec<String> = command
            .iter()
            .map(|a| a.replace("{unique}", &format!("try-{}", std::process::id())))
            .collect();
        let done = Command::new(&once[0])
            .args(&once[1..])
            .stdin(Stdio::null())
            .output()?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            let said = said.trim().replace('\n', "; ");
            let said: String = said.chars().take(MAX_REASON_CHARS).collect();
            anyhow::bail!("does not run the program here: {}: {said}", done.status);
        }
        program.wrapped(command)
    }
}

fn in_path(name: &str) -> anyhow::Result<String> {
    if name.contains('/') {
        anyhow::ensure!(Path::new(name).exists(), "not installed");
        return Ok(name.to_owned());
    }
    let places = [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ];
    let found = places.iter().map(|place| PathBuf::from(place).join(name));
    let found = found.into_iter().find(|path| path.exists());
    let found = found.context("not installed")?;
    Ok(found.to_string_lossy().into_owned())
}

fn make_bundle(bundle: &Path, config: &Value) -> anyhow::Result<()> {
    let root = bundle.join("rootfs");
    if root.exists() {
        return Ok(());
    }
    for dir in ["usr", "proc", "dev", "tmp", "box", "prog"] {
        fs::create_dir_all(root.join(dir))?;
    }
    for dir in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{dir}"), root.join(dir))?;
    }
    fs::write(bundle.join("config.json"), config.to_string())?;
    Ok(())
}
