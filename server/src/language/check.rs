//! The rules that a profile must keep, and the place of a mistake in its file.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use brig_sandbox::archive::check_path;
use brig_sandbox::limits::{Limits, LimitsPatch};
use brig_sandbox::policy::{ProfileError, parse_toml};
use brig_sandbox::report::signal_name;
use regex::{Captures, Regex};
use toml::de::{DeTable, DeValue};

use super::plan::SourceFile;
use super::prepare::{DIRECTORY, Preparation, PrepareSpec};
use super::schema::{EntryKind, OutOfMemory, Prepare, Profile, Stage, Version};
use super::template::{List, Place, Template};
use super::{
    Availability, COMPILE_DEFAULTS, GLOBAL_MAXIMA, Language, StageSpec, VersionSpec, patched,
};

/// A broken rule: the keys that lead to the value, and what is wrong with it.
type Broken = (Vec<String>, String);

/// Parses and checks one profile; `file` is for errors.
pub(super) fn parse(
    file: &str,
    text: &str,
    policies: &Arc<[String]>,
) -> Result<Language, ProfileError> {
    let profile: Profile = parse_toml(file, text)?;
    check(profile, text, policies).map_err(|(path, message)| {
        let message = if path.is_empty() {
            message
        } else {
            format!("{}: {message}", path.join("."))
        };
        ProfileError {
            file: file.to_owned(),
            line: line_of(text, &path),
            message,
        }
    })
}

/// An error about the value at `path` of a profile that was parsed before.
pub(super) fn error_at(file: &str, text: &str, path: &[&str], message: String) -> ProfileError {
    let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
    ProfileError {
        file: file.to_owned(),
        line: line_of(text, &path),
        message,
    }
}

/// The line, from 1, of the value that `path` leads to, or of the nearest table around it.
fn line_of(text: &str, path: &[String]) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut offset = 0;
    let mut value = &DeValue::Table(document.into_inner());
    for key in path {
        let next = match key.parse::<usize>() {
            Ok(index) => value.get(index),
            Err(_) => value.get(key.as_str()),
        };
        let Some(next) = next else { break };
        offset = next.span().start;
        value = next.get_ref();
    }
    Some(text[..offset].matches('\n').count() + 1)
}

fn at<T>(path: &[&str], result: Result<T, String>) -> Result<T, Broken> {
    result.map_err(|message| (path.iter().map(|key| (*key).to_owned()).collect(), message))
}

fn require(holds: bool, path: &[&str], message: impl FnOnce() -> String) -> Result<(), Broken> {
    at(path, if holds { Ok(()) } else { Err(message()) })
}

fn check(profile: Profile, text: &str, policies: &Arc<[String]>) -> Result<Language, Broken> {
    check_names(&profile)?;
    check_mounts(&profile.mounts)?;
    let kind = profile.entry.kind;
    let pattern = profile.entry.name_source_by.as_deref();
    let name_source_by = pattern
        .map(|p| regex_with_group(p, &["entry", "name_source_by"]))
        .transpose()?;
    let version = check_version(profile.version, policies)?;
    let compile = profile
        .compile
        .map(|stage| check_stage(stage, "compile", &COMPILE_DEFAULTS, policies))
        .transpose()?;
    require(
        profile.run.artifacts.is_none(),
        &["run", "artifacts"],
        || "only the compile stage has artifacts".to_owned(),
    )?;
    require(
        compile.as_ref().is_none_or(|spec| spec.prestart.is_none()),
        &["compile", "prestart"],
        || "only the run stage can be started before its files are there".to_owned(),
    )?;
    require(profile.run.prepare.is_none(), &["run", "prepare"], || {
        "only the compile stage can start from a prepared file".to_owned()
    })?;
    let run = check_stage(profile.run, "run", &Limits::DEFAULT, policies)?;
    check_main_class(kind, compile.as_ref(), &run)?;
    Ok(Language {
        id: profile.id,
        name: profile.name,
        aliases: profile.aliases,
        extensions: profile.extensions,
        source_name: profile.source_name,
        packages: profile.packages,
        core: profile.core,
        mounts: profile.mounts,
        example: profile.example,
        executable_files: profile.executable_files,
        entry_kind: kind,
        state: RwLock::new(Availability::Unknown),
        text: text.to_owned(),
        name_source_by,
        version,
        compile,
        run: StageSpec {
            command: run.command.with_args(),
            ..run
        },
        policies: Arc::clone(policies),
    })
}

