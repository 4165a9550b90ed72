//! contactd: a private, multi-user address book behind a REST API, on plain threads and blocking Postgres.
//!
//! # The map
//!
//! In reading order; a module uses only modules below it, which `tests/tidy.rs` checks.
//!
//! | module | what it is |
//! |---|---|
//! | `main.rs` | environment → `Config` → `App` → server; signals and exit codes |
//! | [`setup`] | puts the parts together |
//! | [`server`] | the listener, two lanes of workers, the drain |
//! | [`edge`] | tiny_http's requests and responses ⇄ ours |
//! | [`app`] | one request from plain values to a plain response |
//! | [`routes`] | THE table: every endpoint is a row of it |
//! | [`handlers`] | what is done for each row |
//! | [`openapi`] | the table → OpenAPI 3.1 |
//! | [`router`] | method and path → a row |
//! | [`middleware`] | request id, bearer token, CORS, access log |
//! | [`endpoint`] | what a row is: typed input in, typed reply out |
//! | [`context`] | what handlers share |
//! | [`problem`] | every error → status → problem+json |
//! | [`http`] | requests and responses as plain values |
//! | [`formats`] | contacts as vCard, CSV and JSON files, birthdays as iCalendar |
//! | [`security`] | tokens, passwords, whom failures are counted for |
//! | [`store`] | the pool, the statements, the migrations |
//! | [`domain`] | contacts, users, pages, birthdays: parsed once, valid after |
//! | [`config`] | the settings |
//! | [`descriptors`] | how many connections the system allows |
//! | [`memory`] | what is freed goes back to the system |
//! | [`logger`] | the log |
//!
//! # One request's walk
//!
//! `GET /api/contacts/7` arrives on a socket. A thread of that connection's own, inside the patched tiny_http, reads the
//! whole head and body, within limits and deadlines, and queues the request; so no worker ever waits for a client. A
//! [`server`] worker takes it. [`edge`] views it as an [`http::Request`]. [`app::App::handle`] gives it an id, finds its row
//! through [`router`], and, since the row is guarded, has [`middleware`] check the access token: signature, claims, and the
//! list of sessions that ended lately, all without I/O. The row's closure, made in [`endpoint`], reads the typed input (the
//! `7` must be a positive integer; all faults are told at once) and calls `handlers::contacts::one`. That asks [`store`],
//! which takes a connection from the pool, runs the prepared `sql/queries/contacts/by_id.sql` for *this user* and that id,
//! and gives the connection back. The row is serialized straight to JSON. An error of any layer becomes a status in
//! [`problem`], and nowhere else. [`middleware`] adds the headers that every answer has, and [`edge`] writes the response:
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
