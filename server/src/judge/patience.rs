//! Waiting for a store that fails: what it does not do now is asked again, ever more rarely, for as long
//! as it takes. A result must not come of it, as the next life of the service would judge better.

use std::time::Duration;

use uuid::Uuid;

use super::metrics::JudgingMetrics;
use crate::store::StoreError;

/// The first pause; each is twice as long as the one before.
const FIRST: Duration = Duration::from_millis(100);
/// No pause is longer.
const LONGEST: Duration = Duration::from_secs(5);

/// How long to wait before the store is asked again.
pub(super) struct Patience<'a> {
    metrics: &'a JudgingMetrics,
    pause: Duration,
}

impl<'a> Patience<'a> {
    pub(super) fn new(metrics: &'a JudgingMetrics) -> Self {
        Self {
            metrics,
            pause: FIRST,
        }
    }

    /// Notes that the store failed with `error` when asked about the submission `id`, and waits. Dropping the
    /// future ends the wait.
    pub(super) async fn after(&mut self, id: Uuid, error: &StoreError) {
        tracing::error!(submission = %id, "the store fails, and is tried again: {error}");
        self.metrics.store_failed();
        let pause = self.next();
        tokio::time::sleep(pause).await;
    }

    fn next(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let metrics = Metrics::new(&[]);
        let mut patience = Patience::new(&metrics.judging);
        let pauses: Vec<_> = (0..8).map(|_| patience.next().as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }
}
