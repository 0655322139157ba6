//! One stage on one worker, with the one retry that a lost worker is worth.

use std::time::{Duration, Instant};

use brig_sandbox::protocol::{Collect, Job};

use super::Refused;
use crate::language::StagePlan;
use crate::pool::{ExecuteError, Inputs, Lease, Pool, Reading, StageOutput, Turn};

/// A stage to run.
pub(super) struct Stage {
    pub(super) job: Job,
    pub(super) inputs: Inputs,
    pub(super) turn: Turn,
    /// How long it may wait for a worker; `None`: for as long as it takes.
    pub(super) queue_timeout: Option<Duration>,
}

/// How it went.
pub(super) struct Executed {
    /// Waiting for a worker.
    pub(super) queued: Duration,
    pub(super) elapsed: Duration,
    pub(super) result: Result<StageOutput, ExecuteError>,
}

/// The job for `plan`; id and inputs are set when it is executed.
pub(crate) fn job(plan: &StagePlan, collect: Option<Collect>) -> Job {
    Job {
        policy: plan.policy.clone(),
        argv: plan.argv.clone(),
        env: plan.env.clone(),
        limits: plan.limits,
        collect,
        script: plan.script.clone(),
        ..Job::default()
    }
}

impl Stage {
    /// Waits for a worker and runs the stage on it; on another one if the first was lost before it
    /// started the program. What the program writes is read as `reading` says.
    pub(super) async fn execute(
        self,
        pool: &Pool,
        reading: impl Fn() -> Reading,
    ) -> Result<Executed, Refused> {
        let Self {
            job,
            inputs,
            mut turn,
            queue_timeout,
        } = self;
        let mut queued = Duration::ZERO;
        let mut retried = false;
        loop {
            let entered = Instant::now();
            let lease = lease(pool, turn, queue_timeout).await?;
            queued += entered.elapsed();
            let begun = Instant::now();
            let result = lease.execute(job.clone(), inputs.clone(), reading()).await;
            if !retried && matches!(result, Err(ExecuteError::WorkerLost { started: false })) {
                tracing::warn!("a worker was lost before it started the program; trying another");
                retried = true;
                turn = turn.continuing();
                continue;
            }
            return Ok(Executed {
                queued,
                elapsed: begun.elapsed(),
                result,
            });
        }
    }
}

/// Waits for a worker, but not longer than `queue_timeout`.
pub(super) async fn lease(
    pool: &Pool,
    turn: Turn,
    queue_timeout: Option<Duration>,
) -> Result<Lease, Refused> {
    let Some(queue_timeout) = queue_timeout else {
        return Ok(pool.lease(turn).await?);
    };
    match tokio::time::timeout(queue_timeout, pool.lease(turn)).await {
        Ok(lease) => Ok(lease?),
        Err(_) => Err(Refused::TooLong {
            retry_after: pool.expected_wait(),
        }),
    }
}
