//! `brig-loadtest capacity`: the highest rate at which a service still meets a goal.
//!
//! The rate is doubled until the goal is missed, then the gap between a rate that meets it and one
//! that does not is halved until it is small, and the rate that is left is measured once more, for
//! longer. If it does not stand that, a little less is tried.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::cli::LoadArgs;
use crate::client::Target;
use crate::load::{Measured, Options, Session, Stop};
use crate::report::write_file;
use crate::scenario::{self, Arrivals, Load, MAX_RATE};
use crate::stats::{Latencies, Phase};
use crate::units::{parse_time, show_us, three_digits};
use crate::view::View;

/// How close together the last two rates are.
const PRECISION: f64 = 1.05;
/// Most measurements of a search.
const MAX_STEPS: usize = 40;
/// What is taken off a rate that the longer measurement does not confirm.
const BACK_OFF: f64 = 0.93;
/// How much longer that is.
const CONFIRM_TIMES: u32 = 3;
/// A service that answers this share of what was sent while it was sent keeps up with it.
const FEWEST_ANSWERED: f64 = 0.95;

/// Flags of `capacity`.
#[derive(Debug, Args)]
pub(crate) struct CapacityArgs {
    #[command(flatten)]
    load: LoadArgs,
    /// What must hold, such as p99=50ms; may be repeated
    #[arg(long = "goal", value_name = "QUANTILE=TIME", value_parser = parse_goal, default_value = "p99=1s")]
    goals: Vec<Goal>,
    /// The share of wrong answers and refusals that is allowed
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    max_errors: f64,
    /// The first rate to try
    #[arg(long, value_name = "N", default_value_t = 4.0)]
    from: f64,
    /// How long each rate is tried
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "5s")]
    step: Duration,
    /// Write what was found, and each step, as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Tell only the result
    #[arg(long, short)]
    quiet: bool,
}

/// A latency that must not be exceeded.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Goal {
    /// `p50`, `p99`, ...
    quantile: String,
    us: f64,
}

fn parse_goal(text: &str) -> Result<Goal, String> {
    let wrong = || format!("{text:?} is no goal like p99=50ms");
    let (quantile, time) = text.split_once('=').ok_or_else(wrong)?;
    if crate::stats::Percentiles::default()
        .named(quantile)
        .is_none()
    {
        return Err(format!(
            "{quantile:?} is none of mean, p50, p75, p90, p95, p99, p99.9, max"
        ));
    }
    Ok(Goal {
        quantile: quantile.to_owned(),
        us: parse_time(time)?.as_secs_f64() * 1e6,
    })
}

/// One rate that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Step {
    /// Operations a second that were sent.
    rate: f64,
    /// Right answers a second.
    answered: f64,
    /// What was measured for each goal.
    us: Vec<f64>,
    /// Wrong answers, refusals and what could not be sent, as a share.
    errors: f64,
    /// Whether the goals were met.
    met: bool,
    /// Whether it was the longer measurement.
    confirming: bool,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
struct Capacity {
    schema: &'static str,
    scenario: String,
    goals: Vec<Goal>,
    /// The highest rate that was confirmed; null if none was.
    rate: Option<f64>,
    steps: Vec<Step>,
    interrupted: bool,
}

/// Carries out `capacity`.
pub(crate) fn run(args: &CapacityArgs) -> anyhow::Result<()> {
    anyhow::ensure!(
        args.from > 0.0 && args.from <= MAX_RATE,
        "--from must be above 0 and at most {MAX_RATE}"
    );
    anyhow::ensure!(
        (0.0..1.0).contains(&args.max_errors),
        "--max-errors must be from 0 to 1"
    );
    anyhow::ensure!(!args.step.is_zero(), "--step must be above 0");
    let stop = Stop::armed()?;
    let target = Target::new(&args.load.target)?;
    let service = args.load.service(&target)?;
    let mut plan = args.load.plan()?;
    let (connections, arrivals) = match plan.main().load {
        Load::Open {
            connections,
            arrivals,
            ..
        } => (connections, arrivals),
        Load::Closed { .. } => (scenario::OPEN_CONNECTIONS, Arrivals::Poisson),
    };
    plan.main_mut().load = Load::Open {
        rate: args.from,
        arrivals,
        connections,
    };
    let (view, observer) = View::start(true)?;
    let mut session = Session::open(&plan, target, service, stop.clone(), observer)?;
    let warmup = plan.warmup.min(args.step);
    let mut first = true;
    let measure = |rate: f64, confirming: bool| -> anyhow::Result<Step> {
        session.set_rate(rate);
        let measured = session.measure(&Options {
            duration: if confirming {
                args.step * CONFIRM_TIMES
            } else {
                args.step
            },
            warmup: if std::mem::take(&mut first) {
                warmup
            } else {
                Duration::ZERO
            },
            requests: u64::MAX,
            baseline: None,
        })?;
        let tried = judged(args, rate, confirming, &measured);
        if !args.quiet {
            eprintln!("{}", line(args, &tried));
        }
        Ok(tried)
    };
    let (rate, steps) = search(args.from, measure, &|| stop.came())?;
    drop(session);
    view.end();
    let capacity = Capacity {
        schema: "brig-loadtest-capacity/1",
        scenario: plan.name.clone(),
        goals: args.goals.clone(),
        rate,
        steps,
        interrupted: stop.came(),
    };
    println!("{}", sentence(&capacity));
    if let Some(path) = &args.json {
        write_file(path, &(serde_json::to_string_pretty(&capacity)? + "\n"))?;
    }
    Ok(())
}

