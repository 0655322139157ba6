//! This terminal, while the program's own is shown in it.

use std::io;
use std::os::fd::AsFd;

use console::Term;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use serde::Serialize;

/// What a terminal of unknown size is taken for.
const USUAL: Size = Size { rows: 24, cols: 80 };

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Size {
    pub(super) rows: u16,
    pub(super) cols: u16,
}

impl Size {
    /// Of the terminal that output is shown in.
    pub(super) fn of_this_terminal() -> Self {
        let known = Term::stdout()
            .size_checked()
            .or_else(|| Term::stderr().size_checked());
        match known {
            Some((rows, cols)) if rows > 0 && cols > 0 => Self { rows, cols },
            _ => USUAL,
        }
    }
}

/// stdin's terminal in raw mode (termios(3)); as it was before once this is dropped.
pub(super) struct Raw {
    before: Termios,
}

impl Raw {
    pub(super) fn enter() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        // What is typed already is kept.
        tcsetattr(stdin.as_fd(), SetArg::TCSADRAIN, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSADRAIN, &self.before);
    }
}
