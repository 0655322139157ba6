//! Closed loop: each client sends when its last request was answered.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::{Shared, Window};
use crate::client::Connection;

/// Lets one client use each of `connections` until the end of `window`.
pub(super) async fn run(
    shared: &Shared<'_>,
    group: usize,
    connections: &mut [Connection],
    think: Duration,
    window: Window,
) {
    let client = async |connection: &mut Connection| {
        while Instant::now() < window.end {
            let Some(ticket) = shared.ticket(group) else {
                return;
            };
            let now = Instant::now();
            shared.operate(connection, group, ticket, now, window).await;
            if !think.is_zero() {
                tokio::time::sleep(think).await;
            }
        }
    };
    join_all(connections.iter_mut().map(client)).await;
}
