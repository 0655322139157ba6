//! What the log and a collector of traces learn of a run and of a submission.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use serde_json::{Value, json};

use super::harness::{Service, eventually, python};

const RUNS_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SUBMISSIONS_TRACE: &str = "1bf7651916cd43dd8448eb211c80319d";
const CALLER: &str = "b7ad6b7169203331";

/// A collector that speaks OTLP over HTTP, and takes webhooks at any other path.
struct Collector {
    address: SocketAddr,
    received: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let all = Arc::clone(&all);
                std::thread::spawn(move || answer(stream, &all));
            }
        });
        Self { address, received }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Spans of a trace that have come so far.
    fn spans(&self, trace: &str) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let resources = received.iter().flat_map(|r| &r.resource_spans);
        let spans = resources.flat_map(|r| r.scope_spans.iter().flat_map(|s| &s.spans));
        let of_trace = spans.filter(|span| hex(&span.trace_id) == trace);
        of_trace.cloned().collect()
    }

    /// Spans of a trace, once those with these names are among them.
    fn trace(&self, trace: &str, names: &[&str]) -> Vec<Span> {
        let mut spans = Vec::new();
        eventually(&format!("the spans {names:?} have come"), || {
            spans = self.spans(trace);
            names
                .iter()
                .all(|name| spans.iter().any(|s| s.name == *name))
        });
        spans
    }

    fn service_name(&self) -> Option<AnyValue> {
        let received = self.received.lock().unwrap();
        let resource = received[0].resource_spans[0].resource.as_ref()?;
        let mut attributes = resource.attributes.iter();
        let name = attributes.find(|a| a.key == "service.name")?;
        name.value.as_ref()?.value.clone()
    }
}

/// Answers requests of one connection with 200.
fn answer(stream: TcpStream, received: &Mutex<Vec<ExportTraceServiceRequest>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let lower = head.to_ascii_lowercase();
        let length = lower
            .lines()
            .find_map(|l| l.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |l| l.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        if head.starts_with("POST /v1/traces ") {
            let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
            received.lock().unwrap().push(request);
        }
        let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        if reader.get_mut().write_all(ok).is_err() {
            return;
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The only span with this name.
fn one<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.name == name);
    let one = found.next().unwrap_or_else(|| panic!("no {name}"));
    assert!(found.next().is_none(), "more than one {name}");
    one
}

/// Names of the spans right below `parent`, in order.
fn below<'a>(spans: &'a [Span], parent: &Span) -> Vec<&'a str> {
    let below = spans.iter().filter(|s| s.parent_span_id == parent.span_id);
    let mut names: Vec<_> = below.map(|s| s.name.as_str()).collect();
    names.sort_unstable();
    names
}

fn configured(text: &str, args: &[&str]) -> Service {
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), text).unwrap();
    let config = ["--config", config.path().to_str().unwrap()];
    Service::settled(&[&config[..], args].concat())
}

fn submission(callback: &str) -> Value {
    json!({
        "language": "c",
        "source": "#include <stdio.h>\nint main(){int n;scanf(\"%d\",&n);printf(\"%d\\n\",n+1);}",
        "tests": [{"id": "one", "stdin": "1", "expected_output": "2"}],
        "callback": {"url": callback},
    })
}

