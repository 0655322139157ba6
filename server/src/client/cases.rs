//! Tests from a folder: `*.in` with `*.ans` or `*.out` beside it, sub-folders as groups.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::failure::Failure;

/// The most entries of a folder tree that are looked at, and how deep.
const MAX_ENTRIES: usize = 200_000;
const MAX_DEPTH: usize = 16;
/// What an expected output may be called, the first wins: Kattis says `.ans`; beside it `.out` is
/// some program's output.
const ANSWERS: [&str; 2] = ["ans", "out"];

/// One test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Case {
    /// Its path below the folder, without extension.
    pub(super) id: String,
    /// The folder that it is in, below the folder; none at the top.
    pub(super) group: Option<String>,
    pub(super) input: PathBuf,
    pub(super) answer: Option<PathBuf>,
}

/// The tests of a folder in natural order, and what looks like a slip.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cases {
    pub(super) cases: Vec<Case>,
    pub(super) remarks: Vec<String>,
}

/// Finds the tests in `folder` and below.
pub(super) fn find(folder: &Path) -> Result<Cases, Failure> {
    let mut files = Vec::new();
    let mut entries = 0;
    collect(folder, "", 0, &mut entries, &mut files)?;
    let found = pair(folder, &files);
    if found.cases.is_empty() {
        let folder = folder.display();
        return Err(Failure::usage(format!(
            "no tests below {folder}: a test is a file *.in with *.ans or *.out beside it"
        )));
    }
    Ok(found)
}

/// The paths of all files below `folder`, relative to it. Hidden ones, and folders behind symbolic
/// links, are left out.
fn collect(
    folder: &Path,
    below: &str,
    depth: usize,
    entries: &mut usize,
    files: &mut Vec<String>,
) -> Result<(), Failure> {
    let here = folder.join(below);
    let fail = |e: &std::io::Error| Failure::file(&here, e);
    for entry in std::fs::read_dir(&here).map_err(|e| fail(&e))? {
        let entry = entry.map_err(|e| fail(&e))?;
        *entries += 1;
        if *entries > MAX_ENTRIES {
            let folder = folder.display();
            return Err(Failure::usage(format!(
                "{folder} holds more than {MAX_ENTRIES} files"
            )));
        }
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            let path = entry.path();
            return Err(Failure::usage(format!(
                "{}: the name must be UTF-8",
                path.display()
            )));
        };
        if name.starts_with('.') {
            continue;
        }
        let path = if below.is_empty() {
            name.to_owned()
        } else {
            format!("{below}/{name}")
        };
        if entry.file_type().map_err(|e| fail(&e))?.is_dir() {
            if depth < MAX_DEPTH {
                collect(folder, &path, depth + 1, entries, files)?;
            }
        } else if entry.path().is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// Pairs the files called `files` below `folder`.
fn pair(folder: &Path, files: &[String]) -> Cases {
    let all: BTreeSet<&str> = files.iter().map(String::as_str).collect();
    let mut inputs: BTreeMap<&str, Option<String>> = BTreeMap::new();
    for stem in files.iter().filter_map(|file| file.strip_suffix(".in")) {
        let answers = ANSWERS
            .iter()
            .map(|extension| format!("{stem}.{extension}"));
        inputs.insert(
            stem,
            answers.into_iter().find(|name| all.contains(name.as_str())),
        );
    }
    let mut cases: Vec<Case> = Vec::new();
    for (stem, answer) in &inputs {
        cases.push(Case {
            id: (*stem).to_owned(),
            group: stem.rsplit_once('/').map(|(group, _)| group.to_owned()),
            input: folder.join(format!("{stem}.in")),
            answer: answer.as_ref().map(|name| folder.join(name)),
        });
    }
    cases.sort_by(|a, b| natural(&a.id, &b.id));
    let lone = files.iter().filter(|file| {
        let stem = ANSWERS
            .iter()
            .find_map(|e| file.strip_suffix(&format!(".{e}")));
        stem.is_some_and(|stem| !inputs.contains_key(stem))
    });
    let remarks = lone.map(|file| format!("{file} has no input beside it and is left out"));
    Cases {
        cases,
        remarks: remarks.collect(),
    }
}

/// The order in which people number things: folders and names part by part, digits by their value,
/// a folder's own files before those of its sub-folders.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (folder_a, name_a) = a.rsplit_once('/').unwrap_or(("", a));
    let (folder_b, name_b) = b.rsplit_once('/').unwrap_or(("", b));
    let parts = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
    let (parts_a, parts_b) = (parts(folder_a), parts(folder_b));
    for (part_a, part_b) in parts_a.iter().zip(&parts_b) {
        let order = natural_part(part_a, part_b);
        if order != Ordering::Equal {
            return order;
        }
    }
    parts_a
        .len()
        .cmp(&parts_b.len())
        .then_with(|| natural_part(name_a, name_b))
        .then_with(|| a.cmp(b))
}

