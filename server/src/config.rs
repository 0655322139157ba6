//! The service's configuration: a TOML file, and flags that win over it.
//!
//! Parsed once, by the supervisor, which gives the server process the result as a
//! [`ServerConfig`]. Every knob is documented at its field. Unknown keys are refused with file and
//! line.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use brig_sandbox::identity::DEFAULT_UID_BASE;
use brig_sandbox::policy::{ProfileError, parse_toml};
use serde::{Deserialize, Serialize};

use crate::auth::AuthConfig;
use crate::blob::BlobsConfig;
use crate::cache::CompileCacheConfig;
use crate::judge::JudgingConfig;
use crate::run::LiveConfig;
use crate::share::SharesConfig;
use crate::store::StoreConfig;
use crate::telemetry::TelemetryConfig;
use crate::web::WebConfig;
use crate::webhook::{Secrets, WebhooksConfig};

/// Flags of `brig serve`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ServeArgs {
    /// Configuration file (TOML); flags win over it
    #[arg(long, value_name = "FILE", env = "BRIG_CONFIG")]
    pub config: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT", env = "BRIG_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Number of workers, each running one stage at a time [default: one per CPU]
    #[arg(long, value_name = "N", env = "BRIG_WORKERS")]
    pub workers: Option<NonZeroU32>,
    /// Keep each worker and its programs on one CPU of its own: steadier times, one CPU for each program
    #[arg(long, env = "BRIG_PIN_WORKERS")]
    pub pin_workers: bool,
    /// Started as root: the server's user id; worker n has this plus one plus n [default: 60600]
    #[arg(long, value_name = "ID", env = "BRIG_UID_BASE")]
    pub uid_base: Option<u32>,
    /// Directory for everything that is kept [default: /var/lib/brig as root, else ~/.local/state/brig]
    #[arg(long, value_name = "DIR", env = "BRIG_DATA")]
    pub data: Option<PathBuf>,
    /// Directory whose `languages/*.toml` and `policies/*.toml` add to and replace the built-in ones
    #[arg(long, value_name = "DIR", env = "BRIG_PROFILES")]
    pub profiles: Option<PathBuf>,
    /// Languages to offer, by id or alias [default: all]
    #[arg(
        long,
        value_name = "LANGUAGE",
        env = "BRIG_LANGUAGES",
        value_delimiter = ','
    )]
    pub languages: Vec<String>,
    /// Runs that may wait for a worker; more are refused with 503 [default: 64]
    #[arg(long, value_name = "N", env = "BRIG_QUEUE")]
    pub queue: Option<usize>,
    /// Start although this layer cannot be enforced; every answer will list it. May be repeated
    #[arg(
        long,
        value_name = "LAYER",
        env = "BRIG_ALLOW_DEGRADED",
        value_delimiter = ','
    )]
    pub allow_degraded: Vec<String>,
    /// Serve on an address that is not loopback although there is no API key: whoever reaches it can
    /// run programs
    #[arg(long, env = "BRIG_INSECURE_NO_KEYS")]
    pub insecure_no_keys: bool,
    /// Form of the log on stderr [default: text]
    #[arg(long, value_name = "FORMAT", env = "BRIG_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Number of workers; without it one per CPU.
    pub workers: Option<NonZeroU32>,
    /// Keeps each worker and its programs on one CPU, those of different physical cores first: times
    /// vary less, but a program with several threads has one CPU for all of them.
    pub pin_workers: bool,
    /// Interpreters of languages that allow it (`run.prestart`) that each worker keeps started ahead of
    /// the runs that will use them, each up to [`brig_sandbox::prestart::MAX_BYTES`]; 0 for none.
    pub prestarted: u32,
    /// Whether files that compilers can start from (`compile.prepare` of a language), such as precompiled
    /// headers, are made while workers are idle. They take their place on disk from the compile cache.
    pub prepared_files: bool,
    /// Started as root: the server's user id; worker `n` has this plus one plus `n`. Two services on
    /// one machine need ranges of their own.
    pub uid_base: u32,
    /// Directory for everything that is kept: submissions, results, blobs, compiled programs. See
    /// [`crate::store::DataDir::choose`] for what it is by default.
    pub data: Option<PathBuf>,
    /// Directory whose `languages/*.toml` and `policies/*.toml` add to and replace the built-in
    /// ones. Languages are read again on SIGHUP.
    pub profiles: Option<PathBuf>,
    /// Languages to offer, by id or alias; all if none is named. What only other languages need is
    /// not to be seen in a sandbox.
    pub languages: Vec<String>,
    /// Runs that may wait for a worker; more are refused with 503 and `Retry-After`.
    pub queue_length: usize,
    /// Layers without which the service may start.
    pub allow_degraded: Vec<String>,
    /// Connections and requests.
    pub http: HttpConfig,
    /// What a run may bring and take away.
    pub runs: RunsConfig,
    /// Live runs.
    pub live: LiveConfig,
    /// What is kept of submissions, and for how long.
    pub store: StoreConfig,
    /// Compiled programs.
    pub compile_cache: CompileCacheConfig,
    /// Uploaded test data.
    pub blobs: BlobsConfig,
    /// Permalinks.
    pub shares: SharesConfig,
    /// Judging.
    pub judging: JudgingConfig,
    /// Where finished submissions are sent.
    pub webhooks: WebhooksConfig,
    /// The log.
    pub log: LogConfig,
    /// Traces.
    pub telemetry: TelemetryConfig,
    /// Who may use the service.
    pub auth: AuthConfig,
    /// The web pages.
    pub web: WebConfig,
}

