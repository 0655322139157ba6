//! `GET /v1/submissions/{id}/events`: what happens to a submission, as it happens (server-sent events).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};
use serde_json::Value;

use super::app::App;
use super::error::Error;
use super::headers::LAST_EVENT_ID;
use super::submissions::{Id, known, unknown};
use crate::auth::Caller;
use crate::judge::{Event, Followed, Live};

/// A comment is sent after this long without an event, so that nobody between takes the connection
/// for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Begins the ids of events that are told of a stored result.
const STORED: &str = "stored";

/// Follow a submission.
///
/// Tells what happens as server-sent events, from the beginning or from behind the event that `Last-Event-ID` names, and
/// ends after the last one. Of a submission that has its result, what led to it is told again. The `data` of an event is
/// JSON, by its name:
///
/// - `state`: `{"state": "queued"}`, then `compiling` and `judging`;
/// - `compile`: the compile stage, a `Stage`;
/// - `test`: a test that has ended, a `Test`. It may be told of again as `skipped`, when an earlier one turns out to fail;
/// - `finished`: the whole `Submission`. It is the last.
///
/// A comment comes every 15 seconds without an event.
#[utoipa::path(
    get,
    path = "/v1/submissions/{id}/events",
    tag = "Submissions",
    operation_id = "followSubmission",
    params(
        ("id" = Uuid, Path, description = "The submission's id."),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was received."),
    ),
    responses(
        (status = 200, description = "The events.", body = String, content_type = "text/event-stream",
            example = "id: 0193f3a1-0\nevent: state\ndata: {\"state\":\"queued\"}\n\n"),
        (status = 404, description = "There is no such submission, or it is not this key's."),
    )
)]
pub(super) async fn follow(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: Id,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let id = known(id)?;
    let last = headers.get(LAST_EVENT_ID).and_then(|v| v.to_str().ok());
    let events = match app.judging.follow(caller.sees(), id).await? {
        Followed::Unknown => return Err(unknown()),
        Followed::Live(live) => {
            // Of another life of the service no event is known: all is told anew.
            let from = after(last, &app.instance, live.told());
            live_events(live, Arc::clone(&app), from).left_stream()
        }
        Followed::Ended(document) => {
            let events = told(&document);
            let from = after(last, STORED, events.len());
            one_by_one(STORED.into(), events, 0)
                .skip(from)
                .right_stream()
        }
    };
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}

/// The number of the first event to tell, of `known` ones and those to come. Of an event that was never
/// told nothing follows, so all is told.
fn after(last: Option<&str>, instance: &str, known: usize) -> usize {
    let number = last.and_then(|last| last.strip_prefix(instance)?.strip_prefix('-'));
    let number = number.and_then(|number| number.parse::<usize>().ok());
    number
        .filter(|number| *number < known)
        .map_or(0, |number| number + 1)
}

/// What happens until the end; or until the service drains, if judging has not begun then: the next server will
/// do it, and the client, whose connection is in the way of the drain, asks that one.
fn live_events(
    live: Arc<Live>,
    app: Arc<App>,
    from: usize,
) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    let instance: Arc<str> = app.instance.as_str().into();
    let batches = stream::unfold((live, from), move |(live, from)| {
        let app = Arc::clone(&app);
        async move {
            let events = tokio::select! {
                biased;
                events = live.events(from) => events,
                () = app.seats.draining(), if !live.has_begun() => Vec::new(),
            };
            if events.is_empty() {
                return None;
            }
            let next = from + events.len();
            Some(((from, events), (live, next)))
        }
    });
    batches.flat_map(move |(from, events)| one_by_one(Arc::clone(&instance), events, from))
}

/// Events as they are sent, each made when the client takes it.
fn one_by_one(
    instance: Arc<str>,
    events: Vec<Event>,
    from: usize,
) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    let numbered = events.into_iter().zip(from..);
    stream::iter(numbered.map(move |(event, number)| Ok(shown(&instance, number, &event))))
}

fn shown(instance: &str, number: usize, event: &Event) -> sse::Event {
    sse::Event::default()
        .id(format!("{instance}-{number}"))
        .event(event.name)
        .data(&*event.data)
}

/// What would have been told of a submission while it was judged.
fn told(document: &[u8]) -> Vec<Event> {
    let fields: Value = serde_json::from_slice(document).unwrap_or_default();
    let event = |name, data: &Value| Event {
        name,
        data: data.to_string().into(),
    };
    let mut events = Vec::new();
    if fields["compile"].is_object() {
        events.push(event("compile", &fields["compile"]));
    }
    let tests = fields["tests"].as_array().into_iter().flatten();
    events.extend(tests.map(|test| event("test", test)));
    events.push(Event {
        name: "finished",
        data: String::from_utf8_lossy(document).as_ref().into(),
    });
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_goes_on_behind_the_last_event() {
        assert_eq!(after(None, "a1", 5), 0);
        assert_eq!(after(Some("a1-4"), "a1", 5), 5);
        assert_eq!(after(Some("b2-4"), "a1", 5), 0);
        for odd in [
            "",
            "a1",
            "a1-",
            "a1-x",
            "a1--1",
            "a1-5",
            "a1-18446744073709551615",
        ] {
            assert_eq!(after(Some(odd), "a1", 5), 0, "{odd}");
        }
    }
}
