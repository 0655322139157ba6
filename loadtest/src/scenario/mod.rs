//! Scenarios: who sends what to the service, and what a right answer is. TOML files, embedded or
//! read from a path.

mod built_in;
mod job;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;

pub(crate) use built_in::BUILT_IN;
pub(crate) use job::{Expect, Job, Kind, Live, Load, OPEN_CONNECTIONS, Plan, PlannedGroup};

/// Most groups of clients, and operations of one group.
const MAX_ITEMS: usize = 32;
/// Largest weight of an operation.
const MAX_WEIGHT: u32 = 1000;
/// Most connections of one group.
pub(crate) const MAX_CLIENTS: u32 = 1024;
/// Highest rate of one group, in operations a second.
pub(crate) const MAX_RATE: f64 = 100_000.0;
/// Longest load, without warm-up.
pub(crate) const MAX_DURATION: Duration = Duration::from_hours(6);

/// A scenario as its file has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What it is for, in one line.
    pub(crate) about: String,
    /// How long the load lasts.
    #[serde(default = "default_duration_ms")]
    pub(crate) duration_ms: u64,
    /// How long the same load lasts before anything is measured.
    #[serde(default = "default_warmup_ms")]
    pub(crate) warmup_ms: u64,
    /// Groups of clients. The first is the one that is measured, that flags change and that goals
    /// are about; the others are what goes on beside it.
    pub(crate) groups: Vec<Group>,
}

/// Clients of one kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    /// Its name in reports.
    pub(crate) name: String,
    /// Closed loop: so many clients, each of which sends when its last request was answered. Open
    /// loop: the connections that may be in use at once.
    #[serde(default)]
    pub(crate) clients: Option<u32>,
    /// Open loop: operations a second, sent whether or not earlier ones were answered.
    #[serde(default)]
    pub(crate) rate: Option<f64>,
    /// Open loop: how the operations are spread in time.
    #[serde(default)]
    pub(crate) arrivals: Arrivals,
    /// Closed loop: how long a client pauses between an answer and its next request.
    #[serde(default)]
    pub(crate) think_us: u64,
    /// What they do, by weight.
    pub(crate) operations: Vec<Operation>,
}

/// How operations of an open loop are spread in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Arrivals {
    /// Evenly.
    Constant,
    /// As those of many people who know nothing of each other.
    #[default]
    Poisson,
}

/// One thing that clients do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Operation {
    /// Its name in reports.
    pub(crate) name: String,
    /// How often it is done among the operations of its group.
    #[serde(default = "default_weight")]
    pub(crate) weight: u32,
    /// How it is done.
    #[serde(default)]
    pub(crate) kind: OperationKind,
    /// The request, as the API takes it. `{{unique}}` in its strings stands for a number of which
    /// there is another one in every request.
    pub(crate) request: toml::Table,
    /// A program that is built on this machine and sent with the request.
    #[serde(default)]
    pub(crate) binary: Option<Binary>,
    /// The request's tests: so many, made of a template.
    #[serde(default)]
    pub(crate) tests: Option<Tests>,
    /// `live`: the conversation.
    #[serde(default)]
    pub(crate) live: Option<LiveScript>,
    /// What a right answer is.
    #[serde(default)]
    pub(crate) expect: ExpectTable,
    /// How the same is done without Brig.
    #[serde(default)]
    pub(crate) baseline: Option<BaselineSpec>,
    /// How long an answer may take.
    #[serde(default = "default_timeout_ms")]
    pub(crate) timeout_ms: u64,
}

/// How an operation is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OperationKind {
    /// `POST /v1/runs`.
    #[default]
    Run,
    /// `POST /v1/submissions`, until the result is there.
    Submission,
    /// `POST /v1/submissions`, until it was accepted.
    Accept,
    /// `GET /v1/runs/ws`.
    Live,
}

/// A program that is built on this machine and sent with the request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Binary {
    /// Its source, in C; built with `gcc -O2 -static -s`.
    pub(crate) c: String,
    /// More arguments of the compiler.
    #[serde(default)]
    pub(crate) flags: Vec<String>,
    /// Its name in the request's files.
    pub(crate) path: String,
}

/// Tests of a submission, made of a template.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tests {
    /// How many.
    pub(crate) count: u32,
    /// One of them; `{{test}}` in its strings stands for its number, from 1 on.
    pub(crate) template: toml::Table,
}