fn check_names(profile: &Profile) -> Result<(), Broken> {
    let id_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_+-".contains(c);
    let is_id = !profile.id.is_empty() && profile.id.chars().all(id_char);
    require(is_id, &["id"], || {
        format!("{:?} is not of a-z, 0-9, '_', '+' and '-'", profile.id)
    })?;
    require(!profile.name.trim().is_empty(), &["name"], || {
        "is empty".to_owned()
    })?;
    for (i, alias) in profile.aliases.iter().enumerate() {
        let fits = !alias.is_empty() && alias.chars().all(|c| id_char(c) || "#.".contains(c));
        require(fits, &["aliases", &i.to_string()], || {
            format!("{alias:?} is not of a-z, 0-9, '_', '+', '-', '.' and '#'")
        })?;
    }
    for (i, extension) in profile.extensions.iter().enumerate() {
        let fits = !extension.is_empty() && !extension.starts_with('.') && !extension.contains('/');
        require(fits, &["extensions", &i.to_string()], || {
            format!("{extension:?} is not an extension without its dot")
        })?;
    }
    let name = &profile.source_name;
    let plain = check_path(name).is_ok() && !name.contains('/');
    require(plain, &["source_name"], || {
        format!("{name:?} is not a file name")
    })?;
    let fits =
        profile.extensions.is_empty() || super::entry::has_extension(name, &profile.extensions);
    require(fits, &["source_name"], || {
        format!("{name:?} has none of the extensions")
    })?;
    for (i, package) in profile.packages.iter().enumerate() {
        let fits = package
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        require(
            fits && !package.is_empty(),
            &["packages", &i.to_string()],
            || format!("{package:?} is not a package name"),
        )?;
    }
    Ok(())
}

fn check_mounts(mounts: &[String]) -> Result<(), Broken> {
    for (i, mount) in mounts.iter().enumerate() {
        let parents = mount.rsplit_once('/').map_or("", |(parents, _)| parents);
        let fits =
            mount.starts_with('/') && check_path(&mount[1..]).is_ok() && !parents.contains('*');
        require(fits, &["mounts", &i.to_string()], || {
            format!("{mount:?} is not an absolute path with `*` at most in its last part")
        })?;
    }
    Ok(())
}

fn check_version(version: Version, policies: &[String]) -> Result<VersionSpec, Broken> {
    check_program(&version.command, "version")?;
    check_policy(&version.policy, "version", policies)?;
    for key in version.env.keys() {
        require(is_env_name(key), &["version", "env", key], || {
            format!("{key:?} is not a name")
        })?;
    }
    let pattern = regex_with_group(&version.pattern, &["version", "pattern"])?;
    check_format(&version.format, &pattern)?;
    let limits = patched(version.limits, &COMPILE_DEFAULTS);
    check_limits(&limits, version.limits, &["version", "limits"])?;
    Ok(VersionSpec {
        command: version.command,
        policy: version.policy,
        env: version.env.into_iter().collect(),
        pattern,
        format: version.format,
        limits,
    })
}

fn regex_with_group(pattern: &str, path: &[&str]) -> Result<Regex, Broken> {
    let regex = at(
        path,
        Regex::new(pattern).map_err(|e| format!("bad regular expression: {e}")),
    )?;
    require(regex.captures_len() > 1, path, || {
        "has no group `(...)`".to_owned()
    })?;
    Ok(regex)
}

/// Every `{...}` of the version's format is the number of a group.
fn check_format(format: &str, pattern: &Regex) -> Result<(), Broken> {
    for rest in format.split('{').skip(1) {
        let group = rest
            .split_once('}')
            .and_then(|(number, _)| number.parse::<usize>().ok());
        let known = group.is_some_and(|group| (1..pattern.captures_len()).contains(&group));
        require(known, &["version", "format"], || {
            format!(
                "{format:?} may hold {{1}} to {{{}}}",
                pattern.captures_len() - 1
            )
        })?;
    }
    Ok(())
}

/// A version's `format` with its groups filled in.
pub(super) fn fill_version(format: &str, captures: &Captures) -> String {
    let mut filled = format.to_owned();
    for (group, text) in captures.iter().enumerate().skip(1) {
        filled = filled.replace(&format!("{{{group}}}"), text.map_or("", |m| m.as_str()));
    }
    filled
}

