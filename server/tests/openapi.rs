//! The API's description: that it is up to date, complete, and true.

mod http_support;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use brig_server::http::{App, document, router};
use http_support::{FakeWorker, app, get, send};
use serde_json::{Value, json};

const COMMITTED: &str = include_str!("../openapi.json");

fn parsed() -> Value {
    serde_json::from_str(&document()).unwrap()
}

#[test]
fn the_committed_description_is_that_of_the_code() {
    let current = document();
    let mut lines = current.lines().zip(COMMITTED.lines()).enumerate();
    let different = lines.find(|(_, (current, committed))| current != committed);
    assert!(
        current == COMMITTED,
        "server/openapi.json is out of date; `make openapi` renews it. First difference: {different:?}"
    );
}

#[tokio::test]
async fn the_service_serves_it_to_anybody() {
    let app = app(|_| {});
    let answer = get(&app, "/openapi.json").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.body, parsed());
    assert!(answer.body["openapi"].as_str().unwrap().starts_with("3.1."));
}

/// The router prints its paths with its debug form. Should that change, no path is found, which fails.
#[tokio::test]
async fn every_route_is_described() {
    let app = app(|config| {
        config.auth.metrics_key = true;
        // Pages for people are no part of the API.
        config.web.enabled = false;
    });
    let printed = format!("{:?}", router(app.clone()));
    let quoted = printed.split('"').skip(1).step_by(2);
    let routed: BTreeSet<&str> = quoted
        .filter(|text| text.starts_with('/') && *text != "/" && !text.contains("__private__"))
        .collect();
    let document = parsed();
    let described = document["paths"].as_object().unwrap();
    let described: BTreeSet<&str> = described.keys().map(String::as_str).collect();
    assert_eq!(routed, described);
}

/// Calls `visit` with every object and where it is.
fn walk(value: &Value, place: &str, visit: &mut impl FnMut(&str, &serde_json::Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            visit(place, fields);
            for (name, field) in fields {
                walk(field, &format!("{place}/{name}"), visit);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &format!("{place}/{index}"), visit);
            }
        }
        _ => {}
    }
}

/// A field that may be null and refers to a schema has its description beside the reference.
fn description(schema: &Value) -> Option<&str> {
    let own = schema["description"].as_str();
    own.or_else(|| schema["oneOf"][1]["description"].as_str())
        .filter(|text| !text.is_empty())
}

/// What tells kinds of a message apart: a field with one value.
fn is_tag(schema: &Value) -> bool {
    schema["enum"].as_array().is_some_and(|all| all.len() == 1)
}

#[test]
fn everything_has_words() {
    let document = parsed();
    let mut without = Vec::new();
    walk(
        &document["components"]["schemas"],
        "",
        &mut |place, fields| {
            let Some(Value::Object(properties)) = fields.get("properties") else {
                return;
            };
            if fields.get("type").is_some_and(|kind| kind == "object") {
                let bare = properties
                    .iter()
                    .filter(|(_, p)| description(p).is_none() && !is_tag(p));
                without.extend(bare.map(|(name, _)| format!("{place}: {name}")));
            }
        },
    );
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for field in ["summary", "operationId", "tags"] {
                if operation[field].is_null() {
                    without.push(format!("{method} {path}: {field}"));
                }
            }
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let bare = parameters.filter(|p| description(p).is_none());
            without.extend(bare.map(|p| format!("{method} {path}: {}", p["name"])));
        }
    }
    assert!(without.is_empty(), "without description: {without:#?}");
}

#[test]
fn names_of_operations_are_unique() {
    let document = parsed();
    let mut seen = BTreeSet::new();
    walk(&document, "", &mut |place, fields| {
        let id = fields.get("operationId").and_then(Value::as_str);
        let link = place.contains("/links/");
        if let Some(id) = id.filter(|_| !link) {
            assert!(seen.insert(id.to_owned()), "{id} is there twice");
        }
    });
    walk(&document, "", &mut |place, fields| {
        let id = fields.get("operationId").and_then(Value::as_str);
        if let Some(id) = id.filter(|_| place.contains("/links/")) {
            assert!(seen.contains(id), "{place} leads nowhere");
        }
    });
}

