//! The file part of a policy, as a Landlock domain (Documentation/userspace-api/landlock.rst).

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use crate::policy::Landlock;
use crate::report::SandboxFault;
use crate::step::Step;
use crate::terminal;

/// The newest interface this code knows. Rights that an older kernel does not have are left out;
/// the self-check proves that what is left denies.
const NEWEST: ABI = ABI::V6;

/// Puts the calling process under `rules` for good; with a `terminal` of its own it may also open
/// that.
pub fn restrict(rules: &Landlock, terminal: bool) -> Result<(), SandboxFault> {
    let domain = build(rules, terminal).step("build the Landlock domain")?;
    let status = domain.restrict_self().step("enforce Landlock")?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err(SandboxFault {
            step: "enforce Landlock".to_owned(),
            detail: "the kernel has no Landlock, or it is switched off".to_owned(),
            errno: None,
            started: false,
        });
    }
    Ok(())
}

/// Builds the domain for `rules` from the file tree as it is now. Paths that do not exist are
/// skipped.
fn build(rules: &Landlock, terminal: bool) -> Result<RulesetCreated, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let full = AccessFs::from_all(NEWEST);
    let terminal: Vec<String> = terminal
        .then(|| terminal::PATH.to_owned())
        .into_iter()
        .collect();
    let groups: [(&[String], BitFlags<AccessFs>); 5] = [
        (&rules.read, read),
        (&rules.read_execute, read | AccessFs::Execute),
        (
            &rules.read_write_file,
            AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate,
        ),
        (
            &terminal,
            AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev,
        ),
        (
            &rules.full,
            full & !BitFlags::from(AccessFs::MakeBlock) & !BitFlags::from(AccessFs::MakeChar),
        ),
    ];
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(full)?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .no_new_privs(false);
    for (paths, access) in groups {
        for path in paths {
            if let Ok(fd) = PathFd::new(path) {
                // A rule for a file may only name rights that files have.
                let is_dir = std::fs::metadata(path).is_ok_and(|m| m.is_dir());
                let access = if is_dir {
                    access
                } else {
                    access & AccessFs::from_file(NEWEST)
                };
                ruleset = ruleset.add_rule(PathBeneath::new(fd, access))?;
            }
        }
    }
    Ok(ruleset)
}
