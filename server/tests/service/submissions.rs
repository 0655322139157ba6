//! Submissions from the request to the result, with real programs.

use std::io::{BufRead, BufReader, Read, Write};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::client::{Client, make_key};
use super::harness::{Service, eventually, kill_9};

/// Adds two numbers; does something else where the first is 7 or 8.
const ADD: &str = "import sys\na, b = map(int, sys.stdin.read().split())\n\
    if a == 7: b += 1\nif a == 8: sys.exit(3)\nprint(a + b)\n";

fn add(numbers: &[(u32, u32)]) -> Value {
    let tests: Vec<_> = numbers
        .iter()
        .map(|(a, b)| json!({"stdin": format!("{a} {b}"), "expected_output": format!("{}\n", a + b)}))
        .collect();
    json!({"language": "python", "source": ADD, "tests": tests})
}

fn verdicts(submission: &Value) -> Vec<&str> {
    let tests = submission["tests"].as_array().unwrap();
    tests
        .iter()
        .map(|t| t["verdict"].as_str().unwrap())
        .collect()
}

fn judged(service: &Service, request: &Value) -> Value {
    let (status, answer) = service.post("/v1/submissions?wait=true", request);
    assert_eq!(status, 200, "{answer}");
    answer
}

fn show(service: &Service, id: &str) -> Value {
    let (_, text) = service.get(&format!("/v1/submissions/{id}")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn tests_are_judged_and_the_first_failure_decides() {
    let service = Service::settled(&[]);
    let good = judged(&service, &add(&[(1, 2), (3, 4)]));
    assert_eq!(good["verdict"], "accepted", "{good}");
    assert_eq!(good["score"], 2.0);
    let numbers = [(1, 2), (7, 1), (8, 1), (2, 2)];
    let bad = judged(&service, &add(&numbers));
    assert_eq!(bad["verdict"], "wrong_answer");
    assert_eq!(
        verdicts(&bad),
        ["accepted", "wrong_answer", "skipped", "skipped"]
    );
    let message = bad["message"].as_str().unwrap();
    assert!(
        message.starts_with("test 2: line 1") && message.contains('8'),
        "{message}"
    );
    let mut all = add(&numbers);
    all["stop"] = json!("never");
    all["metadata"] = json!({"n": 1});
    let all = judged(&service, &all);
    assert_eq!(
        verdicts(&all),
        ["accepted", "wrong_answer", "runtime_error", "accepted"]
    );
    assert_eq!(
        (&all["score"], &all["metadata"]["n"]),
        (&json!(2.0), &json!(1))
    );
}

#[test]
fn groups_score_and_wait_for_each_other() {
    let service = Service::settled(&[]);
    let mut request = add(&[(1, 1), (2, 2), (7, 7), (3, 3)]);
    for (index, group) in ["sample", "small", "big", "small"].iter().enumerate() {
        request["tests"][index]["group"] = json!(group);
    }
    request["groups"] = json!([
        {"id": "sample", "points": 0},
        {"id": "small", "points": 40, "scoring": "min", "depends_on": ["sample"]},
        {"id": "big", "points": 60, "scoring": "all", "depends_on": ["small"]},
    ]);
    request["stop"] = json!("group_failure");
    let answer = judged(&service, &request);
    assert_eq!(
        (&answer["score"], &answer["max_score"]),
        (&json!(40.0), &json!(100.0))
    );
    let groups: Vec<_> = (0..3)
        .map(|g| answer["groups"][g]["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(groups, ["accepted", "accepted", "wrong_answer"]);
}

#[test]
fn a_checker_program_decides_and_its_crash_is_not_the_contestants() {
    let service = Service::settled(&[]);
    let mut request = add(&[(1, 2), (7, 2)]);
    let checker = "import sys\nout = int(open(sys.argv[2]).read())\nans = int(open(sys.argv[3]).read())\n\
        print('off by', out - ans, file=sys.stderr)\nsys.exit(0 if abs(out - ans) <= 1 else 1)\n";
    request["checker"] =
        json!({"type": "program", "protocol": "testlib", "language": "python", "source": checker});
    let answer = judged(&service, &request);
    assert_eq!(answer["verdict"], "accepted", "{answer}");
    request["checker"]["source"] = json!("import os\nos.abort()\n");
    let answer = judged(&service, &request);
    assert_eq!(answer["verdict"], "judge_error", "{answer}");
    request["checker"]["source"] = json!("while True: pass\n");
    request["checker"]["limits"] = json!({"cpu_time_ms": 200});
    assert_eq!(judged(&service, &request)["verdict"], "judge_error");
}

#[test]
fn an_interactor_decides() {
    let service = Service::settled(&["--workers", "2"]);
    let interactor = "import sys\nprint(41, flush=True)\nanswer = input()\n\
        sys.exit(0 if answer == '42' else 1)\n";
    let mut request = json!({
        "language": "python", "source": "print(int(input()) + 1, flush=True)",
        "tests": [{"stdin": ""}, {"stdin": ""}],
        "interactor": {"language": "python", "source": interactor, "protocol": "testlib"},
    });
    let answer = judged(&service, &request);
    assert_eq!(answer["verdict"], "accepted", "{answer}");
    let transcript = &answer["tests"][0]["transcript"]["head"];
    assert_eq!(
        transcript[0],
        json!({"by": "interactor", "text": "41\n", "encoding": "utf-8"})
    );
    request["source"] = json!("input()\ninput()\n");
    let answer = judged(&service, &request);
    assert_eq!(answer["verdict"], "time_limit_exceeded");
    assert!(
        answer["message"].as_str().unwrap().contains("deadlock"),
        "{answer}"
    );
}

#[test]
fn a_running_submission_dies_when_it_is_cancelled() {
    let service = Service::settled(&[]);
    let mut request = add(&[(1, 2)]);
    request["source"] = json!("import time\ntime.sleep(50)\n");
    request["limits"] = json!({"wall_time_ms": 60_000});
    let (status, accepted) = service.post("/v1/submissions", &request);
    assert_eq!(status, 202);
    let id = accepted["id"].as_str().unwrap();
    eventually("it runs", || service.metric("brig_running") > 0.5);
    let begun = Instant::now();
    let path = format!("/v1/submissions/{id}");
    let (status, answer) = service.delete(&path);
    assert_eq!(
        (status, &answer["state"]),
        (200, &json!("cancelled")),
        "{answer}"
    );
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(verdicts(&answer), ["cancelled"]);
    eventually("nothing runs", || service.metric("brig_running") < 0.5);
    assert_eq!(service.delete(&path).0, 409);
    assert_eq!(show(&service, id)["verdict"], "cancelled");
}

#[test]
fn a_repeated_request_is_the_same_submission() {
    let service = Service::settled(&[]);
    let with_key =
        |body: &Value| service.post_with("/v1/submissions", body, &[("idempotency-key", "k")]);
    let (_, first) = with_key(&add(&[(1, 2)]));
    let (status, second) = with_key(&add(&[(1, 2)]));
    assert_eq!((status, &second["id"]), (202, &first["id"]));
    assert_eq!(with_key(&add(&[(1, 3)])).0, 409);
}

#[test]
fn a_batch_answers_for_each() {
    let service = Service::settled(&[]);
    let batch = json!({"submissions": [add(&[(1, 2)]), {"language": "nonsense"}, add(&[(7, 2)])]});
    let (status, answer) = service.post("/v1/submissions/batch", &batch);
    assert_eq!(status, 200, "{answer}");
    let statuses: Vec<_> = (0..3)
        .map(|n| answer["submissions"][n]["status"].clone())
        .collect();
    assert_eq!(statuses, [202, 422, 202]);
    let id = answer["submissions"][2]["id"].as_str().unwrap();
    eventually("it is judged", || {
        show(&service, id)["verdict"] == "wrong_answer"
    });
    let (_, page) = service.get("/v1/submissions?limit=1").unwrap();
    let page: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(page["submissions"][0]["id"], id);
    let next = page["next"].as_str().unwrap();
    let (_, page) = service
        .get(&format!("/v1/submissions?limit=1&cursor={next}"))
        .unwrap();
    let page: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(page["submissions"].as_array().unwrap().len(), 1);
    assert!(page["next"].is_null());
}

#[test]
fn bad_fields_are_named() {
    let service = Service::settled(&[]);
    let bad = json!({
        "language": "python", "source": "",
        "tests": [
            {"id": "a", "stdin": "x", "stdin_blob": "sha256:00"},
            {"id": "a", "expected_output": "", "group": "none", "limits": {"cpu_time_ms": 999_999_999}},
        ],
        "groups": [{"id": "g", "depends_on": ["g"]}],
        "checker": {"type": "float", "source": "x"},
    });
    let (status, answer) = service.post("/v1/submissions", &bad);
    assert_eq!(status, 422);
    let errors = answer["errors"].as_array().unwrap();
    let pointers: Vec<_> = errors
        .iter()
        .map(|e| e["pointer"].as_str().unwrap())
        .collect();
    for expected in [
        "/tests/0/stdin_blob",
        "/tests/1/id",
        "/tests/1/group",
        "/tests/1/limits/cpu_time_ms",
        "/groups/0/depends_on",
        "/groups/0",
        "/checker/source",
    ] {
        assert!(pointers.contains(&expected), "{expected}: {answer:#}");
    }
}

#[test]
fn what_was_accepted_is_judged_after_any_death() {
    let service = Service::settled(&["--workers", "2"]);
    let ids: Vec<String> = (0..30)
        .map(|n| {
            if n % 10 == 5 {
                kill_9(service.children("brig-server")[0]);
            } else if n % 10 == 9 {
                kill_9(service.children("brig-worker")[0]);
            }
            let mut answer = None;
            eventually("it is accepted", || {
                answer = service.try_post("/v1/submissions", &add(&[(1, n), (7, n)]));
                answer.as_ref().is_some_and(|(status, _)| *status == 202)
            });
            answer.unwrap().1["id"].as_str().unwrap().to_owned()
        })
        .collect();
    for id in ids {
        eventually("it has its result", || {
            let shown = service.get(&format!("/v1/submissions/{id}"));
            let shown = shown.map(|(_, text)| serde_json::from_str::<Value>(&text).unwrap());
            shown.is_some_and(|s| s["state"] == "finished" && s["verdict"] == "wrong_answer")
        });
    }
    service.signal(Signal::SIGTERM);
}

#[test]
fn events_are_told_and_told_again_from_where_they_broke_off() {
    let service = Service::settled(&[]);
    let (_, accepted) = service.post("/v1/submissions", &add(&[(1, 2), (7, 2)]));
    let path = format!(
        "/v1/submissions/{}/events",
        accepted["id"].as_str().unwrap()
    );
    let (_, text) = service.get(&path).unwrap();
    let names: Vec<_> = text
        .lines()
        .filter_map(|l| l.strip_prefix("event: "))
        .collect();
    assert_eq!(names.first(), Some(&"state"), "{text}");
    assert_eq!(names.last(), Some(&"finished"), "{text}");
    assert_eq!(names.iter().filter(|n| **n == "test").count(), 2, "{text}");
    let ids: Vec<_> = text
        .lines()
        .filter_map(|l| l.strip_prefix("id: "))
        .collect();
    let (_, rest) = service.get_with(&path, &[("last-event-id", ids[ids.len() - 2])]);
    let rest: Vec<_> = rest
        .lines()
        .filter_map(|l| l.strip_prefix("event: "))
        .collect();
    assert_eq!(rest, ["finished"]);
}

/// Answers one POST with 204, and gives its head and its body.
fn receive(listener: &std::net::TcpListener) -> (String, Vec<u8>) {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line).unwrap() > 2 {
        head.push_str(&line.to_ascii_lowercase());
        line.clear();
    }
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let mut stream = reader.into_inner();
    stream
        .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
        .unwrap();
    (head, body)
}

#[test]
fn the_result_is_sent_where_the_submission_says() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), "[webhooks]\nallow = [\"127.0.0.1\"]\n").unwrap();
    let service = Service::settled(&["--config", config.path().to_str().unwrap()]);
    let mut request = add(&[(1, 2)]);
    request["callback"] = json!({"url": format!("http://{address}/hook")});
    let (status, accepted) = service.post("/v1/submissions", &request);
    assert_eq!(status, 202, "{accepted}");
    let (head, body) = receive(&listener);
    assert!(head.starts_with("post /hook"), "{head}");
    let sent: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&sent["id"], &sent["verdict"]),
        (&accepted["id"], &json!("accepted"))
    );
    let id = accepted["id"].as_str().unwrap();
    eventually("the delivery is logged", || {
        show(&service, id)["callback"]["state"] == "delivered"
    });
    let log = show(&service, id)["callback"]["attempts"].clone();
    assert_eq!(log[0]["status"], 204);

    let refused = json!({"url": "http://169.254.169.254/latest"});
    request["callback"] = refused;
    let (status, answer) = service.post("/v1/submissions", &request);
    assert_eq!(
        (status, &answer["errors"][0]["pointer"]),
        (422, &json!("/callback/url")),
        "{answer}"
    );
}

