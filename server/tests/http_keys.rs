//! Who is let in, to do what, and how often; with workers that follow a script.

mod http_support;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{Request, StatusCode};
use brig_sandbox::limits::LimitsPatch;
use brig_server::auth::{KeyLimits, RateLimit, Scope, Settings, Token};
use brig_server::config::Config;
use brig_server::http::App;
use brig_server::store;
use http_support::{Answer, FakeWorker, TestApp, app, get, post, program, send, until};
use time::OffsetDateTime;
use uuid::Uuid;

fn may(scopes: &[Scope]) -> Settings {
    Settings {
        scopes: scopes.iter().copied().collect(),
        ..Settings::default()
    }
}

/// Makes a key, as another process would.
async fn make(app: &App, settings: &Settings) -> (Uuid, String) {
    let id = Uuid::now_v7();
    let token = Token::generate(id);
    let key = store::Key {
        id,
        hash: token.hash(),
        name: "test".to_owned(),
        settings: serde_json::to_vec(settings).unwrap(),
        created_at: OffsetDateTime::now_utc(),
        revoked_at: None,
    };
    app.store.add_key(key).await.unwrap();
    (id, token.reveal())
}

/// A service with one key.
async fn keyed(settings: &Settings) -> (TestApp, Uuid, String) {
    let app = app(|_| {});
    let (id, token) = make(&app, settings).await;
    app.keys.refresh().await.unwrap();
    (app, id, token)
}

fn bearer(request: Builder, token: &str) -> Builder {
    request.header("authorization", format!("Bearer {token}"))
}

async fn get_with(app: &Arc<App>, path: &str, token: &str) -> Answer {
    let request = bearer(Request::get(path), token);
    send(app, request.body(Body::empty()).unwrap()).await
}

async fn run_with(app: &Arc<App>, token: &str, body: String) -> Answer {
    let request = bearer(Request::post("/v1/runs"), token);
    let request = request.header("content-type", "application/json");
    send(app, request.body(body.into()).unwrap()).await
}

fn assert_problem(answer: &Answer, status: StatusCode, words: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains(words), "{detail:?} lacks {words:?}");
}

#[tokio::test]
async fn without_keys_anybody_on_loopback_may_do_everything() {
    let app = app(|_| {});
    FakeWorker::serve(&app, 0, |worker, job| worker.print(job, "hello"));
    assert_eq!(post(&app, program()).await.status, StatusCode::OK);
    let info = get(&app, "/v1/info").await;
    assert_eq!(info.body["auth"]["key_required"], false);
    assert_eq!(info.body["auth"]["insecure_no_keys"], false);
}

