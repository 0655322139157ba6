//! Asking every language's tools for their version, each in a sandbox: the proof that they work
//! there.

use std::sync::Arc;
use std::time::Duration;

use brig_sandbox::report::Outcome;

use super::stage::{self, Stage};
use super::words;
use crate::language::{Availability, Language};
use crate::pool::{Inputs, Pool, Reading, StageOutput, Turn};

/// Looks at the tools wait at most this long for a worker.
const QUEUE_TIMEOUT: Duration = Duration::from_mins(2);

/// A stage's exit code when its program does not exist, as shells have it.
const NOT_FOUND: i32 = 127;

/// Looks at the tools of `languages`, one after the other, so that at most one worker is kept from
/// runs.
pub async fn detect_versions(languages: &[Arc<Language>], pool: &Pool) {
    for language in languages {
        let Some(found) = detect(language, pool).await else {
            continue;
        };
        let changed = language.availability() != found;
        match &found {
            Availability::Unavailable { reason } if changed => {
                tracing::info!(language = language.id, reason, "language unavailable");
            }
            Availability::Available { version } if changed => {
                tracing::info!(language = language.id, version, "language available");
            }
            _ => {}
        }
        language.set_availability(found);
    }
}

/// `None` if it could not be found out this time.
async fn detect(language: &Language, pool: &Pool) -> Option<Availability> {
    let plan = language.version_stage();
    let stage = Stage {
        job: stage::job(&plan, None),
        inputs: Inputs::default(),
        turn: Turn::UPKEEP,
        queue_timeout: Some(QUEUE_TIMEOUT),
    };
    let unavailable = |detail: &str| Availability::Unavailable {
        reason: language.missing_reason(detail),
    };
    let executed = match stage.execute(pool, Reading::default).await {
        Ok(executed) => executed,
        Err(error) => {
            tracing::warn!(language = language.id, "version not asked for: {error}");
            return None;
        }
    };
    match executed.result {
        Ok(output) => Some(match version(language, &output) {
            Some(version) => Availability::Available { version },
            None if output.report.exit_code == Some(NOT_FOUND) => unavailable("not installed"),
            None => unavailable(&words::describe(&output.report, &plan.limits, false)),
        }),
        Err(error) => {
            let cause = anyhow::Error::from(error);
            tracing::error!(language = language.id, "version not found out: {cause:#}");
            None
        }
    }
}

fn version(language: &Language, output: &StageOutput) -> Option<String> {
    if output.report.outcome != Outcome::Exited {
        return None;
    }
    language.parse_version(&output.stdout.kept, &output.stderr.kept)
}