#[test]
fn keys_see_their_own_submissions_only() {
    let service = Service::settled(&["--workers", "1"]);
    let anybody = Client::new(&service);
    let one = anybody.with_key(&make_key(&service, "judge", &[]));
    let two = anybody.with_key(&make_key(&service, "judge,read", &[]));
    let admin = anybody.with_key(&make_key(&service, "admin", &[]));
    let body = add(&[(1, 2)]);
    let key = [("idempotency-key", "the same")];
    let ids = [&one, &two].map(|client| {
        let reply = client.post_with("/v1/submissions", &body, &key);
        assert_eq!(reply.status, 202);
        reply.json()["id"].as_str().unwrap().to_owned()
    });
    assert_ne!(ids[0], ids[1], "idempotency keys are their owner's");
    let theirs = format!("/v1/submissions/{}", ids[0]);
    assert_eq!(two.get(&theirs).status, 404);
    assert_eq!(two.get(&format!("{theirs}/events")).status, 404);
    assert_eq!(two.call("DELETE", &theirs).status, 404);
    assert_eq!(one.get(&theirs).status, 200);
    assert_eq!(admin.get(&theirs).status, 200);
    let listed = |client: &Client| {
        let page = client.get("/v1/submissions").json();
        let items = page["submissions"].as_array().unwrap();
        let mut ids: Vec<_> = items.iter().map(|s| s["id"].to_string()).collect();
        ids.sort_unstable();
        ids
    };
    let quoted = |id: &String| format!("\"{id}\"");
    assert_eq!(listed(&one), [quoted(&ids[0])]);
    assert_eq!(listed(&two), [quoted(&ids[1])]);
    assert_eq!(listed(&admin).len(), 2);
    // A cursor is of no use to anybody else.
    let more = one.post("/v1/submissions", &body);
    assert_eq!(more.status, 202);
    let page = one.get("/v1/submissions?limit=1").json();
    let cursor = page["next"].as_str().unwrap();
    let next = format!("/v1/submissions?limit=1&cursor={cursor}");
    assert_eq!(two.get(&next).status, 400);
    assert_eq!(
        one.get(&next).json()["submissions"][0]["id"],
        ids[0].as_str()
    );
}

