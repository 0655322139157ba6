//! Judging: whether what a program wrote is right, test by test, and what that amounts to.
//!
//! [`Judging`] takes submissions and judges them in their turn. A request becomes a [`task`]
//! ([`validate`](mod@validate)), a submission is driven through compiling and its tests (`drive`), which
//! run side by side (`testing`, `talking`) and are counted on a [`board`]. [`compare`] and [`checker`]
//! say whether an output is right, [`interactive`] who broke a conversation off.

pub mod board;
mod borderline;
pub mod checker;
pub mod compare;
mod config;
mod document;
mod drive;
pub mod interactive;
mod live;
mod metrics;
mod output;
mod patience;
mod points;
mod service;
mod talking;
pub mod task;
mod testing;
pub mod validate;
mod waiting;

pub use config::JudgingConfig;
pub use live::{Event, Live};
pub(crate) use metrics::JudgingMetrics;
pub use service::{Cancelled, Followed, Judging, New, Parts, Taken, Untaken};
