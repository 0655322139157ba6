//! What a key may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One thing that a key may do. [`Scope::Admin`] includes the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Run programs.
    Run,
    /// Judge submissions, upload what they need, and see and cancel what it submitted.
    Judge,
    /// See what it submitted, and metrics where these need a key.
    Read,
    /// Everything, and on what other keys submitted, too.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Run, Self::Judge, Self::Read, Self::Admin];

    /// Its name, as `brig keys create --scopes` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Judge => "judge",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }

    /// The same as a list of one.
    pub(super) fn alone(self) -> &'static [Self] {
        match self {
            Self::Run => &[Self::Run],
            Self::Judge => &[Self::Judge],
            Self::Read => &[Self::Read],
            Self::Admin => &[Self::Admin],
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scope| scope.name() == name);
        found.ok_or_else(|| format!("{name:?} is no scope; there are run, judge, read and admin"))
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Scope>", into = "Vec<Scope>")]
pub struct Scopes(u8);

impl Scopes {
    /// Every scope.
    pub const ALL: Self = Self(0b1111);

    /// Whether `scope` is granted, by itself or by [`Scope::Admin`].
    pub fn grant(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }

    /// The scopes that were named.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .into_iter()
            .filter(move |scope| self.0 & scope.bit() != 0)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl From<Vec<Scope>> for Scopes {
    fn from(scopes: Vec<Scope>) -> Self {
        scopes.into_iter().collect()
    }
}

impl From<Scopes> for Vec<Scope> {
    fn from(scopes: Scopes) -> Self {
        scopes.iter().collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Scope::name).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_includes_the_others_and_no_other_does() {
        for granted in Scope::ALL {
            let scopes = Scopes::from_iter([granted]);
            for asked in Scope::ALL {
                let expected = granted == asked || granted == Scope::Admin;
                assert_eq!(scopes.grant(asked), expected, "{granted:?} {asked:?}");
            }
        }
        assert_eq!(Scopes::ALL, Scopes::from_iter(Scope::ALL));
        assert!(!Scopes::default().grant(Scope::Run));
    }

    #[test]
    fn names_go_both_ways() {
        for scope in Scope::ALL {
            assert_eq!(scope.name().parse(), Ok(scope));
            assert_eq!(
                serde_json::to_value(scope).unwrap(),
                serde_json::json!(scope.name())
            );
        }
        let error = "write".parse::<Scope>().unwrap_err();
        assert!(error.contains("run, judge, read and admin"), "{error}");
    }
}
