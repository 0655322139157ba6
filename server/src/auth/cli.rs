//! `brig keys`: makes, lists and revokes keys in the data directory, with or without a running
//! service beside it.

mod expiry;
mod show;

use std::num::NonZeroU32;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use anyhow::{Context, bail};
use nix::unistd::{Gid, Uid, geteuid, setgroups, setresgid, setresuid};
use time::OffsetDateTime;
use uuid::Uuid;

use self::expiry::Expiry;
use super::{KeyLimits, Presented, Rate, RateLimit, Scope, Settings, Token};
use crate::config::{Config, ServeArgs};
use crate::store::sqlite::SqliteStore;
use crate::store::{self, DataDir, Store};

/// The service holds all keys in memory, the revoked ones too.
const MAX_KEYS: usize = 10_000;
/// The longest name of a key.
const MAX_NAME_CHARS: usize = 64;

/// Arguments of `brig keys`.
#[derive(Clone, Debug, clap::Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: Command,
    /// Configuration file of the service, which may name its data directory
    #[arg(long, value_name = "FILE", env = "BRIG_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// Data directory of the service [default: as for `brig serve`]
    #[arg(long, value_name = "DIR", env = "BRIG_DATA", global = true)]
    data: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    /// Make a key and print it, this once
    Create(CreateArgs),
    /// List the keys, revoked ones too
    List,
    /// Make a key useless; a running service knows it within a second
    Revoke {
        /// Its id, as `brig keys list` shows it, or the key itself
        id: String,
    },
}

#[derive(Clone, Debug, clap::Args)]
struct CreateArgs {
    /// What to call it in lists
    #[arg(long, value_parser = name)]
    name: String,
    /// What it may do: run, judge, read, admin
    #[arg(long, value_name = "SCOPE,...", value_delimiter = ',', required = true)]
    scopes: Vec<Scope>,
    /// Requests that it may make on the average, such as 10/s, 100/min or 1000/h [default: any]
    #[arg(long)]
    rate: Option<Rate>,
    /// Requests that it may make at once after a pause [default: those of a second]
    #[arg(long, value_name = "N", requires = "rate")]
    burst: Option<NonZeroU32>,
    /// Runs that it may have in progress at once [default: any number]
    #[arg(long, value_name = "N")]
    concurrency: Option<NonZeroU32>,
    /// Submissions of its that may wait for their result [default: as many as the service takes]
    #[arg(long, value_name = "N")]
    queue: Option<NonZeroU32>,
    /// The most that a request may set a limit to, such as cpu_time_ms=2000, or
    /// compile.cpu_time_ms=10000 for compiling. May be repeated [default: each language's own]
    #[arg(long, value_name = "LIMIT=MAX")]
    max: Vec<String>,
    /// Until when it works: 90d, 12h, 2027-01-31, 2027-01-31T12:00:00Z [default: until revoked]
    #[arg(long, value_name = "WHEN")]
    expires: Option<Expiry>,
}

/// Is `brig keys`.
pub fn run(args: &KeysArgs) -> anyhow::Result<()> {
    let now = OffsetDateTime::now_utc();
    // What is wrong with the arguments should not depend on what is in the store.
    let settings = match &args.command {
        Command::Create(create) => Some(create.settings(now)?),
        Command::List | Command::Revoke { .. } => None,
    };
    let serve = ServeArgs {
        config: args.config.clone(),
        data: args.data.clone(),
        ..ServeArgs::default()
    };
    let config = serve.load()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _guard = runtime.enter();
    let store = open(&config)?;
    let work = async {
        match (&args.command, settings) {
            (Command::Create(create), Some(settings)) => {
                create_key(&store, &create.name, settings, args.json).await
            }
            (Command::Revoke { id }, _) => revoke_key(&store, id, args.json).await,
            _ => list_keys(&store, args.json).await,
        }
    };
    runtime.block_on(work)
}

/// Opens the service's store, as the user whose it is: what another one makes beside the database,
/// the service could not write. A directory that is not there yet is made as the service would.
fn open(config: &Config) -> anyhow::Result<SqliteStore> {
    let data = DataDir::choose(config.data.as_deref())?;
    let shown = data.root().display().to_string();
    if geteuid().is_root() {
        let server = config.uid_base;
        let fresh = std::fs::symlink_metadata(data.root()).is_err();
        if fresh {
            drop(data.clone().hold(Some((server, server)))?);
        }
        let metadata = std::fs::symlink_metadata(data.root()).with_context(|| shown.clone())?;
        // A directory that no service had yet, such as a new volume.
        if metadata.uid() == 0 && server != 0 {
            drop(data.clone().hold(Some((server, server)))?);
        }
        let metadata = std::fs::symlink_metadata(data.root()).with_context(|| shown.clone())?;
        become_user(metadata.uid(), metadata.gid())
            .with_context(|| format!("becoming the user whose {shown} is"))?;
    } else if std::fs::symlink_metadata(data.root()).is_err() {
        drop(data.clone().hold(None)?);
    }
    SqliteStore::open(&data.database(), &config.store).with_context(|| shown)
}

