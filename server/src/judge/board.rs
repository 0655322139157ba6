//! Which test is next, and what the results so far amount to.
//!
//! Tests end in any order; the verdict must not depend on it. So a result that stops judging takes
//! back whatever is known of the tests behind it, whether they wait, run, or have ended already.

use std::collections::BTreeSet;

use crate::api::{Scoring, Stop, Verdict};

/// A test, as far as its place among the others is concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// The index of its group.
    pub group: Option<usize>,
    /// What it is worth.
    pub points: f64,
}

/// A group of tests. Dependencies form no circle.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupRules {
    /// What it is worth.
    pub points: f64,
    /// How its tests make its score.
    pub scoring: Scoring,
    /// The indices of the groups that must be accepted before it is judged.
    pub depends_on: Vec<usize>,
}

/// The result of a test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// What became of it.
    pub verdict: Verdict,
    /// The part of its points that it earned, 0 to 1.
    pub part: f64,
}

impl Outcome {
    const SKIPPED: Self = Self {
        verdict: Verdict::Skipped,
        part: 0.0,
    };

    fn in_full(self) -> bool {
        self.verdict == Verdict::Accepted && self.part >= 1.0
    }
}

/// A verdict and points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// `None`: not known yet.
    pub verdict: Option<Verdict>,
    /// What was earned so far.
    pub score: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Waiting,
    Running,
    Ended(Outcome),
}

/// The tests of one submission and what is known of them.
#[derive(Debug)]
pub struct Board {
    stop: Stop,
    places: Vec<Place>,
    groups: Vec<GroupRules>,
    states: Vec<State>,
}

impl Board {
    /// Tests in the order that decides which failure counts.
    pub fn new(stop: Stop, places: Vec<Place>, groups: Vec<GroupRules>) -> Self {
        Self {
            stop,
            states: vec![State::Waiting; places.len()],
            places,
            groups,
        }
    }

    /// The first test that can start now; it counts as running then.
    pub fn start(&mut self) -> Option<usize> {
        let next = (0..self.places.len()).find(|test| {
            self.states[*test] == State::Waiting && self.unlocked(self.places[*test].group)
        })?;
        self.states[next] = State::Running;
        Some(next)
    }

    /// Takes the result of a running test. Gives the tests that are skipped because of it, whatever
    /// they were doing.
    pub fn end(&mut self, test: usize, outcome: Outcome) -> Vec<usize> {
        if self.states[test] != State::Running {
            return Vec::new();
        }
        self.states[test] = State::Ended(outcome);
        let mut skipped = BTreeSet::new();
        if outcome.verdict != Verdict::Accepted {
            let group = self.places[test].group;
            let behind = (test + 1..self.places.len()).filter(|other| match self.stop {
                Stop::FirstFailure => true,
                Stop::GroupFailure => group.is_some() && self.places[*other].group == group,
                Stop::Never => false,
            });
            skipped.extend(behind);
        }
        self.skip(&mut skipped);
        self.lock_dependents(&mut skipped);
        skipped.into_iter().collect()
    }

    /// Skips every test that has not ended.
    pub fn abandon(&mut self, verdict: Verdict) {
        for state in &mut self.states {
            if !matches!(state, State::Ended(_)) {
                *state = State::Ended(Outcome { verdict, part: 0.0 });
            }
        }
    }

    /// Whether every test has ended.
    pub fn is_over(&self) -> bool {
        self.states.iter().all(|s| matches!(s, State::Ended(_)))
    }

    /// What became of a test.
    pub fn outcome(&self, test: usize) -> Option<Outcome> {
        match self.states[test] {
            State::Ended(outcome) => Some(outcome),
            State::Waiting | State::Running => None,
        }
    }

    /// Points of a test.
    pub fn test_score(&self, test: usize) -> f64 {
        let part = self.outcome(test).map_or(0.0, |outcome| outcome.part);
        rounded(self.places[test].points * part)
    }

    /// The first failing test in order. Only once all is over it is certain that there is none before.
    pub fn first_failing(&self) -> Option<usize> {
        (0..self.places.len()).find(|test| self.outcome(*test).is_some_and(fails))
    }

    /// How a group stands.
    pub fn group(&self, group: usize) -> Standing {
        let GroupRules {
            points, scoring, ..
        } = self.groups[group];
        let outcomes: Vec<_> = self.members(group).map(|t| self.outcome(t)).collect();
        let verdict = verdict_of(&outcomes);
        let least = outcomes.iter().flatten().map(|o| o.part);
        let score = match scoring {
            Scoring::Sum => self.members(group).map(|t| self.test_score(t)).sum(),
            _ if verdict.is_none() => 0.0,
            Scoring::Min => points * least.fold(1.0, f64::min),
            Scoring::All if outcomes.iter().flatten().all(|o| o.in_full()) => points,
            Scoring::All => 0.0,
        };
        Standing {
            verdict,
            score: rounded(score),
        }
    }

