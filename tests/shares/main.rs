//! One user, or a stranger without an account, who takes all that a service shares: what the others notice of it.
//!
//! Each test is an attack on the real program, built as it is shipped. While it lasts, two other users do what people do: one
//! from the attacker's own network, one from another. `others.rs` measures them and holds them to what the contract promises;
//! `stage.rs` runs the attack and shows that it was in force, for an attack that was refused at the door proves nothing.
//!
//! `make check` runs it, through `make shares`, on the release build that `CONTACTD` names: a build without optimization
//! would measure itself.

#[path = "../support/mod.rs"]
mod support;

#[path = "../faults/wire.rs"]
#[allow(dead_code)] // this binary needs a part of it
mod wire;

mod alone;
mod bytes;
mod connections;
mod numbers;
mod others;
mod queries;
mod slow;
mod stage;

use std::path::PathBuf;

/// The release build.
#[allow(clippy::disallowed_methods)] // this is what `make shares` tells the tests
fn program() -> PathBuf {
    let path = std::env::var_os("CONTACTD").expect("CONTACTD names the release build: run `make shares`");
    PathBuf::from(path)
}
