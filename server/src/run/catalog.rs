//! Languages and policies, as loaded together.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use brig_sandbox::policy::{self, Policy, ProfileError};

use crate::cache::PolicyDigest;
use crate::config::Config;
use crate::language::Registry;

/// What requests can choose from.
#[derive(Debug)]
pub struct Catalog {
    /// The languages.
    pub languages: Registry,
    /// The policies, by name.
    pub policies: Arc<BTreeMap<String, Policy>>,
    digests: Arc<BTreeMap<String, PolicyDigest>>,
}

impl Catalog {
    /// Loads everything that `config` names.
    pub fn load(config: &Config) -> Result<Self, ProfileError> {
        let policies = Arc::new(policy::load(config.policies_dir()?.as_deref())?);
        Self::with_policies(config, policies)
    }

    /// Loads the languages again. The policies stay: the workers enforce those that they were
    /// started with.
    pub fn reload(&self, config: &Config) -> Result<Self, ProfileError> {
        let next = Self::with_policies(config, Arc::clone(&self.policies))?;
        next.languages.adopt_states(&self.languages);
        Ok(next)
    }

    fn with_policies(
        config: &Config,
        policies: Arc<BTreeMap<String, Policy>>,
    ) -> Result<Self, ProfileError> {
        let languages = Registry::load(config.languages_dir()?.as_deref(), &policies)?;
        let digest = |(name, policy): (&String, &Policy)| (name.clone(), PolicyDigest::of(policy));
        let digests = Arc::new(policies.iter().map(digest).collect());
        let languages = languages
            .keep_only(&config.languages)
            .map_err(|e| ProfileError::new("languages", e.message))?;
        Ok(Self {
            languages,
            policies,
            digests,
        })
    }

    /// Stands for a policy with all its rules.
    pub fn digest(&self, policy: &str) -> Option<PolicyDigest> {
        self.digests.get(policy).copied()
    }
}

/// The catalogue that is in force now.
#[derive(Debug)]
pub struct CurrentCatalog(RwLock<Arc<Catalog>>);

impl CurrentCatalog {
    /// Begins with `catalog`.
    pub fn new(catalog: Catalog) -> Self {
        Self(RwLock::new(Arc::new(catalog)))
    }

    /// The catalogue as it is now.
    pub fn get(&self) -> Arc<Catalog> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another in its place.
    pub fn set(&self, next: Catalog) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }
}
