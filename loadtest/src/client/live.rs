//! A live session: a program that is talked to while it runs.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::answer::{RunAnswer, problem};
use super::http::open;
use super::perform::{Failure, Sample};
use super::target::Target;
use crate::scenario::{Job, Live};
use crate::stats::{Phase, Phases};

/// Output that is kept while an answer is waited for.
const MAX_KEPT_BYTES: usize = 64 << 10;

/// Of the service's messages.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    Started,
    Stdout {
        data: String,
    },
    Finished {
        result: RunAnswer,
    },
    Error {
        problem: serde_json::Value,
    },
    #[serde(other)]
    Other,
}

/// Has the conversation `script` with the program that `start` starts.
pub(super) async fn session(
    target: &Target,
    job: &Job,
    script: &Live,
    start: Bytes,
) -> Result<Sample, Failure> {
    let talk = talk(target, job, script, start);
    match timeout(job.timeout, talk).await {
        Ok(done) => done,
        Err(_) => Err(Failure::transport(
            "timeout",
            "the session did not end in time",
        )),
    }
}

async fn talk(target: &Target, job: &Job, script: &Live, start: Bytes) -> Result<Sample, Failure> {
    let begun = Instant::now();
    let mut phases = Phases::default();
    let mut talk = Talk::connect(target).await?;
    talk.say(String::from_utf8_lossy(&start).into_owned())
        .await?;
    while !matches!(talk.hear().await?, Event::Started) {}
    phases.add(Phase::Started, begun.elapsed());
    for _ in 0..script.turns {
        let said = Instant::now();
        talk.say(script.message.clone()).await?;
        talk.answer(&script.expect).await?;
        phases.add(Phase::Turn, said.elapsed());
        if !script.pause.is_zero() {
            talk.pause(script.pause).await?;
        }
    }
    talk.say(r#"{"type":"eof"}"#.to_owned()).await?;
    let result = loop {
        if let Event::Finished { result } = talk.hear().await? {
            break result;
        }
    };
    let done = Instant::now();
    result.phases(&mut phases);
    Ok(Sample {
        done,
        result: result.check(&job.expect).map(|()| phases),
        cached: result.cached(),
    })
}

/// The connection of a session.
struct Talk {
    socket: WebSocketStream<TcpStream>,
    /// Output since the last answer.
    heard: String,
}

impl Talk {
    async fn connect(target: &Target) -> Result<Self, Failure> {
        let uri = format!("ws://{}/v1/runs/ws", target.authority);
        let mut request = uri
            .into_client_request()
            .map_err(|e| Failure::transport("request", e.to_string()))?;
        if let Some(authorization) = &target.authorization {
            request
                .headers_mut()
                .insert(AUTHORIZATION, HeaderValue::clone(authorization));
        }
        let stream = open(target).await?;
        let (socket, _) = client_async(request, stream).await.map_err(|e| lost(&e))?;
        Ok(Self {
            socket,
            heard: String::new(),
        })
    }

    async fn say(&mut self, message: String) -> Result<(), Failure> {
        let sent = self.socket.send(Message::text(message)).await;
        sent.map_err(|e| lost(&e))
    }

    /// The next message. One that says that the service fails is an error.
    async fn hear(&mut self) -> Result<Event, Failure> {
        loop {
            let message = match self.socket.next().await {
                Some(message) => message.map_err(|e| lost(&e))?,
                None => return Err(Failure::transport("connection lost", "before the end")),
            };
            let Message::Text(text) = message else {
                continue;
            };
            let event: Event = super::answer::read(text.as_bytes())?;
            if let Event::Error { problem: body } = event {
                let status = body["status"].as_u64().unwrap_or_default();
                let status = u16::try_from(status).unwrap_or_default();
                return Err(problem(status, body.to_string().as_bytes()));
            }
            return Ok(event);
        }
    }

    fn keep(&mut self, event: &Event) {
        if let Event::Stdout { data } = event
            && self.heard.len() < MAX_KEPT_BYTES
        {
            self.heard.push_str(data);
        }
    }

    /// Waits until the program has written `expected` since the last answer.
    async fn answer(&mut self, expected: &str) -> Result<(), Failure> {
        loop {
            if let Some(at) = self.heard.find(expected) {
                self.heard.drain(..at + expected.len());
                return Ok(());
            }
            let event = self.hear().await?;
            if matches!(event, Event::Finished { .. }) {
                let text = format!("the program ended before it said {expected:?}");
                return Err(Failure::new("wrong output", text));
            }
            self.keep(&event);
        }
    }

    /// Waits, and takes what comes meanwhile.
    async fn pause(&mut self, time: Duration) -> Result<(), Failure> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match timeout(left, self.hear()).await {
                Ok(event) => {
                    let event = event?;
                    self.keep(&event);
                }
                Err(_) => return Ok(()),
            }
        }
    }
}

fn lost(error: &Error) -> Failure {
    match error {
        Error::Http(response) => problem(
            response.status().as_u16(),
            response.body().as_deref().unwrap_or_default(),
        ),
        other => Failure::transport("connection lost", other.to_string()),
    }
}
