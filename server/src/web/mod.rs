//! The web pages, as they were built into this binary: files of `web/dist`, with their compressed
//! variants. `http::pages` serves them.

mod config;

pub use config::WebConfig;

/// A file of the pages.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Its path, such as `index.html` or `assets/main-BcD3.js`.
    pub name: &'static str,
    /// Its content type.
    pub kind: &'static str,
    /// What its content is known by.
    pub tag: &'static str,
    /// Its content.
    pub plain: &'static [u8],
    /// The same, compressed by brotli.
    pub brotli: Option<&'static [u8]>,
    /// The same, compressed by gzip.
    pub gzip: Option<&'static [u8]>,
}

/// All files. None in a binary that was built without pages.
pub static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/web.rs"));
