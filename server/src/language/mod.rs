//! Language profiles: how a program written in some language is compiled and run.
//!
//! A profile is one TOML file. [`schema`] is its form, [`check`] its rules, [`registry`] the set of
//! all of them. From a profile and a request's files, [`plan`] makes the commands of the stages:
//! [`entry`] finds the file that starts, [`java_source`] names Java files as their compiler wants
//! them, [`class_file`] finds the class that has `main` once the compiler has spoken, [`template`]
//! fills in the commands, [`prepare`] is about files that compilers can start from. Nothing here runs
//! anything or knows HTTP.

use std::sync::{Arc, PoisonError, RwLock};

use brig_sandbox::limits::{Limits, LimitsPatch};
use brig_sandbox::report::{Outcome, StageReport, signal_name};
use regex::Regex;

mod check;
mod class_file;
mod entry;
mod java_source;
mod plan;
mod prepare;
mod registry;
mod schema;
mod template;

pub use plan::{Artifact, Plan, PlanError, PlanRequest, SourceFile, StagePlan};
pub use prepare::{Preparation, Start};
pub use registry::{FindError, Registry};
pub use schema::EntryKind;

use template::Template;

/// The most that a stage may ask for where the profile says nothing else.
pub const GLOBAL_MAXIMA: Limits = Limits {
    cpu_time_ms: 60_000,
    wall_time_ms: 180_000,
    memory_bytes: 4 << 30,
    stack_bytes: 1 << 30,
    processes: 512,
    open_files: Limits::MAX_OPEN_FILES,
    file_size_bytes: 256 << 20,
    disk_bytes: 1 << 30,
    disk_inodes: 65_536,
    output_bytes: 64 << 20,
    cpus: 8.0,
};

/// What a compile stage gets where neither the profile nor the request says anything: compilers
/// need more of everything than the programs they make.
pub const COMPILE_DEFAULTS: Limits = Limits {
    cpu_time_ms: 15_000,
    wall_time_ms: 45_000,
    memory_bytes: 1 << 30,
    stack_bytes: 64 << 20,
    processes: 64,
    open_files: 256,
    file_size_bytes: 128 << 20,
    disk_bytes: 256 << 20,
    disk_inodes: 8192,
    output_bytes: 1 << 20,
    cpus: 1.0,
};

/// Whether a language's tools are there, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Nobody has looked yet.
    Unknown,
    /// Its version command worked.
    Available {
        /// Such as `g++ 12.2.0`.
        version: String,
    },
    /// Its version command did not.
    Unavailable {
        /// Why, and what to install.
        reason: String,
    },
}

/// Which of a language's stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageKind {
    /// The compiler runs.
    Compile,
    /// The program runs.
    Run,
}

/// One language: a checked profile and what is known of its tools.
#[derive(Debug)]
pub struct Language {
    /// Its unique name: lower-case letters, digits, `_`, `+` and `-`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Other names it is found by.
    pub aliases: Vec<String>,
    /// The extensions, without dot, of the files that are its sources.
    pub extensions: Vec<String>,
    /// The name of the file that a request's `source` becomes.
    pub source_name: String,
    /// The Debian packages that give its tools.
    pub packages: Vec<String>,
    /// Whether `make deps` installs it.
    pub core: bool,
    /// Host paths that its tools need besides the usual ones.
    pub mounts: Vec<String>,
    /// A small program that reads its input.
    pub example: String,
    /// Whether a request's files get the execute permission.
    pub executable_files: bool,
    /// How the thing that starts is found.
    pub entry_kind: EntryKind,
    /// Whether its tools are there.
    pub state: RwLock<Availability>,
    /// The profile's text, to tell whether a reload changed it.
    text: String,
    name_source_by: Option<Regex>,
    version: VersionSpec,
    compile: Option<StageSpec>,
    run: StageSpec,
    policies: Arc<[String]>,
}

/// How the version is asked for.
#[derive(Debug)]
struct VersionSpec {
    command: Vec<String>,
    policy: String,
    env: Vec<(String, String)>,
    pattern: Regex,
    format: String,
    limits: Limits,
}

