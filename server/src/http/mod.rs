//! HTTP: translates between the wire and the rest of the server.

mod access;
mod app;
mod blobs;
mod body;
mod catalog;
mod cors;
mod docs;
mod download;
mod encoding;
mod error;
mod events;
mod grounds;
mod headers;
mod live;
mod middleware;
mod openapi;
mod ops;
mod pages;
mod route;
mod router;
mod runs;
mod server;
mod shares;
mod submissions;
mod unread;

pub use app::App;
pub use openapi::document;
pub use router::router;
pub use server::listen;
