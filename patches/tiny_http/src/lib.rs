//! tiny_http 0.12.0, mended so that it can meet clients by itself.
//!
//! The public types (`Server`, `Request`, `Response`, `Header`, …) are the published ones with the edits of
//! `edits.rs`; what touches a socket or a thread is ours, below. Reading order, along a request's way:
//!
//! | module | does |
//! |---|---|
//! | `limits` | `Limits` and `Program`: what the program using this crate decides |
//! | `acceptor` | takes connections, survives every accept error, turns away what is too many |
//! | `connection` | one connection: its thread, its turn (one request in flight), its end |
//! | `input` | buffered reading with deadlines |
//! | `head` | request line and headers, by RFC 9112, within limits |
//! | `body` | a body by its length or chunked, within limits and a budget |
//! | `queue` | whole requests, waiting for a worker |
//! | `outgoing` | a response, written without ever blocking a worker |
//! | `core` | what all connections of a server share, and how it drains |
//! | `pool`, `budget` | threads on demand; counted bytes |
//!
//! One request costs one `recv` and one `send`; there is no timer, channel or wake-up for it unless a
//! worker sleeps.

#![forbid(unsafe_code)]

mod acceptor;
mod body;
mod budget;
mod connection;
mod core;
mod head;
mod input;
mod limits;
mod outgoing;
mod pool;
mod queue;

pub use limits::{Limits, Program};

include!(concat!(env!("OUT_DIR"), "/tiny_http/lib.rs"));