/// The most that `http.threads` can be: one for each eight CPUs of the largest machines there are.
const MAX_THREADS: usize = 1024;

/// Connections and requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Connections at once; more wait to be accepted.
    pub max_connections: usize,
    /// The largest body of a request.
    pub max_body_bytes: u64,
    /// Bodies of all requests in progress together; more are refused with 503.
    pub max_bodies_bytes: u64,
    /// How long a client may take to send a request's head, and how long a connection may idle.
    pub header_timeout_ms: u64,
    /// How long a client may take to send a request's body.
    pub body_timeout_ms: u64,
    /// How long a run may wait for a worker before it is refused with 503.
    pub queue_timeout_ms: u64,
    /// How long runs in progress may go on after SIGTERM.
    pub drain_timeout_ms: u64,
    /// Origins of other sites' pages that may call the API (CORS), such as
    /// `"https://judge.example"`; none by default.
    pub cors_origins: Vec<String>,
    /// Threads that serve connections; without it one for each eight CPUs. What takes long is done by others.
    pub threads: Option<NonZeroUsize>,
}

/// What a run may bring and take away, beyond its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunsConfig {
    /// Files in a request.
    pub max_files: usize,
    /// Files that `output_files` may send back.
    pub max_output_files: u32,
    /// Bytes of these files together.
    pub max_output_files_bytes: u64,
}

/// The log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `text` or `json`.
    pub format: LogFormat,
    /// What is logged, as `tracing` directives such as `"info,brig_server=debug"`; the environment
    /// variable `BRIG_LOG` wins over it. Default: `info`.
    pub filter: Option<String>,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            workers: None,
            pin_workers: false,
            prestarted: 2,
            prepared_files: true,
            uid_base: DEFAULT_UID_BASE,
            data: None,
            profiles: None,
            languages: Vec::new(),
            queue_length: 64,
            allow_degraded: Vec::new(),
            http: HttpConfig::default(),
            runs: RunsConfig::default(),
            live: LiveConfig::default(),
            store: StoreConfig::default(),
            compile_cache: CompileCacheConfig::default(),
            blobs: BlobsConfig::default(),
            shares: SharesConfig::default(),
            judging: JudgingConfig::default(),
            webhooks: WebhooksConfig::default(),
            log: LogConfig::default(),
            telemetry: TelemetryConfig::default(),
            auth: AuthConfig::default(),
            web: WebConfig::default(),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_body_bytes: 16 << 20,
            max_bodies_bytes: 256 << 20,
            header_timeout_ms: 15_000,
            body_timeout_ms: 30_000,
            queue_timeout_ms: 30_000,
            drain_timeout_ms: 30_000,
            cors_origins: Vec::new(),
            threads: None,
        }
    }
}