fn check_stage(
    stage: Stage,
    name: &'static str,
    defaults: &Limits,
    policies: &[String],
) -> Result<StageSpec, Broken> {
    check_policy(&stage.policy, name, policies)?;
    check_program(&stage.command, name)?;
    let place = if name == "run" {
        Place::RunCommand
    } else {
        Place::CompileCommand
    };
    let command = Template::command(&stage.command, place).map_err(|(i, message)| {
        (
            vec![name.to_owned(), "command".to_owned(), i.to_string()],
            message,
        )
    })?;
    let env = check_env(&stage.env, name)?;
    let prestart = check_prestart(stage.prestart.as_deref(), name)?;
    let preparations = stage
        .prepare
        .map(|prepare| check_prepare(prepare, name, &stage.policy, &env))
        .transpose()?
        .unwrap_or_default();
    let told = command.uses_list(List::Prepared);
    require(told != preparations.is_empty(), &[name, "command"], || {
        "{prepared} is in the command if and only if there is a table `prepare`".to_owned()
    })?;
    let artifacts = stage.artifacts.unwrap_or_else(|| vec!["**".to_owned()]);
    require(!artifacts.is_empty(), &[name, "artifacts"], || {
        "is empty".to_owned()
    })?;
    for (i, glob) in artifacts.iter().enumerate() {
        let parsed = globset::Glob::new(glob)
            .map(drop)
            .map_err(|e| e.to_string());
        at(&[name, "artifacts", &i.to_string()], parsed)?;
    }
    let defaults = patched(stage.default_limits, defaults);
    let maxima = patched(stage.max_limits, &GLOBAL_MAXIMA);
    check_limits(&defaults, stage.default_limits, &[name, "default_limits"])?;
    check_limits(&maxima, stage.max_limits, &[name, "max_limits"])?;
    check_within(&defaults, &maxima, name)?;
    for (i, rule) in stage.out_of_memory.iter().enumerate() {
        at(&[name, "out_of_memory", &i.to_string()], check_rule(rule))?;
    }
    let out_of_memory = stage.out_of_memory;
    Ok(StageSpec {
        policy: stage.policy,
        command,
        env,
        artifacts,
        prestart,
        preparations,
        defaults,
        maxima,
        out_of_memory,
    })
}

fn check_prestart(file: Option<&str>, table: &str) -> Result<Option<Template>, Broken> {
    let Some(file) = file else { return Ok(None) };
    let path = [table, "prestart"];
    let template = at(&path, Template::value(file))?;
    require(
        template.needs_entry() && !template.needs_main_class(),
        &path,
        || format!("{file:?} does not name the entry, as by `{{entry}}`"),
    )?;
    Ok(Some(template))
}

/// The files that stages can start from: the one without compiler arguments first.
fn check_prepare(
    prepare: Prepare,
    table: &str,
    policy: &str,
    env: &[(String, Template)],
) -> Result<Vec<Arc<Preparation>>, Broken> {
    let path = |key: &str| vec![table.to_owned(), "prepare".to_owned(), key.to_owned()];
    let broken = |key: &str, message: String| (path(key), message);
    let command = Template::command(&prepare.command, Place::PrepareCommand);
    let command = command.map_err(|(_, message)| broken("command", message))?;
    let is_path = prepare.command.first().is_some_and(|p| p.starts_with('/'));
    if !is_path {
        return Err(broken("command", "starts with no absolute path".to_owned()));
    }
    let files = prepare.files.keys().map(|file| ("files", file));
    for (key, file) in files.chain([("file", &prepare.file)]) {
        check_path(file).map_err(|why| broken(key, format!("{file:?}: {why}")))?;
    }
    if !prepare.arguments.iter().any(|a| a.contains(DIRECTORY)) {
        return Err(broken("arguments", format!("do not name {DIRECTORY}")));
    }
    let pattern = |key: &str, pattern: Option<String>| {
        let parsed = pattern.map(|p| regex::bytes::Regex::new(&p)).transpose();
        parsed.map_err(|e| broken(key, format!("bad regular expression: {e}")))
    };
    let limits = patched(prepare.limits, &COMPILE_DEFAULTS);
    check_limits(&limits, prepare.limits, &[table, "prepare", "limits"])?;
    let file = |(path, content): (String, String)| SourceFile {
        path,
        content: content.into_bytes(),
    };
    let spec = Arc::new(PrepareSpec {
        policy: policy.to_owned(),
        command,
        env: env.to_vec(),
        sources: pattern("sources", prepare.sources)?,
        redo_if: pattern("redo_if", prepare.redo_if)?,
        files: prepare.files.into_iter().map(file).collect(),
        file: prepare.file,
        arguments: prepare.arguments,
        limits,
    });
    let all = std::iter::once(Vec::new()).chain(prepare.compiler_args);
    Ok(all.map(|compiler_args| spec.with(compiler_args)).collect())
}

fn check_policy(policy: &str, table: &str, policies: &[String]) -> Result<(), Broken> {
    require(
        policies.iter().any(|name| name == policy),
        &[table, "policy"],
        || {
            format!(
                "unknown policy {policy:?}; there are {}",
                policies.join(", ")
            )
        },
    )
}

/// The first word of a command is a path, so that `PATH` never decides what runs.
fn check_program(command: &[String], table: &str) -> Result<(), Broken> {
    let program = command.first().map_or("", String::as_str);
    let is_path = program.starts_with('/') || program.starts_with("./");
    require(is_path, &[table, "command"], || {
        format!(
            "{program:?} is not a path; a command starts with an absolute one, or with `./` in /box"
        )
    })
}

