//! `brig-sandbox doctor`.

use std::os::fd::AsFd;

use brig_sandbox::cgroup::host::{Hierarchies, WorkerCaps};
use brig_sandbox::client::Client;
use brig_sandbox::identity::{DEFAULT_UID_BASE, Identity};
use brig_sandbox::layers::Layers;
use brig_sandbox::policy::{self, Compiled};
use brig_sandbox::report::SandboxFault;
use brig_sandbox::rootfs::RootfsSpec;
use brig_sandbox::selfcheck::{self, Finding};
use brig_sandbox::spawn::Launcher;
use brig_sandbox::sys::process::reap_pidfd;
use clap::Args;
use serde_json::json;

/// Prove on this machine that every layer of isolation holds.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Started as root: the sandbox's host user id, less one. Nothing else must use it
    #[arg(long, value_name = "ID", default_value_t = DEFAULT_UID_BASE)]
    uid_base: u32,
}

/// Prints what holds; exit status 1 if something does not.
pub(crate) fn run(args: &DoctorArgs) -> anyhow::Result<u8> {
    let hierarchies = Hierarchies::detect(None)?;
    let version = hierarchies.version();
    let identity = Identity::detect(args.uid_base, 1)?;
    let policies = Compiled::all(policy::load(None)?)?;
    let findings = match check(hierarchies, identity, policies) {
        Ok(findings) => findings,
        Err(fault) => anyhow::bail!("{fault}\n  remedy: {}", selfcheck::remedy_for_fault(&fault)),
    };
    if args.json {
        print_json(&findings);
    } else {
        let users = match identity {
            Identity::Separate { .. } => "each worker a user of its own",
            Identity::Shared => "rootless: all workers the same user",
        };
        println!("cgroup {version:?}, {users}\n");
        print_table(&findings);
    }
    Ok(u8::from(findings.iter().any(|f| !f.enforced)))
}

fn check(
    hierarchies: Hierarchies,
    identity: Identity,
    policies: Vec<Compiled>,
) -> Result<Vec<Finding>, SandboxFault> {
    let missing = selfcheck::layers_of_controllers(&hierarchies.missing());
    let launcher = Launcher {
        base: selfcheck::make_base(hierarchies)?,
        identity,
        caps: WorkerCaps {
            memory_bytes: 512 << 20,
            processes: 512,
        },
        rootfs: RootfsSpec::default(),
        policies,
        off: missing & Layers::DEGRADABLE,
        warm: 0,
        cpus: Vec::new(),
        prestarted: 0,
        prepared: None,
    };
    let worker = launcher.launch(0)?;
    let mut client = Client::new(worker.channel);
    let findings = selfcheck::run(&mut client, worker.pid, missing);
    drop(client);
    let _ = reap_pidfd(worker.pidfd.as_fd());
    findings
}

fn print_table(findings: &[Finding]) {
    for finding in findings {
        let mark = if finding.enforced { "ok " } else { "NO " };
        println!("{mark} {:<18} {}", finding.name, finding.detail);
        if let Some(remedy) = finding.remedy {
            println!("{:22} remedy: {remedy}", "");
        }
    }
}

fn print_json(findings: &[Finding]) {
    let layers: Vec<_> = findings
        .iter()
        .map(|f| json!({"layer": f.name, "enforced": f.enforced, "detail": f.detail, "remedy": f.remedy}))
        .collect();
    println!("{}", json!({ "layers": layers }));
}
