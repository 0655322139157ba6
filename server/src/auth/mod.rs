//! Who may use the service, and how much: API keys.
//!
//! [`KeyRing::admit`] makes a [`Caller`] of a request's credentials, or says why not
//! ([`Denied`]). The rest of the service asks the caller: for its scopes, whose things it may see,
//! how far its requests may go. [`cli`] is `brig keys`. What is HTTP about it is in
//! [`crate::http`].

mod anonymous;
mod caller;
pub mod cli;
mod config;
mod denied;
mod intruders;
mod key;
mod rate;
mod ring;
mod scope;
mod settings;
mod token;

pub use anonymous::{Open, Visitor};
pub use caller::Caller;
pub use config::AuthConfig;
pub use denied::Denied;
pub use intruders::Intruders;
pub use key::InProgress;
pub use rate::{Rate, RateLimit};
pub use ring::{KeyRing, KeySource};
pub use scope::{Scope, Scopes};
pub use settings::{KeyLimits, Settings};
pub use token::{Malformed, Presented, Token};
