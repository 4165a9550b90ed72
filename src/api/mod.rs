//! One request from plain values to a plain response: the table of routes, what is done for each row, and what happens
//! around it.

pub mod app;
pub mod context;
pub mod docs;
pub mod endpoint;
pub mod handlers;
pub mod middleware;
pub mod openapi;
pub mod problem;
pub mod router;
pub mod routes;
