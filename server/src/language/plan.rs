//! From a request to the commands of its stages.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use brig_sandbox::archive::check_path;
use brig_sandbox::limits::Limits;

use super::prepare::Start;
use super::schema::EntryKind;
use super::template::{List, Template, Values};
use super::{Language, Preparation, StageSpec, class_file, entry, java_source};

/// A file of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Relative to `/box`.
    pub path: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// What a request asks for, as far as languages are concerned.
#[derive(Clone, Debug)]
pub struct PlanRequest {
    /// The request's `files`.
    pub files: Vec<SourceFile>,
    /// The request's `source`.
    pub source: Option<Vec<u8>>,
    /// The request's `entry`.
    pub entry: Option<String>,
    /// Arguments of the program.
    pub args: Vec<String>,
    /// Arguments of the compiler.
    pub compiler_args: Vec<String>,
    /// Environment of the program, over the profile's.
    pub env: BTreeMap<String, String>,
    /// Effective limits of the run stage.
    pub run_limits: Limits,
    /// Effective limits of the compile stage.
    pub compile_limits: Limits,
    /// Another policy for the run stage than the profile's.
    pub policy: Option<String>,
}

/// What is to be done for a request.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All files under the names they have in `/box`.
    pub files: Vec<SourceFile>,
    /// Whether these files have the execute permission.
    pub executable: bool,
    /// The compile stage, if the language has one.
    pub compile: Option<StagePlan>,
    /// The run stage. While [`Plan::needs_artifacts`], its command is that of
    /// [`Language::run_stage`] instead.
    pub run: StagePlan,
    needs_artifacts: bool,
    /// What the run stage's command is made of.
    values: Values,
    /// The program's own environment.
    env: BTreeMap<String, String>,
}

impl Plan {
    /// Whether the run stage's command depends on what the compile stage makes.
    pub fn needs_artifacts(&self) -> bool {
        self.needs_artifacts
    }

    /// The program's arguments.
    pub fn args(&self) -> &[String] {
        &self.values.args
    }
}

/// One stage, ready for a sandbox.
#[derive(Clone, Debug, PartialEq)]
pub struct StagePlan {
    /// Name of the policy.
    pub policy: String,
    /// The command.
    pub argv: Vec<String>,
    /// The whole environment, as `KEY=value`.
    pub env: Vec<String>,
    /// The limits.
    pub limits: Limits,
    /// Which files are kept for the next stage (patterns relative to `/box`).
    pub collect: Option<Vec<String>>,
    /// The file that the command reads first, if it may be started before its files are there
    /// ([`brig_sandbox::prestart`]).
    pub script: Option<String>,
    /// What it can start from, if that was made before.
    pub start: Option<Start>,
}

/// A file that a compile stage made: its path, its content, whether it is executable; as
/// `brig_sandbox::archive::Reader::files` gives them.
pub type Artifact = (String, Vec<u8>, bool);

/// A request that cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct PlanError {
    /// The JSON pointer of the field at fault.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

impl PlanError {
    fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
        }
    }
}

/// The environment that every stage starts from.
const BASE_ENV: [(&str, &str); 4] = [
    ("HOME", "/box"),
    ("LANG", "C.UTF-8"),
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("TMPDIR", "/tmp"),
];

/// The base environment with `changes` over it, later ones first.
pub(super) fn environment(changes: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let base = BASE_ENV
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let all: BTreeMap<String, String> = base.chain(changes).collect();
    all.into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect()
}

impl Language {
    /// Makes the commands of a request's stages.
    pub fn plan(&self, request: PlanRequest) -> Result<Plan, PlanError> {
        self.check_words(&request)?;
        let (files, from_source) = self.name_files(request.files, request.source)?;
        let entry = self.find_entry(&files, request.entry.as_deref(), from_source)?;
        let sources = self.sources(&files, entry)?;
        let values = Values {
            entry: entry.map(|index| files[index].path.clone()),
            sources,
            compiler_args: request.compiler_args,
            args: request.args,
            prepared: Vec::new(),
            main_class: None,
            limits: request.compile_limits,
        };
        let compile = self.compile.as_ref().map(|spec| StagePlan {
            collect: Some(spec.artifacts.clone()),
            start: start(spec, &files, &values),
            ..stage(spec, &values, &BTreeMap::new())
        });
        let values = Values {
            limits: request.run_limits,
            ..values
        };
        let mut run = stage(&self.run, &values, &request.env);
        if let Some(policy) = request.policy {
            run.policy = policy;
        }
        Ok(Plan {
            files,
            executable: self.executable_files,
            compile,
            run,
            needs_artifacts: self.run.command.needs_main_class(),
            values,
            env: request.env,
        })
    }

