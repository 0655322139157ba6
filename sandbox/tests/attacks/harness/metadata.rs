//! What the comment at the top of an attack says.
//!
//! The comment is made of lines `// key: value` (C) or `# key: value` (shell, Python); the
//! value of `attack` may go on in further lines, and the first other line ends the comment. Keys, of which `stopped-by` may be
//! repeated and only `attack` and `stopped-by` are needed:
//!
//! | key | value |
//! | --- | --- |
//! | `attack` | what it tries, in a sentence |
//! | `policy` | the policy it runs under; `default` if not given |
//! | `stopped-by` | `LAYER = EXPECTATION`: with only this layer on, of those listed, this happens. `sandbox` stands for what no single layer does: namespaces, ids, mounts |
//! | `without` | layers off in every run, because they would stop the attack before its layer does |
//! | `run` | further flags for `brig-sandbox run` |
//! | `args` | arguments of the attack; see [`crate::fixtures`] for what `{name}` can stand for |
//! | `cflags` | flags for gcc in addition; `-static` is a default |
//! | `stdin` | `file`: a regular file, which natively everybody may write |
//! | `setuid` | `yes`: the program is owned by root and set-uid, in a directory mounted at `/mnt` |
//! | `inherit` | `yes`: `brig-sandbox` itself is started with a descriptor of a secret file open |
//! | `collect` | a pattern of files to bring back |
//! | `collected` | names of those that may come back; none if not given |
//! | `control` | `without` (the default): all listed layers off; `native`: on the bare host, as the user who runs the tests; `native-user`: likewise, as an ordinary user; `flags ...`: in the sandbox with these flags in place of `run`; `args ...`: in the sandbox with these arguments |
//! | `control-expect` | what happens in the control; `succeeded` if not given (`denied` with `args`) |
//! | `control-collected` | names of files that must come back then |
//!
//! Expectations: `denied`, `succeeded`, `violation CALL`, `signal NAME`, `left-over` (a process is
//! still there afterwards), or an outcome of the report such as `memory_limit`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Case, Place};

/// Stands for no single layer.
pub(crate) const SANDBOX: &str = "sandbox";

/// One attack, as its file says it.
#[derive(Clone, Debug)]
pub(crate) struct Attack {
    pub(crate) file: PathBuf,
    pub(crate) policy: String,
    pub(crate) stopped_by: Vec<Stop>,
    pub(crate) without: Vec<String>,
    pub(crate) flags: Vec<String>,
    pub(crate) args: Vec<String>,
    pub(crate) cflags: Vec<String>,
    pub(crate) stdin_file: bool,
    pub(crate) setuid: bool,
    pub(crate) inherit: bool,
    pub(crate) collect: Option<String>,
    pub(crate) collected: Vec<String>,
    pub(crate) control: Control,
    pub(crate) control_expect: Option<Expectation>,
    pub(crate) control_collected: Vec<String>,
}

/// One layer that stops an attack.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    pub(crate) layer: String,
    pub(crate) expect: Expectation,
}

/// Where an attack succeeds.
#[derive(Clone, Debug)]
pub(crate) enum Control {
    Without,
    Native,
    NativeUser,
    Flags(Vec<String>),
    Args(Vec<String>),
}

/// How an attack must end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expectation {
    Denied,
    Succeeded,
    LeftOver,
    Violation(String),
    Signal(String),
    Outcome(String),
}

impl Expectation {
    fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["denied"] => Self::Denied,
            ["succeeded"] => Self::Succeeded,
            ["left-over"] => Self::LeftOver,
            ["violation", call] => Self::Violation((*call).to_owned()),
            ["signal", name] => Self::Signal((*name).to_owned()),
            _ => Self::Outcome(text.trim().to_owned()),
        }
    }
}

impl Attack {
    /// Reads the comment at the top of `file`.
    pub(crate) fn parse(file: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut attack = Self {
            file: file.to_owned(),
            policy: "default".to_owned(),
            stopped_by: Vec::new(),
            without: Vec::new(),
            flags: Vec::new(),
            args: Vec::new(),
            cflags: Vec::new(),
            stdin_file: false,
            setuid: false,
            inherit: false,
            collect: None,
            collected: Vec::new(),
            control: Control::Without,
            control_expect: None,
            control_collected: Vec::new(),
        };
        for (key, value) in entries(&text) {
            attack
                .set(&key, &value)
                .map_err(|e| format!("{}: {key}: {e}", file.display()))?;
        }
        if attack.stopped_by.is_empty() {
            return Err(format!("{}: no `stopped-by`", file.display()));
        }
        Ok(attack)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let words = || {
            value
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        match key {
            "attack" => {}
            "policy" => value.clone_into(&mut self.policy),
            "stopped-by" => {
                let (layer, expect) = value
                    .split_once('=')
                    .ok_or("expected LAYER = EXPECTATION")?;
                let expect = Expectation::parse(expect);
                self.stopped_by.push(Stop {
                    layer: layer.trim().to_owned(),
                    expect,
                });
            }
            "without" => self.without = words(),
            "run" => self.flags = words(),
            "args" => self.args = words(),
            "cflags" => self.cflags = words(),
            "stdin" => self.stdin_file = value == "file",
            "setuid" => self.setuid = value == "yes",
            "inherit" => self.inherit = value == "yes",
            "collect" => self.collect = Some(value.to_owned()),
            "collected" => self.collected = words(),
            "control-collected" => self.control_collected = words(),
            "control-expect" => self.control_expect = Some(Expectation::parse(value)),
            "control" => {
                let mut words = words();
                let kind = if words.is_empty() {
                    String::new()
                } else {
                    words.remove(0)
                };
                self.control = match kind.as_str() {
                    "without" => Control::Without,
                    "native" => Control::Native,
                    "native-user" => Control::NativeUser,
                    "flags" => Control::Flags(words),
                    "args" => Control::Args(words),
                    other => return Err(format!("unknown control {other:?}")),
                };
            }
            _ => unreachable!("entries() gives known keys only"),
        }
        Ok(())
    }

    /// A run of this attack as it is in the tests of its layers.
    pub(crate) fn case(&self, place: Place, expect: Expectation) -> Case {
        Case {
            place,
            expect,
            flags: self.flags.clone(),
            args: self.args.clone(),
            may_collect: self.collected.clone(),
            must_collect: Vec::new(),
        }
    }
}

const KEYS: &[&str] = &[
    "attack",
    "policy",
    "stopped-by",
    "without",
    "run",
    "args",
    "cflags",
    "stdin",
    "setuid",
    "inherit",
    "collect",
    "collected",
    "control",
    "control-expect",
    "control-collected",
];

/// The keys and values of the comment at the top of `text`.
fn entries(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines().skip_while(|l| l.starts_with("#!")) {
        let Some(line) = line.strip_prefix("// ").or_else(|| line.strip_prefix("# ")) else {
            break;
        };
        let entry = line.split_once(':').filter(|(key, _)| KEYS.contains(key));
        match (entry, found.last_mut()) {
            (Some((key, value)), _) => found.push((key.to_owned(), value.trim().to_owned())),
            (None, Some((key, value))) if key == "attack" => {
                *value = format!("{value} {}", line.trim());
            }
            (None, _) => break,
        }
    }
    found
}
