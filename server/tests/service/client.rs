//! Requests with everything that HTTP has, and with keys.

use std::process::Command;

use serde_json::Value;
use ureq::SendBody;
use ureq::http::{HeaderMap, Request};

use super::harness::{BRIG, Service, agent};

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// How long the client is told to wait.
    pub(crate) fn retry_after(&self) -> std::time::Duration {
        let seconds = self.header("retry-after").parse();
        std::time::Duration::from_secs(seconds.expect("a number of seconds"))
    }
}

/// Sends requests to a service, with a key or without.
#[derive(Clone)]
pub(crate) struct Client {
    url: String,
    agent: ureq::Agent,
    authorization: Option<String>,
}

impl Client {
    pub(crate) fn new(service: &Service) -> Self {
        Self {
            url: format!("http://{}", service.address),
            agent: agent(),
            authorization: None,
        }
    }

    pub(crate) fn with_key(&self, token: &str) -> Self {
        Self {
            authorization: Some(format!("Bearer {token}")),
            ..self.clone()
        }
    }

    /// `None` if no answer comes.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: SendBody<'_>,
    ) -> Option<Reply> {
        let mut request = Request::builder().method(method);
        request = request.uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let mut answer = self.agent.run(request.body(body).unwrap()).ok()?;
        Some(Reply {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.body_mut().read_to_vec().ok()?,
        })
    }

    pub(crate) fn call(&self, method: &str, path: &str) -> Reply {
        let reply = self.send(method, path, &[], SendBody::none());
        reply.expect("an answer")
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.call("GET", path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_with(path, body, &[])
    }

    pub(crate) fn post_with(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Reply {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        let body = body.to_string();
        let body = SendBody::from_owned_reader(std::io::Cursor::new(body));
        let reply = self.send("POST", path, &headers, body);
        reply.expect("an answer")
    }

    pub(crate) fn put(&self, path: &str, body: &[u8]) -> Reply {
        let body = SendBody::from_owned_reader(std::io::Cursor::new(body.to_vec()));
        let reply = self.send("PUT", path, &[], body);
        reply.expect("an answer")
    }
}

/// `brig keys ARGS` on the service's data; what it prints.
pub(crate) fn keys(service: &Service, args: &[&str]) -> String {
    let (_held, data) = service.data();
    let mut command = Command::new(BRIG);
    let output = command
        .arg("keys")
        .args(args)
        .arg("--data")
        .arg(data)
        .output();
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Makes a key with these scopes and, after them, other options of `brig keys create`; its token.
pub(crate) fn make_key(service: &Service, scopes: &str, more: &[&str]) -> String {
    let args = ["create", "--name", scopes, "--scopes", scopes];
    keys(service, &[&args, more].concat())
}
