//! Test data over HTTP, and what judging makes of it.

use std::io::Read;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use ureq::SendBody;

use super::client::{Client, Reply, make_key};
use super::harness::{Service, eventually, proc_status};

fn path(data: &[u8]) -> String {
    format!("/v1/blobs/sha256:{:x}", Sha256::digest(data))
}

fn configured(text: &str) -> (tempfile::NamedTempFile, Service) {
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), text).unwrap();
    let service = Service::settled(&["--config", config.path().to_str().unwrap()]);
    (config, service)
}

#[test]
fn a_blob_is_what_its_name_says() {
    let service = Service::settled(&["--workers", "1"]);
    let client = Client::new(&service);
    let data: &[u8] = b"0123456789";
    let path = path(data);
    assert_eq!(client.get(&path).status, 404);
    let wrong = client.put(&path, b"something else");
    assert_eq!(wrong.status, 422, "{:?}", wrong.json());
    assert_eq!(client.get(&path).status, 404, "nothing of it is kept");
    assert_eq!(client.put("/v1/blobs/sha256:12", data).status, 422);
    let created = client.put(&path, data);
    assert_eq!(created.status, 201);
    assert_eq!(created.header("location"), path);
    assert_eq!(created.json()["bytes"], 10);
    assert_eq!(client.put(&path, data).status, 200, "it is there already");
    let body = SendBody::from_owned_reader(data);
    let posted = client.send("POST", "/v1/blobs", &[], body).unwrap();
    assert_eq!(
        (posted.status, posted.header("location")),
        (200, path.as_str())
    );
    let other = SendBody::from_owned_reader(&b"other"[..]);
    assert_eq!(
        client.send("POST", "/v1/blobs", &[], other).unwrap().status,
        201
    );

    let head = client.call("HEAD", &path);
    assert_eq!((head.status, head.header("content-length")), (200, "10"));
    assert!(head.body.is_empty());
    assert_eq!(client.get(&path).body, data);
    let range = |range: &str| -> Reply {
        let headers = [("range", range)];
        client
            .send("GET", &path, &headers, SendBody::none())
            .unwrap()
    };
    let part = range("bytes=2-4");
    assert_eq!((part.status, &part.body[..]), (206, &b"234"[..]));
    assert_eq!(part.header("content-range"), "bytes 2-4/10");
    assert_eq!(range("bytes=-3").body, b"789");
    assert_eq!(range("bytes=10-").status, 416);

    assert_eq!(client.call("DELETE", &path).status, 204);
    assert_eq!(client.get(&path).status, 404);
    assert_eq!(client.call("DELETE", &path).status, 404);
}

#[test]
fn owners_have_their_own_blobs_and_quotas() {
    let text = "[blobs]\nmax_blob_bytes = 20000\nmax_bytes_per_key = 40000\n";
    let (_config, service) = configured(text);
    let anybody = Client::new(&service);
    let one = anybody.with_key(&make_key(&service, "judge", &[]));
    let two = anybody.with_key(&make_key(&service, "judge", &[]));
    let (small, large) = (vec![b'a'; 20_000], vec![b'b'; 20_001]);
    let (shared, more) = (path(&small), vec![b'c'; 20_000]);
    assert_eq!(one.put(&shared, &small).status, 201);
    assert_eq!(two.get(&shared).status, 404, "it is another's");
    let reading = |blob: &str| json!({"stdin_blob": blob, "expected_output": ""});
    let name = shared.strip_prefix("/v1/blobs/").unwrap();
    let of_another = json!({"language": "python", "source": "", "tests": [reading(name)]});
    let refused = two.post("/v1/submissions", &of_another);
    assert_eq!(refused.status, 422);
    assert_eq!(
        refused.json()["errors"][0]["pointer"],
        "/tests/0/stdin_blob"
    );
    assert_eq!(two.call("DELETE", &shared).status, 404);
    assert_eq!(one.get(&shared).status, 200);

    assert_eq!(one.put(&path(&large), &large).status, 413);
    let refused = one.put(&path(&more), &more);
    assert_eq!(refused.status, 507, "{:?}", refused.json());
    assert_eq!(
        two.put(&path(&more), &more).status,
        201,
        "their quota is their own"
    );
    assert_eq!(one.call("DELETE", &shared).status, 204);
    assert_eq!(
        one.put(&path(&more), &more).status,
        201,
        "there is room again"
    );
    // Who has uploaded the same keeps it when another deletes it.
    assert_eq!(one.call("DELETE", &path(&more)).status, 204);
    assert_eq!(two.get(&path(&more)).body, more);
}

