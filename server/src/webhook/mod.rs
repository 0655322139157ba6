//! Webhooks: finished submissions are sent to the URL that their request named.
//!
//! # What is promised
//!
//! - A submission's result and the delivery it owes are committed in one transaction
//!   ([`Store::finish`](crate::store::Store::finish)), so no end of any process loses one.
//! - It is sent until a success is recorded, the receiver answers 410, or it is given up after a day
//!   (configurable). It may arrive more than once: when an answer was lost, or the service ended
//!   between the answer and its record. `Brig-Delivery` is then the same. After a success is
//!   recorded it is never sent again.
//! - Deliveries of different submissions come in no particular order.
//! - Every attempt is in the submission's delivery log.
//!
//! # A delivery's way
//!
//! [`dispatch`] takes what is due from the store -> [`send`] posts it, signed by [`sign`] with one of
//! the [`secret`]s; [`target`] and [`resolve`] see to it that it goes nowhere but where [`address`]
//! permits -> [`schedule`] says what is next -> the store.

mod address;
mod config;
mod dispatch;
mod outbox;
mod report;
mod resolve;
mod schedule;
mod secret;
mod send;
mod sign;
mod target;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;

use anyhow::Context;
use rand::SeedableRng;
use rand::rngs::StdRng;
use time::OffsetDateTime;
use tokio::sync::Notify;

use self::outbox::FromStore;
use self::resolve::System;
use self::send::Sender;
use crate::api::FieldError;
use crate::metrics::Metrics;
use crate::store::{AttemptRecord, NewDelivery, Store};

pub use self::config::WebhooksConfig;
use self::dispatch::Dispatcher;
pub use self::report::{AttemptReport, DeliveryReport, DeliveryState};
pub use self::secret::{Secrets, Sources};

/// The webhooks of a service.
#[derive(Debug)]
pub struct Webhooks {
    config: Arc<WebhooksConfig>,
    secrets: Secrets,
    wake: Arc<Notify>,
}

impl Webhooks {
    /// Webhooks by `config`, whose [`WebhooksConfig::load_secrets`] gave `secrets`.
    pub fn new(config: &WebhooksConfig, secrets: Secrets) -> Self {
        Self {
            config: Arc::new(config.clone()),
            secrets,
            wake: Arc::new(Notify::new()),
        }
    }

    /// A delivery has come to be owed.
    pub fn wake(&self) {
        self.wake.notify_one();
    }
    /// What a request's `callback`, found at `pointer` of its body, comes to. The error is for the
    /// client: the field and what is wrong with it.
    pub fn check(
        &self,
        pointer: &str,
        url: &str,
        secret_id: Option<&str>,
    ) -> Result<NewDelivery, FieldError> {
        target::check_url(url, &self.config)
            .map_err(|why| FieldError::new(format!("{pointer}/url"), why))?;
        if let Some(id) = secret_id
            && self.secrets.get(id).is_none()
        {
            let why = "no secret with this id is configured";
            return Err(FieldError::new(format!("{pointer}/secret_id"), why));
        }
        Ok(NewDelivery {
            url: url.to_owned(),
            secret_id: secret_id.map(str::to_owned),
        })
    }

    /// The delivery log as a submission's document shows it: of the callback to `url`, owed since
    /// `since` (when the submission ended), with what
    /// [`Store::deliveries`](crate::store::Store::deliveries) has of it.
    pub fn report(
        &self,
        url: &str,
        since: OffsetDateTime,
        records: &[AttemptRecord],
    ) -> DeliveryReport {
        report::report(&self.config, url, since, records)
    }

    /// Delivers what `store` owes until `stop` is over, then waits for the attempts under way, which
    /// end within [`WebhooksConfig::timeout`] as long as the store answers. Dropping the future leaves
    /// them to the next life of the service.
    ///
    /// Fails at once when the host's certificate authorities cannot be read.
    pub fn deliver<S: Future<Output = ()>>(
        &self,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        stop: S,
    ) -> anyhow::Result<impl Future<Output = ()> + use<S>> {
        let sender = Sender::new(Arc::clone(&self.config), self.secrets.clone(), System)
            .context("preparing webhooks")?;
        let dispatcher = Dispatcher::new(
            &self.config,
            (sender, Box::new(FromStore(store))),
            Arc::clone(&self.wake),
            (Arc::new(OffsetDateTime::now_utc), StdRng::from_os_rng()),
            metrics,
        );
        Ok(dispatcher.run(stop))
    }
}
