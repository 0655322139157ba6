//! From a request to a run that can be prepared, or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use brig_sandbox::archive::{self, check_path};
use brig_sandbox::limits::Limits;
use brig_sandbox::protocol::WindowSize;
use globset::GlobBuilder;

use super::files::{Misfit, misfit};
use super::limits::Bounds;
use super::{Catalog, Prepared, Sources, limits};
use crate::api::{Encoding, FieldError, LimitsRequest, Object, RunRequest, check_size};
use crate::auth::KeyLimits;
use crate::config::RunsConfig;
use crate::language::{Availability, Language, PlanRequest, SourceFile, StagePlan};
use crate::store::Owner;

/// Arguments and environment of one stage together: they travel to the worker in one message
/// ([`brig_sandbox::protocol::MAX_MESSAGE_BYTES`]), beside other things.
pub const MAX_COMMAND_LINE_BYTES: usize = 128 << 10;
/// What each string costs on top of its bytes.
const STRING_OVERHEAD_BYTES: usize = 8;
/// Patterns in `output_files`.
const MAX_OUTPUT_PATTERNS: usize = 64;
/// The kernel takes no longer argument (`MAX_ARG_STRLEN`, execve(2)).
const MAX_ARGUMENT_BYTES: usize = (128 << 10) - 1;

/// What a request may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Whose it is.
    pub owner: Owner,
    /// Languages and policies.
    pub catalog: &'a Catalog,
    /// What it may bring.
    pub config: &'a RunsConfig,
    /// How far it may go, beside the language's maxima.
    pub maxima: KeyLimits,
    /// A program may be allowed to write this much, even if its language has a lower maximum: its
    /// output is not kept.
    pub max_output_bytes: u64,
    /// Of a live run: how long it may take. Only live runs can have a terminal.
    pub live: Option<WallTime>,
}

/// How long a live run may take, on the clock: its program waits for people.
#[derive(Clone, Copy, Debug)]
pub struct WallTime {
    /// Where nothing is asked for, at least this.
    pub default_ms: u64,
    /// At most, in place of the language's maximum.
    pub max_ms: u64,
}

impl Terms<'_> {
    fn run_maxima(&self, language: &Language) -> Limits {
        let maxima = language.run_maxima();
        Limits {
            output_bytes: maxima.output_bytes.max(self.max_output_bytes),
            wall_time_ms: self.live.map_or(maxima.wall_time_ms, |live| live.max_ms),
            ..maxima
        }
    }

    /// The wall time of a run that asks for none and would get `wall_time_ms`.
    fn unasked_wall_time(&self, wall_time_ms: u64) -> u64 {
        let Some(live) = self.live else {
            return wall_time_ms;
        };
        let key = self.maxima.run.wall_time_ms.unwrap_or(u64::MAX);
        wall_time_ms.max(live.default_ms).min(live.max_ms).min(key)
    }

    /// What `asked` makes of the limits `base`, for a program in `language`.
    pub fn change_limits(
        &self,
        language: &Language,
        base: &Limits,
        asked: &LimitsRequest,
        pointer: &str,
        errors: &mut Vec<FieldError>,
    ) -> Limits {
        let bounds = Bounds {
            defaults: base,
            language: &self.run_maxima(language),
            key: &self.maxima.run,
        };
        limits::effective(asked, bounds, pointer, errors)
    }
}

