//! The contract, row by row, through a real socket against a real Postgres.

#[path = "../support/mod.rs"]
mod support;

mod smoke;
mod tour;