#[test]
fn requests_refuse_unknown_fields_and_answers_may_grow() {
    let document = parsed();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        let closed = schema["additionalProperties"] == false;
        let request = name.ends_with("Request") || name == "InputFile";
        // These are read from profiles, messages or configuration as well.
        let both = ["Limits", "Host", "Layer", "WindowSize"].contains(&name.as_str());
        assert!(closed == request || both, "{name}");
    }
}

/// A field of a request, and requests that are wrong anyhow, so that only the answer about it differs.
struct Field {
    app: Arc<App>,
    path: &'static str,
    body: Value,
    pointer: &'static str,
    schema: Value,
}

impl Field {
    fn of_run(app: &Arc<App>, schema: [&str; 2], pointer: &'static str) -> Self {
        let body = json!({"language": "python", "source": "", "entry": "", "output_files": [],
            "limits": {"cpu_time_ms": 1, "cpus": 1, "open_files": 1}});
        Self::new(app, "/v1/runs", body, schema, pointer)
    }

    fn of_submission(app: &Arc<App>, schema: [&str; 2], pointer: &'static str) -> Self {
        let body = json!({"language": "no such", "source": "",
            "tests": [{"id": "", "points": 0, "group": "g", "expected_output": ""}],
            "groups": [{"id": "g", "points": 0}],
            "checker": {"type": "float", "absolute": 0, "relative": 0}});
        Self::new(app, "/v1/submissions", body, schema, pointer)
    }

    fn new(
        app: &Arc<App>,
        path: &'static str,
        body: Value,
        [name, field]: [&str; 2],
        pointer: &'static str,
    ) -> Self {
        let schema = &parsed()["components"]["schemas"][name]["properties"][field];
        Self {
            app: Arc::clone(app),
            path,
            body,
            pointer,
            schema: schema.clone(),
        }
    }

    /// The bound of this name, as it is described.
    fn bound(&self, name: &str) -> f64 {
        let bound = self.schema[name].as_f64();
        bound.unwrap_or_else(|| panic!("{} has no {name}", self.pointer))
    }

    fn length(&self, name: &str) -> usize {
        let bound = self.schema[name].as_u64();
        let bound = bound.unwrap_or_else(|| panic!("{} has no {name}", self.pointer));
        usize::try_from(bound).unwrap()
    }

    /// `value` in this field is wrong if not `fits`, and not wrong if it does.
    async fn try_value(&self, value: Value, fits: bool) {
        let mut body = self.body.clone();
        *body.pointer_mut(self.pointer).unwrap() = value.clone();
        let request = Request::post(self.path).header("content-type", "application/json");
        let request = request.body(Body::from(body.to_string())).unwrap();
        let answer = send(&self.app, request).await;
        assert_eq!(
            answer.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{answer:?}"
        );
        let wrong = answer.pointers().contains(&self.pointer);
        assert_ne!(wrong, fits, "{} {value}: {answer:?}", self.pointer);
    }
}

