//! `GET /v1/languages`, `/v1/languages/{id}` and `/v1/policies`.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};

use super::app::App;
use super::error::Error;
use crate::api::{LanguageEntry, PolicyEntry};
use crate::language::{Availability, Language};

/// List the languages.
#[utoipa::path(
    get,
    path = "/v1/languages",
    tag = "Catalog",
    operation_id = "listLanguages",
    responses((status = 200, description = "All languages, also those whose tools are missing.", body = Vec<LanguageEntry>))
)]
pub(super) async fn languages(State(app): State<Arc<App>>) -> Json<Vec<LanguageEntry>> {
    Json(
        app.catalog()
            .languages
            .all()
            .iter()
            .map(|language| entry(language))
            .collect(),
    )
}

/// Show a language.
#[utoipa::path(
    get,
    path = "/v1/languages/{id}",
    tag = "Catalog",
    operation_id = "showLanguage",
    params(("id" = String, Path, description = "Its id or an alias, optionally `id@version`.", example = "python")),
    responses(
        (status = 200, description = "The language.", body = LanguageEntry),
        (status = 404, description = "There is no such language."),
    )
)]
pub(super) async fn language(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<LanguageEntry>, Error> {
    let Path(id) = id.map_err(|_| unknown())?;
    let language = app.catalog().languages.find(&id).map_err(|_| unknown())?;
    Ok(Json(entry(&language)))
}

pub(super) fn unknown() -> Error {
    Error::not_found("there is no such language; GET /v1/languages lists them")
}

fn entry(language: &Language) -> LanguageEntry {
    // Until somebody has looked, the profile's word is taken.
    let (available, version, unavailable_reason) = match language.availability() {
        Availability::Unknown => (true, None, None),
        Availability::Available { version } => (true, Some(version), None),
        Availability::Unavailable { reason } => (false, None, Some(reason)),
    };
    let compiled = language.is_compiled();
    LanguageEntry {
        id: language.id.clone(),
        name: language.name.clone(),
        aliases: language.aliases.clone(),
        version,
        available,
        unavailable_reason,
        source_name: language.source_name.clone(),
        extensions: language.extensions.clone(),
        compiled,
        default_limits: language.run_defaults(),
        max_limits: language.run_maxima(),
        compile_default_limits: compiled.then(|| language.compile_defaults()),
        compile_max_limits: compiled.then(|| language.compile_maxima()),
        example: language.example.clone(),
    }
}

/// List the policies.
#[utoipa::path(
    get,
    path = "/v1/policies",
    tag = "Catalog",
    operation_id = "listPolicies",
    responses((status = 200, description = "What a sandbox can be asked to allow.", body = Vec<PolicyEntry>))
)]
pub(super) async fn policies(State(app): State<Arc<App>>) -> Json<Vec<PolicyEntry>> {
    let catalog = app.catalog();
    let entries = catalog.policies.values().map(|policy| PolicyEntry {
        name: policy.name.clone(),
        description: policy.description.clone(),
        proc: policy.proc,
    });
    Json(entries.collect())
}
