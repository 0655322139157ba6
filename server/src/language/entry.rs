//! Finding the file that starts, as judges do.

use super::template::stem;

/// The index of the file that starts among `paths`: the only file; the one called `source_name`;
/// the `main.*` nearest to the top; the only one with one of `extensions`. If none of these says,
/// the candidates.
pub(super) fn find(
    paths: &[&str],
    extensions: &[String],
    source_name: &str,
) -> Result<usize, Vec<String>> {
    if paths.len() == 1 {
        return Ok(0);
    }
    if let Some(index) = paths.iter().position(|path| *path == source_name) {
        return Ok(index);
    }
    let sources: Vec<usize> = (0..paths.len())
        .filter(|i| has_extension(paths[*i], extensions))
        .collect();
    let mains = sources
        .iter()
        .copied()
        .filter(|i| stem(paths[*i]).eq_ignore_ascii_case("main"));
    let mut nearest = Nearest::default();
    mains.for_each(|i| nearest.offer(depth(paths[i]), i));
    let top = sources.iter().map(|i| depth(paths[*i])).min();
    match (nearest.unique(), sources.as_slice()) {
        (Some((depth, index)), _) if Some(depth) == top => Ok(index),
        (_, [only]) => Ok(*only),
        (_, []) => Err(paths.iter().map(|p| (*p).to_owned()).collect()),
        (_, several) => Err(several.iter().map(|i| paths[*i].to_owned()).collect()),
    }
}

/// Whether `path` ends in a dot and one of `extensions`.
pub(super) fn has_extension(path: &str, extensions: &[String]) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    extensions.iter().any(|extension| {
        name.strip_suffix(extension.as_str())
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
    })
}

fn depth(path: &str) -> usize {
    path.matches('/').count()
}

/// The item of the least depth, if only one has it.
#[derive(Default)]
struct Nearest {
    best: Option<(usize, usize)>,
    tied: bool,
}

impl Nearest {
    fn offer(&mut self, depth: usize, index: usize) {
        match self.best {
            Some((least, _)) if least < depth => {}
            Some((least, _)) if least == depth => self.tied = true,
            _ => (self.best, self.tied) = (Some((depth, index)), false),
        }
    }

    fn unique(&self) -> Option<(usize, usize)> {
        self.best.filter(|_| !self.tied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(paths: &[&str]) -> Result<usize, Vec<String>> {
        find(paths, &["cc".to_owned(), "cpp".to_owned()], "main.cpp")
    }

    #[test]
    fn the_only_file_whatever_its_name() {
        assert_eq!(found(&["notes.txt"]), Ok(0));
    }

    #[test]
    fn the_source_name_before_other_mains() {
        assert_eq!(found(&["main.cc", "main.cpp"]), Ok(1));
    }

    #[test]
    fn a_main_with_a_matching_extension() {
        assert_eq!(found(&["main.txt", "a.cpp", "Main.cc"]), Ok(2));
        assert_eq!(
            found(&["src/a.cpp", "src/main.cc", "src/deep/main.cc"]),
            Ok(1)
        );
    }

    #[test]
    fn a_main_below_other_sources_is_only_a_guess() {
        let candidates = found(&["a.cpp", "lib/main.cc"]).unwrap_err();
        assert_eq!(candidates, ["a.cpp", "lib/main.cc"]);
    }

    #[test]
    fn the_only_source_among_data() {
        assert_eq!(found(&["data.txt", "solve.cc", "README"]), Ok(1));
    }

    #[test]
    fn otherwise_the_candidates() {
        assert_eq!(
            found(&["b.cc", "a.cc", "x.txt"]).unwrap_err(),
            ["b.cc", "a.cc"]
        );
        assert_eq!(found(&["x.txt", "y.txt"]).unwrap_err(), ["x.txt", "y.txt"]);
        assert_eq!(found(&["main.cc", "Main.cc"]).unwrap_err().len(), 2);
    }

    #[test]
    fn an_extension_alone_is_no_name() {
        assert!(!has_extension(".cpp", &["cpp".to_owned()]));
        assert!(!has_extension("xcpp", &["cpp".to_owned()]));
        assert!(has_extension("d.x/a.cpp", &["cpp".to_owned()]));
    }
}
