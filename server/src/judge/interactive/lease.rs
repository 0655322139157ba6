//! Two workers at once.

use tokio::sync::Mutex;

use crate::pool::{Lease, LeaseError, Pool, Turn};

/// Where those wait who need two workers. One at a time holds one while it waits for another;
/// if several did, each could wait for those of the others for ever. There must be two workers.
#[derive(Debug, Default)]
pub struct Pairs {
    gate: Mutex<()>,
}

impl Pairs {
    /// Waits for two workers. Dropping the future gives back what it has. Errors are those of
    /// [`Pool::lease`].
    pub async fn lease(&self, pool: &Pool, turn: Turn) -> Result<(Lease, Lease), LeaseError> {
        let _alone = self.gate.lock().await;
        let first = pool.lease(turn).await?;
        // The first worker idles meanwhile.
        let second = pool.lease(turn.continuing()).await?;
        Ok((first, second))
    }
}