/// Checks `request`. `errors` are those already found; where a part was wrong, the request lacks it.
pub fn validate(
    request: RunRequest,
    terms: &Terms<'_>,
    errors: Vec<FieldError>,
) -> Result<Prepared, Vec<FieldError>> {
    let Terms {
        owner,
        catalog,
        config,
        ..
    } = *terms;
    let mut check = Check { errors };
    let language = check.language(&request.language, catalog);
    check.policy(request.policy.as_deref(), catalog);
    check.words(&request);
    check.output_files(&request.output_files);
    check.terminal(request.pty.as_deref(), terms);
    let limits = language
        .as_deref()
        .map(|language| check.limits(&request, language, terms));
    check.presence(&request);
    let files = check.files(&request, config);
    let source = check.decode(request.source, request.source_encoding, "/source");
    let stdin = check
        .decode(request.stdin, request.stdin_encoding, "/stdin")
        .unwrap_or_default();
    let (Some(language), Some((compile_limits, run_limits)), true) =
        (language, limits, check.errors.is_empty())
    else {
        return Err(check.errors);
    };
    let plan = PlanRequest {
        files,
        source,
        entry: request.entry,
        args: request.args,
        compiler_args: request.compiler_args,
        env: request.env,
        run_limits,
        compile_limits,
        policy: request.policy,
    };
    let plan = language
        .plan(plan)
        .map_err(|e| vec![FieldError::new(e.pointer, e.detail)])?;
    check.stages(plan.compile.iter().chain([&plan.run]), &plan.files);
    if !check.errors.is_empty() {
        return Err(check.errors);
    }
    let policy = plan
        .compile
        .as_ref()
        .and_then(|c| catalog.digest(&c.policy));
    Ok(Prepared {
        sources: Sources {
            language,
            plan: Arc::new(plan),
            policy,
            owner,
        },
        stdin,
        output_files: request.output_files,
        terminal: request.pty.map(|Object(size)| size),
    })
}

struct Check {
    errors: Vec<FieldError>,
}

impl Check {
    fn error(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.errors.push(FieldError::new(pointer, detail));
    }

    fn language(&mut self, name: &str, catalog: &Catalog) -> Option<Arc<Language>> {
        let found = catalog
            .languages
            .find(name)
            .map_err(|_| unknown_language(name, catalog));
        let found = found.and_then(|language| match language.availability() {
            Availability::Unavailable { reason } => {
                Err(format!("{} is not available here: {reason}", language.name))
            }
            _ => Ok(language),
        });
        match found {
            Ok(language) => Some(language),
            Err(detail) => {
                self.error("/language", detail);
                None
            }
        }
    }

    fn policy(&mut self, name: Option<&str>, catalog: &Catalog) {
        if let Some(name) = name.filter(|name| !catalog.policies.contains_key(*name)) {
            let known: Vec<_> = catalog.policies.keys().map(String::as_str).collect();
            let detail = format!(
                "unknown policy {}; one of {}",
                quoted(name),
                known.join(", ")
            );
            self.error("/policy", detail);
        }
    }

    fn terminal(&mut self, size: Option<&WindowSize>, terms: &Terms<'_>) {
        let Some(size) = size else { return };
        if terms.live.is_none() {
            self.error(
                "/pty",
                "only a live run, GET /v1/runs/ws, can have a terminal",
            );
        } else if let Err(error) = check_size(*size, "/pty") {
            self.errors.push(error);
        }
    }

    fn limits(
        &mut self,
        request: &RunRequest,
        language: &Language,
        terms: &Terms<'_>,
    ) -> (Limits, Limits) {
        let none = LimitsRequest::default();
        let asked = request.compile_limits.as_deref().unwrap_or(&none);
        let bounds = Bounds {
            defaults: &language.compile_defaults(),
            language: &language.compile_maxima(),
            key: &terms.maxima.compile,
        };
        let compile = limits::effective(asked, bounds, "/compile_limits", &mut self.errors);
        let asked = request.limits.as_deref().unwrap_or(&none);
        let bounds = Bounds {
            defaults: &language.run_defaults(),
            language: &terms.run_maxima(language),
            key: &terms.maxima.run,
        };
        let mut run = limits::effective(asked, bounds, "/limits", &mut self.errors);
        if asked.wall_time_ms.is_none() {
            run.wall_time_ms = terms.unasked_wall_time(run.wall_time_ms);
        }
        (compile, run)
    }