impl HttpConfig {
    /// [`Self::header_timeout_ms`] as a duration.
    pub fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.header_timeout_ms)
    }

    /// [`Self::body_timeout_ms`] as a duration.
    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    /// [`Self::queue_timeout_ms`] as a duration.
    pub fn queue_timeout(&self) -> Duration {
        Duration::from_millis(self.queue_timeout_ms)
    }

    /// [`Self::drain_timeout_ms`] as a duration.
    pub fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }
}

impl Default for RunsConfig {
    fn default() -> Self {
        Self {
            max_files: 1000,
            max_output_files: 64,
            max_output_files_bytes: 16 << 20,
        }
    }
}

impl ServeArgs {
    /// The configuration that these flags and the file they name ask for.
    pub fn load(&self) -> anyhow::Result<Config> {
        let mut config = match &self.config {
            Some(path) => Config::from_file(path)?,
            None => Config::default(),
        };
        config.listen = self.listen.unwrap_or(config.listen);
        config.workers = self.workers.or(config.workers);
        config.pin_workers |= self.pin_workers;
        config.uid_base = self.uid_base.unwrap_or(config.uid_base);
        config.data = self.data.clone().or(config.data);
        config.profiles = self.profiles.clone().or(config.profiles);
        // Processes that read it may have another working directory.
        config.profiles = config.profiles.map(std::path::absolute).transpose()?;
        if !self.languages.is_empty() {
            config.languages.clone_from(&self.languages);
        }
        config.queue_length = self.queue.unwrap_or(config.queue_length);
        config
            .allow_degraded
            .extend(self.allow_degraded.iter().cloned());
        config.auth.insecure_no_keys |= self.insecure_no_keys;
        config.log.format = self.log_format.unwrap_or(config.log.format);
        config.check()?;
        Ok(config)
    }
}

impl Config {
    fn from_file(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        let config: Self = parse_toml(&path.to_string_lossy(), &text)?;
        config.check().with_context(|| path.display().to_string())?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.http.max_connections > 0,
            "http.max_connections must be above 0"
        );
        anyhow::ensure!(
            self.http.max_bodies_bytes >= self.http.max_body_bytes,
            "http.max_bodies_bytes must be at least http.max_body_bytes"
        );
        anyhow::ensure!(
            self.http
                .threads
                .is_none_or(|threads| threads.get() <= MAX_THREADS),
            "http.threads must be at most {MAX_THREADS}"
        );
        self.live.check()?;
        self.store.check()?;
        self.compile_cache.check()?;
        self.blobs.check()?;
        self.shares.check()?;
        self.judging.check()?;
        self.webhooks.check()?;
        self.web.check()?;
        self.telemetry.check()?;
        for origin in &self.http.cors_origins {
            axum::http::HeaderValue::from_str(origin)
                .with_context(|| format!("http.cors_origins: {origin:?} is not an origin"))?;
        }
        Ok(())
    }

    /// How many workers there are to be.
    pub fn worker_count(&self) -> NonZeroU32 {
        let per_cpu = || {
            let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            u32::try_from(cpus)
                .ok()
                .and_then(NonZeroU32::new)
                .unwrap_or(NonZeroU32::MIN)
        };
        self.workers.unwrap_or_else(per_cpu)
    }

    /// Where language profiles are read from besides the built-in ones.
    pub fn languages_dir(&self) -> Result<Option<PathBuf>, ProfileError> {
        self.profile_dir("languages")
    }

    /// Where policies are read from besides the built-in ones.
    pub fn policies_dir(&self) -> Result<Option<PathBuf>, ProfileError> {
        self.profile_dir("policies")
    }

    /// Either folder may be absent, but not the directory itself: a mistyped path must not pass
    /// for "nothing to override".
    fn profile_dir(&self, name: &str) -> Result<Option<PathBuf>, ProfileError> {
        let Some(profiles) = &self.profiles else {
            return Ok(None);
        };
        if !profiles.is_dir() {
            let file = profiles.to_string_lossy();
            return Err(ProfileError::new(
                &file,
                "there is no such directory of profiles",
            ));
        }
        Ok(Some(profiles.join(name)).filter(|directory| directory.is_dir()))
    }
}

