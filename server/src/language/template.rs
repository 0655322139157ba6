//! Commands and environment values with placeholders, parsed once when a profile is loaded.

use brig_sandbox::limits::Limits;

/// A command, or an environment value (then of one argument).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template(Vec<Argument>);

#[derive(Clone, Debug, PartialEq)]
enum Argument {
    /// Becomes exactly one argument.
    One(Vec<Piece>),
    /// Becomes as many arguments as there are values.
    Many(List),
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Value(Value),
}

/// A placeholder that stands for any number of whole arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Sources,
    OtherSources,
    CompilerArgs,
    Args,
    /// What a stage gets that starts from a prepared file.
    Prepared,
}

/// A placeholder that stands for a piece of text. `less` is subtracted from a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Entry,
    EntryStem,
    EntryDir,
    EntryPathStem,
    MainClass,
    MemoryMb { less: u64 },
    MemoryBytes { less: u64 },
    StackKb { less: u64 },
    StackBytes { less: u64 },
    Cpus,
}

/// Where a template stands; not every placeholder has a value everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    CompileCommand,
    RunCommand,
    /// What makes a prepared file.
    PrepareCommand,
    /// The value of an environment variable.
    Env,
}

/// What the placeholders stand for.
#[derive(Clone, Debug)]
pub(super) struct Values {
    pub(super) entry: Option<String>,
    pub(super) sources: Vec<String>,
    pub(super) compiler_args: Vec<String>,
    pub(super) args: Vec<String>,
    pub(super) prepared: Vec<String>,
    pub(super) main_class: Option<String>,
    pub(super) limits: Limits,
}

const KNOWN: &str = "{entry}, {entry_stem}, {entry_path_stem}, {entry_dir}, {sources}, {other_sources}, \
    {compiler_args}, {prepared}, {args}, {main_class}, {memory_mb}, {memory_bytes}, {stack_kb}, {stack_bytes}, {cpus}; a literal brace is doubled";

impl Template {
    /// Parses a command; an error comes with the argument's index.
    pub(super) fn command(arguments: &[String], place: Place) -> Result<Self, (usize, String)> {
        let parsed = arguments
            .iter()
            .enumerate()
            .map(|(i, text)| parse_argument(text, place).map_err(|message| (i, message)))
            .collect::<Result<_, _>>()?;
        Ok(Self(parsed))
    }

    /// Parses an environment value.
    pub(super) fn value(text: &str) -> Result<Self, String> {
        parse_argument(text, Place::Env).map(|argument| Self(vec![argument]))
    }

    /// `self` with `{args}` at its end, unless it is somewhere already.
    pub(super) fn with_args(mut self) -> Self {
        if !self.uses_list(List::Args) {
            self.0.push(Argument::Many(List::Args));
        }
        self
    }

    /// Whether `list` is among the arguments.
    pub(super) fn uses_list(&self, list: List) -> bool {
        self.0.contains(&Argument::Many(list))
    }

    /// How many arguments come before `list`, if that is among them.
    pub(super) fn position(&self, list: List, values: &Values) -> Option<usize> {
        let at = self.0.iter().position(|a| *a == Argument::Many(list))?;
        let before = self.0[..at].iter().map(|argument| match argument {
            Argument::One(_) => 1,
            Argument::Many(list) => list.items(values).len(),
        });
        Some(before.sum())
    }

    /// Whether the entry file must be known.
    pub(super) fn needs_entry(&self) -> bool {
        let needy = [Value::Entry, Value::EntryStem, Value::EntryPathStem];
        self.uses_list(List::OtherSources) || self.values().any(|value| needy.contains(&value))
    }

    /// Whether the main class must be known.
    pub(super) fn needs_main_class(&self) -> bool {
        self.values().any(|v| v == Value::MainClass)
    }

    fn values(&self) -> impl Iterator<Item = Value> {
        let pieces = self.0.iter().flat_map(|argument| match argument {
            Argument::One(pieces) => pieces.as_slice(),
            Argument::Many(_) => &[],
        });
        pieces.filter_map(|piece| match piece {
            Piece::Value(value) => Some(*value),
            Piece::Text(_) => None,
        })
    }

    /// The arguments with every placeholder filled in.
    pub(super) fn expand(&self, values: &Values) -> Vec<String> {
        let mut arguments = Vec::with_capacity(self.0.len());
        for argument in &self.0 {
            match argument {
                Argument::One(pieces) => {
                    arguments.push(pieces.iter().map(|piece| piece.text(values)).collect());
                }
                Argument::Many(list) => arguments.extend(list.items(values)),
            }
        }
        arguments
    }
}

