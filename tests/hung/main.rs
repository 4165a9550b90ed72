//! What happens when the database hangs: whatever needs it is answered 503 in time, whatever does not is unaffected, the
//! service is back when the database is, and nothing is lost or done twice.
//!
//! The real program runs on a Postgres of this binary's own, which is stopped, cut off, slowed down, restarted and replaced.
//! Each test takes the machine for itself and proves that its attack was in force. `make check` runs them,
//! and each says the longest answer of each kind in milliseconds.
// A test may say what it measures, and its helpers too; the one within a network namespace is told so by its environment.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod batches;
mod cluster;
mod cuts;
mod dropped;
mod frozen;
mod log;
mod network;
mod relay;
mod states;
mod tls;
mod trial;
mod verdict;