#[test]
fn pages_stay_what_they_are_while_more_is_accepted() {
    let service = Service::settled(&["--workers", "1"]);
    let client = Client::new(&service);
    let submit = |n: u32| {
        let reply = client.post("/v1/submissions", &add(&[(n, 1)]));
        assert_eq!(reply.status, 202);
        reply.json()["id"].as_str().unwrap().to_owned()
    };
    let mut before: Vec<String> = (0..5).map(submit).collect();
    before.reverse();
    let mut seen = Vec::new();
    let mut path = "/v1/submissions?limit=2".to_owned();
    loop {
        let page = client.get(&path).json();
        let items = page["submissions"].as_array().unwrap();
        seen.extend(items.iter().map(|s| s["id"].as_str().unwrap().to_owned()));
        // What comes between two pages is on none of those that follow.
        submit(100);
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/submissions?limit=2&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, before);
    assert_eq!(client.get("/v1/submissions?cursor=nonsense").status, 400);
    assert_eq!(client.get("/v1/submissions?limit=0").status, 400);
}

#[test]
fn a_batch_that_is_repeated_is_answered_item_by_item() {
    let service = Service::settled(&["--workers", "1"]);
    let client = Client::new(&service);
    let key = [("idempotency-key", "batch")];
    let send = |items: Value| {
        let batch = json!({"submissions": items});
        let reply = client.post_with("/v1/submissions/batch", &batch, &key);
        assert_eq!(reply.status, 200);
        reply.json()["submissions"].clone()
    };
    let first = send(json!([add(&[(1, 2)]), {"language": "python"}, add(&[(3, 4)])]));
    assert_eq!(first[1]["status"], 422);
    assert!(first[1]["error"]["errors"].is_array(), "{first}");
    let again = send(json!([add(&[(1, 2)]), add(&[(9, 9)]), add(&[(5, 6)])]));
    assert_eq!(again[0]["id"], first[0]["id"], "the same as before");
    assert_eq!(again[1]["status"], 202, "what was refused is new");
    assert_eq!(again[2]["status"], 409, "the same key with another body");
    for bad in [json!({"submissions": []}), json!({"submissions": 7})] {
        assert_eq!(client.post("/v1/submissions/batch", &bad).status, 422);
    }
    let unknown = json!({"submissions": [], "more": 1});
    assert_eq!(client.post("/v1/submissions/batch", &unknown).status, 422);
    let page = client.get("/v1/submissions").json();
    assert_eq!(page["submissions"].as_array().unwrap().len(), 3);
}

