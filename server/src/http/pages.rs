//! The web pages: `/`, `/embed`, `/status`, `/s/{id}` and what they load. They are the same for
//! everybody and need no key; what they do, they do by the API.
//!
//! A page says itself which scripts, styles and frames it may have (Content-Security-Policy): its
//! own files, and styles that carry the nonce of this one answer, which takes the place of
//! [`NONCE`] in the page's text.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    REFERRER_POLICY, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::encoding::{Encoding, choose};
use super::error::Error;
use crate::web::{File, WebConfig};

/// What stands in a page for the nonce.
const NONCE: &str = "__CSP_NONCE__";
/// Random bytes of a nonce.
const NONCE_BYTES: usize = 16;
/// Files below this have a hash of their content in their name.
const HASHED: &str = "assets/";
const FOREVER: &str = "public, max-age=31536000, immutable";
const ASK_FIRST: &str = "no-cache";
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
/// What no page needs.
const NO_DEVICES: &str =
    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";

/// A page, and where it is.
const PAGES: [(&str, &str); 4] = [
    ("/", "index.html"),
    ("/s/{id}", "index.html"),
    ("/embed", EMBED),
    ("/status", "status.html"),
];
const EMBED: &str = "embed.html";

/// Routes to all of `files`.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(
    files: &'static [File],
    config: &WebConfig,
) -> Router<S> {
    let mut router = Router::new();
    if !config.enabled {
        return router;
    }
    let find = |name: &str| files.iter().find(|file| file.name == name);
    for (path, name) in PAGES {
        let Some(text) = find(name).and_then(|file| std::str::from_utf8(file.plain).ok()) else {
            router = router.route(path, get(async || built_without()));
            continue;
        };
        let page = Arc::new(Page::new(text, &ancestors(name, config)));
        router = router.route(path, get(async move || page.answer()));
    }
    for file in files {
        let is_page = PAGES.iter().any(|(_, page)| *page == file.name);
        if !is_page && !file.name.starts_with(HASHED) {
            let path = format!("/{}", file.name);
            router = router.route(
                &path,
                get(async |headers: HeaderMap| answer(file, &headers)),
            );
        }
    }
    let hashed = async move |Path(name): Path<String>, headers: HeaderMap| {
        let file = files
            .iter()
            .find(|file| file.name.strip_prefix(HASHED) == Some(&name));
        file.map_or_else(
            || Error::not_found("the pages have no such file").into_response(),
            |file| answer(file, &headers),
        )
    };
    router.route("/assets/{*name}", get(hashed))
}

fn built_without() -> Error {
    Error::not_found(
        "this brig was built without its web pages: `make web` builds them, then build brig again",
    )
}

/// Who may show the page in a frame.
fn ancestors(page: &str, config: &WebConfig) -> String {
    if page != EMBED {
        return "'none'".to_owned();
    }
    let own = std::iter::once("'self'");
    let sites = own.chain(config.embed_ancestors.iter().map(String::as_str));
    sites.collect::<Vec<_>>().join(" ")
}

/// A page in pieces, with the nonce between each two.
struct Page {
    text: Vec<&'static str>,
    /// The same of its policy.
    policy: [String; 2],
}

impl Page {
    fn new(text: &'static str, ancestors: &str) -> Self {
        // `'self'` in connect-src includes WebSockets of the same host and port (CSP level 3).
        let before = "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-";
        let after = format!(
            "'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; \
            manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
        );
        Self {
            text: text.split(NONCE).collect(),
            policy: [before.to_owned(), after],
        }
    }

    fn answer(&self) -> Response {
        let nonce = BASE64.encode(rand::random::<[u8; NONCE_BYTES]>());
        let Ok(policy) = HeaderValue::try_from(self.policy.join(&nonce)) else {
            tracing::error!("a page's policy cannot be a header");
            return Error::internal().into_response();
        };
        let headers = [
            (
                CONTENT_TYPE,
                HeaderValue::from_static("text/html; charset=utf-8"),
            ),
            (CACHE_CONTROL, HeaderValue::from_static(ASK_FIRST)),
            // `no-referrer`, as everything else has it, may make a page's own requests come from `null`.
            (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
            (PERMISSIONS_POLICY, HeaderValue::from_static(NO_DEVICES)),
            (CONTENT_SECURITY_POLICY, policy),
        ];
        (headers, self.text.join(&nonce)).into_response()
    }
}

/// A file, in the smallest form that the client takes, if it does not have it already.
fn answer(file: &'static File, request: &HeaderMap) -> Response {
    let encoding = choose(request, file.brotli.is_some(), file.gzip.is_some());
    let (content, suffix, encoding) = match encoding {
        Encoding::Brotli => (file.brotli, "-br", Some("br")),
        Encoding::Gzip => (file.gzip, "-gz", Some("gzip")),
        Encoding::Plain => (None, "", None),
    };
    let content = content.unwrap_or(file.plain);
    let tag = format!("\"{}{suffix}\"", file.tag);
    let lasts = if file.name.starts_with(HASHED) {
        FOREVER
    } else {
        ASK_FIRST
    };
    let known = has(request, &tag);
    let mut headers = HeaderMap::new();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(lasts));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.kind));
    if let Some(encoding) = encoding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    (headers, content).into_response()
}

