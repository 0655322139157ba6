//! What was measured: times of phases in histograms, errors by kind.

mod latencies;
mod recorder;

pub(crate) use latencies::{Latencies, Percentiles};
pub(crate) use recorder::{Errors, GroupStats, JobStats, Phase, Phases, Recent, Recorder};
