//! The API's description, `GET /openapi.json`, and a page that shows it, `GET /docs`.
//!
//! The page is Swagger UI, which is part of the binary: nothing is fetched from elsewhere. Its policy
//! lets it run the service's own scripts only, none that are written into the page.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};

use super::error::Error;
use super::openapi::document;

/// What the page may do. Icons of Swagger UI's style sheet are `data:` URLs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Scripts and styles change with the service only.
const CACHE: &str = "public, max-age=3600";

/// A file that the page needs.
struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static [u8],
}

macro_rules! swagger_ui {
    ($name:literal, $kind:literal) => {
        Asset {
            name: $name,
            kind: $kind,
            content: include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui/", $name)),
        }
    };
}

const ASSETS: [Asset; 4] = [
    swagger_ui!("favicon-32x32.png", "image/png"),
    swagger_ui!("swagger-ui-bundle.js", "text/javascript"),
    swagger_ui!("swagger-ui.css", "text/css"),
    // Starts it.
    Asset {
        name: "start.js",
        kind: "text/javascript",
        content: include_bytes!("docs/start.js"),
    },
];

/// The description of this API.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "Service",
    operation_id = "openapi",
    responses((
        status = 200,
        description = "The description, in OpenAPI 3.1.",
        body = serde_json::Value,
        content_type = "application/json"
    ))
)]
pub(super) async fn openapi() -> Response {
    static DOCUMENT: LazyLock<String> = LazyLock::new(document);
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

/// A page that shows this description, and sends requests.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "Service",
    operation_id = "docs",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html"))
)]
pub(super) async fn page() -> Response {
    let page = Html(include_str!("docs/index.html"));
    ([(CONTENT_SECURITY_POLICY, POLICY)], page).into_response()
}

/// A script, style sheet or image of the page `/docs`.
#[utoipa::path(
    get,
    path = "/docs/{file}",
    tag = "Service",
    operation_id = "docsAsset",
    params(("file" = String, Path, description = "Its name.", example = "start.js")),
    responses(
        (status = 200, description = "The file.", content(
            (String = "text/javascript"),
            (String = "text/css"),
            (String = "image/png"),
        )),
        (status = 404, description = "The page needs no such file."),
    )
)]
pub(super) async fn asset(file: Result<Path<String>, PathRejection>) -> Result<Response, Error> {
    let Path(name) = file.map_err(|_| unknown())?;
    let mut assets = ASSETS.iter();
    let asset = assets.find(|asset| asset.name == name);
    let Asset { kind, content, .. } = asset.ok_or_else(unknown)?;
    let headers = [(CONTENT_TYPE, *kind), (CACHE_CONTROL, CACHE)];
    Ok((headers, *content).into_response())
}

pub(super) fn unknown() -> Error {
    Error::not_found("there is no such file")
}
