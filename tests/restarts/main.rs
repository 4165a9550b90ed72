//! Restarts that nobody notices, behind the proxies that people use, and a database whose owner does not serve. `make check-all`
//! runs them, for they need nginx, HAProxy and a Postgres whose superuser they are.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod backup;
mod proxies;
mod roles;