/// Whether the client has what `tag` stands for (RFC 9110, section 13.1.2).
fn has(request: &HeaderMap, tag: &str) -> bool {
    let values = request.get_all(IF_NONE_MATCH).iter();
    let mut tags = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|tags| tags.split(','));
    tags.any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    const PAGE: &[u8] = b"<style nonce=\"__CSP_NONCE__\"></style><meta content=\"__CSP_NONCE__\">";
    const NOTHING: File = File {
        name: "",
        kind: "text/html; charset=utf-8",
        tag: "t",
        plain: PAGE,
        brotli: None,
        gzip: None,
    };
    static FILES: &[File] = &[
        File {
            name: "index.html",
            ..NOTHING
        },
        File {
            name: "embed.html",
            ..NOTHING
        },
        File {
            name: "assets/x-1.js",
            kind: "text/javascript; charset=utf-8",
            plain: b"plain",
            brotli: Some(b"br"),
            gzip: Some(b"gz"),
            ..NOTHING
        },
        File {
            name: "favicon.svg",
            kind: "image/svg+xml",
            ..NOTHING
        },
    ];

    async fn get(
        config: &WebConfig,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let router: Router = routes(FILES, config);
        let response = router
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (
            head.status,
            head.headers,
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    #[tokio::test]
    async fn every_answer_has_a_nonce_of_its_own() {
        let config = WebConfig::default();
        let mut seen = std::collections::HashSet::new();
        for path in ["/", "/", "/s/abc", "/embed"] {
            let (status, headers, text) = get(&config, path, &[]).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            let policy = headers["content-security-policy"].to_str().unwrap();
            let nonce = policy
                .split("'nonce-")
                .nth(1)
                .unwrap()
                .split('\'')
                .next()
                .unwrap();
            assert_eq!(nonce.len(), 24, "{policy}");
            assert_eq!(text.matches(nonce).count(), 2, "{text}");
            assert!(
                !text.contains(NONCE) && !policy.contains("unsafe"),
                "{text} {policy}"
            );
            assert!(policy.starts_with("default-src 'none'; "), "{policy}");
            assert_eq!(headers["cache-control"], "no-cache");
            assert!(
                !headers.contains_key("etag"),
                "the text is another each time"
            );
            seen.insert(nonce.to_owned());
        }
        assert_eq!(seen.len(), 4);
    }

    #[tokio::test]
    async fn who_may_frame_what() {
        let mut config = WebConfig::default();
        let policy = async |config: &WebConfig, path| {
            let (_, headers, _) = get(config, path, &[]).await;
            let policy = headers["content-security-policy"].to_str().unwrap();
            policy.rsplit("; ").next().unwrap().to_owned()
        };
        assert_eq!(policy(&config, "/embed").await, "frame-ancestors 'self'");
        config.embed_ancestors = vec!["https://course.example".to_owned()];
        assert_eq!(
            policy(&config, "/embed").await,
            "frame-ancestors 'self' https://course.example"
        );
        for path in ["/", "/s/x"] {
            assert_eq!(policy(&config, path).await, "frame-ancestors 'none'");
        }
    }

    #[tokio::test]
    async fn hashed_files_are_compressed_and_kept() {
        let config = WebConfig::default();
        for (accepted, encoding, body, tag) in [
            ("gzip, deflate, br, zstd", "br", "br", "\"t-br\""),
            ("gzip", "gzip", "gz", "\"t-gz\""),
            ("identity", "", "plain", "\"t\""),
        ] {
            let ask = [("accept-encoding", accepted)];
            let (status, headers, text) = get(&config, "/assets/x-1.js", &ask).await;
            assert_eq!((status, text.as_str()), (StatusCode::OK, body));
            let header = |name: &str| {
                headers
                    .get(name)
                    .map_or("", |value| value.to_str().unwrap())
            };
            assert_eq!(header("content-encoding"), encoding);
            assert_eq!(header("content-type"), "text/javascript; charset=utf-8");
            assert_eq!(header("vary"), "accept-encoding");
            assert_eq!(header("cache-control"), FOREVER);
            assert_eq!(header("etag"), tag);
            let again = [("accept-encoding", accepted), ("if-none-match", tag)];
            let (status, _, text) = get(&config, "/assets/x-1.js", &again).await;
            assert_eq!((status, text.as_str()), (StatusCode::NOT_MODIFIED, ""));
        }
        let (status, headers, _) = get(&config, "/favicon.svg", &[]).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers["cache-control"], "no-cache");
        assert_eq!(
            get(&config, "/assets/y.js", &[]).await.0,
            StatusCode::NOT_FOUND
        );
    }

    #[tokio::test]
    async fn pages_that_are_not_there_say_why() {
        let (status, _, text) = get(&WebConfig::default(), "/status", &[]).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(text.contains("make web"), "{text}");
        let off = WebConfig {
            enabled: false,
            ..WebConfig::default()
        };
        for path in ["/", "/assets/x-1.js", "/favicon.svg"] {
            assert_eq!(
                get(&off, path, &[]).await.0,
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }
    }

    #[test]
    fn known_tags() {
        let has = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static(value));
            super::has(&headers, "\"a\"")
        };
        assert!(has("\"a\"") && has("W/\"a\"") && has("\"b\", \"a\"") && has("*"));
        assert!(!has("\"b\"") && !has("a") && !has(""));
    }
}