/// What is described as the longest or largest is taken, and what is beyond is not.
#[tokio::test]
async fn bounds_are_where_they_are_said_to_be() {
    let app = app(|_| {});
    for field in [
        Field::of_submission(&app, ["TestRequest", "id"], "/tests/0/id"),
        Field::of_submission(&app, ["GroupRequest", "id"], "/groups/0/id"),
    ] {
        let text = |length: usize| json!("x".repeat(length));
        let (least, most) = (field.length("minLength"), field.length("maxLength"));
        for (length, fits) in [
            (least, true),
            (most, true),
            (least - 1, false),
            (most + 1, false),
        ] {
            field.try_value(text(length), fits).await;
        }
    }
    for field in [
        Field::of_submission(&app, ["TestRequest", "points"], "/tests/0/points"),
        Field::of_submission(&app, ["GroupRequest", "points"], "/groups/0/points"),
    ] {
        let most = field.bound("maximum");
        field.try_value(json!(most), true).await;
        field.try_value(json!(most + 1.0), false).await;
    }
    let field = Field::of_run(&app, ["LimitsRequest", "open_files"], "/limits/open_files");
    let beyond = field.length("maximum") + 1;
    field.try_value(json!(beyond), false).await;
    for field in [
        Field::of_submission(&app, ["TestRequest", "points"], "/tests/0/points"),
        Field::of_submission(&app, ["CheckerRequest", "absolute"], "/checker/absolute"),
        Field::of_submission(&app, ["CheckerRequest", "relative"], "/checker/relative"),
        Field::of_run(&app, ["LimitsRequest", "cpus"], "/limits/cpus"),
    ] {
        let least = field.bound("minimum");
        field.try_value(json!(least), true).await;
        field.try_value(json!(least - 0.001), false).await;
    }
    let field = Field::of_run(&app, ["RunRequest", "output_files"], "/output_files");
    let most = field.length("maxItems");
    field.try_value(json!(vec!["*"; most]), true).await;
    field.try_value(json!(vec!["*"; most + 1]), false).await;
}

/// The examples of whole requests are ones that work.
#[tokio::test]
async fn examples_are_accepted() {
    let app = app(|_| {});
    FakeWorker::serve(&app, 0, |worker, job| worker.print(job, "3\n"));
    let document = parsed();
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let body = &item["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        let Some(name) = body.as_str() else { continue };
        let example = &document.pointer(&name[1..]).unwrap()["example"];
        let request = Request::post(path).header("content-type", "application/json");
        let request = request.body(Body::from(example.to_string())).unwrap();
        let answer = send(&app, request).await;
        assert!(answer.status.is_success(), "{path}: {answer:?}");
        let items = answer.body["submissions"].as_array().into_iter().flatten();
        assert!(
            items.clone().all(|item| item["status"] == 202),
            "{answer:?}"
        );
        tried += 1;
    }
    assert_eq!(tried, 4);
}

#[tokio::test]
async fn the_page_runs_its_own_scripts_only() {
    let app = app(|_| {});
    let page = get(&app, "/docs").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.header("content-type").starts_with("text/html"));
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("script-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    let html = page.body.as_str().unwrap();
    let named = html.split('"').filter(|text| text.starts_with("docs/"));
    let named: Vec<_> = named.collect();
    assert_eq!(named.len(), 4, "{named:?}");
    for name in named {
        let answer = get(&app, &format!("/{name}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{name}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    assert_eq!(
        get(&app, "/docs/index.html").await.status,
        StatusCode::NOT_FOUND
    );
}

/// Calls `visit` with the id of every operation, and each answer of it, by status.
fn answers(document: &Value, visit: &mut impl FnMut(&str, &str, &Value)) {
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let reference = answer["$ref"].as_str();
                let answer = reference.map_or(answer, |name| document.pointer(&name[1..]).unwrap());
                visit(id, status, answer);
            }
        }
    }
}

/// The example of what an operation answers with this status.
fn example(document: &Value, operation: &str, status: StatusCode) -> Value {
    let mut found = Value::Null;
    answers(document, &mut |id, of, answer| {
        if id == operation && of == status.as_str() {
            found = answer["content"]["application/problem+json"]["example"].clone();
        }
    });
    found
}