#[test]
fn a_run_and_a_submission_are_one_trace_each_from_the_request_to_the_webhook() {
    let collector = Collector::start();
    let config = format!(
        "[telemetry]\nendpoint = \"{}\"\n[webhooks]\nallow = [\"127.0.0.1\"]\n",
        collector.url()
    );
    let service = configured(&config, &["--languages", "c"]);
    let post = |path: &str, body: &Value, trace: &str| {
        let parent = format!("00-{trace}-{CALLER}-01");
        service.post_with(path, body, &[("traceparent", &parent)])
    };
    let (status, answer) = post("/v1/runs", &python("print(1)"), RUNS_TRACE);
    assert_eq!((status, &answer["status"]), (200, &json!("ok")));
    let spans = collector.trace(RUNS_TRACE, &["POST /v1/runs"]);
    let request = one(&spans, "POST /v1/runs");
    assert_eq!(hex(&request.parent_span_id), CALLER);
    assert_eq!(request.kind, SpanKind::Server as i32);
    let run = one(&spans, "run");
    assert_eq!(run.parent_span_id, request.span_id);
    assert_eq!(below(&spans, run), ["queue", "stage"]);
    let id = run.attributes.iter().find(|a| a.key == "run").unwrap();
    let id = id.value.clone().unwrap().value.unwrap();
    assert_eq!(
        id,
        AnyValue::StringValue(answer["id"].as_str().unwrap().into())
    );
    let brig = AnyValue::StringValue("brig".to_owned());
    assert_eq!(collector.service_name(), Some(brig));

    let hook = format!("{}/hook", collector.url());
    let path = "/v1/submissions?wait=true";
    let (status, answer) = post(path, &submission(&hook), SUBMISSIONS_TRACE);
    assert_eq!(
        (status, &answer["verdict"]),
        (200, &json!("accepted")),
        "{answer}"
    );
    let names = ["webhook", "submission", "POST /v1/submissions"];
    let spans = collector.trace(SUBMISSIONS_TRACE, &names);
    let request = one(&spans, "POST /v1/submissions");
    let judged = one(&spans, "submission");
    assert_eq!(judged.parent_span_id, request.span_id);
    assert!(
        below(&spans, request).contains(&"store commit"),
        "{spans:#?}"
    );
    let steps = below(&spans, judged);
    for step in ["compile", "queue", "store commit", "test", "webhook"] {
        assert!(steps.contains(&step), "{step}: {steps:?}");
    }
    assert_eq!(below(&spans, one(&spans, "test")), ["queue", "stage"]);
    assert_eq!(below(&spans, one(&spans, "compile")), ["queue", "stage"]);
    assert_eq!(one(&spans, "webhook").kind, SpanKind::Client as i32);
    assert!(service.stop().success());
}

#[test]
fn a_collector_that_is_not_there_harms_nobody() {
    // Taken and given back: nobody listens there.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let config = format!("[telemetry]\nendpoint = \"http://{address}\"\n");
    let service = configured(&config, &[]);
    for _ in 0..3 {
        assert_eq!(service.run(&python("print(1)"))["status"], "ok");
    }
    assert!(service.logs("spans do not reach the collector"));
    assert!(service.metric("brig_telemetry_spans_total") > 0.0);
    assert_eq!(service.run(&python("print(1)"))["status"], "ok");
    assert!(service.stop().success());
}

/// The value of `key` among the spans of a line in JSON.
fn in_spans<'a>(line: &'a Value, key: &str) -> Option<&'a str> {
    let spans = line["spans"].as_array()?;
    spans.iter().find_map(|span| span[key].as_str())
}

#[test]
fn lines_have_the_ids_of_what_they_belong_to() {
    let service = Service::settled(&["--log-format", "json"]);
    let line = |text: &str| -> Value {
        let line = service.log_line(text).expect(text);
        serde_json::from_str(&line).expect("a line of JSON")
    };
    let run = service.run(&python("print(1)"));
    let finished = line("run finished");
    assert_eq!(finished["run"], run["id"], "{finished}");
    assert!(in_spans(&finished, "request").is_some(), "{finished}");
    let test = json!({"stdin": "", "expected_output": "1"});
    let submission = json!({"language": "python", "source": "print(1)", "tests": [test]});
    let (_, answer) = service.post("/v1/submissions?wait=true", &submission);
    let finished = line("submission finished");
    assert_eq!(
        in_spans(&finished, "submission"),
        answer["id"].as_str(),
        "{finished}"
    );
    // Workers follow the same form: each line is an object.
    super::harness::kill_9(service.children("brig-worker")[0]);
    assert_eq!(line("is started anew")["level"], "WARN");
}
