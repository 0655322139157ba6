//! What tests and groups are worth.

use crate::api::Scoring;

/// What a request says of a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct GroupPoints {
    pub(super) points: Option<f64>,
    pub(super) scoring: Scoring,
}

/// What a request says of a test.
#[derive(Clone, Copy, Debug)]
pub(super) struct TestPoints {
    pub(super) points: Option<f64>,
    pub(super) group: Option<usize>,
}

/// What everything is worth in the end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Worth {
    pub(super) tests: Vec<f64>,
    pub(super) groups: Vec<f64>,
}

/// Points that are not given follow from those that are:
///
/// - If none are given at all, every test is worth 1.
/// - Tests of a group share evenly what its points leave beyond those of its other tests.
/// - A group is worth what its tests are, and a test without a group is worth nothing.
///
/// Errors are groups whose tests are worth more than they are, with how much that is.
pub(super) fn share(
    tests: &[TestPoints],
    groups: &[GroupPoints],
) -> Result<Worth, Vec<(usize, f64)>> {
    let nobody =
        tests.iter().all(|t| t.points.is_none()) && groups.iter().all(|g| g.points.is_none());
    let otherwise = if nobody { 1.0 } else { 0.0 };
    let mut worth = Worth {
        tests: tests
            .iter()
            .map(|t| t.points.unwrap_or(otherwise))
            .collect(),
        groups: Vec::with_capacity(groups.len()),
    };
    let mut errors = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        let members: Vec<usize> = (0..tests.len())
            .filter(|test| tests[*test].group == Some(index))
            .collect();
        let given: f64 = members.iter().filter_map(|test| tests[*test].points).sum();
        let Some(points) = group.points else {
            worth
                .groups
                .push(members.iter().map(|test| worth.tests[*test]).sum());
            continue;
        };
        worth.groups.push(points);
        // In the other kinds a test's points are no part of the group's.
        if group.scoring == Scoring::Sum && given > points * (1.0 + f64::EPSILON) {
            errors.push((index, given));
        }
        let open: Vec<_> = members
            .iter()
            .filter(|t| tests[**t].points.is_none())
            .collect();
        for test in &open {
            #[allow(clippy::cast_precision_loss)] // thousands of tests at most
            let part = (points - given).max(0.0) / open.len() as f64;
            worth.tests[**test] = part;
        }
    }
    if errors.is_empty() {
        Ok(worth)
    } else {
        Err(errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(points: Option<f64>, group: Option<usize>) -> TestPoints {
        TestPoints { points, group }
    }

    fn group(points: Option<f64>, scoring: Scoring) -> GroupPoints {
        GroupPoints { points, scoring }
    }

    #[test]
    fn without_points_every_test_is_worth_one() {
        let tests = [test(None, None), test(None, Some(0)), test(None, Some(0))];
        let worth = share(&tests, &[group(None, Scoring::Min)]).unwrap();
        assert_eq!((worth.tests, worth.groups), (vec![1.0; 3], vec![2.0]));
    }

    #[test]
    fn tests_share_what_the_group_leaves() {
        let tests = [
            test(Some(10.0), Some(0)),
            test(None, Some(0)),
            test(None, Some(0)),
            test(None, None),
        ];
        let worth = share(&tests, &[group(Some(60.0), Scoring::Sum)]).unwrap();
        assert_eq!(worth.tests, [10.0, 25.0, 25.0, 0.0]);
        assert_eq!(worth.groups, [60.0]);
    }

    #[test]
    fn a_sum_cannot_be_more_than_its_group() {
        let tests = [test(Some(10.0), Some(0)), test(Some(10.0), Some(1))];
        let groups = [
            group(Some(5.0), Scoring::Sum),
            group(Some(5.0), Scoring::Min),
        ];
        assert_eq!(share(&tests, &groups), Err(vec![(0, 10.0)]));
    }
}