impl List {
    fn items(self, values: &Values) -> Vec<String> {
        match self {
            Self::Sources => values
                .sources
                .iter()
                .map(|path| as_argument(path))
                .collect(),
            Self::OtherSources => {
                let others = values
                    .sources
                    .iter()
                    .filter(|path| Some(*path) != values.entry.as_ref());
                others.map(|path| as_argument(path)).collect()
            }
            Self::CompilerArgs => values.compiler_args.clone(),
            Self::Args => values.args.clone(),
            Self::Prepared => values.prepared.clone(),
        }
    }
}

impl Piece {
    fn text(&self, values: &Values) -> String {
        let limits = &values.limits;
        let entry = values.entry.as_deref().unwrap_or_default();
        match self {
            Self::Text(text) => text.clone(),
            Self::Value(Value::Entry) => as_argument(entry),
            Self::Value(Value::EntryStem) => stem(entry),
            Self::Value(Value::EntryPathStem) => {
                let directory = entry.rfind('/').map_or("", |slash| &entry[..=slash]);
                as_argument(&format!("{directory}{}", stem(entry)))
            }
            Self::Value(Value::EntryDir) => match entry.rfind('/') {
                Some(slash) => format!("./{}", &entry[..slash]),
                None => ".".to_owned(),
            },
            Self::Value(Value::MainClass) => values.main_class.clone().unwrap_or_default(),
            Self::Value(Value::MemoryMb { less }) => reduced(limits.memory_bytes >> 20, *less),
            Self::Value(Value::MemoryBytes { less }) => reduced(limits.memory_bytes, *less),
            Self::Value(Value::StackKb { less }) => reduced(limits.stack_bytes >> 10, *less),
            Self::Value(Value::StackBytes { less }) => reduced(limits.stack_bytes, *less),
            Self::Value(Value::Cpus) => limits.cpus.ceil().max(1.0).to_string(),
        }
    }
}

/// `number` less `less`, but at least a quarter of `number`: a small limit should make a program
/// fail for want of memory, not make its runtime refuse to start.
fn reduced(number: u64, less: u64) -> String {
    number
        .saturating_sub(less)
        .max(number / 4)
        .max(1)
        .to_string()
}

/// A path that no tool takes for an option.
fn as_argument(path: &str) -> String {
    let plain = path.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.');
    if plain {
        path.to_owned()
    } else {
        format!("./{path}")
    }
}

/// The file name of `path` without directories and extension.
pub(super) fn stem(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rfind('.') {
        Some(dot) if dot > 0 => name[..dot].to_owned(),
        _ => name.to_owned(),
    }
}

fn parse_argument(text: &str, place: Place) -> Result<Argument, String> {
    if text.contains('\0') {
        return Err("contains a NUL byte".to_owned());
    }
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            literal.push_str(&rest[..1]);
            rest = &rest[2..];
            continue;
        }
        let end = rest.find('}').filter(|end| *end > 0);
        let end =
            end.ok_or_else(|| format!("{text:?} has an unmatched brace; double a literal one"))?;
        let name = &rest[1..end];
        rest = &rest[end + 1..];
        if let Some(list) = list_named(name) {
            return whole_argument(text, name, list, place);
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Value(value_named(name)?));
    }
    literal.push_str(rest);
    if !literal.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Ok(Argument::One(pieces))
}

fn list_named(name: &str) -> Option<List> {
    match name {
        "sources" => Some(List::Sources),
        "other_sources" => Some(List::OtherSources),
        "compiler_args" => Some(List::CompilerArgs),
        "args" => Some(List::Args),
        "prepared" => Some(List::Prepared),
        _ => None,
    }
}

fn whole_argument(text: &str, name: &str, list: List, place: Place) -> Result<Argument, String> {
    let allowed = match list {
        List::Sources | List::OtherSources => {
            matches!(place, Place::CompileCommand | Place::RunCommand)
        }
        List::CompilerArgs => matches!(place, Place::CompileCommand | Place::PrepareCommand),
        List::Args => place == Place::RunCommand,
        List::Prepared => place == Place::CompileCommand,
    };
    if !allowed {
        return Err(format!("{{{name}}} has no meaning here"));
    }
    if text.len() != name.len() + 2 {
        return Err(format!(
            "{{{name}}} must be an argument of its own, not a part of {text:?}"
        ));
    }
    Ok(Argument::Many(list))
}

