//! Ctrl-C, where it means more than the end of this process.
//!
//! Theory of operation. A submission lives in the service, so ending the client would leave it
//! there. SIGINT and SIGTERM are blocked in all threads, and one thread waits for them. What it then
//! does depends on the [`Phase`] that the main thread is in; the main thread goes on as if nothing
//! had happened, and sees the cancelled submission end. A second signal ends the process at once.

use std::process::exit;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use uuid::Uuid;

use super::failure::Failure;
use super::{EXIT_INTERRUPTED, Ui};

/// How far a submission is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The service has nothing that would have to be cancelled.
    #[default]
    Preparing,
    /// The service may have the submission, but its id is not known.
    Posting,
    /// The same, and the signal came.
    Unwanted,
    /// The service has it.
    Judging(Uuid),
    /// The service was asked to cancel it.
    Cancelling,
}

/// What the two threads know together.
#[derive(Debug, Default)]
pub(super) struct Interrupt {
    phase: Mutex<Phase>,
    changed: Condvar,
}

impl Interrupt {
    /// From now on signals cancel what there is to cancel, by `cancel`. To be called before other
    /// threads are started.
    pub(super) fn arm(
        self: &Arc<Self>,
        ui: Arc<Ui>,
        cancel: impl Fn(Uuid) + Send + 'static,
    ) -> Result<(), Failure> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        signals.add(Signal::SIGTERM);
        let blocked = signals.thread_block().map_err(std::io::Error::from);
        let own = Arc::clone(self);
        let started = blocked.and_then(|()| {
            let thread = std::thread::Builder::new().name("interrupt".to_owned());
            thread.spawn(move || while signals.wait().is_ok() && own.signal(&ui, &cancel) {})
        });
        started.map_err(|e| Failure::Service(format!("cannot wait for Ctrl-C: {e}")))?;
        Ok(())
    }

    /// A signal came.
    fn signal(&self, ui: &Ui, cancel: &impl Fn(Uuid)) -> bool {
        let mut phase = self.lock();
        match *phase {
            Phase::Preparing => {
                ui.note("interrupted; nothing was submitted");
                exit(EXIT_INTERRUPTED);
            }
            Phase::Posting => {
                *phase = Phase::Unwanted;
                self.changed.notify_all();
                ui.note("interrupted; cancelling as soon as the service has answered");
            }
            Phase::Judging(id) => {
                *phase = Phase::Cancelling;
                drop(phase);
                cancel(id);
            }
            Phase::Unwanted | Phase::Cancelling => {
                ui.note("interrupted again; ending without waiting for the service");
                exit(EXIT_INTERRUPTED);
            }
        }
        true
    }

    /// The submission is about to be sent.
    pub(super) fn posting(&self) {
        *self.lock() = Phase::Posting;
    }

    /// The service has it under `id`. True: it is not wanted any more, and the caller cancels it.
    pub(super) fn judging(&self, id: Uuid) -> bool {
        let mut phase = self.lock();
        let unwanted = *phase == Phase::Unwanted;
        *phase = if unwanted {
            Phase::Cancelling
        } else {
            Phase::Judging(id)
        };
        unwanted
    }

    /// Whether a signal has come.
    pub(super) fn came(&self) -> bool {
        matches!(*self.lock(), Phase::Unwanted | Phase::Cancelling)
    }

    /// Sleeps, unless a signal comes while the service has nothing of ours.
    pub(super) fn pause(&self, time: Duration) -> Result<(), Failure> {
        let end = Instant::now() + time;
        let mut phase = self.lock();
        loop {
            if *phase == Phase::Unwanted {
                return Err(Failure::Interrupted);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let waited = self.changed.wait_timeout(phase, left);
            phase = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_while_posting_is_told_when_the_id_is_known() {
        let interrupt = Interrupt::default();
        let ui = Ui::new();
        interrupt.posting();
        assert!(!interrupt.came());
        interrupt.signal(&ui, &|_| panic!("there is no id yet"));
        assert!(interrupt.came());
        assert_eq!(
            interrupt.pause(Duration::from_mins(1)),
            Err(Failure::Interrupted)
        );
        assert!(interrupt.judging(Uuid::now_v7()));
    }

    #[test]
    fn a_signal_while_judging_cancels() {
        let interrupt = Interrupt::default();
        let id = Uuid::now_v7();
        interrupt.posting();
        assert!(!interrupt.judging(id));
        let cancelled = Mutex::new(None);
        interrupt.signal(&Ui::new(), &|id| *cancelled.lock().unwrap() = Some(id));
        assert_eq!(cancelled.into_inner().unwrap(), Some(id));
        assert!(interrupt.came());
        assert_eq!(interrupt.pause(Duration::from_millis(1)), Ok(()));
    }
}
