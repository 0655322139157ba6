//! The way to the service: one request at a time over HTTP, tried again when the service asks for it.

use std::ffi::OsString;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use ureq::http::{Method, Request, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, SendBody};

use super::failure::Failure;
use super::interrupt::Interrupt;
use super::problem;
use super::ui::Ui;
use super::units;

/// Where a service started without further words listens.
const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";
/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take that the service has not to work for.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a run may take from its request to its answer: the queue, the longest compile stage and
/// the longest run stage.
pub(super) const RUN_TIMEOUT: Duration = Duration::from_mins(10);
/// How long one file may take to be uploaded.
pub(super) const UPLOAD_TIMEOUT: Duration = Duration::from_mins(30);
/// The longest answer that is read.
const MAX_ANSWER_BYTES: u64 = 512 << 20;
/// The service closes connections that idle; this is well before that.
const MAX_IDLE: Duration = Duration::from_secs(5);
/// Where a busy service does not say when to come again; doubled each time.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The longest that is waited in one go.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);
/// How often a request that can be repeated is repeated after the connection broke.
const MAX_REPEATS: u32 = 4;

/// Which service, and who asks.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Service")]
pub(super) struct ServiceFlags {
    /// The service's address
    #[arg(long, value_name = "URL", env = "BRIG_SERVER", default_value = DEFAULT_SERVER)]
    server: String,
    /// File that holds the API key; the environment variable BRIG_KEY can hold the key itself
    #[arg(long, value_name = "FILE", env = "BRIG_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// How long to try again while the service is busy
    #[arg(long, value_name = "TIME", default_value = "2min", value_parser = units::time_ms)]
    retry_for: u64,
}

/// How long the service was asked again so far, and how long to wait where it does not say.
#[derive(Debug)]
pub(super) struct Retries {
    begun: Instant,
    pause: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            pause: RETRY_AFTER,
        }
    }
}

/// The service.
#[derive(Debug)]
pub(super) struct Service {
    agent: Agent,
    base: String,
    authorization: Option<String>,
    retry_for: Duration,
    ui: Arc<Ui>,
    interrupt: Arc<Interrupt>,
}

/// A request.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Sent<'a>,
    pub(super) timeout: Duration,
    /// Whether sending it twice is the same as sending it once.
    pub(super) repeatable: bool,
}

/// What a request brings.
pub(super) enum Sent<'a> {
    Nothing,
    Json(&'a [u8]),
    /// The file's content, of which so many bytes are promised; how many are sent is told.
    File(&'a Path, u64, &'a dyn Fn(u64)),
}

impl std::fmt::Debug for Sent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Json(body) => write!(f, "Json({} bytes)", body.len()),
            Self::File(path, bytes, _) => write!(f, "File({}, {bytes} bytes)", path.display()),
        }
    }
}

impl Ask<'_> {
    /// A request that only reads.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            headers: Vec::new(),
            body: Sent::Nothing,
            timeout: ANSWER_TIMEOUT,
            repeatable: true,
        }
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    retry_after: Option<Duration>,
}

impl Answer {
    pub(super) fn ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as `T`.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Failure::Service(format!("the service's answer is not understood: {error}"))
        })
    }

    fn busy(&self) -> bool {
        is_busy(self.status)
    }
}

impl Service {
    pub(super) fn new(flags: &ServiceFlags, ui: Arc<Ui>) -> Result<Self, Failure> {
        let base = base(&flags.server)?;
        let loopback = ["//127.", "//localhost", "//[::1]"]
            .iter()
            .any(|host| base.contains(host));
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_age(MAX_IDLE)
            .user_agent(concat!("brig/", env!("CARGO_PKG_VERSION")));
        if base.starts_with("https:") {
            config = config.tls_config(tls()?);
        }
        if loopback {
            // A proxy is for what is elsewhere.
            config = config.proxy(None);
        }
        Ok(Self {
            agent: config.build().into(),
            base,
            authorization: key(std::env::var_os("BRIG_KEY"), flags.key_file.as_deref())?
                .map(|key| format!("Bearer {key}")),
            retry_for: Duration::from_millis(flags.retry_for),
            ui,
            interrupt: Arc::default(),
        })
    }

    pub(super) fn ui(&self) -> &Arc<Ui> {
        &self.ui
    }

    pub(super) fn interrupt(&self) -> &Arc<Interrupt> {
        &self.interrupt
    }