/// One stage of a profile.
#[derive(Debug)]
struct StageSpec {
    policy: String,
    command: Template,
    env: Vec<(String, Template)>,
    artifacts: Vec<String>,
    /// The file in `/box` that the command reads first, if it may be started before that is there.
    prestart: Option<Template>,
    /// Files that it can start from: the one without compiler arguments first.
    preparations: Vec<Arc<Preparation>>,
    defaults: Limits,
    maxima: Limits,
    out_of_memory: Vec<schema::OutOfMemory>,
}

impl Language {
    /// Whether programs are compiled before they run.
    pub fn is_compiled(&self) -> bool {
        self.compile.is_some()
    }

    /// The run stage's limits where a request names none.
    pub fn run_defaults(&self) -> Limits {
        self.run.defaults
    }

    /// The most a request may ask for its run stage.
    pub fn run_maxima(&self) -> Limits {
        self.run.maxima
    }

    /// The compile stage's limits where a request names none.
    pub fn compile_defaults(&self) -> Limits {
        self.compile
            .as_ref()
            .map_or(COMPILE_DEFAULTS, |stage| stage.defaults)
    }

    /// The most a request may ask for its compile stage.
    pub fn compile_maxima(&self) -> Limits {
        self.compile
            .as_ref()
            .map_or(GLOBAL_MAXIMA, |stage| stage.maxima)
    }

    /// What is known of the tools.
    pub fn availability(&self) -> Availability {
        self.state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Records what a look at the tools found.
    pub fn set_availability(&self, found: Availability) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = found;
    }

    /// The files that its compile stage can start from, the one that most do first.
    pub fn preparations(&self) -> &[Arc<Preparation>] {
        let compile = self.compile.as_ref();
        compile.map_or(&[], |spec| &spec.preparations)
    }

    /// The stage that prints the tools' version.
    pub fn version_stage(&self) -> StagePlan {
        StagePlan {
            policy: self.version.policy.clone(),
            argv: self.version.command.clone(),
            env: plan::environment(self.version.env.iter().cloned()),
            limits: self.version.limits,
            collect: None,
            script: None,
            start: None,
        }
    }

    /// The version in what [`Language::version_stage`] printed.
    pub fn parse_version(&self, stdout: &[u8], stderr: &[u8]) -> Option<String> {
        [stdout, stderr].into_iter().find_map(|stream| {
            let text = String::from_utf8_lossy(stream);
            let captures = self.version.pattern.captures(&text)?;
            Some(check::fill_version(&self.version.format, &captures))
        })
    }

    /// Why the language is unavailable when its version stage failed: what was tried and which
    /// packages would help.
    pub fn missing_reason(&self, detail: &str) -> String {
        let tried = self.version.command.join(" ");
        if self.packages.is_empty() {
            return format!("`{tried}` does not work: {detail}");
        }
        let packages = self.packages.join(" ");
        format!("`{tried}` does not work: {detail}; `apt-get install {packages}` gives the tools")
    }

    /// Whether a failed stage shows that the program ran out of memory without the kernel's help:
    /// its runtime noticed first and gave up.
    pub fn classify_oom(&self, stage: StageKind, report: &StageReport, stderr: &[u8]) -> bool {
        let failed = match report.outcome {
            Outcome::Exited => report.exit_code.is_some_and(|code| code != 0),
            Outcome::Signaled => true,
            _ => false,
        };
        let spec = match stage {
            StageKind::Compile => self.compile.as_ref(),
            StageKind::Run => Some(&self.run),
        };
        failed
            && spec.is_some_and(|s| {
                s.out_of_memory
                    .iter()
                    .any(|rule| rule.holds(report, stderr))
            })
    }
}

impl schema::OutOfMemory {
    fn holds(&self, report: &StageReport, stderr: &[u8]) -> bool {
        let code = self
            .exit_code
            .is_none_or(|code| report.exit_code == Some(code));
        let signal = self.signal.as_ref().is_none_or(|name| {
            report
                .signal
                .is_some_and(|number| signal_name(number) == *name)
        });
        let text = self
            .stderr_contains
            .as_ref()
            .is_none_or(|text| contains(stderr, text.as_bytes()));
        code && signal && text
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

/// `patch` over `base`; see [`LimitsPatch::applied_to`].
fn patched(patch: Option<LimitsPatch>, base: &Limits) -> Limits {
    patch.unwrap_or_default().applied_to(base)
}

#[cfg(test)]
mod tests;
