//! All routes.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use utoipa_axum::routes;

use super::access::{authenticate, needs};
use super::app::App;
use super::error::Error;
use super::route::{Access, Route};
use super::{
    blobs, catalog, docs, events, live, middleware, ops, pages, runs, shares, submissions,
};
use crate::auth::Scope::{Judge, Read, Run};
use crate::web;

/// Every route of the API, and so every one that its description has. Method and path are with the
/// handler. Routes are `keyed` unless there is a reason to leave them open.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::keyed(&[Run], routes!(runs::create)),
        Route::keyed(&[Run], routes!(live::open)),
        Route::keyed(&[Judge], routes!(submissions::create)),
        Route::keyed(&[Judge, Read], routes!(submissions::list)),
        Route::keyed(&[Judge], routes!(submissions::batch)),
        Route::keyed(&[Judge, Read], routes!(submissions::show)),
        Route::keyed(&[Judge], routes!(submissions::cancel)),
        Route::keyed(&[Judge, Read], routes!(events::follow)),
        Route::keyed(&[Judge], routes!(blobs::create)),
        Route::keyed(&[Judge], routes!(blobs::put)),
        Route::keyed(&[Judge], routes!(blobs::get)),
        Route::keyed(&[Judge], routes!(blobs::head)),
        Route::keyed(&[Judge], routes!(blobs::delete)),
        Route::keyed(&[Run], routes!(shares::create)),
        Route::open(routes!(shares::show)),
        Route::keyed(&[Run], routes!(shares::delete)),
        Route::keyed(&[], routes!(catalog::languages)),
        Route::keyed(&[], routes!(catalog::language)),
        Route::keyed(&[], routes!(catalog::policies)),
        Route::keyed(&[], routes!(ops::info)),
        Route::keyed(&[], routes!(ops::stats)),
        Route::open(routes!(ops::healthz)),
        Route::open(routes!(ops::readyz)),
        Route::metrics(routes!(ops::metrics)),
        Route::open(routes!(docs::openapi)),
        Route::open(routes!(docs::page)),
        Route::open(routes!(docs::asset)),
    ]
}

/// The whole HTTP service.
pub fn router(app: Arc<App>) -> Router {
    let authenticated = from_fn_with_state(Arc::clone(&app), authenticate);
    let mut router = Router::new();
    for Route { access, documented } in routes() {
        let (_, paths, methods) = documented;
        let scopes = match access {
            Access::Open => None,
            Access::Keyed(scopes) => Some(scopes),
            Access::Metrics => app.config.config.auth.metrics_key.then_some(&[Read][..]),
        };
        // A caller is made before what it may do is looked at: the last layer is the first to be met.
        let methods = match scopes {
            None => methods,
            Some([]) => methods.route_layer(authenticated.clone()),
            Some(scopes) => needs(scopes, methods).route_layer(authenticated.clone()),
        };
        for path in paths.paths.keys() {
            router = router.route(path, methods.clone());
        }
    }
    let router = router
        .merge(pages::routes(web::FILES, &app.config.config.web))
        .method_not_allowed_fallback(async || Error::method_not_allowed())
        .fallback(async || Error::not_found("there is nothing at this path"))
        .with_state(Arc::clone(&app));
    middleware::apply(router, app)
}
