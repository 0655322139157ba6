//! Permalinks: made, read, deleted.

mod http_support;

use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{Request, StatusCode};
use brig_server::auth::{Scope, Settings, Token};
use brig_server::http::App;
use brig_server::store;
use http_support::{Answer, app, get, send};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

fn document() -> Value {
    json!({
        "version": 1,
        "language": "python",
        "files": [
            {"path": "main.py", "content": "print(input())"},
            {"path": "data.bin", "content": "AAE=", "encoding": "base64"},
        ],
        "entry": "main.py",
        "stdin": "hello\n",
        "args": ["a b"],
        "env": {"K": "V"},
        "limits": {"cpu_time_ms": 1000},
        "output_files": ["*.png"],
        "mode": "terminal",
        "title": "Größe",
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut document = document();
    document[field] = value;
    document
}

async fn share_with(app: &Arc<App>, document: &Value, head: impl Fn(Builder) -> Builder) -> Answer {
    let request = head(Request::post("/v1/shares")).header("content-type", "application/json");
    send(app, request.body(document.to_string().into()).unwrap()).await
}

async fn share(app: &Arc<App>, document: &Value) -> Answer {
    share_with(app, document, |head| head).await
}

async fn delete(app: &Arc<App>, id: &str, header: Option<(&str, &str)>) -> StatusCode {
    let mut request = Request::delete(format!("/v1/shares/{id}"));
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    send(app, request.body(Body::empty()).unwrap()).await.status
}

fn text<'a>(answer: &'a Answer, field: &str) -> &'a str {
    answer.body[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} in {answer:?}"))
}