    /// Arguments and environment.
    fn words(&mut self, request: &RunRequest) {
        for (field, words) in [
            ("args", &request.args),
            ("compiler_args", &request.compiler_args),
        ] {
            for (index, word) in words.iter().enumerate() {
                self.word(&format!("/{field}/{index}"), word, "an argument");
            }
        }
        for (name, value) in &request.env {
            let pointer = format!("/env/{}", pointer_part(name));
            if name.is_empty() || name.contains(['=', '\0']) {
                self.error(
                    pointer,
                    "a variable's name cannot be empty nor contain '=' or NUL",
                );
            } else {
                self.word(&pointer, value, "a variable's value");
            }
        }
        self.entry(request.entry.as_deref());
    }

    fn word(&mut self, pointer: &str, word: &str, what: &str) {
        if word.contains('\0') {
            self.error(pointer, format!("{what} cannot contain a NUL byte"));
        } else if word.len() > MAX_ARGUMENT_BYTES {
            self.error(
                pointer,
                format!("{what} cannot have more than {MAX_ARGUMENT_BYTES} bytes"),
            );
        }
    }

    fn entry(&mut self, entry: Option<&str>) {
        if let Some(Err(why)) = entry.map(check_path) {
            self.error("/entry", why);
        }
    }

    fn presence(&mut self, request: &RunRequest) {
        let spoken_of = |e: &FieldError| e.pointer == "/source" || e.pointer.starts_with("/files");
        let given = request.source.is_some() || !request.files.is_empty();
        if !given && !self.errors.iter().any(spoken_of) {
            self.error("/source", "one of `source` and `files` is required");
        }
    }

    fn files(&mut self, request: &RunRequest, config: &RunsConfig) -> Vec<SourceFile> {
        if request.files.len() > config.max_files {
            let detail = format!(
                "{} files are more than the maximum of {}",
                request.files.len(),
                config.max_files
            );
            self.error("/files", detail);
            return Vec::new();
        }
        self.collisions(request);
        let mut files = Vec::with_capacity(request.files.len());
        for (index, file) in request.files.iter().enumerate() {
            if let Err(why) = check_path(&file.path) {
                self.error(format!("/files/{index}/path"), why);
            }
            let pointer = format!("/files/{index}/content");
            let content = self.decode(Some(file.content.clone()), file.encoding, &pointer);
            let content = content.unwrap_or_default();
            files.push(SourceFile {
                path: file.path.clone(),
                content,
            });
        }
        files
    }