fn natural_part(a: &str, b: &str) -> Ordering {
    let (mut rest_a, mut rest_b) = (a, b);
    loop {
        match (rest_a.chars().next(), rest_b.chars().next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (number_a, after_a) = digits(rest_a);
                let (number_b, after_b) = digits(rest_b);
                let order = number_a
                    .len()
                    .cmp(&number_b.len())
                    .then_with(|| number_a.cmp(number_b));
                if order != Ordering::Equal {
                    return order;
                }
                (rest_a, rest_b) = (after_a, after_b);
            }
            (Some(x), Some(y)) if x != y => return x.cmp(&y),
            (Some(x), Some(_)) => {
                rest_a = &rest_a[x.len_utf8()..];
                rest_b = &rest_b[x.len_utf8()..];
            }
        }
    }
}

/// The digits that `text` begins with, without zeros before them, and what follows.
fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (digits.trim_start_matches('0'), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[&str]) -> Cases {
        let files: Vec<String> = files.iter().map(|f| (*f).to_owned()).collect();
        pair(Path::new("t"), &files)
    }

    fn ids(files: &[&str]) -> Vec<String> {
        found(files).cases.into_iter().map(|case| case.id).collect()
    }

    #[test]
    fn natural_order() {
        let sorted = [
            "1",
            "2",
            "10",
            "10a",
            "a",
            "a1",
            "a01",
            "a2",
            "ä",
            "sample/1",
            "sample/02",
            "sample/10",
            "secret/1",
            "secret/2/1",
            "secret/10/1",
        ];
        let mut shuffled = sorted;
        shuffled.reverse();
        shuffled.sort_by(|a, b| natural(a, b));
        // Numbers of the same value are ordered by their text.
        let expected: Vec<&str> = sorted
            .iter()
            .map(|s| match *s {
                "a1" => "a01",
                "a01" => "a1",
                s => s,
            })
            .collect();
        assert_eq!(shuffled.to_vec(), expected);
    }

    #[test]
    fn answers_are_ans_or_else_out() {
        let cases = found(&[
            "1.in",
            "1.out",
            "1.ans",
            "2.in",
            "2.out",
            "3.in",
            "notes.txt",
        ])
        .cases;
        let answers: Vec<_> = cases.iter().map(|c| c.answer.clone()).collect();
        assert_eq!(
            answers,
            [Some("t/1.ans".into()), Some("t/2.out".into()), None]
        );
    }

    #[test]
    fn folders_are_groups() {
        let cases = found(&["secret/b/10.in", "sample/1.in", "secret/b/9.in", "0.in"]).cases;
        let shown: Vec<_> = cases
            .iter()
            .map(|c| (c.id.as_str(), c.group.as_deref()))
            .collect();
        assert_eq!(
            shown,
            [
                ("0", None),
                ("sample/1", Some("sample")),
                ("secret/b/9", Some("secret/b")),
                ("secret/b/10", Some("secret/b")),
            ]
        );
    }

    #[test]
    fn an_answer_without_input_is_a_remark() {
        let found = found(&["1.in", "1.ans", "2.ans"]);
        assert_eq!(found.cases.len(), 1);
        assert_eq!(
            found.remarks,
            ["2.ans has no input beside it and is left out"]
        );
        assert_eq!(ids(&["x.in.in", "x.in"]), ["x", "x.in"]);
    }

    #[test]
    fn a_folder_is_read_with_its_sub_folders() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        for name in [
            "data/sample/1.in",
            "data/sample/1.ans",
            "data/secret/02-größe.in",
            ".git/x.in",
            "data/.y.in",
        ] {
            write(name);
        }
        std::os::unix::fs::symlink(dir.path(), dir.path().join("data/loop")).unwrap();
        let ids: Vec<_> = find(dir.path())
            .unwrap()
            .cases
            .into_iter()
            .map(|c| c.id)
            .collect();
        assert_eq!(ids, ["data/sample/1", "data/secret/02-größe"]);
        let ids: Vec<_> = find(&dir.path().join("data"))
            .unwrap()
            .cases
            .into_iter()
            .map(|c| c.id)
            .collect();
        assert_eq!(ids, ["sample/1", "secret/02-größe"]);
        let empty = dir.path().join("empty");
        std::fs::create_dir(&empty).unwrap();
        assert!(find(&empty).unwrap_err().lines().concat().contains("*.in"));
        assert!(find(&dir.path().join("missing")).is_err());
    }

    proptest::proptest! {
        #[test]
        fn the_order_is_one(mut names in proptest::collection::vec("[a1/0é]{0,6}", 0..8)) {
            names.sort_by(|a, b| natural(a, b));
            for pair in names.windows(2) {
                proptest::prop_assert_ne!(natural(&pair[0], &pair[1]), Ordering::Greater);
                proptest::prop_assert_eq!(natural(&pair[0], &pair[1]), natural(&pair[1], &pair[0]).reverse());
            }
        }
    }
}
