//! The contract, row by row, through a real socket against a real Postgres.
// The tests compare with the real time, and a story of a dozen requests is best read in one piece.
#![allow(clippy::disallowed_methods, clippy::too_many_lines)]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod accounts;
mod api_tokens;
mod batches;
mod birthdays;
mod calendar;
mod contacts;
mod conventions;
mod cors;
mod ends;
mod fields;
mod hostile;
mod identity;
mod imports;
mod keys;
mod lanes;
mod limits;
mod lists;
mod logs;
mod metrics;
mod model;
mod openapi;
mod operator;
mod races;
mod repeats;
mod rotation;
mod secrets;
mod seed;
mod sessions;
mod smoke;
mod table;
mod terminal;
mod throttle;
mod tokens;
mod tour;
mod transfer;
mod trash;
