//! Pages of sites that the operator named: they can send and read whatever the API's description has.

mod http_support;

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use brig_server::http::document;
use http_support::{TestApp, app, get, send};
use serde_json::Value;

const SITE: &str = "https://judge.example";

fn with_site() -> TestApp {
    app(|config| config.http.cors_origins = vec![SITE.to_owned()])
}

/// Every operation with its method and path.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let operations = item.as_object().unwrap();
        operations
            .iter()
            .map(|(method, operation)| (method.as_str(), path.as_str(), operation))
    })
}

/// Names in a list in a header, in small letters.
fn names(list: &str) -> BTreeSet<String> {
    list.split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .collect()
}

/// Of the handshake of a WebSocket, which is not fetched (Fetch standard, "forbidden request-header").
fn of_the_handshake(name: &str) -> bool {
    matches!(name, "upgrade" | "connection") || name.starts_with("sec-websocket-")
}

#[tokio::test]
async fn every_described_header_of_a_request_may_be_sent() {
    let app = with_site();
    let document: Value = serde_json::from_str(&document()).unwrap();
    let mut asked = 0;
    for (method, path, operation) in operations(&document) {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let headers = parameters.filter(|p| p["in"] == "header");
        let headers = headers.map(|p| p["name"].as_str().unwrap().to_ascii_lowercase());
        let mut headers: BTreeSet<_> = headers.filter(|name| !of_the_handshake(name)).collect();
        headers.insert("authorization".to_owned());
        let list: Vec<_> = headers.iter().map(String::as_str).collect();
        let request = Request::options(path)
            .header("origin", SITE)
            .header("access-control-request-method", method.to_uppercase())
            .header("access-control-request-headers", list.join(","));
        let answer = send(&app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{method} {path}");
        let allowed = names(answer.header("access-control-allow-headers"));
        assert!(headers.is_subset(&allowed), "{method} {path}: {headers:?}");
        let methods = names(answer.header("access-control-allow-methods"));
        // These need no leave.
        let simple = matches!(method, "get" | "head" | "post");
        assert!(simple || methods.contains(method), "{method} {path}");
        asked += headers.len();
    }
    assert!(asked > 30, "{asked}");
}

#[tokio::test]
async fn every_described_header_of_an_answer_can_be_read() {
    let app = with_site();
    let document: Value = serde_json::from_str(&document()).unwrap();
    let mut described = BTreeSet::new();
    for (_, _, operation) in operations(&document) {
        for response in operation["responses"].as_object().unwrap().values() {
            let reference = response["$ref"].as_str();
            let response = reference.map_or(response, |name| document.pointer(&name[1..]).unwrap());
            let headers = response["headers"].as_object().into_iter().flatten();
            described.extend(headers.map(|(name, _)| name.to_ascii_lowercase()));
        }
    }
    described.retain(|name| !of_the_handshake(name) && name != "content-length");
    // Where a method is not known.
    described.insert("allow".to_owned());
    let request = Request::get("/v1/info").header("origin", SITE);
    let answer = send(&app, request.body(Body::empty()).unwrap()).await;
    let exposed = names(answer.header("access-control-expose-headers"));
    assert!(described.len() > 5, "{described:?}");
    let hidden: Vec<_> = described.difference(&exposed).collect();
    assert!(hidden.is_empty(), "{hidden:?}");
}

#[tokio::test]
async fn nobody_else_is_told_anything() {
    for app in [with_site(), app(|_| {})] {
        for path in ["/v1/runs", "/v1/shares/x"] {
            let request = Request::options(path)
                .header("origin", "https://evil.example")
                .header("access-control-request-method", "DELETE");
            let answer = send(&app, request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.header("access-control-allow-origin"), "");
        }
        let answer = get(&app, "/healthz").await;
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}
