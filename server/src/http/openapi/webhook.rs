//! What the service sends by itself.

use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, Required, ResponseBuilder, ResponsesBuilder};

use crate::api::Submission;

const DESCRIPTION: &str = "\
A submission with a `callback` has its result posted to that URL, as `GET /v1/submissions/{id}` shows it at that moment. \
Any 2xx means that it has arrived; after anything else it is tried again, at growing intervals, for a day. `410 Gone` \
ends the attempts, `Retry-After` of a 429 or 503 is obeyed, redirects are not followed. The same result can arrive more \
than once: take its `id` as the key.";

/// The webhooks, by name.
pub(super) fn webhooks() -> BTreeMap<&'static str, PathItem> {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name(Submission::name())));
    let body = RequestBodyBuilder::new()
        .description(Some("The submission with its result."))
        .content("application/json", body.build())
        .required(Some(Required::True));
    let answers = ResponsesBuilder::new()
        .response(
            "2XX",
            ResponseBuilder::new().description("The receiver has it."),
        )
        .response(
            "410",
            ResponseBuilder::new().description("The receiver wants no more of this."),
        );
    let operation = OperationBuilder::new()
        .operation_id(Some("submissionFinished"))
        .tag("Submissions")
        .summary(Some("A submission has its result"))
        .description(Some(DESCRIPTION))
        .parameter(signature())
        .request_body(Some(body.build()))
        .responses(answers.build());
    BTreeMap::from([(
        "submissionFinished",
        PathItem::new(HttpMethod::Post, operation),
    )])
}

fn signature() -> ParameterBuilder {
    let description = "With a `secret_id`: the HMAC-SHA256 of `<unix time>.<body>` with that secret. There may be two `v1` \
        while a secret is replaced; one that is right will do.";
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^t=[0-9]+(,v1=[0-9a-f]{64})+$"));
    ParameterBuilder::new()
        .name("Brig-Signature")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
}
