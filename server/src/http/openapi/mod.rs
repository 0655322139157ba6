//! The API's description (OpenAPI 3.1), put together from the routes.
//!
//! What a handler says of itself (`#[utoipa::path]`) is completed with what every route has in
//! common: the answers to callers who are turned away, the form of errors, the request's id. The
//! result is committed as `server/openapi.json`; a test tells when that is out of date.

mod answers;
mod examples;
mod webhook;

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ContactBuilder, Info, InfoBuilder, License, OpenApi, OpenApiBuilder, Paths, RefOr,
    Schema, Tag,
};

use super::route::{Access, Route};
use super::router::routes;
use crate::api::{Problem, ServerMessage, Submission};
use crate::auth::Scope;

pub(super) use answers::ReadsJson;

/// The name of the only security scheme.
const KEY: &str = "key";

const DESCRIPTION: &str = "\
Brig runs untrusted programs, each contained and fully accounted: once (`/v1/runs`), or judged against tests \
(`/v1/submissions`).

- Times are integers in milliseconds or microseconds, sizes in bytes; the unit is in the field's name. Timestamps are \
RFC 3339 in UTC, ids UUIDv7. Fields may be added to answers.
- A field `x` that may not be text has a field `x_encoding` (`encoding` beside `content`, `data` or `text`) beside it: \
`utf-8`, or `base64` where the bytes are not UTF-8.
- Unknown fields of a request are refused.
- A program that fails, however badly, is answered with 200 and says so there. A status of 500 or above means that the \
service failed.
- Errors are `application/problem+json` (RFC 9457), and name every bad field by JSON pointer. 429 and 503 have \
`Retry-After`. A method that a path does not know is answered with 405 and `Allow`.
- Every answer has an `X-Request-Id`, under which the service's log tells more.";

/// The document, as it is served and committed.
#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    api: OpenApi,
    webhooks: BTreeMap<&'static str, PathItem>,
}

/// The description of the whole API as JSON text.
pub fn document() -> String {
    let mut paths = Paths::new();
    let mut components = Components::new();
    for Route { access, documented } in routes() {
        let (schemas, own, _) = documented;
        components.schemas.extend(schemas);
        paths.merge(own_paths(own, access));
    }
    components.schemas.extend(schemas_of::<Problem>());
    // Of a webhook, and of the frames of a WebSocket.
    components.schemas.extend(schemas_of::<Submission>());
    components.schemas.extend(schemas_of::<ServerMessage>());
    components.responses.extend(answers::components());
    components.add_security_scheme(KEY, key_scheme());
    let api = OpenApiBuilder::new()
        .info(info())
        .paths(paths)
        .components(Some(components))
        .tags(Some(tags()))
        .build();
    let document = Document {
        api,
        webhooks: webhook::webhooks(),
    };
    // Nothing of it can fail to be JSON.
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    // utoipa writes this field of a link by its name in Rust.
    text.replace("\"operation_id\": ", "\"operationId\": ") + "\n"
}

/// The schema of `T`, and those it refers to.
fn schemas_of<T: ToSchema>() -> Vec<(String, RefOr<Schema>)> {
    let mut schemas = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut schemas);
    schemas
}

/// `own` with what is common to all routes of this `access`.
fn own_paths(mut own: Paths, access: Access) -> Paths {
    for item in own.paths.values_mut() {
        for operation in operations(item) {
            answers::complete(operation, access);
            operation.security = Some(security(access));
        }
    }
    own
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.head,
    ];
    all.into_iter().filter_map(Option::as_mut)
}

/// What a caller must bring: a key with any of the scopes, if any is named.
fn security(access: Access) -> Vec<SecurityRequirement> {
    let key = |scopes: &[Scope]| SecurityRequirement::new(KEY, scopes.iter().map(|s| s.name()));
    match access {
        Access::Open => Vec::new(),
        Access::Keyed([]) => vec![key(&[])],
        Access::Keyed(scopes) => scopes.iter().map(|scope| key(&[*scope])).collect(),
        Access::Metrics => vec![SecurityRequirement::default(), key(&[Scope::Read])],
    }
}

fn key_scheme() -> SecurityScheme {
    let description = "An API key, as `brig keys create` prints it. Each operation names the scopes of which the key needs \
        one; `admin` includes them all. A service without keys that listens on a loopback address needs none: \
        `auth.key_required` of `GET /v1/info` says whether it does.";
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
    SecurityScheme::Http(scheme.description(Some(description)).build())
}

fn info() -> Info {
    let mut license = License::new("MIT OR Apache-2.0");
    license.identifier = Some("MIT OR Apache-2.0".to_owned());
    let contact = ContactBuilder::new()
        .name(Some("Brig"))
        .url(Some(env!("CARGO_PKG_REPOSITORY")));
    InfoBuilder::new()
        .title("Brig")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license))
        .contact(Some(contact.build()))
        .build()
}

fn tags() -> Vec<Tag> {
    let tag = |(name, description): (&str, &str)| {
        let tag = TagBuilder::new().name(name);
        tag.description(Some(description)).build()
    };
    let tags = [
        ("Runs", "Run a program once."),
        ("Submissions", "Judge a program against tests."),
        (
            "Blobs",
            "Upload test data once, and refer to it by its hash.",
        ),
        ("Shares", "Keep a program under a link."),
        (
            "Catalog",
            "What programs can be written in, and what they may do.",
        ),
        (
            "Service",
            "The service itself: state, health, metrics, documentation.",
        ),
    ];
    tags.map(tag).into()
}
