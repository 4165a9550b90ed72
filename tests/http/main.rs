//! The engine alone: a server and raw sockets. A test named `fault_9_…` fails without what mends fault 9 of
//! src/http/README.md.

mod support;

mod drain;
mod framing;
mod limits;
mod responses;
mod serving;
mod shares;
mod turns;
