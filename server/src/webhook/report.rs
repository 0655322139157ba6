//! The delivery log, as a submission's document shows it.

use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use super::config::WebhooksConfig;
use super::schedule::Schedule;
use crate::store::AttemptRecord;

/// The receiver's word that it wants no more.
const GONE: u16 = 410;

/// Where a delivery stands: `pending`, it is to be tried, again or for the first time; `delivered`, the receiver has it;
/// `given_up`, it is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is to be tried, again or for the first time.
    Pending,
    /// The receiver has it.
    Delivered,
    /// It is not tried again.
    GivenUp,
}

/// Where a submission's result is sent, and, once there is one, how that went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeliveryReport {
    /// Where it goes.
    pub url: String,
    /// Where it stands; absent before the submission has its result.
    #[schema(required = false)]
    pub state: DeliveryState,
    /// Every attempt, oldest first; absent before the submission has its result.
    #[schema(required = false)]
    pub attempts: Vec<AttemptReport>,
}

/// One attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AttemptReport {
    /// When it began.
    #[schema(format = "date-time")]
    pub at: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The answer's HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What went wrong, if there was none.
    pub error: Option<String>,
}

/// What [`Store::deliveries`](crate::store::Store::deliveries) has of the delivery to `url` that is
/// owed since `since`, the time when the submission ended.
pub(super) fn report(
    config: &WebhooksConfig,
    url: &str,
    since: OffsetDateTime,
    records: &[AttemptRecord],
) -> DeliveryReport {
    DeliveryReport {
        url: url.to_owned(),
        state: state(config, since, records),
        attempts: records.iter().map(attempt).collect(),
    }
}

fn state(
    config: &WebhooksConfig,
    since: OffsetDateTime,
    records: &[AttemptRecord],
) -> DeliveryState {
    let Some(last) = records.last() else {
        return DeliveryState::Pending;
    };
    let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
    let ended = last.at + Duration::from_millis(last.duration_ms);
    match last.status {
        Some(200..=299) => DeliveryState::Delivered,
        Some(GONE) => DeliveryState::GivenUp,
        _ if Schedule::new(config).is_over(count, since, ended) => DeliveryState::GivenUp,
        _ => DeliveryState::Pending,
    }
}

fn attempt(record: &AttemptRecord) -> AttemptReport {
    AttemptReport {
        at: record.at.format(&Rfc3339).unwrap_or_default(),
        duration_ms: record.duration_ms,
        status: record.status,
        error: record.error.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn after(hours: i64, status: Option<u16>) -> AttemptRecord {
        AttemptRecord {
            at: START + time::Duration::hours(hours),
            duration_ms: 12,
            status,
            error: status.is_none().then(|| "no connection".to_owned()),
        }
    }

    #[test]
    fn the_log_says_where_a_delivery_stands() {
        let config = WebhooksConfig::default();
        for (records, expected) in [
            (vec![], DeliveryState::Pending),
            (vec![after(0, Some(500))], DeliveryState::Pending),
            (
                vec![after(0, Some(500)), after(1, Some(204))],
                DeliveryState::Delivered,
            ),
            (vec![after(0, Some(410))], DeliveryState::GivenUp),
            (
                vec![after(0, None), after(24, None)],
                DeliveryState::GivenUp,
            ),
        ] {
            let report = report(&config, "https://x.example/", START, &records);
            assert_eq!(report.state, expected, "{records:?}");
        }
        let report = report(&config, "https://x.example/", START, &[after(0, None)]);
        assert_eq!(
            serde_json::to_value(report).unwrap(),
            serde_json::json!({
                "url": "https://x.example/",
                "state": "pending",
                "attempts": [{
                    "at": "1970-01-01T00:00:00Z",
                    "duration_ms": 12,
                    "status": null,
                    "error": "no connection",
                }],
            })
        );
    }
}