    /// Sends `ask` until the service takes it, and gives its answer, whatever that is.
    pub(super) fn send(&self, ask: &Ask<'_>) -> Result<Answer, Failure> {
        let (mut retries, mut repeats) = (Retries::default(), 0);
        loop {
            let (why, wait) = match self.once(ask) {
                Ok(answer) if answer.busy() => {
                    (busy(answer.status, &answer.body), answer.retry_after)
                }
                Ok(answer) => return Ok(answer),
                Err(error) if ask.repeatable && repeats < MAX_REPEATS && broke(&error) => {
                    repeats += 1;
                    (self.words(&error), None)
                }
                Err(error) => return Err(Failure::Service(self.words(&error))),
            };
            self.pause(&mut retries, why, wait)?;
        }
    }

    /// Waits before the next try, as long as the service asked for, if it did; fails with `why` if that is too
    /// long.
    pub(super) fn pause(
        &self,
        retries: &mut Retries,
        why: String,
        asked: Option<Duration>,
    ) -> Result<(), Failure> {
        let wait = asked.unwrap_or(retries.pause).min(MAX_RETRY_AFTER);
        retries.pause = (retries.pause * 2).min(MAX_RETRY_AFTER);
        if retries.begun.elapsed() + wait > self.retry_for {
            return Err(Failure::Service(why));
        }
        let seconds = wait.as_secs_f64().ceil();
        self.ui.note(&format!("{why}; trying again in {seconds} s"));
        self.interrupt.pause(wait)
    }

    /// As [`Self::send`], with everything but a 2xx as a failure; `flag` names what the caller wrote
    /// for a JSON pointer of the request.
    pub(super) fn expect(
        &self,
        ask: &Ask<'_>,
        flag: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Answer, Failure> {
        let answer = self.send(ask)?;
        if answer.ok() {
            return Ok(answer);
        }
        Err(self.refusal(&answer, flag))
    }

    /// What an answer that is no 2xx means.
    pub(super) fn refusal(
        &self,
        answer: &Answer,
        flag: &dyn Fn(&str) -> Option<String>,
    ) -> Failure {
        self.refused(answer.status, &answer.body, flag)
    }

    /// What a status that is no 2xx means, with this body.
    pub(super) fn refused(
        &self,
        status: u16,
        body: &[u8],
        flag: &dyn Fn(&str) -> Option<String>,
    ) -> Failure {
        match status {
            300..=399 => Failure::usage(format!(
                "{} redirects; give the address that it redirects to as --server",
                self.base
            )),
            status => problem::failure(status, body, self.authorization.is_some(), flag),
        }
    }

    /// Opens a stream that the service keeps sending on; it is broken after a silence of `silence`.
    pub(super) fn stream(&self, ask: &Ask<'_>, silence: Duration) -> Result<Streamed, String> {
        let response = self
            .respond(ask, Some(silence))
            .map_err(|e| self.words(&e))?;
        let kind = response.headers().get("content-type");
        let is_events = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        Ok(if response.status() == 200 && is_events {
            Streamed::Events(Box::new(BufReader::new(response.into_body().into_reader())))
        } else {
            Streamed::Other
        })
    }

    fn once(&self, ask: &Ask<'_>) -> Result<Answer, ureq::Error> {
        let response = self.respond(ask, None)?;
        let status = response.status().as_u16();
        let seconds = response.headers().get("retry-after");
        let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let body = response.into_body().into_with_config();
        Ok(Answer {
            status,
            body: body.limit(MAX_ANSWER_BYTES).read_to_vec()?,
            retry_after: seconds.map(Duration::from_secs),
        })
    }

    fn respond(
        &self,
        ask: &Ask<'_>,
        silence: Option<Duration>,
    ) -> Result<Response<Body>, ureq::Error> {
        let url = format!("{}{}", self.base, ask.path);
        let mut request = Request::builder().method(ask.method.clone()).uri(url);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        match &ask.body {
            Sent::Nothing => self.exchange(request.body(SendBody::none())?, ask, silence),
            Sent::Json(bytes) => {
                let request = request
                    .header("content-type", "application/json")
                    .header("content-length", bytes.len());
                let mut json = *bytes;
                let body = SendBody::from_reader(&mut json);
                self.exchange(request.body(body)?, ask, silence)
            }
            Sent::File(path, bytes, told) => {
                let request = request
                    .header("content-type", "application/octet-stream")
                    .header("content-length", *bytes);
                let mut file = Counted {
                    file: std::fs::File::open(path)?.take(*bytes),
                    sent: 0,
                    told,
                };
                let body = SendBody::from_reader(&mut file);
                self.exchange(request.body(body)?, ask, silence)
            }
        }
    }

    fn exchange(
        &self,
        request: Request<SendBody<'_>>,
        ask: &Ask<'_>,
        silence: Option<Duration>,
    ) -> Result<Response<Body>, ureq::Error> {
        let config = self.agent.configure_request(request);
        let config = match silence {
            Some(_) => config.timeout_per_read(silence),
            None => config.timeout_global(Some(ask.timeout)),
        };
        self.agent.run(config.build())
    }

    /// The service's address, and what is sent as `Authorization`.
    pub(super) fn target(&self) -> (&str, Option<&str>) {
        (&self.base, self.authorization.as_deref())
    }

    /// Why there is no answer, and what to do.
    pub(super) fn words(&self, error: &ureq::Error) -> String {
        let base = &self.base;
        match error {
            ureq::Error::Io(e) if e.kind() == io::ErrorKind::ConnectionRefused => format!(
                "nothing listens at {base}: is `brig serve` running there? (--server or BRIG_SERVER names another address)"
            ),
            ureq::Error::HostNotFound => format!("there is no host of this name: {base}"),
            ureq::Error::Timeout(_) => format!("{base} did not answer in time"),
            error => format!("no answer from {base}: {error}"),
        }
    }
}

/// Whether it may go better later.
pub(super) fn is_busy(status: u16) -> bool {
    matches!(status, 429 | 503)
}

/// What such an answer says.
pub(super) fn busy(status: u16, body: &[u8]) -> String {
    format!("the service is busy: {}", problem::sentence(status, body))
}

/// A request's body.
pub(super) fn to_json(request: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(request)
        .map_err(|e| Failure::Service(format!("the request cannot be written: {e}")))
}

/// What [`Service::stream`] got.
pub(super) enum Streamed {
    /// Events.
    Events(Box<dyn io::BufRead>),
    /// Another answer.
    Other,
}

/// A file that tells how much of it was read.
struct Counted<'a> {
    file: io::Take<std::fs::File>,
    sent: u64,
    told: &'a dyn Fn(u64),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.sent += read as u64;
        (self.told)(self.sent);
        Ok(read)
    }
}

