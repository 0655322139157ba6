//! Talking to the service.

mod answer;
mod http;
mod live;
mod perform;
mod target;

pub(crate) use http::{Connection, ask, get_json};
pub(crate) use perform::{Failure, perform};
pub(crate) use target::{Target, TargetFlags};
