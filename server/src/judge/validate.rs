//! From a request to a [`Task`], or to everything that is wrong with it.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use brig_sandbox::limits::Limits;

use super::board::{GroupRules, Place};
use super::checker::{self, ProgramChecker};
use super::points::{self, GroupPoints, TestPoints};
use super::task::{Checker, Data, Group, Helper, Task, Test};
use crate::api::{
    CheckerRequest, Encoding, FieldError, GroupRequest, InteractorRequest, LimitsRequest, Object,
    RunRequest, SubmissionRequest, TestRequest,
};
use crate::blob::BlobHash;
use crate::run::{Sources, Terms, decode, validate as validate_run};

/// The most points that anything is worth.
const MOST_POINTS: f64 = 1e9;
/// The longest name of a test or group, in bytes.
const MAX_NAME_BYTES: usize = 100;
/// Arguments of a test together, in bytes.
const MAX_ARGS_BYTES: usize = 64 << 10;

/// Bounds of a submission.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Tests.
    pub max_tests: usize,
    /// Groups.
    pub max_groups: usize,
    /// How many workers there are.
    pub workers: NonZeroU32,
}

/// Checks `request`. `errors` are those already found; where a part was wrong, the request lacks it.
/// Whether blobs exist is not looked at, nor is the callback.
pub fn validate(
    request: SubmissionRequest,
    terms: &Terms<'_>,
    bounds: Bounds,
    errors: Vec<FieldError>,
) -> Result<Task, Vec<FieldError>> {
    let mut check = Check { terms, errors };
    let sources = check.program(&request);
    let SubmissionRequest {
        tests,
        groups,
        checker,
        interactor,
        stop,
        priority,
        ..
    } = &request;
    check.counts(tests.len(), groups.len(), bounds);
    let names = check.group_names(groups);
    let depends_on = check.dependencies(groups, &names);
    let checker = check.checker(checker.as_ref().map(|c| &c.0), interactor.is_some());
    if interactor.is_some() && bounds.workers.get() < 2 {
        let detail = "an interactive problem needs two workers, and this service has one";
        check.error("/interactor", detail);
    }
    let interactor = interactor.as_ref().map(|i| check.interactor(&i.0));
    let needs_expected = matches!(checker, Some(Checker::Compare(_))) && interactor.is_none();
    let (stop, priority) = (*stop, *priority);
    let base = sources.as_ref().map(|s| s.plan.run.limits);
    let language = sources.as_ref().map(|s| Arc::clone(&s.language));
    let places = check.places(&request, &names);
    let mut prepared = Vec::with_capacity(request.tests.len());
    for (index, (test, place)) in request.tests.into_iter().zip(places.tests).enumerate() {
        let limits = base.zip(language.as_deref()).map(|(base, language)| {
            let none = LimitsRequest::default();
            let asked = test.limits.as_deref().unwrap_or(&none);
            let pointer = format!("/tests/{index}/limits");
            terms.change_limits(language, &base, asked, &pointer, &mut check.errors)
        });
        prepared.push(check.test(index, test.0, place, limits, needs_expected));
    }
    check.test_names(&prepared);
    let groups = places
        .groups
        .into_iter()
        .zip(request.groups)
        .zip(depends_on);
    let groups = groups.map(|((points, group), depends_on)| Group {
        rules: GroupRules {
            points,
            scoring: group.scoring,
            depends_on,
        },
        id: group.0.id,
    });
    let (Some(sources), Some(checker), true) = (sources, checker, check.errors.is_empty()) else {
        return Err(check.errors);
    };
    Ok(Task {
        sources,
        tests: prepared,
        groups: groups.collect(),
        checker,
        interactor: interactor.flatten(),
        stop,
        priority,
        callback: None,
    })
}

struct Places {
    tests: Vec<Place>,
    groups: Vec<f64>,
}

struct Check<'a> {
    terms: &'a Terms<'a>,
    errors: Vec<FieldError>,
}

