//! Open loop: operations come at a rate, whatever becomes of them.

use std::time::Instant;

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::pacer::{Schedule, pace};
use super::{GRACE, Shared, Window};
use crate::client::Connection;
use crate::scenario::Arrivals;

/// Operations that are due and wait for a connection; more wait at the pacer.
const MAX_DUE: usize = 4096;

/// Does operations at a rate until the end of `window`, each over one of `connections`.
pub(super) async fn run(
    shared: &Shared<'_>,
    group: usize,
    connections: &mut Vec<Connection>,
    (rate, arrivals): (f64, Arrivals),
    window: Window,
) -> anyhow::Result<()> {
    let (sender, mut due) = mpsc::channel::<Instant>(MAX_DUE);
    let schedule = Schedule::new(rate, arrivals, window);
    let pacer = std::thread::Builder::new().name("pacer".to_owned());
    let pacer = pacer.spawn(move || pace(schedule, &sender))?;
    let mut idle = std::mem::take(connections);
    let mut busy = FuturesUnordered::new();
    let last = sleep_until((window.end + GRACE).into());
    tokio::pin!(last);
    // The first one drives operations on; so it is looked at first.
    loop {
        tokio::select! {
            biased;
            Some(connection) = busy.next() => idle.push(connection),
            intended = due.recv(), if !idle.is_empty() => {
                let Some(intended) = intended else { break };
                let Some(ticket) = shared.ticket(group) else { break };
                let Some(mut connection) = idle.pop() else { continue };
                busy.push(async move {
                    shared.operate(&mut connection, group, ticket, intended, window).await;
                    connection
                });
            }
            () = &mut last => break,
        }
    }
    due.close();
    let mut unsent = 0;
    while due.recv().await.is_some() {
        unsent += 1;
    }
    // It may sleep until the next moment at most, because nobody listens any more.
    let rest = tokio::task::spawn_blocking(move || pacer.join()).await?;
    unsent += rest.map_err(|_| anyhow::anyhow!("the pacer panicked"))?;
    while let Some(connection) = busy.next().await {
        idle.push(connection);
    }
    *connections = idle;
    if !shared.budget_is_spent() || group != 0 {
        shared.recorder().groups[group].unsent += unsent;
    }
    Ok(())
}