/// Uses 1030 ms of CPU time.
const LATE: &str = "import time\nwhile time.process_time() < 1.03: pass\nprint('done')\n";

#[test]
fn a_program_that_ends_just_too_late_is_run_again_alone() {
    let service = Service::settled(&["--workers", "2"]);
    let test = json!({"stdin": "", "expected_output": "done\n"});
    let request = |limit: u64| {
        json!({"language": "python", "source": LATE, "limits": {"cpu_time_ms": limit},
            "stop": "never", "tests": [test, test, test, test, test]})
    };
    let late = judged(&service, &request(1000));
    assert_eq!(verdicts(&late), ["time_limit_exceeded"; 5], "{late}");
    let tests = late["tests"].as_array().unwrap();
    let again: Vec<_> = tests.iter().filter(|t| !t["rerun"].is_null()).collect();
    // As often as one submission may.
    assert_eq!(again.len(), 3, "{late}");
    for test in again {
        assert_eq!(test["rerun"]["reason"], "borderline");
        let first = test["rerun"]["first_cpu_time_us"].as_u64().unwrap();
        assert!((1_000_000..=1_100_000).contains(&first), "{test}");
        assert_eq!(test["stage"]["outcome"], "cpu_time_limit", "{test}");
        assert_eq!(test["stage"]["limits"]["cpu_time_ms"], 1000);
    }
    // Far beyond the limit nothing is in doubt, and within it neither.
    for (limit, verdict) in [(300, "time_limit_exceeded"), (3000, "accepted")] {
        let clear = judged(&service, &request(limit));
        assert_eq!(verdicts(&clear), [verdict; 5], "{clear}");
        for test in clear["tests"].as_array().unwrap() {
            assert!(test["rerun"].is_null(), "{test}");
        }
    }
}