/// Whether the connection came about and then broke, as when a server is restarted.
fn broke(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
        ),
        ureq::Error::Protocol(_) => true,
        _ => false,
    }
}

/// The address without a slash at its end.
fn base(server: &str) -> Result<String, Failure> {
    let base = server.trim().trim_end_matches('/');
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| base.strip_prefix(scheme));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(['?', '#', '@']) => Ok(base.to_owned()),
        _ => Err(Failure::usage(format!(
            "--server: {server:?} is no address such as {DEFAULT_SERVER}"
        ))),
    }
}

/// The key, from the environment or else from its file. It is never shown, not even in part.
fn key(variable: Option<OsString>, file: Option<&Path>) -> Result<Option<String>, Failure> {
    let (text, place) = match (variable.filter(|text| !text.is_empty()), file) {
        (Some(text), _) => (text.to_string_lossy().into_owned(), "BRIG_KEY".to_owned()),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).map_err(|e| Failure::file(path, &e))?;
            (text, path.display().to_string())
        }
        (None, None) => return Ok(None),
    };
    let key = text.trim();
    let fits = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        Ok(Some(key.to_owned()))
    } else {
        Err(Failure::usage(format!("{place} holds no API key")))
    }
}

/// What the system trusts.
pub(super) fn certificates() -> Result<Vec<CertificateDer<'static>>, Failure> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(Failure::usage(
            "this system has no certificates to check https with; install ca-certificates",
        ));
    }
    Ok(found.certs)
}

fn tls() -> Result<TlsConfig, Failure> {
    let certs: Vec<_> = certificates()?
        .iter()
        .map(|cert| Certificate::from_der(cert).to_owned())
        .collect();
    let config = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&certs))
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()));
    Ok(config.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(base("http://a:1/").unwrap(), "http://a:1");
        assert_eq!(
            base("https://judge.example/brig/").unwrap(),
            "https://judge.example/brig"
        );
        for wrong in [
            "",
            "a:1",
            "http://",
            "ftp://a",
            "http://user:secret@a",
            "http://a/?x",
        ] {
            assert!(base(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_file_may_end_in_a_line_end_and_is_never_quoted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "brig_1_s3cret\n").unwrap();
        assert_eq!(
            key(None, Some(file.path())).unwrap().as_deref(),
            Some("brig_1_s3cret")
        );
        std::fs::write(file.path(), "s3 cret\n").unwrap();
        assert_eq!(
            key(Some("k".into()), Some(file.path())).unwrap().as_deref(),
            Some("k")
        );
        let text = key(None, Some(file.path())).unwrap_err().lines().concat();
        assert!(!text.contains("cret"), "{text}");
    }
}
