//! The engine: an HTTP/1.1 server with tiny_http's interface, which can meet clients by itself. `Method`, `StatusCode` and
//! `Header` are tiny_http's own; what touches a socket or a thread is ours. README.md beside this file has the faults of
//! the published server that this one mends.
//!
//! A request's way is one loop over its connection, reading → answering → reading, whose parts are, in its order:
//!
//! | module | does |
//! |---|---|
//! | `server` | starts it, gives requests to workers, drains it |
//! | `acceptor` | takes connections, survives every accept error, turns away what is too many |
//! | `poller` | its own thread: watches all connections, and reads what needs no waiting |
//! | `reading` | a request as far as it is there, or its rest on a thread of the pool; then the queue |
//! | `answering` | a response, written without ever blocking a worker; then on to reading |
//!
//! The parts that they share:
//!
//! | module | is |
//! |---|---|
//! | `connection` | a socket and whose turn it is |
//! | `shared` | what all connections share, and the list of them |
//! | `request`, `response` | what goes to a handler and comes back |
//! | `head`, `body` | RFC 9112 within limits; `input` holds what has arrived and is not consumed yet |
//! | `queue`, `fair_queue`, `pool` | whole requests waiting for a worker, in turns; threads on demand |
//! | `pace`, `budget` | writing to a slow client with deadlines; counted units that all share |
//! | `limits` | what the program decides |
//! | `proxies` | whose word on a client's address counts |
//! | `url` | percent-encoding |
//!
//! One request costs one `recv` and one `send`; no thread is woken unless one is needed. A connection has a thread only while a
//! request of it is there in part, or an answer is not all sent.

mod acceptor;
mod answering;
mod body;
mod budget;
mod connection;
mod fair_queue;
mod head;
mod input;
mod limits;
mod pace;
mod poller;
mod pool;
mod proxies;
mod queue;
mod reading;
mod request;
mod response;
mod server;
mod shared;
mod url;

pub use budget::{Holder, Network};
pub use fair_queue::{FairQueue, Kind, Taken};
pub use limits::{Limits, Program};
pub use pool::Pool;
pub use queue::Take;
pub use request::{Identity, Request};
pub use response::{Body, Response, reason};
pub use server::Server;
pub use tiny_http::{Method, StatusCode};
pub use url::{Pair, parse_pairs, percent_decode, percent_encode};