fn judged(args: &CapacityArgs, rate: f64, confirming: bool, measured: &Measured) -> Step {
    let group = &measured.recorder.groups[0];
    let all = group.all();
    let latencies: &Latencies = all.phase(Phase::Client);
    let percentiles = latencies.percentiles();
    let us: Vec<f64> = args
        .goals
        .iter()
        .map(|goal| percentiles.named(&goal.quantile).unwrap_or(f64::MAX))
        .collect();
    let wrong = all.errors.total() + group.unsent;
    #[allow(clippy::cast_precision_loss)]
    let (errors, sent) = (
        wrong as f64 / (all.ok + wrong).max(1) as f64,
        (all.ok + wrong) as f64 / measured.elapsed.as_secs_f64().max(1e-9),
    );
    let answered = all.in_window / measured.elapsed.as_secs_f64().max(1e-9);
    let in_time = us.iter().zip(&args.goals).all(|(us, goal)| *us <= goal.us);
    let seconds = measured.elapsed.as_secs_f64();
    let longest_us = args.goals.iter().map(|g| g.us).fold(0.0, f64::max);
    let keeps_up = (sent - answered) * seconds <= allowed_unanswered(sent, seconds, longest_us);
    Step {
        rate,
        answered,
        us,
        errors,
        met: all.ok > 0 && in_time && keeps_up && errors <= args.max_errors,
        confirming,
    }
}

/// How many operations may be without an answer when the last one was sent: as many as come in during the
/// longest time that a goal allows, for a service that meets it has no more in progress (Little's law).
fn allowed_unanswered(sent: f64, seconds: f64, longest_us: f64) -> f64 {
    let in_progress = sent * (longest_us / 1e6).min(seconds / 2.0);
    in_progress
        .max(sent * seconds * (1.0 - FEWEST_ANSWERED))
        .max(3.0)
}

fn line(args: &CapacityArgs, step: &Step) -> String {
    let goals = args.goals.iter().zip(&step.us);
    let goals: Vec<String> = goals
        .map(|(goal, us)| format!("{} {}", goal.quantile, show_us(*us)))
        .collect();
    format!(
        "{:>9}/s: {} answered/s, {}, {:.1} % wrong: {}{}",
        three_digits(step.rate),
        three_digits(step.answered),
        goals.join(", "),
        step.errors * 100.0,
        if step.met { "met" } else { "missed" },
        if step.confirming { " (longer)" } else { "" }
    )
}

fn sentence(capacity: &Capacity) -> String {
    let goals = capacity.goals.iter();
    let goals: Vec<String> = goals
        .map(|g| format!("{} of at most {}", g.quantile, show_us(g.us)))
        .collect();
    let goals = goals.join(" and ");
    match (capacity.rate, capacity.interrupted) {
        (_, true) => "interrupted before a rate was confirmed".to_owned(),
        (Some(rate), _) => format!(
            "{}: {} operations/s with a {goals}",
            capacity.scenario,
            three_digits(rate)
        ),
        (None, _) => format!(
            "{}: no rate that was tried has a {goals}",
            capacity.scenario
        ),
    }
}

