//! What keeps accounts safe: signed tokens, hashed passwords, the names of the throttle's counters, how often users may ask.
//!
//! Nothing here reads the clock, the environment or the database: the key and the time are arguments, so that each rule can be
//! tested at any instant.

pub mod api_token;
mod hs256;
pub mod password;
pub mod rate;
pub mod secret;
pub mod throttle;
pub mod token;
