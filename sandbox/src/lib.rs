//! Brig's isolation engine: runs one untrusted program per sandbox and says exactly what it did.
//!
//! [`spawn`] starts workers, [`worker`] is one, [`init`] and [`program`] are the two processes of a
//! sandbox, [`protocol`] is how to talk to a worker.

pub mod archive;
pub mod attach;
pub mod capabilities;
pub mod cgroup;
pub mod client;
pub mod collect;
pub mod identity;
pub mod init;
pub mod inside;
pub mod landlock;
pub mod layers;
pub mod limits;
pub mod policy;
pub mod prepared;
pub mod prestart;
pub mod probe;
pub mod program;
pub mod protocol;
pub mod report;
pub mod rootfs;
pub mod selfcheck;
pub mod shelf;
pub mod spawn;
pub mod started;
pub mod step;
pub mod sys;
pub mod terminal;
pub mod wire;
pub mod worker;