fn check_env(
    env: &BTreeMap<String, String>,
    table: &str,
) -> Result<Vec<(String, Template)>, Broken> {
    let mut checked = Vec::with_capacity(env.len());
    for (key, value) in env {
        let path = [table, "env", key];
        require(is_env_name(key), &path, || format!("{key:?} is not a name"))?;
        let template = at(&path, Template::value(value))?;
        require(!template.needs_main_class(), &path, || {
            "{main_class} has a meaning in the run command only".to_owned()
        })?;
        checked.push((key.clone(), template));
    }
    Ok(checked)
}

fn is_env_name(key: &str) -> bool {
    !key.is_empty() && !key.contains(['=', '\0'])
}

fn check_rule(rule: &OutOfMemory) -> Result<(), String> {
    let OutOfMemory {
        exit_code,
        signal,
        stderr_contains,
    } = rule;
    if exit_code.is_none() && signal.is_none() && stderr_contains.is_none() {
        return Err("a rule needs a condition: exit_code, signal or stderr_contains".to_owned());
    }
    if *exit_code == Some(0) {
        return Err("exit code 0 is a success".to_owned());
    }
    if stderr_contains.as_ref().is_some_and(String::is_empty) {
        return Err("stderr_contains is empty".to_owned());
    }
    match signal {
        Some(name) if !(1..32).any(|number| signal_name(number) == *name) => {
            Err(format!("unknown signal {name:?}"))
        }
        _ => Ok(()),
    }
}

/// Calls `each` with the name of every limit, and it in `a` and `b`.
fn pairs(a: &Limits, b: &Limits) -> [(&'static str, f64, f64); 11] {
    // Every figure that means something is far below 2^53, where f64 is exact.
    #[allow(clippy::cast_precision_loss)]
    let int = |n: u64| n as f64;
    [
        ("cpu_time_ms", int(a.cpu_time_ms), int(b.cpu_time_ms)),
        ("wall_time_ms", int(a.wall_time_ms), int(b.wall_time_ms)),
        ("memory_bytes", int(a.memory_bytes), int(b.memory_bytes)),
        ("stack_bytes", int(a.stack_bytes), int(b.stack_bytes)),
        ("processes", a.processes.into(), b.processes.into()),
        ("open_files", a.open_files.into(), b.open_files.into()),
        (
            "file_size_bytes",
            int(a.file_size_bytes),
            int(b.file_size_bytes),
        ),
        ("disk_bytes", int(a.disk_bytes), int(b.disk_bytes)),
        ("disk_inodes", int(a.disk_inodes), int(b.disk_inodes)),
        ("output_bytes", int(a.output_bytes), int(b.output_bytes)),
        ("cpus", a.cpus, b.cpus),
    ]
}

fn check_limits(limits: &Limits, patch: Option<LimitsPatch>, table: &[&str]) -> Result<(), Broken> {
    if patch.is_none() {
        return Ok(());
    }
    for (name, value, _) in pairs(limits, limits) {
        require(
            value.is_finite() && value > 0.0,
            &[table, &[name]].concat(),
            || "must be above zero".to_owned(),
        )?;
    }
    require(
        limits.open_files <= Limits::MAX_OPEN_FILES,
        &[table, &["open_files"]].concat(),
        || format!("is above {}", Limits::MAX_OPEN_FILES),
    )
}

fn check_within(defaults: &Limits, maxima: &Limits, stage: &str) -> Result<(), Broken> {
    for (name, default, maximum) in pairs(defaults, maxima) {
        require(default <= maximum, &[stage, "default_limits", name], || {
            format!("the default {default} is above the maximum {maximum}")
        })?;
    }
    Ok(())
}

/// `{main_class}` is there if and only if the kind of entry finds one, in what a compiler made.
fn check_main_class(
    kind: EntryKind,
    compile: Option<&StageSpec>,
    run: &StageSpec,
) -> Result<(), Broken> {
    let uses = run.command.needs_main_class();
    require(uses || kind == EntryKind::File, &["entry", "kind"], || {
        "this kind of entry needs {main_class} in the run command".to_owned()
    })?;
    require(
        !uses || kind != EntryKind::File,
        &["run", "command"],
        || "{main_class} needs entry.kind = \"jvm_class\" or \"java\"".to_owned(),
    )?;
    require(!uses || compile.is_some(), &["run", "command"], || {
        "{main_class} needs a compile stage".to_owned()
    })?;
    let misplaced = compile.is_some_and(|spec| spec.command.needs_main_class());
    require(!misplaced, &["compile", "command"], || {
        "{main_class} is known only after compiling".to_owned()
    })?;
    require(
        !run.command.uses_list(List::CompilerArgs),
        &["run", "command"],
        || "{compiler_args} has no meaning here".to_owned(),
    )
}