/// A conversation with a live run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LiveScript {
    /// How often something is said.
    pub(crate) turns: u32,
    /// What is said.
    pub(crate) send: String,
    /// What of the answer is waited for.
    pub(crate) expect: String,
    /// Pause between an answer and what is said next.
    #[serde(default)]
    pub(crate) pause_ms: u64,
}

/// What a right answer is. What is not named is not looked at, except that a run's status must be
/// `ok` and a verdict `accepted`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectTable {
    /// The statuses (of a run) or verdicts (of a submission) that are right.
    #[serde(default)]
    pub(crate) status: Vec<String>,
    /// The program's output.
    #[serde(default)]
    pub(crate) stdout: Option<String>,
}

/// How the same is done by bare processes. `{dir}` in arguments stands for a directory with the
/// request's files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BaselineSpec {
    /// The name that the request's `source` gets in that directory.
    #[serde(default)]
    pub(crate) source_name: Option<String>,
    /// What is done once, before anything is measured.
    #[serde(default)]
    pub(crate) prepare: Vec<Vec<String>>,
    /// What is measured, one after the other.
    pub(crate) commands: Vec<Vec<String>>,
    /// The environment of all of them, besides PATH.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
}

fn default_duration_ms() -> u64 {
    10_000
}

fn default_warmup_ms() -> u64 {
    2_000
}

fn default_weight() -> u32 {
    1
}

fn default_timeout_ms() -> u64 {
    120_000
}

/// A scenario, its name and its text.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) scenario: Scenario,
}

/// The scenario called `name`: a built-in one, or a file if `name` has a `/` or ends in `.toml`.
pub(crate) fn load(name: &str) -> anyhow::Result<Loaded> {
    if name.contains('/') || Path::new(name).extension().is_some_and(|e| e == "toml") {
        let text = std::fs::read_to_string(name)
            .with_context(|| format!("cannot read the scenario {name}"))?;
        let stem = Path::new(name).file_stem().unwrap_or_default();
        let stem = stem.to_string_lossy().into_owned();
        return parsed(stem, name, text);
    }
    let Some((_, text)) = BUILT_IN.iter().find(|(n, _)| *n == name) else {
        let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        anyhow::bail!(
            "there is no scenario {name:?}; built in are {}; a path to a file must contain a `/` or end in `.toml`",
            names.join(", ")
        );
    };
    parsed(name.to_owned(), &format!("{name}.toml"), (*text).to_owned())
}

fn parsed(name: String, file: &str, text: String) -> anyhow::Result<Loaded> {
    let scenario = Scenario::parse(file, &text)?;
    Ok(Loaded {
        name,
        text,
        scenario,
    })
}

impl Scenario {
    /// Reads `text`; mistakes are named with `file` and line.
    pub(crate) fn parse(file: &str, text: &str) -> anyhow::Result<Self> {
        let scenario: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| {
                let before = &text.as_bytes()[..span.start.min(text.len())];
                before.split(|b| *b == b'\n').count()
            });
            let at = line.map_or(String::new(), |line| format!(":{line}"));
            anyhow::anyhow!("{file}{at}: {}", error.message())
        })?;
        scenario.check().with_context(|| file.to_owned())?;
        Ok(scenario)
    }

    fn check(&self) -> anyhow::Result<()> {
        let count = self.groups.len();
        anyhow::ensure!(
            (1..=MAX_ITEMS).contains(&count),
            "there must be 1 to {MAX_ITEMS} groups"
        );
        let longest = u64::try_from(MAX_DURATION.as_millis()).unwrap_or(u64::MAX);
        anyhow::ensure!(
            (1..=longest).contains(&self.duration_ms) && self.warmup_ms <= longest,
            "duration_ms must be 1 to {longest}, and warmup_ms at most that"
        );
        let mut names = std::collections::BTreeSet::new();
        for group in &self.groups {
            anyhow::ensure!(
                names.insert(&group.name),
                "two groups are called {:?}",
                group.name
            );
            group
                .check()
                .with_context(|| format!("group {:?}", group.name))?;
        }
        Ok(())
    }
}

