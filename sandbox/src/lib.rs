//! Brig's isolation engine: runs one untrusted program per sandbox and says exactly what it did.
pub mod archive;
pub mod limits;
pub mod policy;
pub mod protocol;
pub mod report;
pub mod sys;
