//! What keeps accounts safe: signed tokens and hashed passwords.
//!
//! Nothing here reads the clock, the environment or the database: the key and the time are
//! arguments, so each rule can be tested at any instant.

mod hs256;
pub mod password;
pub mod secret;
pub mod throttle;
pub mod token;
