//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use time::OffsetDateTime;

use crate::bench::{self, BenchArgs};
use crate::capacity::{self, CapacityArgs};
use crate::client::{Target, TargetFlags};
use crate::compare::{self, CompareArgs};
use crate::host::Service;
use crate::load::{Options, Session, Stop};
use crate::report::{self, About, Report, html, write_file};
use crate::scenario::{self, Arrivals, BUILT_IN, Load, MAX_CLIENTS, MAX_DURATION, MAX_RATE, Plan};
use crate::units::parse_time;
use crate::view::View;

/// The most operations of one load test.
const MAX_REQUESTS: u64 = 100_000_000;

#[derive(Debug, Parser)]
#[command(
    name = "brig-loadtest",
    version,
    about = "Puts a Brig service under load and tells what that takes"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put a service under load
    Run(Box<RunArgs>),
    /// Find the highest rate at which a service still meets a goal
    Capacity(Box<CapacityArgs>),
    /// Compare two reports
    Compare(CompareArgs),
    /// Make a page of a report
    Html(HtmlArgs),
    /// Reproduce the figures of the documentation, beside bare processes and other sandboxes
    Bench(BenchArgs),
    /// List the built-in scenarios, or print one
    Scenarios(ScenariosArgs),
}

/// Flags of `run`.
#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    load: LoadArgs,
    /// Write the report, as JSON, to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report, as a page with plots, to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Show nothing while the load lasts
    #[arg(long, short)]
    quiet: bool,
}

/// What kind of load.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// A built-in scenario, or a path to one
    scenario: String,
    #[command(flatten)]
    pub(crate) target: TargetFlags,
    /// Closed loop: so many clients, each of which waits for its answer. With --rate: the most
    /// connections at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CLIENTS)))]
    clients: Option<u32>,
    /// Open loop: so many operations a second, whether or not earlier ones were answered
    #[arg(long, value_name = "N", value_parser = parse_rate)]
    rate: Option<f64>,
    /// Open loop: how operations are spread in time
    #[arg(long, value_enum, requires = "rate")]
    arrivals: Option<Arrivals>,
    /// Closed loop: how long a client pauses after an answer
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "rate")]
    think: Option<Duration>,
    /// How long the load lasts
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// How long the same load lasts before anything is measured
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    warmup: Option<Duration>,
    /// End after so many operations
    #[arg(long, value_name = "N", default_value_t = MAX_REQUESTS,
          value_parser = clap::value_parser!(u64).range(1..=MAX_REQUESTS))]
    requests: u64,
    /// Measure bare processes of the same programs too, in turn with the load
    #[arg(long)]
    baseline: bool,
    /// How long a turn of the load, and then of bare processes, is
    #[arg(long, value_name = "TIME", value_parser = parse_slice, default_value = "1s")]
    slice: Duration,
    /// The service's first process, where it cannot be found by its port
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
}

/// Flags of `html`.
#[derive(Debug, Args)]
struct HtmlArgs {
    /// A report that `run --json` wrote
    json: PathBuf,
    /// Where the page goes
    html: PathBuf,
}

/// Flags of `scenarios`.
#[derive(Debug, Args)]
struct ScenariosArgs {
    /// Print this one
    name: Option<String>,
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if rate > 0.0 && rate <= MAX_RATE {
        Ok(rate)
    } else {
        Err(format!("a rate must be above 0 and at most {MAX_RATE}"))
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let time = parse_time(text)?;
    if time > MAX_DURATION {
        return Err(format!("at most {} h", MAX_DURATION.as_secs() / 3600));
    }
    Ok(time)
}

fn parse_slice(text: &str) -> Result<Duration, String> {
    let time = parse_time(text)?;
    if (Duration::from_millis(50)..=Duration::from_mins(1)).contains(&time) {
        Ok(time)
    } else {
        Err("a turn must be 50 ms to 60 s".to_owned())
    }
}

/// Carries out the command line.
pub(crate) fn run() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Run(args) => run_load(&args),
        Command::Capacity(args) => capacity::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Html(args) => write_file(&args.html, &html(&Report::read(&args.json)?)),
        Command::Bench(args) => bench::run(&args),
        Command::Scenarios(args) => scenarios(&args),
    }
}

impl LoadArgs {
    /// The scenario, with what the flags change about it.
    pub(crate) fn plan(&self) -> anyhow::Result<Plan> {
        let mut plan = Plan::new(scenario::load(&self.scenario)?)?;
        plan.duration = self.duration.unwrap_or(plan.duration);
        plan.warmup = self.warmup.unwrap_or(plan.warmup);
        let group = plan.main_mut();
        group.load = self.changed(group.load);
        Ok(plan)
    }

    fn changed(&self, load: Load) -> Load {
        match (load, self.rate) {
            (Load::Closed { .. }, Some(rate)) => Load::Open {
                rate,
                arrivals: self.arrivals.unwrap_or_default(),
                connections: self.clients.unwrap_or(scenario::OPEN_CONNECTIONS),
            },
            (
                Load::Open {
                    rate: own,
                    arrivals,
                    connections,
                },
                rate,
            ) if rate.is_some() || self.clients.is_none() => Load::Open {
                rate: rate.unwrap_or(own),
                arrivals: self.arrivals.unwrap_or(arrivals),
                connections: self.clients.unwrap_or(connections),
            },
            // Clients without a rate: a closed loop, whatever the scenario has.
            (Load::Open { .. }, _) => Load::Closed {
                clients: self.clients.unwrap_or(1),
                think: self.think.unwrap_or_default(),
            },
            (Load::Closed { clients, think }, None) => Load::Closed {
                clients: self.clients.unwrap_or(clients),
                think: self.think.unwrap_or(think),
            },
        }
    }

    fn options(&self, plan: &Plan) -> Options {
        Options {
            duration: plan.duration,
            warmup: plan.warmup,
            requests: self.requests,
            baseline: self.baseline.then_some(self.slice),
        }
    }

    /// The processes of the service, if they are on this machine and can be seen.
    pub(crate) fn service(&self, target: &Target) -> anyhow::Result<Option<Service>> {
        match self.pid {
            Some(pid) => Service::of_pid(pid).map(Some),
            None if target.is_local() => Ok(Service::listening_on(target.address.port())),
            None => Ok(None),
        }
    }
}

fn run_load(args: &RunArgs) -> anyhow::Result<()> {
    let stop = Stop::armed()?;
    let target = Target::new(&args.load.target)?;
    let plan = args.load.plan()?;
    let service = args.load.service(&target)?;
    let (view, observer) = View::start(args.quiet)?;
    let started = OffsetDateTime::now_utc();
    let mut session = Session::open(&plan, target, service, stop, observer)?;
    let measured = session.measure(&args.load.options(&plan))?;
    let info = std::mem::take(&mut session.info);
    drop(session);
    view.end();
    let about = About {
        plan: &plan,
        server: &args.load.target.server,
        info: &info,
        started,
    };
    let report = report::make(&about, measured);
    print!("{}", report::text(&report));
    if let Some(path) = &args.json {
        report.write(path)?;
    }
    if let Some(path) = &args.html {
        write_file(path, &html(&report))?;
    }
    Ok(())
}

fn scenarios(args: &ScenariosArgs) -> anyhow::Result<()> {
    if let Some(name) = &args.name {
        print!("{}", scenario::load(name)?.text);
        return Ok(());
    }
    for (name, _) in BUILT_IN {
        println!("{name:<20} {}", scenario::load(name)?.scenario.about);
    }
    Ok(())
}
