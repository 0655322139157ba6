//! API keys, from `brig keys` to the service's answers.

use std::io::Write;
use std::net::TcpStream;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::client::{Client, keys, make_key};
use super::harness::{Service, eventually, python, request};

fn submission() -> Value {
    let test = json!({"stdin": "", "expected_output": "1"});
    json!({"language": "python", "source": "print(1)", "tests": [test]})
}

#[test]
fn a_key_works_from_its_making_until_it_is_revoked() {
    let service = Service::settled(&["--workers", "1"]);
    let anybody = Client::new(&service);
    assert_eq!(anybody.get("/v1/info").status, 200, "no key is needed yet");
    let first = make_key(&service, "run", &[]);
    let second = make_key(&service, "admin", &[]);
    assert_ne!(first, second);
    let (holder, admin) = (anybody.with_key(&first), anybody.with_key(&second));
    assert_eq!(
        holder.post("/v1/runs", &python("print(1)")).json()["status"],
        "ok"
    );
    eventually("requests without a key are refused", || {
        anybody.get("/v1/info").status == 401
    });
    let listed = keys(&service, &["list", "--json"]);
    let secret = first.rsplit('_').next().unwrap();
    assert!(!listed.contains(secret), "{listed}");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let id = listed[0]["id"].as_str().unwrap();
    assert_eq!(id.replace('-', ""), first.split('_').nth(1).unwrap());
    keys(&service, &["revoke", id]);
    eventually("the key is refused", || {
        holder.get("/v1/info").status == 401
    });
    assert_eq!(admin.get("/v1/info").status, 200);
    // By the key itself, when that is all one has.
    keys(&service, &["revoke", &second]);
    eventually("the other one is refused", || {
        admin.get("/v1/info").status == 401
    });
    assert_eq!(
        anybody.get("/v1/info").status,
        401,
        "revoking opens nothing"
    );
}

#[test]
fn each_scope_allows_its_own_and_nothing_else() {
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), "[auth]\nmetrics_key = true\n").unwrap();
    let service = Service::settled(&["--config", config.path().to_str().unwrap()]);
    let anybody = Client::new(&service);
    let data = "test data";
    let blob = format!("/v1/blobs/sha256:{:x}", Sha256::digest(data));
    let (run, submission) = (python("print(1)"), submission());
    // In this order: the blob is there when it is read and deleted.
    let answers = |client: &Client| {
        [
            client.post("/v1/runs", &run).status,
            client.post("/v1/submissions?wait=true", &submission).status,
            client.put(&blob, data.as_bytes()).status,
            client.get(&blob).status,
            client.call("DELETE", &blob).status,
            client.get("/v1/submissions").status,
            client.get("/metrics").status,
            client.get("/v1/info").status,
        ]
    };
    for (scopes, expected) in [
        ("run", [200, 403, 403, 403, 403, 403, 403, 200]),
        ("judge", [403, 200, 201, 200, 204, 200, 403, 200]),
        ("read", [403, 403, 403, 403, 403, 200, 200, 200]),
        ("run,read", [200, 403, 403, 403, 403, 200, 200, 200]),
        ("admin", [200, 200, 201, 200, 204, 200, 200, 200]),
    ] {
        let client = anybody.with_key(&make_key(&service, scopes, &[]));
        assert_eq!(answers(&client), expected, "{scopes}");
    }
    assert_eq!(answers(&anybody), [401; 8]);
}

