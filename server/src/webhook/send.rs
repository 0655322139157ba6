//! One attempt: a signed POST, and what its answer means.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, redirect};
use time::OffsetDateTime;
use uuid::Uuid;

use super::config::WebhooksConfig;
use super::resolve::{Checked, Lookup, NoAddress};
use super::schedule::Outcome;
use super::secret::Secrets;
use super::sign::signature;
use super::target;

/// As much of an answer's body is read, so that the connection can serve again. Nothing is kept.
const MOST_ANSWER_BYTES: usize = 8 << 10;
/// For reading it. The answer's head has said all that counts.
const ANSWER_BODY_TIMEOUT: Duration = Duration::from_secs(2);
/// An unused connection is kept for this long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Unused connections to one host.
const MOST_IDLE_PER_HOST: usize = 2;
/// The longest text of an error.
const MOST_ERROR_BYTES: usize = 200;

/// What is to be sent.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// Stays the same over all attempts.
    pub(super) delivery: Uuid,
    /// From 1.
    pub(super) attempt: u32,
    pub(super) url: String,
    pub(super) secret_id: Option<String>,
    pub(super) body: Bytes,
    /// The time that the signature names.
    pub(super) at: OffsetDateTime,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) outcome: Outcome,
    pub(super) status: Option<u16>,
    /// Why there is no status; for the client too.
    pub(super) error: Option<String>,
}

/// Sends messages to where they may go.
pub(super) struct Sender {
    client: Client,
    config: Arc<WebhooksConfig>,
    secrets: Secrets,
}

impl Sender {
    /// Fails when the host's list of certificate authorities cannot be read.
    pub(super) fn new(
        config: Arc<WebhooksConfig>,
        secrets: Secrets,
        lookup: impl Lookup + 'static,
    ) -> reqwest::Result<Self> {
        let allow = Arc::from(config.allow.as_slice());
        let client = Client::builder()
            .user_agent(concat!("brig/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(config.connect_timeout())
            .timeout(config.timeout())
            // A redirect's target is the receiver's word, not the client's.
            .redirect(redirect::Policy::none())
            // A proxy would do the resolving, unchecked.
            .no_proxy()
            .referer(false)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MOST_IDLE_PER_HOST)
            .dns_resolver(Arc::new(Checked::new(lookup, allow)))
            .build()?;
        Ok(Self {
            client,
            config,
            secrets,
        })
    }

    /// Sends `message`; takes as long as the configured time-out at most, or little more.
    pub(super) async fn send(&self, message: Message) -> Sent {
        let now = message.at;
        match self.attempt(message).await {
            Ok(answer) => {
                let status = answer.status();
                let outcome = meaning(status, answer.headers(), now);
                discard(answer).await;
                Sent {
                    outcome,
                    status: Some(status.as_u16()),
                    error: None,
                }
            }
            Err(error) => Sent {
                outcome: Outcome::Failed,
                status: None,
                error: Some(error),
            },
        }
    }

    async fn attempt(&self, message: Message) -> Result<Response, String> {
        // Hosts that are addresses are checked here, names by the resolver.
        let url = target::parse(&message.url, &self.config)?;
        let mut request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("brig-delivery", message.delivery.to_string())
            .header("brig-attempt", message.attempt);
        if let Some(id) = &message.secret_id {
            // Never unsigned because a secret was taken out of the configuration.
            let secrets = self
                .secrets
                .get(id)
                .ok_or("the secret is not configured any more")?;
            let signature = signature(secrets, message.at.unix_timestamp(), &message.body);
            request = request.header("brig-signature", signature);
        }
        let sent = request.body(message.body).send().await;
        sent.map_err(|error| self.words(&error))
    }

    /// What went wrong, in words for the client.
    fn words(&self, error: &reqwest::Error) -> String {
        let mut cause: &dyn std::error::Error = error;
        loop {
            if cause.is::<NoAddress>() {
                return NoAddress.to_string();
            }
            match cause.source() {
                Some(source) => cause = source,
                None => break,
            }
        }
        if error.is_timeout() {
            return if error.is_connect() {
                format!("no connection within {} ms", self.config.connect_timeout_ms)
            } else {
                format!("no answer within {} ms", self.config.timeout_ms)
            };
        }
        let mut text = cause.to_string();
        text.truncate(text.floor_char_boundary(MOST_ERROR_BYTES));
        if error.is_connect() {
            format!("no connection: {text}")
        } else {
            format!("no answer: {text}")
        }
    }
}

/// What an answer means for the delivery.
fn meaning(status: StatusCode, headers: &HeaderMap, now: OffsetDateTime) -> Outcome {
    match status {
        status if status.is_success() => Outcome::Delivered,
        StatusCode::GONE => Outcome::Gone,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            retry_after(headers, now).map_or(Outcome::Failed, Outcome::Wait)
        }
        _ => Outcome::Failed,
    }
}

/// `Retry-After`: seconds or a date (RFC 9110).
fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date: OffsetDateTime = httpdate::parse_http_date(value).ok()?.into();
    Some((date - now).try_into().unwrap_or(Duration::ZERO))
}

/// Reads what there is of an answer's body, within bounds; a longer one costs the connection.
async fn discard(mut answer: Response) {
    let read = async {
        let mut left = MOST_ANSWER_BYTES;
        while let Ok(Some(chunk)) = answer.chunk().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    let _ = tokio::time::timeout(ANSWER_BODY_TIMEOUT, read).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn outcome(status: u16, retry_after: Option<&str>) -> Outcome {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        meaning(StatusCode::from_u16(status).unwrap(), &headers, NOW)
    }

    #[test]
    fn answers_and_what_they_mean() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(outcome(status, None), Outcome::Delivered, "{status}");
        }
        assert_eq!(outcome(410, None), Outcome::Gone);
        for status in [301, 302, 307, 400, 401, 404, 408, 429, 500, 502, 503] {
            assert_eq!(outcome(status, None), Outcome::Failed, "{status}");
        }
        let wait = |s| Outcome::Wait(Duration::from_secs(s));
        assert_eq!(outcome(429, Some("30")), wait(30));
        assert_eq!(outcome(503, Some(" 0 ")), wait(0));
        assert_eq!(
            outcome(503, Some("Thu, 01 Jan 1970 00:02:00 GMT")),
            wait(120)
        );
        assert_eq!(outcome(503, Some("Thu, 01 Jan 1970 00:00:00 GMT")), wait(0));
        for nonsense in ["-1", "soon", "1.5", "99999999999999999999999"] {
            assert_eq!(outcome(503, Some(nonsense)), Outcome::Failed, "{nonsense}");
        }
        assert_eq!(
            outcome(500, Some("30")),
            Outcome::Failed,
            "only 429 and 503 ask for time"
        );
    }
}