    /// The class that `plan` starts, now that the compile stage made `artifacts`; `None` if its
    /// command does not depend on that.
    ///
    /// Where they hold no class with `main`, the class is taken to be called like the entry file,
    /// and the runtime will say what it misses.
    pub fn main_class(&self, plan: &Plan, artifacts: &[Artifact]) -> Option<String> {
        if !plan.needs_artifacts {
            return None;
        }
        let values = &plan.values;
        let files = artifacts
            .iter()
            .map(|(path, content, _)| (path.as_str(), content.as_slice()));
        let found = class_file::main_class(files, values.entry.as_deref());
        let named_like_entry = || {
            let entry = values
                .entry
                .as_deref()
                .or(values.sources.first().map(String::as_str));
            super::template::stem(entry.unwrap_or(&self.source_name))
        };
        Some(found.unwrap_or_else(named_like_entry))
    }

    /// The run stage of `plan` that starts `main_class`, with these arguments and limits.
    pub fn run_stage(
        &self,
        plan: &Plan,
        main_class: Option<String>,
        args: Vec<String>,
        limits: Limits,
    ) -> StagePlan {
        let values = Values {
            args,
            main_class,
            limits,
            ..plan.values.clone()
        };
        StagePlan {
            policy: plan.run.policy.clone(),
            ..stage(&self.run, &values, &plan.env)
        }
    }

    /// Checks what becomes arguments, environment and policy.
    fn check_words(&self, request: &PlanRequest) -> Result<(), PlanError> {
        for (field, words) in [
            ("args", &request.args),
            ("compiler_args", &request.compiler_args),
        ] {
            if let Some(at) = words.iter().position(|word| word.contains('\0')) {
                return Err(PlanError::new(
                    format!("/{field}/{at}"),
                    "an argument cannot contain a NUL byte",
                ));
            }
        }
        let takes_compiler_args = self
            .compile
            .as_ref()
            .is_some_and(|spec| spec.command.uses_list(List::CompilerArgs));
        if !request.compiler_args.is_empty() && !takes_compiler_args {
            let detail = format!("{} programs take no compiler arguments", self.name);
            return Err(PlanError::new("/compiler_args", detail));
        }
        for (key, value) in &request.env {
            let pointer = || format!("/env/{}", key.replace('~', "~0").replace('/', "~1"));
            if key.is_empty() || key.contains(['=', '\0']) {
                return Err(PlanError::new(
                    pointer(),
                    "not a name for an environment variable",
                ));
            }
            if value.contains('\0') {
                return Err(PlanError::new(
                    pointer(),
                    "an environment variable cannot contain a NUL byte",
                ));
            }
        }
        match &request.policy {
            Some(name) if !self.policies.contains(name) => {
                let known = self.policies.join(", ");
                Err(PlanError::new(
                    "/policy",
                    format!("unknown policy {name:?}; one of {known}"),
                ))
            }
            _ => Ok(()),
        }
    }

    /// All files under their final names, and whether the first of them was the `source`.
    fn name_files(
        &self,
        files: Vec<SourceFile>,
        source: Option<Vec<u8>>,
    ) -> Result<(Vec<SourceFile>, bool), PlanError> {
        for (index, file) in files.iter().enumerate() {
            check_path(&file.path)
                .map_err(|why| PlanError::new(format!("/files/{index}/path"), why))?;
        }
        let from_source = source.is_some();
        let mut all = Vec::with_capacity(files.len() + 1);
        if let Some(content) = source {
            all.push(SourceFile {
                path: self.source_path(&content),
                content,
            });
        }
        all.extend(files);
        if all.is_empty() {
            return Err(PlanError::new(
                "",
                "one of `source` and `files` is required",
            ));
        }
        check_distinct(&all, usize::from(from_source))?;
        Ok((all, from_source))
    }

    /// The name of the file that `source` becomes.
    fn source_path(&self, source: &[u8]) -> String {
        let name = match (self.entry_kind, &self.name_source_by) {
            (EntryKind::Java, _) => java_source::public_type(&String::from_utf8_lossy(source)),
            (_, Some(pattern)) => pattern
                .captures(&String::from_utf8_lossy(source))
                .and_then(|captures| captures.get(1))
                .map(|name| name.as_str().to_owned()),
            _ => None,
        };
        let extension = self
            .source_name
            .rfind('.')
            .map_or("", |dot| &self.source_name[dot..]);
        let path = name.map(|name| format!("{name}{extension}"));
        path.filter(|path| check_path(path).is_ok() && !path.contains('/'))
            .unwrap_or_else(|| self.source_name.clone())
    }