impl Group {
    fn check(&self) -> anyhow::Result<()> {
        if let Some(clients) = self.clients {
            anyhow::ensure!(
                (1..=MAX_CLIENTS).contains(&clients),
                "clients must be 1 to {MAX_CLIENTS}"
            );
        }
        if let Some(rate) = self.rate {
            anyhow::ensure!(
                rate > 0.0 && rate <= MAX_RATE,
                "rate must be above 0 and at most {MAX_RATE}"
            );
            anyhow::ensure!(self.think_us == 0, "think_us is for groups without a rate");
        }
        let count = self.operations.len();
        anyhow::ensure!(
            (1..=MAX_ITEMS).contains(&count),
            "there must be 1 to {MAX_ITEMS} operations"
        );
        let mut names = std::collections::BTreeSet::new();
        for operation in &self.operations {
            anyhow::ensure!(
                names.insert(&operation.name),
                "two operations are called {:?}",
                operation.name
            );
            operation
                .check()
                .with_context(|| format!("operation {:?}", operation.name))?;
        }
        Ok(())
    }
}

impl Operation {
    fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            (1..=MAX_WEIGHT).contains(&self.weight),
            "weight must be 1 to {MAX_WEIGHT}"
        );
        anyhow::ensure!(self.timeout_ms > 0, "timeout_ms must be above 0");
        let judged = matches!(self.kind, OperationKind::Submission | OperationKind::Accept);
        anyhow::ensure!(
            self.tests.is_none() || judged,
            "tests are for the kinds submission and accept"
        );
        anyhow::ensure!(
            self.live.is_some() == (self.kind == OperationKind::Live),
            "the kind live needs a table `live`, and no other kind has one"
        );
        if let Some(live) = &self.live {
            anyhow::ensure!(
                !live.expect.is_empty() && live.turns > 0,
                "live.turns and live.expect must not be empty"
            );
        }
        if let Some(baseline) = &self.baseline {
            let commands = baseline.prepare.iter().chain(&baseline.commands);
            anyhow::ensure!(
                !baseline.commands.is_empty() && commands.into_iter().all(|c| !c.is_empty()),
                "baseline.commands must not be empty, and no command may be"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
about = "x"
[[groups]]
name = "a"
[[groups.operations]]
name = "one"
request = { language = "python", source = "print(1)" }
"#;

    #[test]
    fn every_built_in_scenario_is_right() {
        for (name, _) in BUILT_IN {
            let loaded = load(name).unwrap();
            assert!(!loaded.scenario.about.is_empty(), "{name}");
        }
    }

    #[test]
    fn defaults_are_filled_in() {
        let scenario = Scenario::parse("a.toml", SMALL).unwrap();
        assert_eq!(scenario.duration_ms, default_duration_ms());
        let operation = &scenario.groups[0].operations[0];
        assert_eq!((operation.weight, operation.kind), (1, OperationKind::Run));
    }

    #[test]
    fn unknown_keys_are_refused_with_file_and_line() {
        let text = SMALL.replace("name = \"one\"", "name = \"one\"\nwieght = 3");
        let error = format!("{:#}", Scenario::parse("a.toml", &text).unwrap_err());
        assert!(
            error.starts_with("a.toml:7: ") && error.contains("wieght"),
            "{error}"
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |from: &str, to: &str, with: &str| {
            let text = SMALL.replace(from, to);
            assert_ne!(text, SMALL);
            let error = format!("{:#}", Scenario::parse("a.toml", &text).unwrap_err());
            assert!(error.contains(with), "{error}");
        };
        refused("name = \"a\"", "name = \"a\"\nrate = 0.0", "rate");
        refused("name = \"a\"", "name = \"a\"\nrate = nan", "rate");
        refused("name = \"a\"", "name = \"a\"\nclients = 0", "1 to 1024");
        refused(
            "name = \"a\"",
            "name = \"a\"\nrate = 1.0\nthink_us = 5",
            "think_us",
        );
        refused("name = \"one\"", "name = \"one\"\nweight = 0", "weight");
        refused("name = \"one\"", "name = \"one\"\nkind = \"live\"", "live");
        refused(
            "about = \"x\"",
            "about = \"x\"\nduration_ms = 0",
            "duration_ms",
        );
    }

    #[test]
    fn an_unknown_scenario_is_answered_with_those_that_there_are() {
        let error = load("no-such").unwrap_err().to_string();
        assert!(error.contains("static-c"), "{error}");
        assert!(load("./no-such.toml").is_err());
    }
}