    /// No two files at one path, and none where another needs a directory.
    fn collisions(&mut self, request: &RunRequest) {
        let mut first: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, file) in request.files.iter().enumerate() {
            if let Some(earlier) = first.get(file.path.as_str()) {
                let detail = format!("/files/{earlier} has this path as well");
                self.error(format!("/files/{index}/path"), detail);
            } else {
                first.insert(&file.path, index);
            }
        }
        for (index, file) in request.files.iter().enumerate() {
            let mut parents = file.path.match_indices('/').map(|(at, _)| &file.path[..at]);
            if let Some(other) = parents.find_map(|parent| first.get(parent)) {
                let detail = format!("/files/{other} is a file where this path needs a directory");
                self.error(format!("/files/{index}/path"), detail);
            }
        }
    }

    fn decode(
        &mut self,
        text: Option<String>,
        encoding: Encoding,
        pointer: &str,
    ) -> Option<Vec<u8>> {
        decode(text?, encoding, pointer, &mut self.errors)
    }

    fn output_files(&mut self, patterns: &[String]) {
        if patterns.len() > MAX_OUTPUT_PATTERNS {
            self.error(
                "/output_files",
                format!("more than {MAX_OUTPUT_PATTERNS} patterns"),
            );
            return;
        }
        for (index, pattern) in patterns.iter().enumerate() {
            // A pattern obeys the rules of paths: relative, no `..`, no NUL, not too long.
            let valid = check_path(pattern).map_err(str::to_owned).and_then(|()| {
                let glob = GlobBuilder::new(pattern).literal_separator(true).build();
                glob.map(|_| ()).map_err(|e| e.kind().to_string())
            });
            if let Err(why) = valid {
                self.error(format!("/output_files/{index}"), why);
            }
        }
    }

    /// What can only be told once the commands are known.
    fn stages<'a>(&mut self, stages: impl Iterator<Item = &'a StagePlan>, files: &[SourceFile]) {
        let entries = || {
            files
                .iter()
                .map(|f| (f.path.as_str(), f.content.len() as u64))
        };
        let index_bytes: usize = files.iter().map(|f| f.path.len() + 16).sum();
        if index_bytes > archive::MAX_INDEX_BYTES as usize {
            self.error("/files", "the paths are too long together");
        }
        for stage in stages {
            let words = stage.argv.iter().chain(&stage.env);
            let bytes: usize = words.map(|w| w.len() + STRING_OVERHEAD_BYTES).sum();
            if bytes > MAX_COMMAND_LINE_BYTES {
                let detail = format!(
                    "arguments, environment and file names come to {bytes} bytes, \
                     more than the {MAX_COMMAND_LINE_BYTES} that a command can have"
                );
                return self.error("", detail);
            }
            let (held, limit, what) = match misfit(entries(), &stage.limits) {
                None => continue,
                Some(Misfit::Bytes(held)) => (held, stage.limits.disk_bytes, "bytes of disk"),
                Some(Misfit::Inodes(held)) => {
                    (held, stage.limits.disk_inodes, "files and directories")
                }
            };
            let detail = format!("the files need {held} {what}, the limit is {limit}");
            return self.error("/files", detail);
        }
    }
}

/// The bytes that `text` stands for; `None`, with an error at `pointer`, if it stands for none.
pub(crate) fn decode(
    text: String,
    encoding: Encoding,
    pointer: &str,
    errors: &mut Vec<FieldError>,
) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Utf8 => Some(text.into_bytes()),
        Encoding::Base64 => match BASE64.decode(text) {
            Ok(bytes) => Some(bytes),
            Err(e) => {
                errors.push(FieldError::new(pointer, format!("is not base64: {e}")));
                None
            }
        },
    }
}

/// Names that come close to the one asked for, or all.
fn unknown_language(name: &str, catalog: &Catalog) -> String {
    if let Some((_, version)) = name.split_once('@')
        && let Err(error) = catalog.languages.find(name)
        && !version.is_empty()
        && name.len() <= MAX_QUOTED_BYTES
    {
        return error.message;
    }
    let asked = name.to_lowercase();
    let names = || {
        let all = catalog.languages.all().iter();
        all.flat_map(|l| l.aliases.iter().chain([&l.id]))
            .map(String::as_str)
    };
    let near = names()
        .map(|known| (strsim::osa_distance(known, head(&asked)), known))
        .filter(|(distance, known)| *distance <= 2 && *distance < known.len())
        .min();
    let hint = near.map_or(String::new(), |(_, known)| {
        format!("; did you mean {known:?}?")
    });
    let ids: Vec<_> = catalog
        .languages
        .all()
        .iter()
        .map(|l| l.id.as_str())
        .collect();
    let hint = if hint.is_empty() {
        ";".to_owned()
    } else {
        hint
    };
    format!(
        "unknown language {}{hint} There are {}",
        quoted(name),
        ids.join(", ")
    )
}

/// What a client sent is quoted up to here.
const MAX_QUOTED_BYTES: usize = 64;

fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_QUOTED_BYTES)]
}

fn quoted(text: &str) -> String {
    let head = head(text);
    if head.len() < text.len() {
        format!("{head:?}...")
    } else {
        format!("{head:?}")
    }
}

/// One part of a JSON pointer (RFC 6901).
fn pointer_part(name: &str) -> String {
    head(name).replace('~', "~0").replace('/', "~1")
}