#[test]
fn every_error_has_an_example_of_its_own_kind() {
    let document = parsed();
    let mut wrong = Vec::new();
    answers(&document, &mut |id, status, answer| {
        if status < "400" {
            return;
        }
        let example = &answer["content"]["application/problem+json"]["example"];
        let header = |name: &str| !answer["headers"][name]["schema"]["examples"][0].is_null();
        let said = match status {
            "429" | "503" => header("Retry-After"),
            "401" => header("WWW-Authenticate"),
            _ => true,
        };
        let same = example["status"].as_u64() == status.parse().ok();
        if !same || !said {
            wrong.push(format!("{id} {status}: {example}"));
        }
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.to_owned().into()).unwrap()
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// An example is what the service answers, word by word.
#[tokio::test]
async fn examples_of_errors_are_the_services_answers() {
    let app = app(|_| {});
    let submit = |source: &str| {
        let tests = json!([{"expected_output": ""}]);
        let body = json!({"language": "python", "source": source, "tests": tests}).to_string();
        let headers = [JSON, ("idempotency-key", "k")];
        request("POST", "/v1/submissions", &headers, &body)
    };
    let first = send(&app, submit("")).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{first:?}");
    let none = "/v1/submissions/019b0000-0000-7000-8000-000000000000";
    let events = format!("{none}/events");
    let blob = format!("/v1/blobs/sha256:{}", "0".repeat(64));
    let share = format!("/v1/shares/{}", "x".repeat(20));
    let zipped = ("content-encoding", "gzip");
    let part = ("content-range", "bytes 0-1/2");
    let long = ("content-length", "99999999999");
    let document = parsed();
    for (operation, request) in [
        (
            "showLanguage",
            request("GET", "/v1/languages/none", &[], ""),
        ),
        ("showSubmission", request("GET", none, &[], "")),
        ("cancelSubmission", request("DELETE", none, &[], "")),
        ("followSubmission", request("GET", &events, &[], "")),
        ("createSubmission", submit("another")),
        (
            "listSubmissions",
            request("GET", "/v1/submissions?cursor=x", &[], ""),
        ),
        ("getBlob", request("GET", &blob, &[], "")),
        ("deleteBlob", request("DELETE", &blob, &[], "")),
        ("putBlob", request("PUT", &blob, &[zipped], "")),
        ("createBlob", request("POST", "/v1/blobs", &[part], "")),
        ("showShare", request("GET", "/v1/shares/x", &[], "")),
        ("deleteShare", request("DELETE", &share, &[], "")),
        ("createRun", request("POST", "/v1/runs", &[], "")),
        ("createRun", request("POST", "/v1/runs", &[JSON, long], "")),
        ("createRun", request("POST", "/v1/runs", &[JSON], "{")),
        ("runLive", request("GET", "/v1/runs/ws", &[], "")),
        ("docsAsset", request("GET", "/docs/none", &[], "")),
        ("ready", request("GET", "/readyz", &[], "")),
    ] {
        let answer = send(&app, request).await;
        let example = example(&document, operation, answer.status);
        assert!(answer.status.as_u16() >= 400, "{operation}: {answer:?}");
        assert_eq!(answer.body, example, "{operation} {}", answer.status);
    }
}

#[tokio::test]
async fn examples_of_what_depends_on_the_request_are_of_the_same_kind() {
    let closed = app(|config| config.listen = "0.0.0.0:8080".parse().unwrap());
    let refused = get(&closed, "/v1/languages").await;
    let document = parsed();
    let unauthorized = example(&document, "listLanguages", StatusCode::UNAUTHORIZED);
    assert_eq!(refused.body, unauthorized);

    let open = app(|_| {});
    let too_much = json!({"language": "python", "source": "", "limits": {"cpu_time_ms": u32::MAX}});
    let refused = request("POST", "/v1/runs", &[JSON], &too_much.to_string());
    let refused = send(&open, refused).await;
    let example = example(&document, "createRun", refused.status);
    for field in ["type", "title", "status"] {
        assert_eq!(refused.body[field], example[field]);
    }
    assert_eq!(refused.pointers(), ["/limits/cpu_time_ms"]);
    assert_eq!(example["errors"][0]["pointer"], "/limits/cpu_time_ms");
}