#[test]
fn who_waits_as_long_as_told_is_let_in_again() {
    let service = Service::settled(&["--workers", "1"]);
    let anybody = Client::new(&service);
    let often = make_key(&service, "run", &["--rate", "15/min", "--burst", "1"]);
    let often = anybody.with_key(&often);
    let mut refused = None;
    eventually("it is over its rate", || {
        let reply = often.get("/v1/info");
        refused = Some(reply).filter(|reply| reply.status == 429);
        refused.is_some()
    });
    let refused = refused.unwrap();
    assert!(
        refused.json()["detail"]
            .as_str()
            .unwrap()
            .contains("more requests")
    );
    std::thread::sleep(refused.retry_after());
    assert_eq!(often.get("/v1/info").status, 200);

    let one = make_key(
        &service,
        "run,judge",
        &["--concurrency", "1", "--queue", "1"],
    );
    let client = anybody.with_key(&one);
    let body = request("sleep").to_string();
    let mut running = TcpStream::connect(service.address).unwrap();
    let length = body.len();
    write!(
        running,
        "POST /v1/runs HTTP/1.1\r\nhost: brig\r\nauthorization: Bearer {one}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    eventually("the run is running", || {
        service.metric("brig_running") > 0.0
    });
    let refused = client.post("/v1/runs", &python("print(1)"));
    assert_eq!(refused.status, 429);
    assert!(refused.retry_after().as_secs() >= 1);
    // The only worker is busy, so the first submission waits, and the second one is too many.
    assert_eq!(client.post("/v1/submissions", &submission()).status, 202);
    let refused = client.post("/v1/submissions", &submission());
    assert_eq!(refused.status, 429);
    assert!(refused.retry_after().as_secs() >= 1);
    drop(running);
    eventually("there is room again", || {
        client.post("/v1/runs", &python("print(1)")).status == 200
            && client.post("/v1/submissions", &submission()).status == 202
    });
}

#[test]
fn a_keys_maximum_is_named_and_is_the_default() {
    let service = Service::settled(&["--workers", "1"]);
    let token = make_key(&service, "run,judge", &["--max", "cpu_time_ms=700"]);
    let client = Client::new(&service).with_key(&token);
    let mut run =
        json!({"language": "python", "source": "print(1)", "limits": {"cpu_time_ms": 701}});
    let refused = client.post("/v1/runs", &run);
    assert_eq!(refused.status, 422);
    assert_eq!(
        refused.json()["errors"][0],
        json!({"pointer": "/limits/cpu_time_ms", "detail": "701 is above the maximum of 700 of this key"})
    );
    run["limits"] = json!({});
    let answer = client.post("/v1/runs", &run).json();
    assert_eq!(answer["run"]["limits"]["cpu_time_ms"], 700, "{answer}");
    let mut judged = submission();
    judged["tests"][0]["limits"] = json!({"cpu_time_ms": 701});
    let refused = client.post("/v1/submissions", &judged);
    assert_eq!(refused.status, 422);
    let pointer = &refused.json()["errors"][0]["pointer"];
    assert_eq!(pointer, "/tests/0/limits/cpu_time_ms");
}

#[test]
fn the_log_has_nothing_secret_whatever_is_logged() {
    let config = tempfile::NamedTempFile::new().unwrap();
    let hook = "a secret of forty characters, at the least";
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), hook).unwrap();
    let text = format!(
        "[log]\nfilter = \"trace\"\n[webhooks.secrets]\nmain = \"file:{}\"\n",
        secret.path().display()
    );
    std::fs::write(config.path(), text).unwrap();
    let mut service = Service::settled(&["--config", config.path().to_str().unwrap()]);
    let anybody = Client::new(&service);
    let token = make_key(&service, "admin", &[]);
    let client = anybody.with_key(&token);
    let password = "the-programs-own-password";
    let run = python(&format!("print('{password}')"));
    assert_eq!(client.post("/v1/runs", &run).status, 200);
    assert_eq!(client.post("/v1/runs?x=query-of-theirs", &run).status, 400);
    assert_eq!(
        client
            .post("/v1/submissions?wait=true", &submission())
            .status,
        200
    );
    let (head, own) = token.rsplit_once('_').unwrap();
    // One with the right id and a wrong secret, and what only looks like a key.
    let wrong = format!("{head}_{}", own.chars().rev().collect::<String>());
    assert_eq!(anybody.with_key(&wrong).get("/v1/info").status, 401);
    let broken = format!("{token}-broken");
    assert_eq!(anybody.with_key(&broken).get("/v1/info").status, 401);
    service.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(service.wait().success());
    let log = service.rest_of_log().join("\n");
    assert!(log.contains("run finished"), "{log}");
    let hash = Sha256::digest(own);
    let reversed: String = own.chars().rev().collect();
    for secret in [
        own,
        &reversed,
        &format!("{hash:x}"),
        hook,
        password,
        "query-of-theirs",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    assert!(!log.contains(&format!("{:?}", hash.as_slice())));
}