#[test]
fn blobs_that_nobody_uses_expire() {
    let (config, mut service) = configured("[blobs]\nkeep_days = 1\n");
    let client = Client::new(&service);
    let (old, new) = (&b"old"[..], &b"new"[..]);
    for data in [old, new] {
        assert_eq!(client.put(&path(data), data).status, 201);
    }
    service.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(service.wait().success());
    let (held, data) = service.data();
    let database = rusqlite::Connection::open(data.join("brig.db")).unwrap();
    let two_days_us = 2 * 86_400 * 1_000_000_i64;
    let hash = Sha256::digest(old).to_vec();
    let aged = database.execute(
        "UPDATE blobs SET used_at = used_at - ?1 WHERE hash = ?2",
        (two_days_us, hash),
    );
    assert_eq!(aged.unwrap(), 1);
    drop(database);
    let service = Service::settled_on(held, &["--config", config.path().to_str().unwrap()]);
    let client = Client::new(&service);
    eventually("the old one is gone", || {
        client.get(&path(old)).status == 404
    });
    assert_eq!(client.get(&path(new)).body, new);
}

/// How large the large input is.
const LARGE_BYTES: u64 = 200 << 20;
/// What it may cost the server in memory.
const GROWN_KIB: u64 = 32 << 10;

fn kib(pid: u32, key: &str) -> u64 {
    let value = proc_status(pid, key);
    value.trim_end_matches(" kB").trim().parse().unwrap()
}

#[test]
fn a_large_input_does_not_pass_through_the_servers_memory() {
    let service = Service::settled(&["--workers", "1"]);
    let client = Client::new(&service);
    let test = json!({"stdin": "warm-up", "expected_output": "7\n"});
    let source = "import sys\nn = 0\nwhile True:\n b = sys.stdin.buffer.read(1 << 16)\n \
        if not b: break\n n += len(b)\nprint(n)\n";
    let limits = json!({"cpu_time_ms": 60_000, "wall_time_ms": 120_000});
    let mut submission =
        json!({"language": "python", "source": source, "tests": [test], "limits": limits});
    let accepted = |submission: &Value| {
        let reply = client.post("/v1/submissions?wait=true", submission);
        let id = reply.json()["id"].as_str().unwrap().to_owned();
        let mut shown = Value::Null;
        eventually("it is judged", || {
            shown = client.get(&format!("/v1/submissions/{id}")).json();
            shown["state"] == "finished"
        });
        assert_eq!(shown["verdict"], "accepted", "{shown}");
    };
    accepted(&submission);
    let server = service.children("brig-server")[0];
    let before = kib(server, "VmRSS");
    let mut zeros = std::io::repeat(b'0').take(LARGE_BYTES);
    let body = SendBody::from_reader(&mut zeros);
    let created = client.send("POST", "/v1/blobs", &[], body).unwrap();
    assert_eq!(created.status, 201);
    let blob = created.json();
    assert_eq!(blob["bytes"], LARGE_BYTES);
    let expected = format!("{LARGE_BYTES}\n");
    submission["tests"] = json!([{"stdin_blob": blob["hash"], "expected_output": expected}]);
    accepted(&submission);
    let most = kib(server, "VmHWM");
    println!("VmRSS before {before} KiB, the most since {most} KiB");
    assert!(most < before + GROWN_KIB, "from {before} to {most} KiB");
}
