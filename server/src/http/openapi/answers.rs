//! Answers that many routes have in common.

use std::collections::BTreeMap;

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{
    Content, ContentBuilder, Header, KnownFormat, Ref, RefOr, Response, ResponseBuilder,
    SchemaFormat,
};
use utoipa::{IntoResponses, ToSchema};

use super::examples;
use crate::api::Problem;
use crate::http::error::Error;
use crate::http::route::Access;

/// An answer that several routes give for the same reason.
struct Common {
    status: &'static str,
    name: &'static str,
    example: fn() -> Error,
    description: &'static str,
}

const fn common(
    status: &'static str,
    name: &'static str,
    example: fn() -> Error,
    description: &'static str,
) -> Common {
    Common {
        status,
        name,
        example,
        description,
    }
}

/// To who may not ask.
const TO_CALLERS: [Common; 4] = [
    common(
        "401",
        "Unauthorized",
        examples::no_key,
        "The key is missing, malformed, unknown, revoked or expired.",
    ),
    common(
        "403",
        "Forbidden",
        examples::no_scope,
        "The key has none of the scopes that this needs; or there is no key, which would do, but the request comes \
         from another site's page.",
    ),
    common(
        "429",
        "TooManyRequests",
        examples::too_often,
        "This key makes more requests than it may, or has as many runs in progress or submissions waiting as it may.",
    ),
    common(
        "503",
        "Unavailable",
        examples::queue_full,
        "The service cannot take this now: its queue or its memory for requests is full, it is about to end, or its \
         store does not answer.",
    ),
];

/// To a body that cannot be read as JSON of the wanted form.
const TO_BODIES: [Common; 5] = [
    common(
        "400",
        "BadRequest",
        examples::not_json,
        "The body is not JSON, or the query or a header is malformed.",
    ),
    common(
        "408",
        "RequestTimeout",
        examples::too_slow,
        "The body did not arrive in time.",
    ),
    common(
        "413",
        "ContentTooLarge",
        examples::too_large,
        "The body is longer than `limits.body_bytes` of `GET /v1/info`.",
    ),
    common(
        "415",
        "UnsupportedMediaType",
        examples::not_declared,
        "The content type is not `application/json`.",
    ),
    common(
        "422",
        "Invalid",
        examples::invalid,
        "The body is JSON but not valid: an unknown field, an unknown language, a limit above its maximum, and so on. \
         `errors` names every bad field.",
    ),
];

/// To anything.
const TO_ALL: [Common; 1] = [common(
    "500",
    "InternalError",
    examples::internal,
    "The service failed; its log has the cause under the request's id.",
)];

/// The answers of a route that reads a JSON body.
pub(in crate::http) struct ReadsJson;

impl IntoResponses for ReadsJson {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        references(&TO_BODIES).collect()
    }
}

fn references(list: &[Common]) -> impl Iterator<Item = (String, RefOr<Response>)> {
    list.iter().map(|common| {
        let reference = Ref::from_response_name(common.name);
        (common.status.to_owned(), RefOr::Ref(reference))
    })
}

/// What [`references`] refer to.
pub(super) fn components() -> impl Iterator<Item = (String, RefOr<Response>)> {
    let all = TO_CALLERS.iter().chain(&TO_BODIES).chain(&TO_ALL);
    all.map(|common| {
        let mut response = ResponseBuilder::new()
            .description(common.description)
            .build();
        complete_response(common.status, &mut response, Some(&(common.example)()));
        (common.name.to_owned(), RefOr::T(response))
    })
}

/// Adds to `operation` the answers that it does not name itself, and to all of them what they have in
/// common.
pub(super) fn complete(operation: &mut Operation, access: Access) {
    let responses = &mut operation.responses.responses;
    let callers = match access {
        Access::Open => &[][..],
        Access::Keyed(_) | Access::Metrics => &TO_CALLERS,
    };
    for (status, reference) in references(callers).chain(references(&TO_ALL)) {
        responses.entry(status).or_insert(reference);
    }
    let id = operation.operation_id.as_deref().unwrap_or_default();
    for (status, response) in responses {
        if let RefOr::T(response) = response {
            complete_response(status, response, examples::own(id, status).as_ref());
        }
    }
}

/// Headers, and the form of errors.
fn complete_response(status: &str, response: &mut Response, error: Option<&Error>) {
    for (name, header) in headers(status, error) {
        response.headers.entry(name.to_owned()).or_insert(header);
    }
    if status >= "400" && response.content.is_empty() {
        let problem = "application/problem+json".to_owned();
        response.content.insert(problem, problem_content(error));
    }
}

fn problem_content(error: Option<&Error>) -> Content {
    let reference = Ref::from_schema_name(Problem::name());
    let example = error.and_then(|error| serde_json::to_value(error.problem()).ok());
    let content = ContentBuilder::new().schema(Some(reference));
    content.example(example).build()
}

/// The headers of an answer of this status, with what they say in `error`.
fn headers(status: &str, error: Option<&Error>) -> Vec<(&'static str, Header)> {
    let id = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
        .build();
    let header = |schema: ObjectBuilder, description: &str| {
        let header = HeaderBuilder::new().schema(schema);
        header.description(Some(description)).build()
    };
    let mut headers = vec![(
        "X-Request-Id",
        HeaderBuilder::new()
            .schema(id)
            .description(Some("Names the request in the service's log."))
            .build(),
    )];
    if matches!(status, "429" | "503") {
        let seconds = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(0))
            .examples(error.and_then(Error::retry_after_seconds));
        let description = "In how many seconds to try again.";
        headers.push(("Retry-After", header(seconds, description)));
    }
    if status == "401" {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .examples(error.and_then(Error::challenge));
        let description = "`Bearer`, with `error=\"invalid_token\"` if there was a key (RFC 6750).";
        headers.push(("WWW-Authenticate", header(text, description)));
    }
    headers
}
