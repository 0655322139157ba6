//! What the dispatcher needs of the store.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use time::OffsetDateTime;
use uuid::Uuid;

use super::target::host_of;
use crate::store::{Attempt, Due, Result, Store, Whose};

/// Due deliveries that are looked through for some that are not busy. When so many wait for hosts
/// that take no more, others wait for an end of one of these.
const MOST_LOOKED_THROUGH: u32 = 4096;

/// Deliveries that are not to be looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Busy {
    /// Submissions whose delivery is under way.
    pub(super) submissions: Vec<Uuid>,
    /// Hosts to which as many are under way as may be.
    pub(super) hosts: Vec<String>,
}

/// Where deliveries wait.
pub(super) trait Outbox: Send + Sync {
    /// At most `limit` deliveries whose time has come, longest due first, and when the next is due;
    /// but for those that are `busy`.
    fn due(&self, now: OffsetDateTime, limit: u32, busy: Busy) -> BoxFuture<'_, Result<Due>>;

    /// A finished submission's document.
    fn document(&self, submission: Uuid) -> BoxFuture<'_, Result<Option<Vec<u8>>>>;

    /// Notes an attempt and what is next, durably.
    fn attempted(&self, attempt: Attempt) -> BoxFuture<'_, Result<()>>;
}

/// The service's store.
pub(super) struct FromStore(pub(super) Arc<dyn Store>);

impl Outbox for FromStore {
    fn due(&self, now: OffsetDateTime, limit: u32, busy: Busy) -> BoxFuture<'_, Result<Due>> {
        let wanted = limit as usize;
        async move {
            let under_way = u32::try_from(busy.submissions.len()).unwrap_or(u32::MAX);
            let mut ask = limit.saturating_add(under_way).min(MOST_LOOKED_THROUGH);
            loop {
                let mut due = self.0.due(now, ask).await?;
                let all = due.deliveries.len() < ask as usize;
                due.deliveries.retain(|delivery| {
                    !busy.submissions.contains(&delivery.submission)
                        && !busy.hosts.contains(&host_of(&delivery.url))
                });
                let enough = due.deliveries.len() >= wanted;
                if enough || all || ask == MOST_LOOKED_THROUGH {
                    due.deliveries.truncate(wanted);
                    // What is due but busy wakes the dispatcher by its end, not by its time.
                    due.next = due.next.filter(|next| *next > now);
                    return Ok(due);
                }
                ask = ask.saturating_mul(4).min(MOST_LOOKED_THROUGH);
            }
        }
        .boxed()
    }

    fn document(&self, submission: Uuid) -> BoxFuture<'_, Result<Option<Vec<u8>>>> {
        let stored = self.0.submission(Whose::Anyone, submission);
        stored
            .map(|found| Ok(found?.map(|stored| stored.document)))
            .boxed()
    }

    fn attempted(&self, attempt: Attempt) -> BoxFuture<'_, Result<()>> {
        self.0.attempted(attempt)
    }
}
