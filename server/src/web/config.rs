//! Configuration of the web pages.

use serde::{Deserialize, Serialize};

/// What a list of sites may be made of, beside letters and digits: `https://*.example.org:8443`.
const SITE_PUNCTUATION: &str = ":/.*-[]";

/// The web pages (`[web]`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebConfig {
    /// Whether there are pages: the playground at `/`, `/embed` and `/s/…`, the dashboard at
    /// `/status`. The API does not depend on them.
    pub enabled: bool,
    /// Sites whose pages may show `/embed` in a frame, such as `"https://course.example"`; `"*"` is
    /// every site. The service's own pages always may. A page that frames `/embed` can have programs
    /// run in the name of whoever looks at it: on an address that needs no key, `"*"` opens the
    /// service to every page that this machine's browsers visit.
    pub embed_ancestors: Vec<String>,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            embed_ancestors: Vec::new(),
        }
    }
}

impl WebConfig {
    /// Whether every value makes sense; the error names the key.
    pub fn check(&self) -> anyhow::Result<()> {
        for site in &self.embed_ancestors {
            anyhow::ensure!(
                is_site(site),
                "web.embed_ancestors: {site:?} is neither \"*\" nor a site like \
                \"https://course.example\""
            );
        }
        Ok(())
    }
}

/// Whether `site` can stand in a list of sites of a Content-Security-Policy as what it looks like.
fn is_site(site: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || SITE_PUNCTUATION.contains(c);
    let host = ["https://", "http://"]
        .iter()
        .find_map(|scheme| site.strip_prefix(scheme));
    site == "*" || (host.is_some_and(|host| !host.is_empty()) && site.chars().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sites_go_into_the_policy() {
        for site in [
            "*",
            "https://course.example",
            "http://127.0.0.1:8081",
            "https://*.example.org",
        ] {
            assert!(is_site(site), "{site}");
        }
        for site in [
            "",
            "course.example",
            "https://",
            "'none'",
            "https://a; script-src *",
            "https://a b",
            "data:",
        ] {
            assert!(!is_site(site), "{site}");
        }
    }
}