#[tokio::test]
async fn what_is_shared_comes_back() {
    let app = app(|_| {});
    let made = share(&app, &with("expires_in_s", json!(3600))).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let id = text(&made, "id");
    assert!(
        id.len() >= 17 && id.bytes().all(|b| b.is_ascii_alphanumeric()),
        "{id}"
    );
    assert_eq!(text(&made, "url"), format!("/s/{id}"));
    assert_eq!(made.header("location"), format!("/v1/shares/{id}"));
    let expires = OffsetDateTime::parse(text(&made, "expires_at"), &Rfc3339).unwrap();
    let left = expires - OffsetDateTime::now_utc();
    assert!(
        left > Duration::minutes(50) && left <= Duration::minutes(60),
        "{left}"
    );
    let read = get(&app, made.header("location")).await;
    assert_eq!(read.status, StatusCode::OK);
    assert_eq!(read.body, document());
    assert_eq!(read.header("content-type"), "application/json");
    assert_eq!(read.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn every_mistake_is_named() {
    let app = app(|_| {});
    let long = "x".repeat(201);
    for (document, pointer) in [
        (with("version", json!(2)), "/version"),
        (with("language", json!("klingon")), "/language"),
        (with("files", json!([])), "/files"),
        (
            with("files", json!([{"path": "../x", "content": ""}])),
            "/files/0/path",
        ),
        (
            with(
                "files",
                json!([{"path": "x", "content": "?", "encoding": "base64"}]),
            ),
            "/files/0/content",
        ),
        (
            with("limits", json!({"cpu_time_ms": 1_000_000_000})),
            "/limits/cpu_time_ms",
        ),
        (with("mode", json!("telepathy")), "/mode"),
        (with("title", json!(long)), "/title"),
        (with("title", json!("a\nb")), "/title"),
        (with("expires_in_s", json!(1)), "/expires_in_s"),
        (with("expires_in_s", json!(100_000_000)), "/expires_in_s"),
        (with("tests", json!([])), "/tests"),
    ] {
        let answer = share(&app, &document).await;
        assert_eq!(
            answer.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{document} {answer:?}"
        );
        assert_eq!(answer.pointers(), [pointer], "{answer:?}");
    }
    let answer = share(&app, &json!({"version": 1})).await;
    assert_eq!(answer.pointers(), ["/language"], "{answer:?}");
}

#[tokio::test]
async fn documents_are_bounded() {
    let app = app(|config| config.shares.max_share_bytes = 2000);
    let long = with("stdin", json!("x".repeat(2000)));
    let answer = share(&app, &long).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(text(&answer, "detail").contains("2000"), "{answer:?}");
    assert_eq!(share(&app, &document()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn an_operator_can_do_without() {
    let app = app(|config| config.shares.enabled = false);
    assert_eq!(share(&app, &document()).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn without_keys_a_word_deletes() {
    let app = app(|_| {});
    let (one, two) = (
        share(&app, &document()).await,
        share(&app, &document()).await,
    );
    let (id, token) = (text(&one, "id"), text(&one, "delete_token"));
    assert_ne!(
        id,
        text(&two, "id"),
        "whoever made one must not delete the other"
    );
    assert_eq!(delete(&app, id, None).await, StatusCode::BAD_REQUEST);
    let other = Some(("brig-delete-token", text(&two, "delete_token")));
    assert_eq!(delete(&app, id, other).await, StatusCode::NOT_FOUND);
    let own = Some(("brig-delete-token", token));
    assert_eq!(delete(&app, id, own).await, StatusCode::NO_CONTENT);
    assert_eq!(delete(&app, id, own).await, StatusCode::NOT_FOUND);
    assert_eq!(
        get(&app, one.header("location")).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        get(&app, two.header("location")).await.status,
        StatusCode::OK
    );
}

/// Makes a key with `scope`, and gives the header that presents it.
async fn key(app: &App, scope: Scope) -> String {
    let id = Uuid::now_v7();
    let token = Token::generate(id);
    let settings = Settings {
        scopes: [scope].into_iter().collect(),
        ..Settings::default()
    };
    let key = store::Key {
        id,
        hash: token.hash(),
        name: "test".to_owned(),
        settings: serde_json::to_vec(&settings).unwrap(),
        created_at: OffsetDateTime::now_utc(),
        revoked_at: None,
    };
    app.store.add_key(key).await.unwrap();
    app.keys.refresh().await.unwrap();
    format!("Bearer {}", token.reveal())
}

#[tokio::test]
async fn keys_own_what_they_share_and_anybody_reads_it() {
    let app = app(|_| {});
    let (own, other) = (key(&app, Scope::Run).await, key(&app, Scope::Run).await);
    let (judge, admin) = (key(&app, Scope::Judge).await, key(&app, Scope::Admin).await);
    let post = async |key: &str| {
        share_with(&app, &document(), |head| head.header("authorization", key)).await
    };
    assert_eq!(
        share(&app, &document()).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(post(&judge).await.status, StatusCode::FORBIDDEN);
    let made = post(&own).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert!(made.body.get("delete_token").is_none(), "{made:?}");
    let (again, others) = (post(&own).await, post(&other).await);
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(text(&again, "id"), text(&made, "id"));
    assert_ne!(text(&others, "id"), text(&made, "id"));

    let id = text(&made, "id");
    assert_eq!(
        get(&app, &format!("/v1/shares/{id}")).await.body,
        document()
    );
    let with = |key: &'static str, value| Some((key, value));
    assert_eq!(delete(&app, id, None).await, StatusCode::UNAUTHORIZED);
    let others_key = with("authorization", other.as_str());
    assert_eq!(delete(&app, id, others_key).await, StatusCode::NOT_FOUND);
    let own_key = with("authorization", own.as_str());
    assert_eq!(delete(&app, id, own_key).await, StatusCode::NO_CONTENT);
    let admins_key = with("authorization", admin.as_str());
    let id = text(&others, "id");
    assert_eq!(delete(&app, id, admins_key).await, StatusCode::NO_CONTENT);
    for id in [id, "nonsense", "a%00b"] {
        let path = format!("/v1/shares/{id}");
        assert_eq!(get(&app, &path).await.status, StatusCode::NOT_FOUND, "{id}");
    }
}