    /// The index of the file that starts, where that is known or has to be.
    fn find_entry(
        &self,
        files: &[SourceFile],
        asked: Option<&str>,
        from_source: bool,
    ) -> Result<Option<usize>, PlanError> {
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        if let Some(asked) = asked {
            // `source` may have been given another name than the one its sender knows.
            let index = paths
                .iter()
                .position(|path| *path == asked)
                .or_else(|| (from_source && asked == self.source_name).then_some(0));
            let detail = || format!("no file is called {asked:?}; there are {}", listed(&paths));
            return index
                .map(Some)
                .ok_or_else(|| PlanError::new("/entry", detail()));
        }
        if from_source {
            return Ok(Some(0));
        }
        match entry::find(&paths, &self.extensions, &self.source_name) {
            Ok(index) => Ok(Some(index)),
            Err(candidates) if self.needs_entry() => {
                let candidates: Vec<&str> = candidates.iter().map(String::as_str).collect();
                let candidates = listed(&candidates);
                let detail =
                    format!("cannot tell which file starts; name one of {candidates} as `entry`");
                Err(PlanError::new("/entry", detail))
            }
            Err(_) => Ok(None),
        }
    }

    fn needs_entry(&self) -> bool {
        let stages = self.compile.iter().chain([&self.run]);
        let mut templates = stages.flat_map(|s| s.env.iter().map(|(_, t)| t).chain([&s.command]));
        templates.any(Template::needs_entry)
    }

    /// The files that are sources of the language, the entry first.
    fn sources(
        &self,
        files: &[SourceFile],
        entry: Option<usize>,
    ) -> Result<Vec<String>, PlanError> {
        let others = (0..files.len()).filter(|index| {
            Some(*index) != entry && entry::has_extension(&files[*index].path, &self.extensions)
        });
        let sources: Vec<String> = entry
            .into_iter()
            .chain(others)
            .map(|index| files[index].path.clone())
            .collect();
        let compiled = |spec: &StageSpec| {
            [List::Sources, List::OtherSources]
                .iter()
                .any(|list| spec.command.uses_list(*list))
        };
        if sources.is_empty() && self.compile.as_ref().is_some_and(compiled) {
            let extensions = self.extensions.join(", .");
            let detail = format!("no file has an extension of {} (.{extensions})", self.name);
            return Err(PlanError::new("/files", detail));
        }
        Ok(sources)
    }
}

/// What a compile stage of `files` can start from.
fn start(spec: &StageSpec, files: &[SourceFile], values: &Values) -> Option<Start> {
    let sources = || {
        let sources = files.iter().filter(|f| values.sources.contains(&f.path));
        sources.map(|file| file.content.as_slice())
    };
    let fits = |p: &&Arc<Preparation>| p.fits(&values.compiler_args, sources());
    let preparation = spec.preparations.iter().find(fits)?;
    let at = spec.command.position(List::Prepared, values)?;
    Some(Start::new(Arc::clone(preparation), at))
}

fn stage(spec: &StageSpec, values: &Values, request_env: &BTreeMap<String, String>) -> StagePlan {
    let profile = spec
        .env
        .iter()
        .map(|(key, value)| (key.clone(), value.expand(values).concat()));
    let request = request_env
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()));
    StagePlan {
        policy: spec.policy.clone(),
        argv: spec.command.expand(values),
        env: environment(profile.chain(request)),
        limits: values.limits,
        collect: None,
        script: spec
            .prestart
            .as_ref()
            .map(|file| file.expand(values).concat()),
        start: None,
    }
}

/// No two files at one path, and none where another needs a directory. The first `unnumbered`
/// files are not in the request's `files`.
fn check_distinct(files: &[SourceFile], unnumbered: usize) -> Result<(), PlanError> {
    let pointer = |index: usize| match index.checked_sub(unnumbered) {
        Some(index) => format!("/files/{index}/path"),
        None => "/source".to_owned(),
    };
    let mut seen = BTreeSet::new();
    for (index, file) in files.iter().enumerate() {
        if !seen.insert(file.path.as_str()) {
            let detail = format!("there is another file called {:?}", file.path);
            return Err(PlanError::new(pointer(index), detail));
        }
    }
    for (index, file) in files.iter().enumerate() {
        let mut parents = file.path.match_indices('/').map(|(at, _)| &file.path[..at]);
        if let Some(parent) = parents.find(|parent| seen.contains(parent)) {
            let detail = format!("{parent:?} is a file, so it cannot hold {:?}", file.path);
            return Err(PlanError::new(pointer(index), detail));
        }
    }
    Ok(())
}

/// At most this many names go into an error's text.
const LISTED_NAMES: usize = 20;

fn listed(paths: &[&str]) -> String {
    let shown: Vec<String> = paths
        .iter()
        .take(LISTED_NAMES)
        .map(|path| format!("{path:?}"))
        .collect();
    let more = paths.len().saturating_sub(LISTED_NAMES);
    let tail = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    shown.join(", ") + &tail
}
