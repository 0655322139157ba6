//! Who may make a request: keys in, [`Caller`] out.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{
    AUTHORIZATION, HOST, HeaderName, ORIGIN, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;

use super::app::App;
use super::error::{Error, Refusal};
use super::server::Peer;
use crate::auth::{Caller, Malformed, Presented, Scope, Visitor};

/// Middleware: lets a request in with its [`Caller`], or answers why not.
pub(super) async fn authenticate(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let presented = presented(headers);
    let key = presented.as_ref().and_then(|p| Some(p.as_ref().ok()?.id));
    let visitor = Visitor {
        host: text(headers, &HOST),
        origin: text(headers, &ORIGIN),
    };
    let caller = match app.keys.admit(presented, visitor).await {
        Ok(caller) => caller,
        Err(denied) => {
            app.metrics.denied(denied.label());
            let peer = request.extensions().get::<Peer>();
            app.intruders.note(&denied, key, peer.map(|peer| peer.0));
            return Error::from(denied).into_response();
        }
    };
    if let Some(id) = caller.owner() {
        tracing::Span::current().record("key", tracing::field::display(id));
    }
    request.extensions_mut().insert(caller.clone());
    let response = next.run(request).await;
    match response.extensions().get::<Refusal>() {
        Some(Refusal(reason)) => app.metrics.denied(reason),
        None => app.metrics.admitted(caller.label()),
    }
    response
}

/// `routes`, for callers with any of the scopes `needs`.
pub(super) fn needs<S: Clone + Send + Sync + 'static>(
    needs: &'static [Scope],
    routes: MethodRouter<S>,
) -> MethodRouter<S> {
    let check = move |caller: Result<Caller, Response>, request: Request, next: Next| async move {
        let allowed = caller.map(|caller| caller.require_any(needs));
        match allowed {
            Ok(Ok(())) => next.run(request).await,
            Ok(Err(denied)) => Error::from(denied).into_response(),
            Err(response) => response,
        }
    };
    routes.route_layer(from_fn(check))
}

/// The key that a request presents: in `Authorization`, or, as pages cannot set that for a
/// WebSocket, among the protocols that it offers.
fn presented(headers: &HeaderMap) -> Option<Result<Presented, Malformed>> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(Presented::from_authorization(value.as_bytes())),
        (Some(_), Some(_)) => Some(Err(Malformed)),
        (None, _) if headers.contains_key(UPGRADE) => {
            let mut values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
            values.find_map(|value| Presented::from_protocols(value.as_bytes()))
        }
        (None, _) => None,
    }
}

/// A header's text. What is no text is nobody's name, and must not pass for absent.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let value = |value: &'a HeaderValue| value.to_str().unwrap_or("\u{fffd}.");
    headers.get(name).map(value)
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| {
            tracing::error!("a route that needs a caller is not behind `authenticate`");
            Error::internal().into_response()
        })
    }
}
