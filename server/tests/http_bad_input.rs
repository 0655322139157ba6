//! Everything that can be wrong with a request, and what it is answered.

mod http_support;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_support::{Answer, app, get, post, send};
use serde_json::json;

/// The answer to a body that is JSON but not a valid run.
async fn invalid(body: serde_json::Value) -> Answer {
    let answer = post(&app(|_| {}), body.to_string()).await;
    assert_eq!(
        answer.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{answer:?}"
    );
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.body["status"], 422);
    for member in ["type", "title", "detail"] {
        assert!(answer.body[member].is_string(), "{answer:?}");
    }
    answer
}

async fn pointers(body: serde_json::Value) -> Vec<String> {
    invalid(body)
        .await
        .pointers()
        .into_iter()
        .map(str::to_owned)
        .collect()
}

fn python(more: serde_json::Value) -> serde_json::Value {
    let mut body = json!({"language": "python", "source": "print(1)"});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[tokio::test]
async fn what_is_not_json_is_a_400() {
    let app = app(|_| {});
    let deep = "[".repeat(10_000);
    for body in [
        "",
        "nonsense",
        "{",
        r#"{"language": "c"} {}"#,
        "{\"a\": \u{7f}\u{0}}",
        &deep,
    ] {
        let answer = post(&app, body.to_owned()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    let nested = format!(
        r#"{{"language": "python", "env": {}"#,
        "{\"a\":".repeat(10_000)
    );
    assert_eq!(post(&app, nested).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        post(&app, &b"{\"language\": \"\xff\"}"[..]).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn another_content_type_is_a_415() {
    let app = app(|_| {});
    for kind in [
        None,
        Some("text/plain"),
        Some("multipart/form-data; boundary=x"),
    ] {
        let mut request = Request::post("/v1/runs");
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let answer = send(&app, request.body(Body::from("{}")).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}

#[tokio::test]
async fn a_long_body_is_a_413_whether_it_says_so_or_not() {
    let app = app(|config| config.http.max_body_bytes = 1000);
    let body = "x".repeat(1001);
    let told = Request::post("/v1/runs")
        .header("content-type", "application/json")
        .header("content-length", "1001");
    let answer = send(&app, told.body(Body::from(body.clone())).unwrap()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.body["detail"].as_str().unwrap().contains("1000"));
    let answer = post(&app, body).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn memory_for_bodies_is_bounded_and_given_back() {
    let app = app(|config| {
        config.http.max_body_bytes = 10 << 10;
        config.http.max_bodies_bytes = 15 << 10;
    });
    let share = app.clone();
    let pending = tokio::spawn(async move {
        let never = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
        post(&share, Body::from_stream(never)).await
    });
    while app.pool.stats().queued == 0 && !pending.is_finished() {
        let answer = post(
            &app,
            Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>("{}")])),
        )
        .await;
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            break;
        }
        tokio::task::yield_now().await;
    }
    pending.abort();
    let _ = pending.await;
    let again = post(
        &app,
        Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>("{}")])),
    )
    .await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn nothing_at_a_path_is_a_404_and_a_wrong_method_a_405() {
    let app = app(|_| {});
    for path in [
        "/nothing",
        "/v1",
        "/v1/runs/x",
        "/v1/languages/nonsense",
        "/v1/languages/%ff",
        "//etc",
    ] {
        let answer = get(&app, path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    let answer = get(&app, "/v1/runs").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("allow"), "POST");
}

#[tokio::test]
async fn every_answer_has_an_id_and_the_security_headers() {
    let app = app(|_| {});
    for path in ["/healthz", "/nothing", "/v1/runs"] {
        let answer = get(&app, path).await;
        assert_eq!(answer.header("x-request-id").len(), 36);
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn other_sites_are_let_in_by_name_only() {
    let app = app(|config| config.http.cors_origins = vec!["https://judge.example".to_owned()]);
    for (origin, allowed) in [
        ("https://judge.example", "https://judge.example"),
        ("https://evil.example", ""),
    ] {
        let request = Request::get("/healthz").header("origin", origin);
        let answer = send(&app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
    }
}

#[tokio::test]
async fn wrong_types_and_unknown_fields_are_named_all_at_once() {
    let found = pointers(python(json!({
        "stdin": 5, "args": ["a", 1], "env": {"A": null}, "files": [{"path": "x"}], "colour": 1,
        "limits": {"cpu_time_ms": "1", "memory": 1, "cpus": -1}, "compile_limits": []
    })));
    let mut found = found.await;
    found.sort();
    let expected = [
        "/args/1",
        "/colour",
        "/compile_limits",
        "/env/A",
        "/files/0/content",
        "/limits/cpu_time_ms",
        "/limits/cpus",
        "/limits/memory",
        "/stdin",
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn what_is_wrong_in_type_and_in_value_is_named_together() {
    let body = json!({"language": "python", "source": "", "args": [1], "limits": {"cpu_time_ms": 1_u64 << 60}});
    assert_eq!(pointers(body).await, ["/args/0", "/limits/cpu_time_ms"]);
}

#[tokio::test]
async fn limits_are_at_least_1_and_at_most_their_maximum() {
    for value in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!("1"),
        json!(1e300),
        json!(u64::MAX),
    ] {
        for name in [
            "cpu_time_ms",
            "wall_time_ms",
            "memory_bytes",
            "stack_bytes",
            "processes",
            "open_files",
            "file_size_bytes",
            "disk_bytes",
            "disk_inodes",
            "output_bytes",
        ] {
            let found = pointers(python(json!({"limits": {name: value}}))).await;
            assert_eq!(found, [format!("/limits/{name}")]);
        }
    }
    for value in [json!(0), json!(-0.5), json!(0.001), json!(1e9), json!("1")] {
        assert_eq!(
            pointers(python(json!({"limits": {"cpus": value}}))).await,
            ["/limits/cpus"]
        );
    }
    let answer = invalid(python(json!({"limits": {"open_files": 1001}}))).await;
    assert!(
        answer.body["errors"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("1000")
    );
    let answer = invalid(
        json!({"language": "cpp", "source": "", "compile_limits": {"cpu_time_ms": 1_u64 << 40}}),
    );
    assert_eq!(answer.await.pointers(), ["/compile_limits/cpu_time_ms"]);
}

#[tokio::test]
async fn unknown_languages_and_policies_are_told_what_there_is() {
    let answer = invalid(json!({"language": "pyhton", "source": ""})).await;
    assert_eq!(answer.pointers(), ["/language"]);
    let detail = answer.body["errors"][0]["detail"].as_str().unwrap();
    assert!(
        detail.contains("did you mean \"python\"?") && detail.contains("cpp"),
        "{detail}"
    );
    let answer = invalid(json!({"language": "x".repeat(100_000), "source": ""})).await;
    assert!(answer.body.to_string().len() < 5_000);
    let answer = invalid(python(json!({"policy": "none"}))).await;
    assert_eq!(answer.pointers(), ["/policy"]);
    assert!(answer.body["detail"].as_str().unwrap().contains("strict"));
}

#[tokio::test]
async fn bad_paths_are_named() {
    let long = "a".repeat(256);
    let deep = vec!["d"; 10_000].join("/");
    for path in [
        "",
        "/etc/passwd",
        "..",
        "a/../b",
        "./a",
        "a//b",
        "a/",
        "a\0b",
        &long,
        &deep,
    ] {
        let body = python(json!({"files": [{"path": path, "content": ""}]}));
        assert_eq!(pointers(body).await, ["/files/0/path"], "{path:?}");
        let body = python(json!({"entry": path}));
        assert_eq!(pointers(body).await, ["/entry"], "{path:?}");
        if !path.is_empty() {
            let body = python(json!({"output_files": [path]}));
            assert_eq!(pointers(body).await, ["/output_files/0"], "{path:?}");
        }
    }
    assert_eq!(
        pointers(python(json!({"output_files": ["a[", "{b"]}))).await,
        ["/output_files/0", "/output_files/1"]
    );
}

#[tokio::test]
async fn files_in_each_others_way_are_named() {
    let file = |path: &str| json!({"path": path, "content": ""});
    let body = python(json!({"files": [file("a"), file("b"), file("a"), file("b/c")]}));
    assert_eq!(pointers(body).await, ["/files/2/path", "/files/3/path"]);
    let body = json!({"language": "python", "source": "", "files": [file("main.py")]});
    assert_eq!(pointers(body).await, ["/files/0/path"]);
    let many: Vec<_> = (0..1001).map(|i| file(&i.to_string())).collect();
    assert_eq!(pointers(python(json!({"files": many}))).await, ["/files"]);
}

#[tokio::test]
async fn files_that_do_not_fit_the_disk_are_the_requests_fault() {
    let body = python(json!({"stdin": "", "limits": {"disk_bytes": 4096},
        "files": [{"path": "a", "content": "x".repeat(4097)}]}));
    assert_eq!(pointers(body).await, ["/files"]);
}

#[tokio::test]
async fn bad_base64_is_named() {
    let body = json!({"language": "python", "source": "!!", "source_encoding": "base64", "stdin": "YQ",
        "stdin_encoding": "base64", "files": [{"path": "a", "content": "YQ==\n", "encoding": "base64"}]});
    assert_eq!(
        pointers(body).await,
        ["/files/0/content", "/source", "/stdin"]
    );
    let body = python(json!({"stdin_encoding": "latin-1"}));
    assert_eq!(pointers(body).await, ["/stdin_encoding"]);
}

#[tokio::test]
async fn arguments_and_environment_are_checked() {
    let body = python(json!({"args": ["a\0"], "env": {"": "x", "A=B": "x", "C": "\0", "D\0": ""}}));
    assert_eq!(pointers(body).await.len(), 5);
    let long = "x".repeat(200_000);
    assert_eq!(pointers(python(json!({"args": [long]}))).await, ["/args/0"]);
    let many = vec!["x".repeat(1000); 1000];
    assert_eq!(pointers(python(json!({"args": many}))).await, [""]);
}

#[tokio::test]
async fn something_to_run_is_required() {
    assert_eq!(pointers(json!({})).await, ["/language"]);
    assert_eq!(pointers(json!({"language": "python"})).await, ["/source"]);
    assert_eq!(
        pointers(json!({"language": "python", "source": 1})).await,
        ["/source"]
    );
    assert_eq!(pointers(json!([])).await, [""]);
    assert_eq!(pointers(json!(null)).await, [""]);
}

#[tokio::test]
async fn the_querys_encoding_is_checked() {
    let request =
        Request::post("/v1/runs?encoding=rot13").header("content-type", "application/json");
    let answer = send(&app(|_| {}), request.body(Body::from("{}")).unwrap()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.header("content-type"), "application/problem+json");
}
