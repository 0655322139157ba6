//! The HTTP API's types as they appear on the wire, and nothing else.

mod blob;
mod catalog;
mod checker;
mod info;
mod interactor;
mod live;
mod number;
mod object;
pub mod parse;
mod problem;
mod run;
mod share;
mod stats;
mod submission;

pub use blob::BlobEntry;
pub use catalog::{LanguageEntry, PolicyEntry};
pub use checker::{CheckerKind, CheckerProtocol, CheckerRequest};
pub use info::{AuthInfo, Info, LiveLimits, QueueInfo, RequestLimits, WorkersInfo};
pub use interactor::InteractorRequest;
pub(crate) use live::check_size;
pub use live::{BadMessage, ClientMessage, LiveUsage, Piece, ServerMessage};
pub use object::Object;
pub use problem::{FieldError, Problem};
pub use run::{
    Encoding, InputFile, LanguageUsed, LimitsRequest, OutputFile, RunRequest, RunResponse,
    RunStatus, Stage, StageOutcome, StageUsage, Timings,
};
pub use share::{SHARE_VERSION, ShareCreated, ShareMode, ShareRequest};
pub use stats::{
    CacheStats, ClassStats, History, Latency, Percentiles, QueueStats, Rate, ServiceStats,
    SubmissionStats,
};
pub use submission::{
    Accepted, BatchItem, BatchRequest, BatchResponse, Callback, CallbackRequest, Group,
    GroupRequest, SUMMARY_LACKS, Scoring, Stop, Submission, SubmissionList, SubmissionRequest,
    SubmissionState, SubmissionSummary, SubmissionUsage, Test, TestRequest, Transcript,
    TranscriptLine, Verdict,
};