fn value_named(text: &str) -> Result<Value, String> {
    let unknown = || format!("unknown placeholder {{{text}}}; known are {KNOWN}");
    let (name, less) = match text.split_once('-') {
        None => (text, None),
        Some((name, less)) => (name, Some(less.parse::<u64>().map_err(|_| unknown())?)),
    };
    let number = less.unwrap_or(0);
    match name {
        "memory_mb" => Ok(Value::MemoryMb { less: number }),
        "memory_bytes" => Ok(Value::MemoryBytes { less: number }),
        "stack_kb" => Ok(Value::StackKb { less: number }),
        "stack_bytes" => Ok(Value::StackBytes { less: number }),
        _ if less.is_some() => Err(unknown()),
        "entry" => Ok(Value::Entry),
        "entry_stem" => Ok(Value::EntryStem),
        "entry_path_stem" => Ok(Value::EntryPathStem),
        "entry_dir" => Ok(Value::EntryDir),
        "main_class" => Ok(Value::MainClass),
        "cpus" => Ok(Value::Cpus),
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values {
            entry: Some("src/Main.kt".to_owned()),
            sources: vec!["src/Main.kt".to_owned(), "-x.kt".to_owned()],
            compiler_args: vec!["-O2".to_owned()],
            args: vec!["a b".to_owned(), "{entry}".to_owned()],
            prepared: vec!["-I/there".to_owned()],
            main_class: Some("a.MainKt".to_owned()),
            limits: Limits::DEFAULT,
        }
    }

    fn expand(arguments: &[&str], place: Place) -> Vec<String> {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        Template::command(&arguments, place)
            .unwrap()
            .expand(&values())
    }

    fn error(argument: &str, place: Place) -> String {
        Template::command(&[argument.to_owned()], place)
            .unwrap_err()
            .1
    }

    #[test]
    fn placeholders_become_text() {
        let got = expand(
            &["{entry}", "x={entry_stem}.o", "{main_class}"],
            Place::RunCommand,
        );
        assert_eq!(got, ["src/Main.kt", "x=Main.o", "a.MainKt"]);
        let got = expand(&["{entry_dir}", "{entry_path_stem}.js"], Place::RunCommand);
        assert_eq!(got, ["./src", "src/Main.js"]);
    }

    #[test]
    fn lists_become_any_number_of_arguments() {
        let got = expand(
            &["cc", "{sources}", "{compiler_args}"],
            Place::CompileCommand,
        );
        assert_eq!(got, ["cc", "src/Main.kt", "./-x.kt", "-O2"]);
        let got = expand(&["cc", "{prepared}"], Place::CompileCommand);
        assert_eq!(got, ["cc", "-I/there"]);
        assert_eq!(
            expand(&["{other_sources}"], Place::CompileCommand),
            ["./-x.kt"]
        );
    }

    #[test]
    fn what_a_request_says_is_never_expanded_again() {
        assert_eq!(expand(&["{args}"], Place::RunCommand), ["a b", "{entry}"]);
    }

    #[test]
    fn numbers_can_be_reduced_but_not_below_a_quarter() {
        let got = expand(
            &["-Xmx{memory_mb-56}m", "{memory_mb-1000}", "{stack_kb}"],
            Place::RunCommand,
        );
        assert_eq!(got, ["-Xmx200m", "64", "65536"]);
        assert_eq!(
            expand(&["{memory_bytes}"], Place::RunCommand),
            ["268435456"]
        );
    }

    #[test]
    fn doubled_braces_are_literal() {
        assert_eq!(
            expand(&["{{entry}} }}{{"], Place::RunCommand),
            ["{entry} }{"]
        );
    }

    #[test]
    fn mistakes_are_named() {
        assert!(error("{entyr}", Place::RunCommand).contains("unknown placeholder {entyr}"));
        assert!(error("{entry-3}", Place::RunCommand).contains("unknown placeholder"));
        assert!(error("{memory_mb-x}", Place::RunCommand).contains("unknown placeholder"));
        assert!(error("a{sources}", Place::CompileCommand).contains("argument of its own"));
        assert!(error("{sources}{args}", Place::RunCommand).contains("argument of its own"));
        assert!(error("{compiler_args}", Place::RunCommand).contains("no meaning here"));
        assert!(error("{args}", Place::CompileCommand).contains("no meaning here"));
        assert!(error("{prepared}", Place::RunCommand).contains("no meaning here"));
        assert!(error("{sources}", Place::PrepareCommand).contains("no meaning here"));
        assert!(error("{entry", Place::RunCommand).contains("unmatched brace"));
        assert!(error("entry}", Place::RunCommand).contains("unmatched brace"));
        assert!(Template::value("{args}").is_err());
    }

    #[test]
    fn args_are_appended_once() {
        let with = |text: &str| {
            Template::command(&[text.to_owned()], Place::RunCommand)
                .unwrap()
                .with_args()
        };
        assert_eq!(with("{args}").expand(&values()).len(), 2);
        assert_eq!(with("x").expand(&values()).len(), 3);
    }

    #[test]
    fn stems() {
        assert_eq!(stem("a/b.c/Main.tar.gz"), "Main.tar");
        assert_eq!(stem(".profile"), ".profile");
        assert_eq!(stem("main"), "main");
    }
}
