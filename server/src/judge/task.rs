//! A submission, validated: all that judging needs to know of it.

use std::sync::Arc;

use brig_sandbox::limits::Limits;

use super::board::{Board, GroupRules, Place};
use super::compare::Comparison;
use crate::api::{CheckerProtocol, Stop};
use crate::blob::BlobHash;
use crate::run::Sources;
use crate::store::{NewDelivery, Priority};

/// A submission to be judged.
#[derive(Clone, Debug)]
pub struct Task {
    /// The contestant's program.
    pub sources: Sources,
    /// The tests, in the order that decides which failure counts.
    pub tests: Vec<Test>,
    /// Groups of tests.
    pub groups: Vec<Group>,
    /// What decides whether an output is right.
    pub checker: Checker,
    /// A program that the contestant's program talks to.
    pub interactor: Option<Helper>,
    /// When judging stops.
    pub stop: Stop,
    /// How soon it is to be judged.
    pub priority: Priority,
    /// Who is told of the result.
    pub callback: Option<NewDelivery>,
}

/// One test.
#[derive(Clone, Debug)]
pub struct Test {
    /// Its name.
    pub id: String,
    /// The program's stdin.
    pub stdin: Data,
    /// What it should write.
    pub expected: Data,
    /// Its group and what it is worth.
    pub place: Place,
    /// The program's arguments, if not those of the submission.
    pub args: Option<Vec<String>>,
    /// The program's limits.
    pub limits: Limits,
}

/// A group of tests.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub id: String,
    /// What it is worth and how it is scored.
    pub rules: GroupRules,
}

/// Test data.
#[derive(Clone, Debug)]
pub enum Data {
    /// It came with the submission.
    Inline(Arc<[u8]>),
    /// It was uploaded before.
    Blob(BlobHash),
}

/// What decides whether an output is right.
#[derive(Clone, Debug)]
pub enum Checker {
    /// A comparison with the expected output.
    Compare(Comparison),
    /// A program.
    Program(Helper),
}

/// A program of the judges'.
#[derive(Clone, Debug)]
pub struct Helper {
    /// How it is called and how it answers.
    pub protocol: CheckerProtocol,
    /// The program; its arguments are those of the protocol, then those of the request.
    pub sources: Sources,
}

impl Task {
    /// An empty board for its tests.
    pub fn board(&self) -> Board {
        let places = self.tests.iter().map(|test| test.place).collect();
        let groups = self.groups.iter().map(|group| group.rules.clone());
        Board::new(self.stop, places, groups.collect())
    }

    /// All blobs that it needs.
    pub fn blobs(&self) -> Vec<BlobHash> {
        let data = self.tests.iter().flat_map(|t| [&t.stdin, &t.expected]);
        let blobs = data.filter_map(|data| match data {
            Data::Blob(hash) => Some(*hash),
            Data::Inline(_) => None,
        });
        blobs.collect()
    }
}
