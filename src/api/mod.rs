//! One request from plain values to a plain response: the table of routes, what is done for each row, and what happens
//! around it.
//!
//! A module uses only modules below it:
//!
//! | module | what it is |
//! |---|---|
//! | [`app`] | the steps of every request, in their order |
//! | [`routes`] | THE table: every endpoint is a row of it |
//! | [`handlers`] | what is done for each row |
//! | [`openapi`] | the table → OpenAPI 3.1 |
//! | [`docs`] | Swagger UI, from memory |
//! | [`router`] | method and path → a row |
//! | [`access`] | the line of each request in the log |
//! | [`middleware`] | request id, bearer token, CORS |
//! | [`endpoint`] | what a row is: typed input in, typed reply out |
//! | [`context`] | what handlers share |
//! | [`metrics`] | what is counted |
//! | [`problem`] | every error → status → problem+json |

pub mod access;
pub mod app;
pub mod context;
pub mod docs;
pub mod endpoint;
pub mod handlers;
pub mod metrics;
pub mod middleware;
pub mod openapi;
pub mod problem;
pub mod router;
pub mod routes;
