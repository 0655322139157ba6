//! The dispatcher: takes deliveries whose time has come and sees them through.
//!
//! One task looks for due deliveries and starts a task for each, as many as may be under way in all
//! and to one host; those under way are known by a table in memory, so nothing is written before an
//! attempt. After an attempt its record and what is next are written in one transaction. If the
//! process ends before that, the delivery is as due as it was, and is sent again: at least once
//! until a success is on disk, and never after.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::task::{Id, JoinSet};
use tracing::Instrument;
use uuid::Uuid;

use super::config::WebhooksConfig;
use super::outbox::{Busy, Outbox};
use super::schedule::{Outcome, Schedule};
use super::send::{Message, Sender, Sent};
use super::target::host_of;
use crate::metrics::Metrics;
use crate::store::{Attempt, AttemptRecord, Delivery, Next, StoreError};
use crate::telemetry;

/// Without news the store is looked at this often: the clock may have been set.
const LOOK_AT_LEAST: Duration = Duration::from_mins(1);
/// Between two looks, when what is due is so at once.
const LOOK_AT_MOST: Duration = Duration::from_millis(10);
/// Before a store that failed is asked again; doubled with each failure up to the other.
const STORE_PAUSE: Duration = Duration::from_secs(1);
const MOST_STORE_PAUSE: Duration = Duration::from_secs(30);

/// Tells the time.
pub(super) type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// Sees deliveries through.
pub(super) struct Dispatcher {
    shared: Arc<Shared>,
    wake: Arc<Notify>,
    most: usize,
    most_per_host: usize,
}

/// What the tasks of the single deliveries use.
struct Shared {
    outbox: Box<dyn Outbox>,
    sender: Sender,
    schedule: Schedule,
    rng: Mutex<StdRng>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

/// Deliveries under way.
#[derive(Default)]
struct Flights {
    tasks: JoinSet<()>,
    table: HashMap<Id, (Uuid, String)>,
}

impl Dispatcher {
    pub(super) fn new(
        config: &WebhooksConfig,
        (sender, outbox): (Sender, Box<dyn Outbox>),
        wake: Arc<Notify>,
        (clock, rng): (Clock, StdRng),
        metrics: Arc<Metrics>,
    ) -> Self {
        let shared = Shared {
            outbox,
            sender,
            schedule: Schedule::new(config),
            rng: Mutex::new(rng),
            clock,
            metrics,
        };
        Self {
            shared: Arc::new(shared),
            wake,
            most: config.max_concurrent,
            most_per_host: config.max_concurrent_per_host,
        }
    }

    /// Delivers until `stop` is over; then starts no more and returns when those under way have
    /// ended. Dropping the future abandons them, to be sent again by the next dispatcher.
    pub(super) async fn run(self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut flights = Flights::default();
        loop {
            let look_again = self.look(&mut flights).await;
            tokio::select! {
                () = &mut stop => break,
                () = flights.landed(), if !flights.table.is_empty() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(look_again) => {}
            }
        }
        while !flights.table.is_empty() {
            flights.landed().await;
        }
    }

    /// Starts what is due, as far as there is room; returns how long to wait for the next.
    async fn look(&self, flights: &mut Flights) -> Duration {
        loop {
            let room = self.most - flights.table.len();
            if room == 0 {
                // The end of one of them comes first.
                return LOOK_AT_LEAST;
            }
            let now = (self.shared.clock)();
            let limit = u32::try_from(room).unwrap_or(u32::MAX);
            let busy = flights.busy(self.most_per_host);
            let due = match self.shared.outbox.due(now, limit, busy).await {
                Ok(due) => due,
                Err(error) => {
                    store_failed("due deliveries are not known", &error);
                    return STORE_PAUSE;
                }
            };
            let all = due.deliveries.len() < room;
            for delivery in due.deliveries {
                let host = host_of(&delivery.url);
                if flights.to(&host) < self.most_per_host {
                    flights.start(&self.shared, delivery, host);
                }
            }
            if all {
                let wait = due
                    .next
                    .map(|next| (next - now).try_into().unwrap_or(LOOK_AT_MOST));
                return wait.map_or(LOOK_AT_LEAST, |wait: Duration| {
                    wait.clamp(LOOK_AT_MOST, LOOK_AT_LEAST)
                });
            }
        }
    }
}

impl Flights {
    fn start(&mut self, shared: &Arc<Shared>, delivery: Delivery, host: String) {
        let submission = delivery.submission;
        let span =
            tracing::error_span!("webhook", %submission, attempt = delivery.attempts + 1, host);
        telemetry::adopt(&span, telemetry::recall(submission).as_deref());
        let flight = Arc::clone(shared).deliver(delivery).instrument(span);
        let id = self.tasks.spawn(flight).id();
        self.table.insert(id, (submission, host));
    }

