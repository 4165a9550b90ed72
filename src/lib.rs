//! contactd: a private, multi-user address book behind a REST API, on plain threads and blocking Postgres.
//!
//! # The map
//!
//! In reading order. A module uses only modules below it, which `tests/tidy.rs` checks; [`api`] has a map of its own.
//!
//! | module | what it is |
//! |---|---|
//! | `main.rs`, `command.rs` | environment and command line → `Config` → `App` → server; signals and exit codes |
//! | [`lanes`] | the lanes of workers |
//! | [`api`] | one request from plain values to a plain response |
//! | [`formats`] | contacts as vCard, CSV and JSON files, birthdays as iCalendar |
//! | [`security`] | tokens, passwords, what failed attempts are counted against |
//! | [`store`] | the pool, the statements, the migrations |
//! | [`domain`] | contacts, users, pages, birthdays: parsed once, valid after |
//! | [`http`] | the engine: sockets, threads, requests and responses |
//! | [`config`] | the settings |
//! | [`system`] | the log, memory, file descriptors, the listening socket, systemd |
//!
//! # One request's walk
//!
//! 1. `GET /api/contacts/7` arrives on a connection that the poll thread watches with epoll: `http/poller.rs: run` wakes up.
//! 2. `http/reading.rs: read_now` reads it with one `recv`, and as all of it is there, no thread has to wait for the client.
//! 3. `http/queue.rs: push` queues it, and wakes a worker if one sleeps.
//! 4. A worker takes it (`lanes.rs: dispatch`) and, as it is a read, handles it; writes, hashing and files go to other lanes.
//!    Others that wait for the same go along (`http/fair_queue.rs: more`): all that follows is then done for each, but for 10.
//! 5. `api/router.rs: find` finds its row in the table of `api/routes.rs`: it is a read, and its handler is `contacts::One`.
//! 6. `api/app.rs: answer` gives it an id and calls the steps that follow, in their order.
//! 7. `api/middleware.rs: authenticate` checks the access token: signature, claims, and the list of sessions that ended lately.
//! 8. `api/endpoint/input.rs: read` reads what the handler takes, and tells all faults at once; here the `7` must be an id.
//! 9. `api/handlers/contacts.rs: ask` asks the store for this contact of *this user*.
//! 10. `store/contacts.rs: contacts_by_id` names the statement, `sql/queries/contacts/by_id.sql`, or `by_ids.sql` for several, and
//!     the pool (`store/pool.rs`) runs it: one round trip, however many wait for it.
//! 11. `api/handlers/contacts.rs: reply` makes the answer of the row, and `api/middleware.rs: finish` adds the headers that every
//!     answer has; `api/problem.rs` made it if it is an error.
//! 12. `http/answering.rs: deliver` writes all of it with one `send`, and the connection goes back to the poll thread.

pub mod api;
pub mod config;
pub mod domain;
pub mod formats;
pub mod http;
pub mod lanes;
pub mod security;
pub mod store;
pub mod system;
