//! The file part of a policy, as a Landlock domain (Documentation/userspace-api/landlock.rst).

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::rc::Rc;

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

/// Where each sandbox has its own mounts; all else is the same tree in each.
const FRESH: [&str; 4] = ["/box", "/tmp", "/proc", "/dev/pts"];

/// The rules of a policy, with what they are about looked up as far as it is the same in every sandbox:
/// rules are about inodes, not about paths or mounts.
#[derive(Debug)]
pub struct Rules {
    shared: Vec<(Rc<Shared>, BitFlags<AccessFs>)>,
    fresh: Vec<(String, BitFlags<AccessFs>)>,
}

/// A file or directory of the tree that all sandboxes of a worker share.
#[derive(Debug)]
struct Shared {
    fd: PathFd,
    is_dir: bool,
}

/// Looks up what policies are about; what several of them name is opened once.
#[derive(Debug, Default)]
pub struct Lookup(BTreeMap<String, Option<Rc<Shared>>>);

impl Lookup {
    /// The rules that `policy` asks for in the file tree as it is now. Paths that do not exist are
    /// skipped.
    pub fn rules(&mut self, policy: &Landlock) -> Rules {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate;
        let nodes = AccessFs::MakeBlock | AccessFs::MakeChar;
        let groups = [
            (&policy.read, read),
            (&policy.read_execute, read | AccessFs::Execute),
            (&policy.read_write_file, device),
            (&policy.full, AccessFs::from_all(NEWEST) & !nodes),
        ];
        let mut rules = Rules {
            shared: Vec::new(),
            fresh: Vec::new(),
        };
        for (paths, access) in groups {
            for path in paths {
                if FRESH.iter().any(|fresh| Path::new(path).starts_with(fresh)) {
                    rules.fresh.push((path.clone(), access));
                } else if let Some(shared) = self.shared(path) {
                    rules.shared.push((shared, access));
                }
            }
        }
        rules
    }

    fn shared(&mut self, path: &str) -> Option<Rc<Shared>> {
        if let Some(known) = self.0.get(path) {
            return known.clone();
        }
        let found = Shared::open(path).map(Rc::new);
        self.0.insert(path.to_owned(), found.clone());
        found
    }
}

impl Shared {
    fn open(path: &str) -> Option<Self> {
        let fd = PathFd::new(path).ok()?;
        let is_dir = std::fs::metadata(path).is_ok_and(|m| m.is_dir());
        Some(Self { fd, is_dir })
    }
}

impl Rules {
    /// The descriptors that [`Rules::domain`] takes.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.shared.iter().map(|(shared, _)| shared.fd.as_fd())
    }

    /// A domain of these rules; with a `terminal` of its own a process in it may also open that.
    pub fn domain(&self, terminal: bool) -> Result<Domain, SandboxFault> {
        self.build(terminal)
            .map(Domain)
            .step("build the Landlock domain")
    }

    fn build(&self, terminal: bool) -> Result<RulesetCreated, RulesetError> {
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(NEWEST))?
            .handle_access(AccessNet::from_all(NEWEST))?
            .scope(Scope::from_all(NEWEST))?
            .create()?
            .no_new_privs(false);
        for (shared, access) in &self.shared {
            ruleset = add(ruleset, shared, *access)?;
        }
        for (path, access) in &self.fresh {
            if let Some(found) = Shared::open(path) {
                ruleset = add(ruleset, &found, *access)?;
            }
        }
        if terminal && let Some(found) = Shared::open(terminal::PATH) {
            let access =
                AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
            ruleset = add(ruleset, &found, access)?;
        }
        Ok(ruleset)
    }
}

/// Rules that are looked up and ready, and restrict nobody yet.
#[derive(Debug)]
pub struct Domain(RulesetCreated);

impl Domain {
    /// Puts the calling process in it for good.
    pub fn enter(self) -> Result<(), SandboxFault> {
        let status = self.0.restrict_self().step("enforce Landlock")?;
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
}

fn add(
    ruleset: RulesetCreated,
    what: &Shared,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    // A rule for a file may only name rights that files have.
    let access = if what.is_dir {
        access
    } else {
        access & AccessFs::from_file(NEWEST)
    };
    ruleset.add_rule(PathBeneath::new(&what.fd, access))
}
