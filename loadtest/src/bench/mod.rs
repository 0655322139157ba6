//! `brig-loadtest bench`: the figures that the documentation states, side by side with bare processes
//! and with other sandboxes that this machine has, on the same programs.
//!
//! It starts a service of its own. All subjects are measured in turn, in several passes, so that what
//! the machine does meanwhile meets all of them; what is reported are medians of the passes.

mod figures;
mod peers;
mod service;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use time::OffsetDateTime;

use self::figures::{Figures, Program, Reading, Subject};
use self::service::OwnService;
use crate::baseline::{Baseline, measure};
use crate::client::{Target, TargetFlags};
use crate::host::{Machine, Service};
use crate::load::{Options, Session, Stop};
use crate::report::write_file;
use crate::scenario::{Load, Plan, load};
use crate::units::parse_time;

/// Scenarios that are measured: each has one operation, and a baseline of one command.
const PROGRAMS: &[&str] = &["static-c", "c", "python"];
/// Clients at once.
const CLIENTS: [u32; 4] = [1, 2, 4, 8];
/// Pause between the runs of a calm client.
const CALM: Duration = Duration::from_millis(3);
/// Before each reading of the service.
const WARMUP: Duration = Duration::from_millis(200);
/// Most passes.
const MAX_PASSES: u32 = 100;

/// Flags of `bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The service's binary [default: brig, beside this one]
    #[arg(long, value_name = "FILE")]
    brig: Option<PathBuf>,
    /// A command that starts the service, such as one that gives it a cgroup of its own
    #[arg(long, value_name = "COMMAND", allow_hyphen_values = true)]
    wrap: Option<String>,
    /// Workers of the service
    #[arg(long, value_name = "N", default_value_t = 2)]
    workers: u32,
    /// How often everything is measured
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PASSES)))]
    passes: u32,
    /// How long each reading takes
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "1s")]
    time: Duration,
    /// Programs: scenarios with one operation and a baseline
    #[arg(long, value_name = "SCENARIO", value_delimiter = ',', default_values_t = PROGRAMS.iter().map(|p| (*p).to_owned()))]
    programs: Vec<String>,
    /// Where bench.md and bench.json go
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    out: PathBuf,
}

/// Carries out `bench`.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let stop = Stop::armed()?;
    let brig = match &args.brig {
        Some(brig) => brig.clone(),
        None => beside("brig")?,
    };
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let own = OwnService::start(&brig, args.workers, args.wrap.as_deref())?;
    let mut figures = Figures {
        started_at: OffsetDateTime::now_utc()
            .format(&time::format_description::well_known::Rfc3339)?,
        machine: Machine::here(),
        workers: args.workers,
        passes: args.passes,
        reading_s: args.time.as_secs_f64(),
        idle_memory: Service::of_pid(own.pid())?.memory(),
        ..Figures::default()
    };
    for name in &args.programs {
        if stop.came() {
            break;
        }
        let program = program(args, name, &own, &stop);
        let program = program.with_context(|| format!("program {name}"))?;
        figures.programs.push(program);
    }
    drop(own);
    anyhow::ensure!(!stop.came(), "interrupted; nothing is written");
    let markdown = table::markdown(&figures);
    print!("{markdown}");
    write_file(&args.out.join("bench.md"), &markdown)?;
    let json = serde_json::to_string_pretty(&figures)?;
    write_file(&args.out.join("bench.json"), &(json + "\n"))
}

/// The binary called `name` in this one's directory.
fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let found = own.parent().unwrap_or(Path::new("/")).join(name);
    anyhow::ensure!(
        found.exists(),
        "there is no {}; --brig names it",
        found.display()
    );
    Ok(found)
}