impl Check<'_> {
    fn error(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.errors.push(FieldError::new(pointer, detail));
    }

    fn counts(&mut self, tests: usize, groups: usize, bounds: Bounds) {
        let spoken_of = |e: &FieldError| e.pointer.starts_with("/tests");
        if tests == 0 && !self.errors.iter().any(spoken_of) {
            self.error("/tests", "at least one test is required");
        }
        for (pointer, count, max) in [
            ("/tests", tests, bounds.max_tests),
            ("/groups", groups, bounds.max_groups),
        ] {
            if count > max {
                self.error(
                    pointer,
                    format!("{count} are more than the maximum of {max}"),
                );
            }
        }
    }

    fn name(&mut self, pointer: String, name: &str) {
        let why = if name.is_empty() {
            "cannot be empty".to_owned()
        } else if name.len() > MAX_NAME_BYTES {
            format!("cannot have more than {MAX_NAME_BYTES} bytes")
        } else if name.chars().any(char::is_control) {
            "cannot contain control characters".to_owned()
        } else {
            return;
        };
        self.error(pointer, why);
    }

    /// The index of each group.
    fn group_names(&mut self, groups: &[Object<GroupRequest>]) -> HashMap<String, usize> {
        let mut names = HashMap::new();
        for (index, group) in groups.iter().enumerate() {
            let pointer = format!("/groups/{index}/id");
            self.name(pointer.clone(), &group.id);
            if let Some(earlier) = names.insert(group.id.clone(), index) {
                self.error(pointer, format!("/groups/{earlier} has this id as well"));
            }
        }
        names
    }

    fn dependencies(
        &mut self,
        groups: &[Object<GroupRequest>],
        names: &HashMap<String, usize>,
    ) -> Vec<Vec<usize>> {
        let mut all = Vec::with_capacity(groups.len());
        for (index, group) in groups.iter().enumerate() {
            let mut known = Vec::new();
            for (at, name) in group.depends_on.iter().enumerate() {
                match names.get(name) {
                    Some(other) => known.push(*other),
                    None => self.error(
                        format!("/groups/{index}/depends_on/{at}"),
                        "there is no group with this id",
                    ),
                }
            }
            all.push(known);
        }
        for index in circular(&all) {
            let pointer = format!("/groups/{index}/depends_on");
            self.error(
                pointer,
                "the group depends on itself, directly or through others",
            );
        }
        all
    }

    fn places(&mut self, request: &SubmissionRequest, names: &HashMap<String, usize>) -> Places {
        let mut tests = Vec::with_capacity(request.tests.len());
        let mut used = vec![false; request.groups.len()];
        for (index, test) in request.tests.iter().enumerate() {
            let group = test
                .group
                .as_ref()
                .and_then(|name| names.get(name))
                .copied();
            if test.group.is_some() && group.is_none() {
                let detail = "there is no group with this id in `groups`";
                self.error(format!("/tests/{index}/group"), detail);
            }
            if let Some(group) = group {
                used[group] = true;
            }
            self.points(format!("/tests/{index}/points"), test.points);
            let points = test.points;
            tests.push(TestPoints { points, group });
        }
        let mut groups = Vec::with_capacity(request.groups.len());
        for (index, group) in request.groups.iter().enumerate() {
            self.points(format!("/groups/{index}/points"), group.points);
            if !used[index] {
                self.error(format!("/groups/{index}"), "no test is in this group");
            }
            groups.push(GroupPoints {
                points: group.points,
                scoring: group.scoring,
            });
        }
        let worth = points::share(&tests, &groups).unwrap_or_else(|errors| {
            for (index, given) in errors {
                let detail = format!("its tests have {given} points, which is more");
                self.error(format!("/groups/{index}/points"), detail);
            }
            points::Worth {
                tests: vec![0.0; tests.len()],
                groups: vec![0.0; groups.len()],
            }
        });
        let places = tests.iter().zip(worth.tests);
        Places {
            tests: places
                .map(|(test, points)| Place {
                    group: test.group,
                    points,
                })
                .collect(),
            groups: worth.groups,
        }
    }

    fn points(&mut self, pointer: String, points: Option<f64>) {
        if let Some(points) = points.filter(|points| *points > MOST_POINTS) {
            self.error(
                pointer,
                format!("{points} is above the maximum of {MOST_POINTS}"),
            );
        }
    }

    fn checker(&mut self, request: Option<&CheckerRequest>, interactive: bool) -> Option<Checker> {
        let request = request.cloned().unwrap_or_default();
        if interactive && request.kind != crate::api::CheckerKind::default() {
            let detail =
                "with an interactor, what it says decides; there can be no checker beside it";
            self.error("/checker", detail);
        }
        match checker::Checker::of(request, "/checker", &mut self.errors)? {
            checker::Checker::Compare(comparison) => Some(Checker::Compare(comparison)),
            checker::Checker::Program(program) => {
                let helper = self.helper("/checker", *program)?;
                Some(Checker::Program(helper))
            }
        }
    }

    fn interactor(&mut self, request: &InteractorRequest) -> Option<Helper> {
        let program = checker::interactor(request.clone(), "/interactor", &mut self.errors)?;
        self.helper("/interactor", *program)
    }

    /// A program of the judges', which is at `pointer`.
    fn helper(&mut self, pointer: &str, program: ProgramChecker) -> Option<Helper> {
        match validate_run(program.program.clone(), self.terms, Vec::new()) {
            Ok(prepared) => Some(Helper {
                protocol: program.protocol,
                sources: prepared.sources,
            }),
            Err(errors) => {
                let errors = errors.into_iter().map(|e| program.locate(pointer, e));
                self.errors.extend(errors);
                None
            }
        }
    }

    /// The contestant's program, whose fields are the submission's own.
    fn program(&mut self, request: &SubmissionRequest) -> Option<Sources> {
        let run = RunRequest {
            language: request.language.clone(),
            source: request.source.clone(),
            source_encoding: request.source_encoding,
            files: request.files.clone(),
            entry: request.entry.clone(),
            args: request.args.clone(),
            env: request.env.clone(),
            compiler_args: request.compiler_args.clone(),
            limits: request.limits,
            compile_limits: request.compile_limits,
            policy: request.policy.clone(),
            ..RunRequest::default()
        };
        // It knows which parts of the program were wrong already.
        let earlier = std::mem::take(&mut self.errors);
        let known = earlier.len();
        match validate_run(run, self.terms, earlier.clone()) {
            Ok(prepared) => {
                self.errors = earlier;
                Some(prepared.sources)
            }
            Err(errors) => {
                debug_assert!(errors.len() >= known);
                self.errors = errors;
                None
            }
        }
    }

    fn test(
        &mut self,
        index: usize,
        test: TestRequest,
        place: Place,
        limits: Option<Limits>,
        needs_expected: bool,
    ) -> Test {
        let at = |field: &str| format!("/tests/{index}/{field}");
        let id = test.id.unwrap_or_else(|| (index + 1).to_string());
        self.name(at("id"), &id);
        if needs_expected && test.expected_output.is_none() && test.expected_output_blob.is_none() {
            let detail = "is required, or `expected_output_blob`: the checker compares with it";
            self.error(at("expected_output"), detail);
        }
        if let Some(args) = &test.args {
            self.args(&at("args"), args);
        }
        let stdin = (test.stdin, test.stdin_encoding, test.stdin_blob);
        let expected = (
            test.expected_output,
            test.expected_output_encoding,
            test.expected_output_blob,
        );
        Test {
            id,
            stdin: self.data(&at("stdin"), stdin),
            expected: self.data(&at("expected_output"), expected),
            place,
            args: test.args,
            limits: limits.unwrap_or(Limits::DEFAULT),
        }
    }

    fn args(&mut self, pointer: &str, args: &[String]) {
        for (index, arg) in args.iter().enumerate() {
            if arg.contains('\0') {
                let pointer = format!("{pointer}/{index}");
                self.error(pointer, "an argument cannot contain a NUL byte");
            }
        }
        let bytes: usize = args.iter().map(|arg| arg.len() + 8).sum();
        if bytes > MAX_ARGS_BYTES {
            self.error(
                pointer,
                format!("the arguments come to {bytes} bytes, more than {MAX_ARGS_BYTES}"),
            );
        }
    }

    fn data(
        &mut self,
        pointer: &str,
        (text, encoding, blob): (Option<String>, Encoding, Option<String>),
    ) -> Data {
        let blob_pointer = format!("{pointer}_blob");
        let nothing = || Data::Inline(Arc::from([]));
        match (text, blob) {
            (Some(_), Some(_)) => {
                let name = pointer.rsplit('/').next().unwrap_or_default();
                self.error(blob_pointer, format!("cannot be given beside `{name}`"));
                nothing()
            }
            (None, Some(blob)) => match blob.parse::<BlobHash>() {
                Ok(hash) => Data::Blob(hash),
                Err(why) => {
                    self.error(blob_pointer, why.to_string());
                    nothing()
                }
            },
            (text, None) => {
                let text = text.unwrap_or_default();
                let bytes = decode(text, encoding, pointer, &mut self.errors);
                Data::Inline(bytes.unwrap_or_default().into())
            }
        }
    }

    fn test_names(&mut self, tests: &[Test]) {
        let mut first = HashMap::new();
        for (index, test) in tests.iter().enumerate() {
            if let Some(earlier) = first.insert(test.id.as_str(), index) {
                let detail = format!("/tests/{earlier} has this id as well");
                self.error(format!("/tests/{index}/id"), detail);
            }
        }
    }
}

/// Groups that depend on themselves, directly or through others.
fn circular(depends_on: &[Vec<usize>]) -> Vec<usize> {
    let reaches_itself = |start: &usize| {
        let mut seen = vec![false; depends_on.len()];
        let mut next = depends_on[*start].clone();
        while let Some(group) = next.pop() {
            if group == *start {
                return true;
            }
            if !std::mem::replace(&mut seen[group], true) {
                next.extend(&depends_on[group]);
            }
        }
        false
    };
    (0..depends_on.len()).filter(reaches_itself).collect()
}
