//! The set of all languages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use brig_sandbox::policy::{Policy, ProfileError, toml_files};

use super::{Availability, Language, check};

/// Pairs of file name and content.
macro_rules! built_in {
    ($($id:literal)*) => {
        &[$((
            concat!($id, ".toml"),
            include_str!(concat!("../../../profiles/languages/", $id, ".toml")),
        )),*]
    };
}

/// The profiles built into the binary: every file of `profiles/languages`.
pub(super) const BUILT_IN: &[(&str, &str)] = built_in! {
    "ada" "awk" "bash" "c" "commonlisp" "cpp" "csharp" "d" "elixir" "erlang" "executable"
    "fortran" "go" "haskell" "java" "javascript" "kotlin" "lua" "nim" "ocaml" "pascal" "perl"
    "php" "prolog" "python" "r" "ruby" "rust" "scheme" "sql" "typescript"
};

/// All languages, found by id or alias.
#[derive(Debug)]
pub struct Registry {
    languages: Vec<Arc<Language>>,
    by_name: BTreeMap<String, usize>,
}

/// No language has the name that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FindError {
    /// What was asked for and what there is.
    pub message: String,
}

impl Registry {
    /// The built-in languages, then those of `directory`, which replace built-in ones of the same
    /// id. `policies` are those that profiles may name.
    pub fn load(
        directory: Option<&Path>,
        policies: &BTreeMap<String, Policy>,
    ) -> Result<Self, ProfileError> {
        let built_in = BUILT_IN
            .iter()
            .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()));
        Self::from_files(built_in.collect(), toml_files(directory)?, policies)
    }

    fn from_files(
        built_in: Vec<(String, String)>,
        own: Vec<(String, String)>,
        policies: &BTreeMap<String, Policy>,
    ) -> Result<Self, ProfileError> {
        let policies: Arc<[String]> = policies.keys().cloned().collect();
        let mut by_id = BTreeMap::new();
        for layer in [built_in, own] {
            let mut ids = BTreeSet::new();
            for (file, text) in layer {
                let language = check::parse(&file, &text, &policies)?;
                if !ids.insert(language.id.clone()) {
                    let message = format!("another file has the id {:?} too", language.id);
                    return Err(check::error_at(&file, &text, &["id"], message));
                }
                by_id.insert(language.id.clone(), (file, language));
            }
        }
        let by_name = index_names(&by_id)?;
        let languages = by_id
            .into_values()
            .map(|(_, language)| Arc::new(language))
            .collect();
        Ok(Self { languages, by_name })
    }

    /// All languages in the order of their ids.
    pub fn all(&self) -> &[Arc<Language>] {
        &self.languages
    }

    /// The language called `name`: an id or alias in any case, optionally with `@` and the version
    /// that its tools must have (`cpp@12`, `cpp@12.2`, `cpp@g++ 12.2.0`).
    pub fn find(&self, name: &str) -> Result<Arc<Language>, FindError> {
        let (id, wanted) = match name.split_once('@') {
            Some((id, wanted)) => (id, Some(wanted)),
            None => (name, None),
        };
        let Some(index) = self.by_name.get(&id.to_lowercase()) else {
            let ids: Vec<&str> = self
                .languages
                .iter()
                .map(|language| language.id.as_str())
                .collect();
            let message = format!("unknown language {id:?}; one of {}", ids.join(", "));
            return Err(FindError { message });
        };
        let language = &self.languages[*index];
        if let Some(wanted) = wanted {
            check_wanted(language, wanted)?;
        }
        Ok(Arc::clone(language))
    }

    /// Keeps only the languages with these names (ids or aliases), if any are given. An unknown
    /// name is an error: a mistyped one must not pass for a language that is not wanted.
    pub fn keep_only(self, names: &[String]) -> Result<Self, FindError> {
        if names.is_empty() {
            return Ok(self);
        }
        let kept = names
            .iter()
            .map(|name| self.find(name).map(|l| l.id.clone()));
        let kept: BTreeSet<String> = kept.collect::<Result<_, _>>()?;
        let mut languages = self.languages;
        languages.retain(|language| kept.contains(&language.id));
        let by_name = languages.iter().enumerate().flat_map(|(index, language)| {
            let names = language.aliases.iter().chain([&language.id]);
            names.map(move |name| (name.clone(), index))
        });
        let by_name = by_name.collect();
        Ok(Self { languages, by_name })
    }

    /// The host paths that the languages' tools need; a `*` in the last part stands for any text.
    pub fn mounts(&self) -> Vec<String> {
        let paths: BTreeSet<&String> = self.languages.iter().flat_map(|l| &l.mounts).collect();
        paths.into_iter().cloned().collect()
    }

    /// Takes over what `older` knows of the tools of languages whose profiles did not change.
    pub fn adopt_states(&self, older: &Self) {
        for language in &self.languages {
            let same = older
                .languages
                .iter()
                .find(|old| old.id == language.id && old.text == language.text);
            if let Some(old) = same {
                language.set_availability(old.availability());
            }
        }
    }
}

/// Every id and alias with the index of its language.
fn index_names(
    by_id: &BTreeMap<String, (String, Language)>,
) -> Result<BTreeMap<String, usize>, ProfileError> {
    let mut by_name: BTreeMap<String, usize> = by_id
        .keys()
        .enumerate()
        .map(|(index, id)| (id.clone(), index))
        .collect();
    for (index, (file, language)) in by_id.values().enumerate() {
        for (i, alias) in language.aliases.iter().enumerate() {
            if let Some(other) = by_name.insert(alias.clone(), index) {
                let other = by_id.keys().nth(other).map_or("", String::as_str);
                let message = format!("the alias {alias:?} is a name of {other:?} already");
                let path = ["aliases", &i.to_string()];
                return Err(check::error_at(file, &language.text, &path, message));
            }
        }
    }
    Ok(by_name)
}

fn check_wanted(language: &Language, wanted: &str) -> Result<(), FindError> {
    let refuse = |message: String| Err(FindError { message });
    match language.availability() {
        Availability::Available { version } if is_version(&version, wanted) => Ok(()),
        Availability::Available { version } => refuse(format!(
            "{} is there as {version:?}, not as {wanted:?}",
            language.id
        )),
        Availability::Unavailable { reason } => {
            refuse(format!("{} is unavailable: {reason}", language.id))
        }
        Availability::Unknown => refuse(format!("the version of {} is not known yet", language.id)),
    }
}

/// Whether `version` is `wanted`, or one of its words is, or begins with it at a dot.
fn is_version(version: &str, wanted: &str) -> bool {
    let fits = |word: &str| {
        word.strip_prefix(wanted)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    !wanted.is_empty() && (version == wanted || version.split_whitespace().any(fits))
}

#[cfg(test)]
pub(super) fn from_texts(
    built_in: &[(&str, &str)],
    own: &[(&str, &str)],
    policies: &BTreeMap<String, Policy>,
) -> Result<Registry, ProfileError> {
    let owned = |files: &[(&str, &str)]| {
        files
            .iter()
            .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()))
            .collect()
    };
    Registry::from_files(owned(built_in), owned(own), policies)
}
