//! tiny_http 0.12.0, mended so that it can meet clients by itself.
//!
//! The public types (`Server`, `Request`, `Response`, `Header`, …) are the published ones with the edits of
//! `edits.rs`; what touches a socket or a thread is ours, below. Reading order, along a request's way:
//!
//! | module | does |
//! |---|---|
//! | `limits` | `Limits` and `Program`: what the program using this crate decides |
//! | `poller` | the server's own thread: watches all connections, reads what needs no waiting |
//! | `acceptor` | takes connections, survives every accept error, turns away what is too many |
//! | `turn` | whose a connection is: the poll's, or of the one thread that reads, handles or answers |
//! | `connection` | reading without waiting, what follows from it, the end of an answer |
//! | `waiting` | requests that arrive in pieces: a thread that waits for the rest, with deadlines |
//! | `input` | what has arrived and is not consumed yet |
//! | `head` | request line and headers, by RFC 9112, within limits |
//! | `body` | a body by its length or chunked, within limits and a budget |
//! | `queue` | whole requests, waiting for a worker |
//! | `outgoing` | a response, written without ever blocking a worker |
//! | `pace` | writing what a socket did not take at once, with deadlines |
//! | `core` | what all connections of a server share, and the list of them |
//! | `pool`, `budget` | threads on demand; counted bytes |
//!
//! One request costs one `recv` and one `send`; nobody is woken for it who does not sleep. A connection has a thread
//! only while a request of it is there in part.

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
mod pace;
mod poller;
mod pool;
mod queue;
mod turn;
mod waiting;

pub use limits::{Limits, Program};

include!(concat!(env!("OUT_DIR"), "/tiny_http/lib.rs"));
