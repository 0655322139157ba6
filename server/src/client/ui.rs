//! What the client shows, and where: results on stdout, everything else on stderr.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use console::{Style, Term};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::failure::Failure;

/// How often a bar is drawn while nothing happens.
const TICK: Duration = Duration::from_millis(200);

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    /// A limit was hit.
    Limit,
    /// Something else than the program failed.
    Odd,
    Faint,
    Head,
}

/// One output stream's looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Whether it takes colours.
    pub(super) colour: bool,
    /// Columns of the terminal; none where it is no terminal, so that nothing needs to be cut.
    pub(super) columns: Option<usize>,
}

impl Look {
    #[cfg(test)]
    pub(super) const PLAIN: Self = Self {
        colour: false,
        columns: None,
    };

    fn of(terminal: bool, term: &Term) -> Self {
        let allowed = |name: &str| std::env::var_os(name).is_none_or(|value| value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            colour: terminal && allowed("NO_COLOR") && !dumb,
            columns: terminal.then(|| usize::from(term.size().1)),
        }
    }

    /// `text` in `tone`, where colours are shown.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        let style = Style::new();
        let style = match tone {
            Tone::Good => style.green(),
            Tone::Bad => style.red(),
            Tone::Limit => style.yellow(),
            Tone::Odd => style.magenta(),
            Tone::Faint => style.dim(),
            Tone::Head => style.bold(),
        };
        style.force_styling(self.colour).apply_to(text).to_string()
    }
}

/// The two streams and the progress bar, if one is shown.
#[derive(Debug)]
pub(super) struct Ui {
    pub(super) out: Look,
    pub(super) err: Look,
    bar: Mutex<Option<ProgressBar>>,
}

impl Ui {
    pub(super) fn new() -> Self {
        Self {
            out: Look::of(io::stdout().is_terminal(), &Term::stdout()),
            err: Look::of(io::stderr().is_terminal(), &Term::stderr()),
            bar: Mutex::new(None),
        }
    }

    /// One that looks as into a file, whatever the tests run in.
    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self {
            out: Look::PLAIN,
            err: Look::PLAIN,
            bar: Mutex::new(None),
        }
    }

    /// Writes a result to stdout.
    pub(super) fn emit(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut written = Ok(());
        self.suspend(|| {
            let mut out = io::stdout().lock();
            written = out.write_all(bytes).and_then(|()| out.flush());
        });
        written.map_err(|error| Failure::output(&error))
    }

    /// Writes what a program wrote to stderr.
    pub(super) fn emit_error(&self, bytes: &[u8]) {
        self.suspend(|| {
            // Whoever closed stderr does not want it.
            let _ = io::stderr().lock().write_all(bytes);
        });
    }

    /// Writes one line for the person to stderr.
    pub(super) fn say(&self, line: &str) {
        self.suspend(|| {
            // There is nowhere to tell that nothing can be told.
            let _ = writeln!(io::stderr().lock(), "{line}");
        });
    }

    /// Writes a remark to stderr, marked as the client's own.
    pub(super) fn note(&self, text: &str) {
        self.say(&format!("brig: {}", printable(text)));
    }

    /// Shows a bar of `total` steps, where stderr is a terminal, until the guard is dropped.
    pub(super) fn bar(&self, total: u64, form: Bar) -> BarGuard<'_> {
        let draw = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target(Some(total), draw);
        let template = match form {
            Bar::Tests => "{msg} [{bar:30}] {pos}/{len} {elapsed}",
            Bar::Bytes => "{msg} [{bar:30}] {bytes}/{total_bytes}",
        };
        // The templates are constants: a test draws them.
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        bar.set_style(style);
        if self.err.columns.is_some() {
            bar.enable_steady_tick(TICK);
        }
        *self.lock() = Some(bar.clone());
        BarGuard { ui: self, bar }
    }

    fn suspend(&self, write: impl FnOnce()) {
        let bar = self.lock().clone();
        match bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a bar counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bar {
    Tests,
    Bytes,
}

/// A bar that goes away with this.
pub(super) struct BarGuard<'a> {
    ui: &'a Ui,
    bar: ProgressBar,
}

impl BarGuard<'_> {
    pub(super) fn at(&self, position: u64) {
        self.bar.set_position(position);
    }

    pub(super) fn label(&self, text: &str) {
        self.bar.set_message(printable(text));
    }
}

impl Drop for BarGuard<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        *self.ui.lock() = None;
    }
}

/// `text` on one line, without what a terminal would obey: control characters, and those that turn
/// the direction of writing.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' | '\n' | '\r' => shown.push(' '),
            c if commands(c) => shown.push('\u{fffd}'),
            c => shown.push(c),
        }
    }
    shown
}

/// As [`printable`], with lines and tabs kept.
pub(super) fn printable_lines(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => c,
        c if commands(c) => '\u{fffd}',
        c => c,
    };
    text.replace("\r\n", "\n").chars().map(shown).collect()
}

fn commands(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_commands_no_terminal() {
        assert_eq!(
            printable("a\x1b[31mb\nc\u{202e}d\u{9b}e"),
            "a\u{fffd}[31mb c\u{fffd}d\u{fffd}e"
        );
        assert_eq!(printable("naïve 日本"), "naïve 日本");
        assert_eq!(printable_lines("a\r\n\tb\x07\n"), "a\n\tb\u{fffd}\n");
    }

    #[test]
    fn colours_only_where_they_are_shown() {
        let coloured = Look {
            colour: true,
            columns: Some(80),
        };
        assert_eq!(coloured.paint(Tone::Good, "x"), "\x1b[32mx\x1b[0m");
        assert_eq!(Look::PLAIN.paint(Tone::Good, "x"), "x");
    }

    #[test]
    fn a_bar_is_gone_after_its_guard() {
        let ui = Ui::new();
        let bar = ui.bar(3, Bar::Tests);
        bar.label("judging");
        bar.at(2);
        bar.at(3);
        assert!(ui.lock().is_some());
        drop(bar);
        drop(ui.bar(10, Bar::Bytes));
        assert!(ui.lock().is_none());
    }
}
