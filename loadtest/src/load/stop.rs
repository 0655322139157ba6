//! Ctrl-C: ends the load early, with what was measured so far.

use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use nix::sys::signal::{SigSet, Signal};
use tokio::sync::Notify;

/// Ended by Ctrl-C, as shells count it.
const EXIT_INTERRUPTED: i32 = 130;

/// Whether the load is to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    flag: AtomicBool,
    changed: Notify,
}

impl Stop {
    /// One that SIGINT and SIGTERM set; the second of them ends the process. To be called before
    /// other threads are started.
    pub(crate) fn armed() -> anyhow::Result<Self> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        signals.add(Signal::SIGTERM);
        signals
            .thread_block()
            .context("signals cannot be blocked")?;
        let stop = Self::default();
        let own = stop.clone();
        let thread = std::thread::Builder::new().name("interrupt".to_owned());
        thread.spawn(move || {
            while signals.wait().is_ok() {
                if own.came() {
                    exit(EXIT_INTERRUPTED);
                }
                own.set();
            }
        })?;
        Ok(stop)
    }

    /// Ends the load.
    pub(crate) fn set(&self) {
        self.0.flag.store(true, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }

    /// Whether it is to end.
    pub(crate) fn came(&self) -> bool {
        self.flag().load(Ordering::SeqCst)
    }

    /// The same, for threads.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.0.flag
    }

    /// Waits until it is to end.
    pub(crate) async fn wait(&self) {
        let changed = self.0.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if !self.came() {
            changed.await;
        }
    }
}
