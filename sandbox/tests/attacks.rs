//! Attacks on the sandbox: one file each below `attacks/`, found by this program.
//!
//! An attack exits with [`run::SUCCEEDED`] if it got what it wanted and with 0 if it was refused.
//! The comment at its top ([`metadata`]) says which layers stop it, and how. From that come
//! several tests:
//!
//! - one for each layer that is said to stop it, with the other such layers off, so that nothing
//!   else can be what stopped it;
//! - `everything_on`, if there are several;
//! - `control`: the attack with all those layers off (or natively, or with other limits), where it
//!   must succeed. An attack that cannot succeed anywhere shows nothing.
//!
//! After each run no process of it may be left on the host.

#[path = "attacks/harness/fixtures.rs"]
mod fixtures;
#[path = "attacks/harness/metadata.rs"]
mod metadata;
#[path = "attacks/harness/run.rs"]
mod run;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use metadata::{Attack, Control, Expectation, SANDBOX};
use run::{Case, Place};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks");
    let mut trials = Vec::new();
    for file in attack_files(&directory) {
        let name = file
            .strip_prefix(&directory)
            .unwrap_or(&file)
            .with_extension("");
        match Attack::parse(&file) {
            Ok(attack) => trials.extend(trials_of(&name.to_string_lossy(), &attack)),
            Err(mistake) => panic!("{mistake}"),
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// `attacks/<group>/<name>.{c,py,sh}`, in the order of their names.
fn attack_files(directory: &Path) -> Vec<PathBuf> {
    let list = |dir: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        entries
            .map(|entry| entry.expect("a directory entry").path())
            .collect()
    };
    let groups = list(directory)
        .into_iter()
        .filter(|p| p.is_dir() && !p.ends_with("harness"));
    let is_attack = |p: &PathBuf| {
        p.extension()
            .is_some_and(|e| e == "c" || e == "py" || e == "sh")
    };
    let mut files: Vec<_> = groups
        .flat_map(|group| list(&group))
        .filter(is_attack)
        .collect();
    files.sort();
    files
}

fn trials_of(name: &str, attack: &Attack) -> Vec<Trial> {
    let mut cases = Vec::new();
    let layers: Vec<&str> = attack
        .stopped_by
        .iter()
        .map(|s| s.layer.as_str())
        .filter(|l| *l != SANDBOX)
        .collect();
    let off = |keep: &str| {
        layers
            .iter()
            .filter(|l| **l != keep)
            .map(|l| (*l).to_owned())
            .collect::<Vec<_>>()
    };
    for stop in &attack.stopped_by {
        cases.push((
            stop.layer.clone(),
            attack.case(
                Place::Sandbox {
                    off: off(&stop.layer),
                },
                stop.expect.clone(),
            ),
        ));
    }
    if let [first, _, ..] = attack.stopped_by.as_slice() {
        cases.push((
            "everything_on".to_owned(),
            attack.case(Place::Sandbox { off: Vec::new() }, first.expect.clone()),
        ));
    }
    cases.push(("control".to_owned(), control(attack, off(SANDBOX))));
    cases
        .into_iter()
        .map(|(what, case)| {
            let attack = attack.clone();
            Trial::test(format!("{name}::{what}"), move || {
                run::check(&attack, &case).map_err(Into::into)
            })
        })
        .collect()
}

fn control(attack: &Attack, off: Vec<String>) -> Case {
    let mut case = attack.case(Place::Sandbox { off: Vec::new() }, Expectation::Succeeded);
    case.must_collect.clone_from(&attack.control_collected);
    match &attack.control {
        Control::Without => case.place = Place::Sandbox { off },
        Control::Native => case.place = Place::Native,
        Control::NativeUser => case.place = Place::NativeUser,
        Control::Flags(flags) => case.flags.clone_from(flags),
        Control::Args(args) => {
            case.args.clone_from(args);
            case.expect = Expectation::Denied;
        }
    }
    if let Some(expect) = &attack.control_expect {
        case.expect = expect.clone();
    }
    case
}