/// What the server process is started with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// The data directory.
    pub data: PathBuf,
    /// The configuration.
    pub config: Config,
    /// The secrets that sign webhooks.
    #[serde(default)]
    pub secrets: Secrets,
    /// The host, as the supervisor found it.
    #[serde(default)]
    pub host: Host,
    /// Every layer of the sandbox, as the self-check found it.
    #[serde(default)]
    pub layers: Vec<Layer>,
    /// Names of the layers that are not enforced.
    #[serde(default)]
    pub degraded: Vec<String>,
}

/// The host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Host {
    /// Release of its kernel.
    pub kernel: String,
    /// Its architecture.
    pub arch: String,
    /// Which cgroup driver is used: `v1` or `v2`.
    pub cgroup: String,
    /// Whether the service runs without root.
    pub rootless: bool,
}

/// One layer of the sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Its name, as `--allow-degraded` takes it.
    pub name: String,
    /// Whether this host enforces it.
    pub enforced: bool,
    /// What it enforces, or why it does not.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn load(text: &str, listen: Option<&str>) -> anyhow::Result<Config> {
        let file = file(text);
        let args = ServeArgs {
            config: Some(file.path().to_owned()),
            listen: listen.map(|l| l.parse().unwrap()),
            ..ServeArgs::default()
        };
        args.load()
    }

    #[test]
    fn a_number_of_threads_that_no_machine_needs_is_refused() {
        assert!(load("[http]\nthreads = 1024\n", None).is_ok());
        for (threads, named) in [(0, "nonzero"), (1025, "http.threads must be at most 1024")] {
            let error = load(&format!("[http]\nthreads = {threads}\n"), None).unwrap_err();
            assert!(format!("{error:#}").contains(named), "{error:#}");
        }
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let text = "listen = \"127.0.0.1:1\"\nqueue_length = 3\n[http]\nmax_connections = 7\n";
        let config = load(text, Some("127.0.0.1:2")).unwrap();
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.queue_length, 3);
        assert_eq!(config.http.max_connections, 7);
        assert_eq!(
            config.http.body_timeout_ms,
            HttpConfig::default().body_timeout_ms
        );
    }

    #[test]
    fn unknown_keys_are_refused_with_file_and_line() {
        let error = load("queue_length = 3\n\n[http]\nmax_conections = 7\n", None).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains(":4: "), "{text}");
        assert!(text.contains("max_conections"), "{text}");
    }

    #[test]
    fn a_configuration_survives_the_way_to_the_server_process() {
        let config = ServerConfig {
            degraded: vec!["landlock".to_owned()],
            ..ServerConfig::default()
        };
        let json = serde_json::to_string(&config).unwrap();
        let back: ServerConfig = serde_json::from_str(&json).unwrap();
        assert_eq!(back.config, config.config);
        assert_eq!(back.degraded, config.degraded);
    }

    #[test]
    fn a_mistyped_profile_directory_is_an_error() {
        let config = Config {
            profiles: Some("/nonexistent".into()),
            ..Config::default()
        };
        assert!(config.languages_dir().is_err());
    }
}
