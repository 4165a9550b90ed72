//! What a request may cost, in counts and not in time: round trips, system calls, allocations, instructions; and what the
//! program may weigh. Each against a number in `limits.rs`, so that a change that costs more says so.
//!
//! `make check` runs it on the release build that `CONTACTD` names; it needs strace and valgrind.

#[path = "../support/mod.rs"]
mod support;

mod allocations;
mod footprint;
mod instructions;
mod limits;
mod round_trips;
mod system_calls;

use std::path::PathBuf;

/// The release build.
#[allow(clippy::disallowed_methods)] // this is what `make budget` tells the tests
fn program() -> PathBuf {
    let path = std::env::var_os("CONTACTD").expect("CONTACTD names the release build: run `make budget`");
    PathBuf::from(path)
}
