//! What is seen while the load lasts: a few lines that are drawn anew on a terminal, plain ones
//! elsewhere. A thread of its own draws, so that a slow terminal does not slow down the clients.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use console::Term;

use crate::load::{Observer, Shown};
use crate::units::{show_mib, show_us, three_digits};

/// Where there is no terminal, every so many points make a line.
const PLAIN_EVERY: usize = 5;
/// Columns of the rates' and latencies' history.
const HISTORY: usize = 40;
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Draws until it is dropped and everything that was shown is drawn.
pub(crate) struct View {
    thread: Option<JoinHandle<()>>,
}

impl View {
    /// A view, and what shows something in it. With `quiet` there is nothing to be seen.
    pub(crate) fn start(quiet: bool) -> anyhow::Result<(Self, Observer)> {
        if quiet {
            return Ok((Self { thread: None }, Box::new(|_| {})));
        }
        let (sender, receiver) = sync_channel(1);
        let thread = std::thread::Builder::new().name("view".to_owned());
        let thread = thread.spawn(move || {
            if std::io::stderr().is_terminal() {
                draw(&receiver);
            } else {
                print(&receiver);
            }
        })?;
        let observer = Box::new(move |shown: Shown| {
            // A view that cannot keep up leaves one out.
            let _ = sender.try_send(shown);
        });
        let view = Self {
            thread: Some(thread),
        };
        Ok((view, observer))
    }

    /// Waits until all is drawn. The observer must be gone.
    pub(crate) fn end(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn print(shown: &Receiver<Shown>) {
    for (at, shown) in shown.iter().enumerate() {
        if at % PLAIN_EVERY == PLAIN_EVERY - 1 {
            // There is nowhere to tell that nothing can be told.
            let _ = writeln!(std::io::stderr(), "{}", line(&shown));
        }
    }
}

fn draw(shown: &Receiver<Shown>) {
    let terminal = Term::stderr();
    let (mut rates, mut latencies) = (VecDeque::new(), VecDeque::new());
    let mut lines = 0;
    for shown in shown {
        keep(&mut rates, rate(&shown));
        keep(&mut latencies, shown.point.p99_us);
        let text = [
            bar(&shown),
            line(&shown),
            format!(
                "  runs/s {} up to {}",
                blocks(&rates),
                three_digits(most(&rates))
            ),
            format!(
                "  p99    {} up to {}",
                blocks(&latencies),
                show_us(most(&latencies))
            ),
        ];
        let _ = terminal.clear_last_lines(lines);
        for line in &text {
            let width = usize::from(terminal.size().1);
            let _ = terminal.write_line(&console::truncate_str(line, width, ""));
        }
        lines = text.len();
    }
    let _ = terminal.clear_last_lines(lines);
}

fn keep(values: &mut VecDeque<f64>, value: f64) {
    if values.len() == HISTORY {
        values.pop_front();
    }
    values.push_back(value);
}

fn most(values: &VecDeque<f64>) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// `values` as a row of blocks, the largest one full.
fn blocks(values: &VecDeque<f64>) -> String {
    let top = most(values);
    let block = |value: &f64| {
        let share = if top > 0.0 { value / top } else { 0.0 };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let at = (share * 7.0).round() as usize;
        BLOCKS[at.min(BLOCKS.len() - 1)]
    };
    values.iter().map(block).collect()
}

#[allow(clippy::cast_precision_loss)]
fn rate(shown: &Shown) -> f64 {
    shown.point.ok as f64 / shown.point.seconds.max(1e-9)
}

fn bar(shown: &Shown) -> String {
    const WIDTH: usize = 40;
    let share = shown.done.as_secs_f64() / shown.duration.as_secs_f64().max(1e-9);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    let full = ((share * WIDTH as f64) as usize).min(WIDTH);
    format!(
        "  [{}{}] {:.0} of {:.0} s{}",
        "=".repeat(full),
        " ".repeat(WIDTH - full),
        shown.done.as_secs_f64(),
        shown.duration.as_secs_f64(),
        if shown.warming_up { ", warming up" } else { "" }
    )
}

fn line(shown: &Shown) -> String {
    let point = &shown.point;
    let mut text = format!(
        "  {} runs/s   p50 {}   p99 {}   max {}   {} right, {} wrong",
        three_digits(rate(shown)),
        show_us(point.p50_us),
        show_us(point.p99_us),
        show_us(point.max_us),
        shown.ok,
        shown.errors
    );
    if let Some(cpus) = point.system_cpus {
        text = format!("{text}   {cpus:.2} CPUs busy");
    }
    if let Some(rss) = point.service_rss_bytes {
        text = format!("{text}   {}", show_mib(rss));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::SeriesPoint;

    fn shown() -> Shown {
        Shown {
            point: SeriesPoint {
                seconds: 2.0,
                ok: 100,
                p50_us: 400.0,
                system_cpus: Some(1.5),
                ..SeriesPoint::default()
            },
            warming_up: true,
            ok: 1000,
            errors: 2,
            done: Duration::from_secs(5),
            duration: Duration::from_secs(10),
        }
    }

    #[test]
    fn a_line_tells_how_it_goes() {
        let text = line(&shown());
        for part in [
            "50.0 runs/s",
            "p50 400 µs",
            "1000 right, 2 wrong",
            "1.50 CPUs",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(bar(&shown()).contains(&format!("[{}{}]", "=".repeat(20), " ".repeat(20))));
    }

    #[test]
    fn the_history_is_scaled_to_its_largest_value() {
        let values = VecDeque::from([0.0, 50.0, 100.0]);
        assert_eq!(blocks(&values), "▁▅█");
        assert_eq!(blocks(&VecDeque::from([0.0])), "▁");
        let mut values = VecDeque::new();
        (0..100).for_each(|v| keep(&mut values, f64::from(v)));
        assert_eq!((values.len(), values[0]), (HISTORY, 60.0));
    }

    #[test]
    fn a_view_ends_when_nothing_more_is_shown() {
        let (view, observer) = View::start(false).unwrap();
        observer(shown());
        observer(shown());
        drop(observer);
        view.end();
    }
}
