//! One connection to the service that is kept and used for one request after the other.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::perform::Failure;
use super::target::Target;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the service may take to answer a question about itself.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest answer that is read.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A connection, made when it is first needed and again when the service closed it.
#[derive(Debug)]
pub(crate) struct Connection {
    target: Arc<Target>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// The service's answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Connection {
    pub(crate) fn new(target: Arc<Target>) -> Self {
        Self {
            target,
            sender: None,
        }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Sends a request and reads the whole answer, within `limit`.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let exchange = self.exchange(method, path, headers, body);
        let Ok(answer) = timeout(limit, exchange).await else {
            // The answer may still come; the next request must not take it for its own.
            self.sender = None;
            return Err(Failure::transport(
                "timeout",
                format!("no answer within {} ms", limit.as_millis()),
            ));
        };
        if answer.is_err() {
            self.sender = None;
        }
        answer
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.target.host)
            .header(
                USER_AGENT,
                concat!("brig-loadtest/", env!("CARGO_PKG_VERSION")),
            )
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = &self.target.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|e| Failure::transport("request", e.to_string()))?;
        let sender = self.sender().await?;
        let sent = sender.send_request(request).await;
        let response = sent.map_err(|e| Failure::transport("connection lost", chain(&e)))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect();
        let body = body
            .await
            .map_err(|e| Failure::transport("answer cut off", chain(&*e)))?;
        Ok(Answer {
            status,
            body: body.to_bytes(),
        })
    }

    /// The connection, ready for a request.
    async fn sender(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, Failure> {
        let usable = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.sender = None;
        }
        match &mut self.sender {
            Some(sender) => Ok(sender),
            none => Ok(none.insert(connect(&self.target).await?)),
        }
    }
}

/// What `GET path` answers, if that is 200.
pub(crate) async fn ask(target: &Arc<Target>, path: &str) -> anyhow::Result<Value> {
    let mut connection = Connection::new(Arc::clone(target));
    let sent = connection.send(Method::GET, path, &[], Bytes::new(), QUESTION_TIMEOUT);
    let answer = sent
        .await
        .map_err(|f| anyhow::anyhow!("{}: {}", f.kind, f.text))?;
    anyhow::ensure!(
        answer.status == 200,
        "GET {path}: {}: {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    serde_json::from_slice(&answer.body).with_context(|| format!("GET {path} is no JSON"))
}

/// [`ask`], for who has no runtime.
pub(crate) fn get_json(target: &Target, path: &str) -> anyhow::Result<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(ask(&Arc::new(target.clone()), path))
}

async fn connect(target: &Target) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let stream = open(target).await?;
    let shaken = handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) =
        shaken.map_err(|e| Failure::transport("connection lost", chain(&e)))?;
    // Ends with the connection, and what went wrong is told to whoever waits for an answer.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    let ready = sender.ready().await;
    ready.map_err(|e| Failure::transport("connection lost", chain(&e)))?;
    Ok(sender)
}

/// A connection on which nothing was said yet.
pub(super) async fn open(target: &Target) -> Result<TcpStream, Failure> {
    let failed = |e: std::io::Error| {
        let text = format!("cannot connect to {}: {e}", target.address);
        Failure::transport("connection refused", text)
    };
    let stream = match timeout(CONNECT_TIMEOUT, TcpStream::connect(target.address)).await {
        Ok(stream) => stream.map_err(failed)?,
        Err(_) => return Err(failed(std::io::ErrorKind::TimedOut.into())),
    };
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}

/// An error and what it came from.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
