//! One stage on one worker, with the one retry that a lost worker is worth.

use std::time::{Duration, Instant};

use brig_sandbox::protocol::{Collect, Job};

use super::Refused;
use crate::language::StagePlan;
use crate::pool::{ExecuteError, Inputs, Pool, StageOutput, Turn};

/// A stage to run.
pub(super) struct Stage {
    pub(super) job: Job,
    pub(super) inputs: Inputs,
    pub(super) turn: Turn,
    pub(super) queue_timeout: Duration,
}

/// How it went.
pub(super) struct Executed {
    pub(super) queued: Duration,
    pub(super) elapsed: Duration,
    pub(super) result: Result<StageOutput, ExecuteError>,
}

/// The job for `plan`; id and inputs are set when it is executed.
pub(super) fn job(plan: &StagePlan, collect: Option<Collect>) -> Job {
    Job {
        policy: plan.policy.clone(),
        argv: plan.argv.clone(),
        env: plan.env.clone(),
        limits: plan.limits,
        collect,
        ..Job::default()
    }
}

impl Stage {
    /// Waits for a worker and runs the stage on it; on another one if the first was lost before it
    /// started the program.
    pub(super) async fn execute(self, pool: &Pool) -> Result<Executed, Refused> {
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
            let lease = match tokio::time::timeout(queue_timeout, pool.lease(turn)).await {
                Ok(lease) => lease?,
                Err(_) => {
                    return Err(Refused::TooLong {
                        retry_after: pool.expected_wait(),
                    });
                }
            };
            queued += entered.elapsed();
            let begun = Instant::now();
            let result = lease.execute(job.clone(), inputs.clone()).await;
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