/// The highest rate for which `measure` says that the goals were met, and all that were tried.
fn search(
    from: f64,
    mut measure: impl FnMut(f64, bool) -> anyhow::Result<Step>,
    stopped: &dyn Fn() -> bool,
) -> anyhow::Result<(Option<f64>, Vec<Step>)> {
    let mut steps = Vec::new();
    let (mut good, mut bad): (Option<f64>, Option<f64>) = (None, None);
    let mut rate = from;
    while steps.len() < MAX_STEPS {
        let step = measure(rate, false)?;
        if stopped() {
            return Ok((None, steps));
        }
        if step.met {
            good = Some(rate);
        } else {
            bad = Some(rate);
        }
        steps.push(step);
        rate = match (good, bad) {
            (Some(good), Some(bad)) if bad / good <= PRECISION => break,
            (Some(good), Some(bad)) => (good * bad).sqrt(),
            (Some(good), None) if good >= MAX_RATE => break,
            (Some(good), None) => (good * 2.0).min(MAX_RATE),
            (None, _) => rate / 2.0,
        };
    }
    let Some(mut rate) = good else {
        return Ok((None, steps));
    };
    while steps.len() < MAX_STEPS {
        let step = measure(rate, true)?;
        if stopped() {
            return Ok((None, steps));
        }
        let met = step.met;
        steps.push(step);
        if met {
            return Ok((Some(rate), steps));
        }
        rate *= BACK_OFF;
    }
    Ok((None, steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server with one worker that serves `capacity` requests a second, each as long: the mean
    /// time in such a queue (Pollaczek and Khinchine) against a goal of four times the service time.
    fn model(capacity: f64) -> impl Fn(f64, bool) -> Step {
        move |rate, confirming| {
            let load = rate / capacity;
            let service_us = 1e6 / capacity;
            let us = if load < 1.0 {
                service_us * (1.0 + load / (2.0 * (1.0 - load)))
            } else {
                f64::MAX
            };
            Step {
                rate,
                answered: rate.min(capacity),
                us: vec![us],
                errors: 0.0,
                met: us <= 4.0 * service_us,
                confirming,
            }
        }
    }

    /// Where the model misses its goal: 1 + x/(2(1-x)) = 4.
    const KNEE: f64 = 6.0 / 7.0;

    #[test]
    fn the_knee_of_a_queue_is_found_from_below_and_from_above() {
        for from in [1.0, 4.0, 90.0, 5000.0] {
            let model = model(100.0);
            let (rate, steps) = search(from, |r, c| Ok(model(r, c)), &|| false).unwrap();
            let share = rate.unwrap() / (100.0 * KNEE);
            assert!((0.94..=1.0).contains(&share), "from {from}: {share}");
            assert!(steps.len() < 25, "{}", steps.len());
            assert!(steps.last().unwrap().confirming);
        }
    }

    #[test]
    fn a_rate_that_is_not_confirmed_is_lowered() {
        let short = model(100.0);
        let long = model(80.0);
        let measure = |rate, confirming| {
            let step = if confirming {
                long(rate, true)
            } else {
                short(rate, false)
            };
            Ok(step)
        };
        let (rate, steps) = search(10.0, measure, &|| false).unwrap();
        let share = rate.unwrap() / (80.0 * KNEE);
        assert!((0.9..=1.0).contains(&share), "{share}");
        assert!(steps.iter().filter(|s| s.confirming).count() > 1);
    }

    #[test]
    fn a_search_ends_without_a_rate_and_when_stopped() {
        let never = |rate, confirming| {
            Ok(Step {
                met: false,
                ..model(1.0)(rate, confirming)
            })
        };
        let (rate, steps) = search(10.0, never, &|| false).unwrap();
        assert_eq!((rate, steps.len()), (None, MAX_STEPS));
        let (rate, steps) = search(10.0, never, &|| true).unwrap();
        assert_eq!((rate, steps.len()), (None, 0));
        let always = |rate, confirming| {
            Ok(Step {
                met: true,
                ..model(1.0)(rate, confirming)
            })
        };
        assert_eq!(search(10.0, always, &|| false).unwrap().0, Some(MAX_RATE));
    }

    #[test]
    fn what_is_in_progress_at_the_end_is_not_falling_behind() {
        let near = |left: f64, right: f64| (left - right).abs() < 1e-6;
        // 40 a second for 1 s with 500 ms allowed: 20 may be in progress.
        assert!(near(allowed_unanswered(40.0, 1.0, 500_000.0), 20.0));
        // A goal beyond the measurement's length does not excuse everything.
        assert!(near(allowed_unanswered(40.0, 1.0, 60e6), 20.0));
        assert!(near(allowed_unanswered(1000.0, 10.0, 1000.0), 500.0));
        assert!(near(allowed_unanswered(1.0, 5.0, 1000.0), 3.0));
    }

    #[test]
    fn goals_are_read() {
        let goal = parse_goal("p99=50ms").unwrap();
        assert_eq!((goal.quantile.as_str(), goal.us), ("p99", 50_000.0));
        for wrong in ["p99", "p98=1s", "p99=50", "=1s"] {
            assert!(parse_goal(wrong).is_err(), "{wrong}");
        }
    }
}
