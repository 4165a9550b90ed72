//! The edits to the published tiny_http 0.12.0: the audit trail of how the server differs.
//!
//! The public types stay as published but for the edits below. What is not named in `FILES` is left out: it is
//! the part that touches sockets and threads, which `src/` replaces (and TLS, upgrades, Unix sockets and test
//! requests, which nothing here uses). `cargo run --example diff` prints the difference.

mod header;
mod request;
mod response;
mod server;

pub struct Edit {
    /// Below `src/` of the published package.
    pub file: &'static str,
    /// Occurs exactly once in that file.
    pub find: &'static str,
    /// How far the replaced text goes.
    pub until: Until,
    pub replace: &'static str,
    /// The fault that this mends.
    pub why: &'static str,
}

pub enum Until {
    FragmentEnd,
    /// Up to the next occurrence of this fragment, which stays.
    Before(&'static str),
    FileEnd,
}

/// The published files that are compiled.
pub const FILES: &[&str] = &["lib.rs", "common.rs", "request.rs", "response.rs"];

pub fn all() -> Vec<&'static Edit> {
    [server::EDITS, header::EDITS, request::EDITS, response::EDITS].into_iter().flatten().collect()
}