#[tokio::test]
async fn with_keys_a_request_needs_one_but_health_does_not() {
    let (app, _, token) = keyed(&may(&[Scope::Run])).await;
    for path in [
        "/v1/languages",
        "/v1/languages/c",
        "/v1/policies",
        "/v1/info",
    ] {
        let answer = get(&app, path).await;
        assert_problem(&answer, StatusCode::UNAUTHORIZED, "Authorization: Bearer");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert_eq!(get_with(&app, path, &token).await.status, StatusCode::OK);
    }
    assert_eq!(post(&app, program()).await.status, StatusCode::UNAUTHORIZED);
    for path in ["/healthz", "/metrics"] {
        assert_eq!(get(&app, path).await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(
        get(&app, "/readyz").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(get(&app, "/nothing").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_unknown_key_and_a_wrong_secret_get_the_same_answer() {
    let (app, id, _) = keyed(&may(&[Scope::Run])).await;
    let mut answers = Vec::new();
    for id in [id, Uuid::now_v7()] {
        let answer = get_with(&app, "/v1/info", &Token::generate(id).reveal()).await;
        assert_problem(&answer, StatusCode::UNAUTHORIZED, "this key is not known");
        assert!(answer.header("www-authenticate").starts_with("Bearer "));
        let mut headers = answer.headers.clone();
        headers.remove("x-request-id");
        answers.push((headers, answer.body));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn what_is_no_key_is_refused_whatever_it_is() {
    let (app, _, token) = keyed(&may(&[Scope::Run])).await;
    let long = format!("Bearer brig_{}", "a".repeat(10_000));
    let values: [&[u8]; 6] = [
        b"",
        b"Bearer",
        b"Basic dXNlcjpwYXNz",
        b"Bearer brig__",
        b"Bearer \xff\xfe",
        long.as_bytes(),
    ];
    for value in values {
        let request = Request::get("/v1/info").header("authorization", value);
        let answer = send(&app, request.body(Body::empty()).unwrap()).await;
        assert_problem(&answer, StatusCode::UNAUTHORIZED, "not a key of Brig's");
    }
    let twice = bearer(bearer(Request::get("/v1/info"), &token), &token);
    let answer = send(&app, twice.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let (app, _, token) = keyed(&may(&[Scope::Judge, Scope::Read])).await;
    let answer = run_with(&app, &token, program()).await;
    assert_problem(
        &answer,
        StatusCode::FORBIDDEN,
        "the scope run; this one has judge,read",
    );
    assert!(
        answer
            .header("www-authenticate")
            .contains("insufficient_scope")
    );
    let (_, admin) = make(&app, &may(&[Scope::Admin])).await;
    FakeWorker::serve(&app, 0, |worker, job| worker.print(job, "hello"));
    let answer = run_with(&app, &admin, program()).await;
    assert_eq!(answer.status, StatusCode::OK, "admin includes the others");
}

#[tokio::test]
async fn a_revoked_or_expired_key_says_so_to_its_holder_only() {
    let past = Settings {
        expires_at: Some(OffsetDateTime::now_utc() - Duration::from_secs(1)),
        ..may(&[Scope::Run])
    };
    let (app, expired_id, expired) = keyed(&past).await;
    let (id, revoked) = make(&app, &may(&[Scope::Run])).await;
    assert_eq!(
        get_with(&app, "/v1/info", &revoked).await.status,
        StatusCode::OK
    );
    app.store
        .revoke_key(id, OffsetDateTime::now_utc())
        .await
        .unwrap();
    app.keys.refresh().await.unwrap();
    for (token, words) in [(expired, "expired"), (revoked, "revoked")] {
        let answer = get_with(&app, "/v1/info", &token).await;
        assert_problem(&answer, StatusCode::UNAUTHORIZED, words);
    }
    for id in [expired_id, id] {
        let guess = Token::generate(id).reveal();
        let answer = get_with(&app, "/v1/info", &guess).await;
        assert_problem(&answer, StatusCode::UNAUTHORIZED, "not known");
    }
    let anonymous = get(&app, "/v1/info").await;
    assert_eq!(
        anonymous.status,
        StatusCode::UNAUTHORIZED,
        "revoking opens nothing"
    );
}

#[tokio::test]
async fn the_first_key_and_every_other_new_one_work_at_once() {
    let app = app(|_| {});
    assert_eq!(get(&app, "/v1/info").await.status, StatusCode::OK);
    for _ in 0..3 {
        let (_, token) = make(&app, &may(&[Scope::Run])).await;
        let answer = get_with(&app, "/v1/info", &token).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    assert_eq!(get(&app, "/v1/info").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_key_whose_settings_are_not_understood_is_of_no_use() {
    let (app, _, _) = keyed(&may(&[Scope::Run])).await;
    let id = Uuid::now_v7();
    let token = Token::generate(id);
    let key = store::Key {
        id,
        hash: token.hash(),
        name: "newer".to_owned(),
        settings: br#"{"scopes": ["run"], "networks": ["10.0.0.0/8"]}"#.to_vec(),
        created_at: OffsetDateTime::now_utc(),
        revoked_at: None,
    };
    app.store.add_key(key).await.unwrap();
    app.keys.refresh().await.unwrap();
    let answer = get_with(&app, "/v1/info", &token.reveal()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

fn rate(per_second: &str, burst: u32) -> RateLimit {
    RateLimit {
        per_second: per_second.parse().unwrap(),
        burst: burst.try_into().unwrap(),
    }
}

#[tokio::test]
async fn a_key_over_its_rate_is_told_when_to_come_again() {
    let settings = Settings {
        rate: Some(rate("1/min", 2)),
        ..may(&[Scope::Run])
    };
    let (app, _, token) = keyed(&settings).await;
    let (_, other) = make(&app, &settings).await;
    for _ in 0..2 {
        assert_eq!(
            get_with(&app, "/v1/info", &token).await.status,
            StatusCode::OK
        );
    }
    let answer = get_with(&app, "/v1/info", &token).await;
    assert_problem(
        &answer,
        StatusCode::TOO_MANY_REQUESTS,
        "more requests than it may",
    );
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((50..=60).contains(&wait), "{wait}");
    app.keys.refresh().await.unwrap();
    let again = get_with(&app, "/v1/info", &token).await;
    assert_eq!(
        again.status,
        StatusCode::TOO_MANY_REQUESTS,
        "reading keys again fills no bucket"
    );
    assert_eq!(
        get_with(&app, "/v1/info", &other).await.status,
        StatusCode::OK
    );
    assert_eq!(get(&app, "/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_key_that_waits_as_told_is_let_in() {
    let settings = Settings {
        rate: Some(rate("2/s", 1)),
        ..may(&[Scope::Run])
    };
    let (app, _, token) = keyed(&settings).await;
    assert_eq!(
        get_with(&app, "/v1/info", &token).await.status,
        StatusCode::OK
    );
    let answer = get_with(&app, "/v1/info", &token).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    let wait = answer.header("retry-after").parse().unwrap();
    assert_eq!(wait, 1, "half a second, in whole ones");
    tokio::time::sleep(Duration::from_secs(wait)).await;
    assert_eq!(
        get_with(&app, "/v1/info", &token).await.status,
        StatusCode::OK
    );
}

/// A service with a key for one run at a time.
async fn one_at_a_time() -> (TestApp, String) {
    let settings = Settings {
        concurrency: Some(1.try_into().unwrap()),
        ..may(&[Scope::Run])
    };
    let (app, _, token) = keyed(&settings).await;
    (app, token)
}

fn spawn_run(app: &Arc<App>, token: &str) -> tokio::task::JoinHandle<Answer> {
    let (app, token) = (Arc::clone(app), token.to_owned());
    tokio::spawn(async move { run_with(&app, &token, program()).await })
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_in_progress_are_bounded_and_end_with_their_answer() {
    let (app, token) = one_at_a_time().await;
    let (go, gone) = std::sync::mpsc::channel::<()>();
    FakeWorker::serve(&app, 0, move |worker, job| {
        let _ = gone.recv();
        worker.print(job, "hello");
    });
    let first = spawn_run(&app, &token);
    until("the run is running", || app.pool.stats().running == 1).await;
    let second = run_with(&app, &token, program()).await;
    assert_problem(
        &second,
        StatusCode::TOO_MANY_REQUESTS,
        "has 1 runs in progress",
    );
    assert_eq!(second.header("retry-after"), "1");
    let other = get_with(&app, "/v1/info", &token).await;
    assert_eq!(other.status, StatusCode::OK);
    drop(go);
    assert_eq!(first.await.unwrap().status, StatusCode::OK);
    let third = run_with(&app, &token, program()).await;
    assert_eq!(third.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_frees_its_place() {
    let (app, token) = one_at_a_time().await;
    let first = spawn_run(&app, &token);
    // It waits for a worker, and there is none yet.
    until("the run waits", || app.pool.stats().queued == 1).await;
    let second = run_with(&app, &token, program()).await;
    assert_eq!(second.status, StatusCode::TOO_MANY_REQUESTS);
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    FakeWorker::serve(&app, 0, |worker, job| worker.print(job, "hello"));
    let third = run_with(&app, &token, program()).await;
    assert_eq!(third.status, StatusCode::OK);
}

#[tokio::test]
async fn a_limit_above_the_keys_maximum_names_it() {
    let settings = Settings {
        maxima: KeyLimits {
            run: LimitsPatch {
                cpu_time_ms: Some(500),
                ..LimitsPatch::default()
            },
            compile: LimitsPatch {
                memory_bytes: Some(1 << 20),
                ..LimitsPatch::default()
            },
        },
        ..may(&[Scope::Run])
    };
    let (app, _, token) = keyed(&settings).await;
    let body = r#"{"language": "c", "source": "x", "limits": {"cpu_time_ms": 501}, "compile_limits": {"memory_bytes": 1048577}}"#;
    let answer = run_with(&app, &token, body.to_owned()).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        answer.pointers(),
        ["/compile_limits/memory_bytes", "/limits/cpu_time_ms"]
    );
    let detail = answer.body["errors"][1]["detail"].as_str().unwrap();
    assert_eq!(detail, "501 is above the maximum of 500 of this key");

    FakeWorker::serve(&app, 0, |worker, job| {
        assert_eq!(job.job.limits.cpu_time_ms, 500);
        worker.print(job, "hello");
    });
    let answer = run_with(&app, &token, program()).await;
    assert_eq!(
        answer.body["run"]["limits"]["cpu_time_ms"], 500,
        "the default is lowered"
    );
}

#[tokio::test]
async fn pages_of_other_sites_need_a_key() {
    let app = app(|_| {});
    let from = async |host: &str, origin: &str| {
        let request = Request::get("/v1/info").header("host", host);
        let request = request.header("origin", origin);
        send(&app, request.body(Body::empty()).unwrap()).await
    };
    let own = from("127.0.0.1:8080", "http://127.0.0.1:8080").await;
    assert_eq!(own.status, StatusCode::OK);
    let other = from("127.0.0.1:8080", "https://evil.example").await;
    assert_problem(&other, StatusCode::FORBIDDEN, "https://evil.example");
    let rebound = from("evil.example:8080", "http://evil.example:8080").await;
    assert_problem(&rebound, StatusCode::FORBIDDEN, "brig keys create");
    let (_, token) = make(&app, &may(&[Scope::Run])).await;
    app.keys.refresh().await.unwrap();
    let request = bearer(Request::get("/v1/info"), &token).header("origin", "https://evil.example");
    let keyed = send(&app, request.body(Body::empty()).unwrap()).await;
    assert_eq!(keyed.status, StatusCode::OK);
}

#[tokio::test]
async fn listed_origins_may_send_a_key() {
    let app = app(|config| config.http.cors_origins = vec!["https://judge.example".to_owned()]);
    make(&app, &may(&[Scope::Run])).await;
    let request = Request::options("/v1/runs")
        .header("origin", "https://judge.example")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        );
    let answer = send(&app, request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(
        answer
            .header("access-control-allow-headers")
            .contains("authorization")
    );
    let refused = Request::get("/v1/info").header("origin", "https://judge.example");
    let answer = send(&app, refused.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!(allowed, "https://judge.example", "the page can read why");
}

#[tokio::test]
async fn an_open_address_needs_keys_or_the_operators_word() {
    let open = |config: &mut Config| config.listen = "0.0.0.0:8080".parse().unwrap();
    let closed = app(open);
    assert_eq!(
        get(&closed, "/v1/info").await.status,
        StatusCode::UNAUTHORIZED
    );
    let insecure = app(|config| {
        open(config);
        config.auth.insecure_no_keys = true;
    });
    let info = get(&insecure, "/v1/info").await;
    assert_eq!(info.body["auth"]["insecure_no_keys"], true);
    let metrics = get(&insecure, "/metrics").await;
    assert!(
        metrics
            .body
            .as_str()
            .unwrap()
            .contains("brig_insecure_no_keys 1")
    );
    make(&insecure, &may(&[Scope::Run])).await;
    insecure.keys.refresh().await.unwrap();
    assert_eq!(
        get(&insecure, "/v1/info").await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn metrics_count_who_came_and_need_a_key_where_wanted() {
    let app = app(|config| config.auth.metrics_key = true);
    let (id, reader) = make(&app, &may(&[Scope::Read])).await;
    let (_, runner) = make(&app, &may(&[Scope::Run])).await;
    app.keys.refresh().await.unwrap();
    assert_eq!(get(&app, "/metrics").await.status, StatusCode::UNAUTHORIZED);
    let forbidden = get_with(&app, "/metrics", &runner).await;
    assert_eq!(forbidden.status, StatusCode::FORBIDDEN);
    get_with(&app, "/v1/info", &reader).await;
    let metrics = get_with(&app, "/metrics", &reader).await;
    let text = metrics.body.as_str().unwrap();
    for line in [
        r#"brig_auth_total{result="missing"} 1"#,
        r#"brig_auth_total{result="scope"} 1"#,
        r#"brig_auth_total{result="ok"} 1"#,
        &format!(r#"brig_key_requests_total{{key="{id}"}} 1"#),
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in {text}");
    }
    assert!(!text.contains("test"), "no names");
}

#[tokio::test]
async fn a_websocket_may_carry_its_key_among_its_protocols() {
    let (app, _, token) = keyed(&may(&[Scope::Run])).await;
    let request = |upgrade: bool| {
        let offers = format!("brig.v1, brig.bearer.{token}");
        let request = Request::get("/v1/info").header("sec-websocket-protocol", offers);
        let request = if upgrade {
            request.header("upgrade", "websocket")
        } else {
            request
        };
        request.body(Body::empty()).unwrap()
    };
    assert_eq!(send(&app, request(true)).await.status, StatusCode::OK);
    assert_eq!(
        send(&app, request(false)).await.status,
        StatusCode::UNAUTHORIZED
    );
}