    /// How the submission stands: the first failing test's verdict in order.
    pub fn total(&self) -> Standing {
        let outcomes: Vec<_> = (0..self.places.len()).map(|t| self.outcome(t)).collect();
        let groups = (0..self.groups.len()).map(|g| self.group(g).score);
        let alone = (0..self.places.len()).filter(|t| self.places[*t].group.is_none());
        let alone = alone.map(|t| self.test_score(t));
        Standing {
            verdict: verdict_of(&outcomes),
            score: rounded(groups.chain(alone).sum()),
        }
    }

    /// The points there are.
    pub fn max_score(&self) -> f64 {
        let groups = self.groups.iter().map(|g| g.points);
        let alone = self.places.iter().filter(|p| p.group.is_none());
        rounded(groups.chain(alone.map(|p| p.points)).sum())
    }

    fn members(&self, group: usize) -> impl Iterator<Item = usize> {
        let all = self.places.iter().enumerate();
        all.filter(move |(_, place)| place.group == Some(group))
            .map(|(test, _)| test)
    }

    /// Whether all that `group` depends on is accepted.
    fn unlocked(&self, group: Option<usize>) -> bool {
        let accepted = |group: &usize| self.group(*group).verdict == Some(Verdict::Accepted);
        group.is_none_or(|group| self.groups[group].depends_on.iter().all(accepted))
    }

    fn skip(&mut self, tests: &mut BTreeSet<usize>) {
        let already = State::Ended(Outcome::SKIPPED);
        tests.retain(|test| std::mem::replace(&mut self.states[*test], already) != already);
    }

    /// Skips the groups that depend on one that will not be accepted, and those that depend on them.
    fn lock_dependents(&mut self, skipped: &mut BTreeSet<usize>) {
        loop {
            let hopeless = |group: &usize| {
                let mut outcomes = self.members(*group).filter_map(|t| self.outcome(t));
                outcomes.any(|outcome| outcome.verdict != Verdict::Accepted)
            };
            let locked: Vec<_> = (0..self.groups.len())
                .filter(|group| self.groups[*group].depends_on.iter().any(hopeless))
                .collect();
            let mut tests: BTreeSet<_> = locked.iter().flat_map(|g| self.members(*g)).collect();
            self.skip(&mut tests);
            if tests.is_empty() {
                return;
            }
            skipped.extend(tests);
        }
    }
}

fn fails(outcome: Outcome) -> bool {
    !matches!(outcome.verdict, Verdict::Accepted | Verdict::Skipped)
}

/// The first failing one's, once all are known.
fn verdict_of(outcomes: &[Option<Outcome>]) -> Option<Verdict> {
    let known: Option<Vec<Outcome>> = outcomes.iter().copied().collect();
    let known = known?;
    let failing = known.iter().find(|outcome| fails(**outcome));
    let skipped = known.iter().find(|o| o.verdict == Verdict::Skipped);
    let first = failing.or(skipped);
    Some(first.map_or(Verdict::Accepted, |outcome| outcome.verdict))
}