#[test]
fn who_waits_for_what_is_not_begun_does_not_hold_up_a_drain() {
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), "[judging]\nactive = 1\n").unwrap();
    let config = config.path().to_str().unwrap();
    let mut service = Service::settled(&["--workers", "1", "--config", config]);
    let mut sleeping = add(&[(1, 2)]);
    sleeping["source"] = "import time\ntime.sleep(60)".into();
    sleeping["tests"][0]["limits"] = json!({"wall_time_ms": 60_000});
    let (status, _) = service.post("/v1/submissions", &sleeping);
    assert_eq!(status, 202);
    eventually("one is judged", || {
        service.metric("brig_submissions_active") > 0.0
    });
    let client = Client::new(&service);
    let waiting =
        std::thread::spawn(move || client.post("/v1/submissions?wait=true", &add(&[(1, 2)])));
    eventually("another one waits", || {
        service.metric("brig_submissions_waiting") > 0.0
    });
    let begun = Instant::now();
    service.signal(Signal::SIGTERM);
    let reply = waiting.join().unwrap();
    assert_eq!(reply.status, 202, "{reply:?}");
    assert!(reply.header("location").starts_with("/v1/submissions/"));
    assert!(service.wait().success());
    // A drain may take 30 s, and a worker 5 s more to end its job.
    assert!(begun.elapsed() < Duration::from_secs(20));
    let log = service.rest_of_log().join("\n");
    assert!(!log.contains("workers are still busy"), "{log}");
}