    /// Waits until one has ended.
    async fn landed(&mut self) {
        let id = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            // It panicked, which the panic hook has told; its delivery is as due as before.
            Some(Err(error)) => error.id(),
            None => return,
        };
        self.table.remove(&id);
    }

    fn to(&self, host: &str) -> usize {
        self.table.values().filter(|(_, to)| to == host).count()
    }

    fn busy(&self, most_per_host: usize) -> Busy {
        let mut hosts: Vec<String> = self.table.values().map(|(_, host)| host.clone()).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts.retain(|host| self.to(host) >= most_per_host);
        Busy {
            submissions: self.table.values().map(|(id, _)| *id).collect(),
            hosts,
        }
    }
}

impl Shared {
    /// One attempt, from the document to the record.
    async fn deliver(self: Arc<Self>, delivery: Delivery) {
        let document = match self.outbox.document(delivery.submission).await {
            Ok(document) => document,
            Err(error) => {
                store_failed("a submission cannot be read", &error);
                // It is as due as before; this keeps it from being looked at again at once.
                return tokio::time::sleep(STORE_PAUSE).await;
            }
        };
        let (at, begun) = ((self.clock)(), Instant::now());
        let attempt = delivery.attempts.saturating_add(1);
        let sent = match document {
            Some(document) => {
                let message = Message {
                    delivery: delivery.submission,
                    attempt,
                    url: delivery.url,
                    secret_id: delivery.secret_id,
                    body: document.into(),
                    at,
                };
                self.sender.send(message).await
            }
            None => Sent {
                outcome: Outcome::Gone,
                status: None,
                error: Some("the submission is gone".to_owned()),
            },
        };
        let took = begun.elapsed();
        let now = (self.clock)().max(at);
        let next = {
            let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
            self.schedule
                .next(sent.outcome, attempt, delivery.since, now, &mut *rng)
        };
        self.tell(&sent, next, took);
        let record = AttemptRecord {
            at,
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            status: sent.status,
            error: sent.error,
        };
        self.record(Attempt {
            submission: delivery.submission,
            record,
            next,
        })
        .await;
    }

    fn tell(&self, sent: &Sent, next: Next, took: Duration) {
        let result = match (next, sent.outcome) {
            (Next::Delivered, _) => "delivered",
            (Next::Again(_), _) => "retried",
            (Next::GivenUp, Outcome::Gone) => "gone",
            (Next::GivenUp, _) => "expired",
        };
        self.metrics.webhook(result, took);
        let (status, error) = (sent.status, sent.error.as_deref());
        let ms = took.as_secs_f64() * 1e3;
        match next {
            Next::Delivered => tracing::info!(status, ms, "delivered"),
            Next::Again(at) => tracing::info!(status, error, ms, next = %at, "not delivered"),
            Next::GivenUp => tracing::warn!(status, error, ms, "given up"),
        }
    }

    /// Writes an attempt down, however long it takes: what was delivered must not be sent again.
    async fn record(&self, attempt: Attempt) {
        let mut pause = STORE_PAUSE;
        while let Err(error) = self.outbox.attempted(attempt.clone()).await {
            store_failed("an attempt is not recorded yet", &error);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MOST_STORE_PAUSE);
        }
    }
}

fn store_failed(what: &str, error: &StoreError) {
    let error = anyhow::Error::new(error.clone());
    tracing::error!(error = format!("{error:#}"), "{what}");
}