fn program(args: &BenchArgs, name: &str, own: &OwnService, stop: &Stop) -> anyhow::Result<Program> {
    let plan = Plan::new(load(name)?)?;
    let job = plan.main().jobs.first().context("it has no operation")?;
    let baseline = job.baseline.as_ref().context("it has no baseline")?;
    let sandbox = beside("brig-sandbox").ok();
    let mut program = Program {
        name: name.to_owned(),
        about: plan.about.clone(),
        ..Program::default()
    };
    let mut peers = Vec::new();
    for peer in peers::all(baseline, sandbox.as_deref()) {
        match peer.try_out(baseline) {
            Ok(ready) => peers.push((peer, ready)),
            Err(why) => program
                .skipped
                .push((peer.name.to_owned(), format!("{why:#}"))),
        }
    }
    let mut subjects = vec![
        Subject::new("bare posix_spawn and wait", "none"),
        Subject::new("Brig, over HTTP", "fresh; all layers, cgroup"),
    ];
    subjects.extend(
        peers
            .iter()
            .map(|(peer, _)| Subject::new(peer.name, peer.isolation)),
    );
    for pass in 0..args.passes {
        eprintln!("{name}: pass {} of {}", pass + 1, args.passes);
        for clients in CLIENTS {
            for turn in 0..subjects.len() {
                if stop.came() {
                    return Ok(program);
                }
                // Another one begins in each pass.
                let at = (turn + usize::try_from(pass).unwrap_or_default()) % subjects.len();
                let reading = match at {
                    0 => bare(baseline, clients, Duration::ZERO, args, stop)?,
                    1 => through_http(name, own, clients, Duration::ZERO, args, stop)?,
                    at => bare(&peers[at - 2].1, clients, Duration::ZERO, args, stop)?,
                };
                subjects[at].readings.push(reading);
            }
        }
        program.calm_bare.push(bare(baseline, 1, CALM, args, stop)?);
        program
            .calm_brig
            .push(through_http(name, own, 1, CALM, args, stop)?);
    }
    program.subjects = subjects;
    Ok(program)
}

fn bare(
    baseline: &Baseline,
    clients: u32,
    think: Duration,
    args: &BenchArgs,
    stop: &Stop,
) -> anyhow::Result<Reading> {
    let times = measure(|_| baseline, clients, think, args.time, stop.flag())?;
    let report = times.report();
    Ok(Reading {
        clients,
        p50_us: report.latency.p50_us,
        p99_us: report.latency.p99_us,
        per_second: report.per_second,
        ..Reading::default()
    })
}

fn through_http(
    name: &str,
    own: &OwnService,
    clients: u32,
    think: Duration,
    args: &BenchArgs,
    stop: &Stop,
) -> anyhow::Result<Reading> {
    let mut plan = Plan::new(load(name)?)?;
    plan.main_mut().load = Load::Closed { clients, think };
    let target = Target::new(&TargetFlags {
        server: own.url().to_owned(),
        key_file: None,
        allow_remote: false,
    })?;
    let service = Service::of_pid(own.pid())?;
    let observer = Box::new(|_| {});
    let mut session = Session::open(&plan, target, Some(service), stop.clone(), observer)?;
    let measured = session.measure(&Options {
        duration: args.time,
        warmup: WARMUP,
        requests: u64::MAX,
        baseline: None,
    })?;
    let all = measured.recorder.groups[0].all();
    let errors = all.errors.total();
    anyhow::ensure!(errors == 0, "{errors} wrong answers: {:?}", all.errors);
    let latency = all.phase(crate::stats::Phase::Client).percentiles();
    #[allow(clippy::cast_precision_loss)]
    let each = |time: Duration| time.as_secs_f64() * 1e6 / all.ok.max(1) as f64;
    Ok(Reading {
        clients,
        p50_us: latency.p50_us,
        p99_us: latency.p99_us,
        per_second: all.in_window / measured.elapsed.as_secs_f64().max(1e-9),
        server_cpu_us: measured.cpu.server.map(each),
        service_cpu_us: measured.cpu.service.map(each),
        tool_cpu_us: Some(each(measured.cpu.tool)),
    })
}