fn become_user(uid: u32, gid: u32) -> nix::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setgroups(&[gid])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)
}

impl CreateArgs {
    fn settings(&self, now: OffsetDateTime) -> anyhow::Result<Settings> {
        let maxima = self.max.iter().map(String::as_str);
        let rate = self.rate.map(|per_second| RateLimit {
            per_second,
            burst: self.burst.unwrap_or_else(|| per_second.default_burst()),
        });
        Ok(Settings {
            scopes: self.scopes.iter().copied().collect(),
            rate,
            concurrency: self.concurrency,
            queue: self.queue,
            maxima: KeyLimits::parse(maxima)
                .map_err(anyhow::Error::msg)
                .context("--max")?,
            expires_at: self
                .expires
                .map(|expires| expires.after(now))
                .transpose()
                .context("--expires")?,
        })
    }
}

/// A name goes into tables and logs as it is.
fn name(name: &str) -> Result<String, String> {
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        return Err(format!(
            "a name has 1 to {MAX_NAME_CHARS} characters, none of them a control character"
        ));
    }
    Ok(name.to_owned())
}

async fn create_key(
    store: &dyn Store,
    name: &str,
    settings: Settings,
    json: bool,
) -> anyhow::Result<()> {
    let others = store.keys().await?;
    if others.len() >= MAX_KEYS {
        bail!("there are {MAX_KEYS} keys, revoked ones included, and cannot be more");
    }
    let id = Uuid::now_v7();
    let token = Token::generate(id);
    let key = store::Key {
        id,
        hash: token.hash(),
        name: name.to_owned(),
        settings: serde_json::to_vec(&settings)?,
        created_at: OffsetDateTime::now_utc(),
        revoked_at: None,
    };
    store.add_key(key.clone()).await?;
    show::created(&key, &token, others.is_empty(), json)
}

async fn list_keys(store: &dyn Store, json: bool) -> anyhow::Result<()> {
    show::list(&store.keys().await?, json)
}

async fn revoke_key(store: &dyn Store, id: &str, json: bool) -> anyhow::Result<()> {
    let id = match Presented::parse(id.as_bytes()) {
        Ok(token) => token.id,
        Err(_) => Uuid::try_parse(id)
            .ok()
            .context("that is no key's id; `brig keys list` shows them")?,
    };
    if !store.revoke_key(id, OffsetDateTime::now_utc()).await? {
        let keys = store.keys().await?;
        match keys.iter().find(|key| key.id == id) {
            Some(_) => bail!("key {id} is revoked already"),
            None => bail!("there is no key {id}; `brig keys list` shows them"),
        }
    }
    show::revoked(id, json)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        keys: KeysArgs,
    }

    fn create(args: &[&str]) -> Result<Settings, String> {
        let args = ["keys", "create"].iter().chain(args);
        let name = ["--name", "oj"]
            .iter()
            .filter(|_| !args.clone().any(|a| *a == "--name"));
        let cli = Cli::try_parse_from(args.clone().chain(name)).map_err(|e| e.to_string())?;
        let Command::Create(create) = cli.keys.command else {
            panic!("not create");
        };
        create
            .settings(OffsetDateTime::UNIX_EPOCH)
            .map_err(|e| format!("{e:#}"))
    }

    #[test]
    fn everything_at_once() {
        let settings = create(&[
            "--scopes",
            "run,judge",
            "--rate",
            "10/s",
            "--burst",
            "20",
            "--concurrency",
            "4",
            "--queue",
            "100",
            "--max",
            "cpu_time_ms=2000",
            "--max",
            "cpus=1",
            "--expires",
            "90d",
        ])
        .unwrap();
        assert_eq!(settings.scopes.to_string(), "run,judge");
        assert_eq!(settings.rate.unwrap().burst.get(), 20);
        assert_eq!(settings.maxima.to_string(), "cpu_time_ms=2000 cpus=1.0");
        let stored = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&stored).unwrap(), settings);
    }

    #[test]
    fn what_is_not_said_is_not_limited() {
        let settings = create(&["--scopes", "run"]).unwrap();
        assert_eq!(settings.rate, None);
        assert_eq!(settings.expires_at, None);
        assert_eq!(settings.maxima, KeyLimits::default());
    }

    #[test]
    fn mistakes_say_what_is_allowed() {
        for (args, words) in [
            (&["--scopes", "run,write"][..], "run, judge, read and admin"),
            (&[], "--scopes"),
            (&["--scopes", "run", "--rate", "fast"], "10/s"),
            (&["--scopes", "run", "--burst", "5"], "--rate"),
            (&["--scopes", "run", "--max", "time=1"], "`cpu_time_ms`"),
            (&["--scopes", "run", "--expires", "soon"], "90d"),
            (&["--scopes", "run", "--concurrency", "0"], "--concurrency"),
            (&["--scopes", "run", "--name", "a\nb"], "control character"),
        ] {
            let error = create(args).unwrap_err();
            assert!(error.contains(words), "{args:?}: {error}");
        }
    }
}
