//! contactd: a private, multi-user address book behind a REST API, on plain threads and blocking Postgres.
//!
//! # The map
//!
//! In reading order. A module uses only modules below it, which `tests/tidy.rs` checks; [`api`] has a map of its own.
//!
//! | module | what it is |
//! |---|---|
//! | `main.rs`, `command.rs` | environment and command line → `Config` → `App` → server; signals and exit codes |
//! | [`lanes`] | the lanes of workers, the drain |
//! | [`api`] | one request from plain values to a plain response |
//! | [`formats`] | contacts as vCard, CSV and JSON files, birthdays as iCalendar |
//! | [`security`] | tokens, passwords, what failed attempts are counted against |
//! | [`store`] | the pool, the statements, the migrations |
//! | [`domain`] | contacts, users, pages, birthdays: parsed once, valid after |
//! | [`http`] | requests and responses as plain values |
//! | [`config`] | the settings |
//! | [`system`] | the log, memory, file descriptors |
//!
//! # One request's walk
//!
//! `GET /api/contacts/7` arrives on a socket. A thread of that connection's own, inside the patched tiny_http, reads the
//! whole head and body, within limits and deadlines, and queues the request; so no worker ever waits for a client. A
//! [`lanes`] worker takes it. [`api::edge`] views it as an [`http::Request`]. [`api::app::App::handle`] gives it an id, finds its row
//! through [`api::router`], and, since the row is guarded, has [`api::middleware`] check the access token: signature, claims, and the
//! list of sessions that ended lately, all without I/O. The row's closure, made in [`api::endpoint`], reads the typed input (the
//! `7` must be a positive integer; all faults are told at once) and calls `handlers::contacts::one`. That asks [`store`],
//! which takes a connection from the pool, runs the prepared `sql/queries/contacts/by_id.sql` for *this user* and that id,
//! and gives the connection back. The row is serialized straight to JSON. An error of any layer becomes a status in
//! [`api::problem`], and nowhere else. [`api::middleware`] adds the headers that every answer has, and [`api::edge`] writes the response:
//! one `send`, by the worker, which never waits for the client either.
//!
//! Passwords are hashed, files imported and exported on the slow lane, so a flood of logins does not slow a read.

pub mod api;
pub mod config;
pub mod domain;
pub mod formats;
pub mod http;
pub mod lanes;
pub mod security;
pub mod store;
pub mod system;
