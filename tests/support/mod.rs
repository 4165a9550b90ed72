//! What all test binaries share: a database for each test, the real program as a child process, a client.
// Each test binary uses a part of it.
#![allow(dead_code)]
// The tests read DATABASE_URL, and say on standard error what their own helpers cannot assert.
#![allow(clippy::disallowed_methods, clippy::print_stderr)]

pub mod client;
pub mod database;
pub mod load;
pub mod processes;
pub mod proxy;
pub mod schema;
pub mod server;
pub mod shared;
pub mod steady;

use std::time::{Duration, Instant};

/// Waits for a condition, looking again and again, at most ten seconds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// 32 random bytes in hexadecimal.
pub fn random_secret() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    contactd::domain::hex::encode(&bytes)
}