/// Sums of decimal fractions come out a little off.
fn rounded(points: f64) -> f64 {
    const DIGITS: f64 = 1e9;
    let scaled = (points * DIGITS).round() / DIGITS;
    if scaled.is_finite() { scaled } else { points }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted() -> Outcome {
        partly(1.0)
    }

    fn partly(part: f64) -> Outcome {
        Outcome {
            verdict: Verdict::Accepted,
            part,
        }
    }

    fn wrong() -> Outcome {
        Outcome {
            verdict: Verdict::WrongAnswer,
            part: 0.0,
        }
    }

    fn alone(count: usize, stop: Stop) -> Board {
        let place = Place {
            group: None,
            points: 1.0,
        };
        Board::new(stop, vec![place; count], Vec::new())
    }

    fn group(points: f64, scoring: Scoring, depends_on: &[usize]) -> GroupRules {
        GroupRules {
            points,
            scoring,
            depends_on: depends_on.to_vec(),
        }
    }

    /// `members[test]` is the group of a test; each is worth 10.
    fn grouped(stop: Stop, members: &[usize], groups: Vec<GroupRules>) -> Board {
        let places = members.iter().map(|group| Place {
            group: Some(*group),
            points: 10.0,
        });
        Board::new(stop, places.collect(), groups)
    }

    fn started(board: &mut Board) -> Vec<usize> {
        std::iter::from_fn(|| board.start()).collect()
    }

    #[test]
    fn the_verdict_does_not_depend_on_the_order_of_ends() {
        let results = [
            accepted(),
            accepted(),
            wrong(),
            accepted(),
            Outcome {
                verdict: Verdict::TimeLimitExceeded,
                part: 0.0,
            },
        ];
        let mut seen = Vec::new();
        for order in [
            [0, 1, 2, 3, 4],
            [4, 3, 2, 1, 0],
            [3, 4, 0, 2, 1],
            [4, 2, 3, 1, 0],
        ] {
            let mut board = alone(5, Stop::FirstFailure);
            assert_eq!(started(&mut board), [0, 1, 2, 3, 4]);
            for test in order {
                board.end(test, results[test]);
            }
            assert!(board.is_over());
            let outcomes: Vec<_> = (0..5).map(|t| board.outcome(t).unwrap().verdict).collect();
            assert_eq!(board.first_failing(), Some(2));
            seen.push((outcomes, board.total()));
        }
        assert!(seen.iter().all(|s| *s == seen[0]), "{seen:?}");
        let skipped = seen[0].0.iter().filter(|v| **v == Verdict::Skipped).count();
        assert_eq!(skipped, 2);
        assert_eq!(seen[0].1.verdict, Some(Verdict::WrongAnswer));
        assert!((seen[0].1.score - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_failure_tells_which_tests_need_not_go_on() {
        let mut board = alone(5, Stop::FirstFailure);
        for _ in 0..3 {
            board.start();
        }
        assert_eq!(board.end(2, wrong()), [3, 4]);
        assert_eq!(board.total().verdict, None);
        // An earlier one still counts, and takes the later failure back.
        assert_eq!(board.end(0, wrong()), [1, 2]);
        // The result of one that was taken back comes too late.
        assert!(board.end(1, accepted()).is_empty());
        assert!(board.is_over());
        assert_eq!(board.first_failing(), Some(0));
    }

    #[test]
    fn without_stopping_every_test_is_run() {
        let mut board = alone(3, Stop::Never);
        started(&mut board);
        assert!(board.end(0, wrong()).is_empty());
        board.end(1, accepted());
        board.end(2, partly(0.5));
        let total = board.total();
        assert_eq!(total.verdict, Some(Verdict::WrongAnswer));
        assert!((total.score - 1.5).abs() < 1e-9 && (board.max_score() - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_failure_can_end_its_group_only() {
        let groups = vec![
            group(20.0, Scoring::Sum, &[]),
            group(20.0, Scoring::Sum, &[]),
        ];
        let mut board = grouped(Stop::GroupFailure, &[0, 1, 0, 1], groups);
        started(&mut board);
        assert_eq!(board.end(0, wrong()), [2]);
        board.end(1, accepted());
        board.end(3, accepted());
        assert_eq!(board.group(0).verdict, Some(Verdict::WrongAnswer));
        assert_eq!(board.group(1).verdict, Some(Verdict::Accepted));
        assert!((board.total().score - 20.0).abs() < 1e-9);
    }

    #[test]
    fn groups_wait_for_what_they_depend_on() {
        let groups = || {
            let zero = group(0.0, Scoring::All, &[]);
            vec![
                zero,
                group(50.0, Scoring::Min, &[0]),
                group(50.0, Scoring::All, &[1]),
            ]
        };
        let mut board = grouped(Stop::Never, &[0, 1, 2, 1], groups());
        assert_eq!(started(&mut board), [0]);
        board.end(0, accepted());
        assert_eq!(started(&mut board), [1, 3]);
        board.end(3, partly(0.4));
        assert!(started(&mut board).is_empty());
        board.end(1, accepted());
        assert_eq!(started(&mut board), [2]);
        board.end(2, partly(0.99));
        let scores: Vec<_> = (0..3).map(|g| board.group(g).score).collect();
        assert!(
            (scores[1] - 20.0).abs() < 1e-9 && scores[2].abs() < 1e-9,
            "{scores:?}"
        );
        assert_eq!(board.total().verdict, Some(Verdict::Accepted));

        let mut board = grouped(Stop::Never, &[0, 1, 2, 1], groups());
        started(&mut board);
        assert_eq!(board.end(0, wrong()), [1, 2, 3]);
        assert!(board.is_over());
        assert_eq!(board.group(2).verdict, Some(Verdict::Skipped));
        assert_eq!(board.total().verdict, Some(Verdict::WrongAnswer));
    }

    #[test]
    fn a_group_before_its_dependency_waits_too() {
        let groups = vec![
            group(5.0, Scoring::All, &[1]),
            group(5.0, Scoring::All, &[]),
        ];
        let mut board = grouped(Stop::FirstFailure, &[0, 1], groups);
        assert_eq!(started(&mut board), [1]);
        assert_eq!(board.end(1, wrong()), [0]);
        assert_eq!(board.total().verdict, Some(Verdict::WrongAnswer));
    }

    #[test]
    fn decimal_points_add_up() {
        let place = |points| Place {
            group: None,
            points,
        };
        let mut board = Board::new(Stop::Never, vec![place(0.1), place(0.2)], Vec::new());
        started(&mut board);
        board.end(0, accepted());
        board.end(1, accepted());
        assert!((board.total().score - 0.3).abs() < f64::EPSILON);
    }

    #[test]
    fn what_has_not_ended_can_be_given_up() {
        let mut board = alone(3, Stop::Never);
        board.start();
        board.end(0, accepted());
        board.start();
        board.abandon(Verdict::Cancelled);
        assert!(board.is_over());
        assert_eq!(board.outcome(0), Some(accepted()));
        assert_eq!(board.outcome(2).unwrap().verdict, Verdict::Cancelled);
    }
}
