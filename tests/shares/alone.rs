//! A lone user with 64 requests in flight, on this build and on an older one in turns: printed, and never decides.

use std::process::Command;

use serde_json::json;

use crate::program;
use crate::support::server::{Setup, database};

/// How often each is measured, and for how many seconds.
const ROUNDS: usize = 3;
const SECONDS: usize = 3;

/// Requests a second, as wrk counts them; an answer other than 2xx spoils it.
fn rate(address: &str, token: &str, target: &str) -> f64 {
    let token = format!("Authorization: Bearer {token}");
    let seconds = format!("{SECONDS}s");
    let url = format!("http://{address}{target}");
    let run =
        Command::new("wrk").args(["-t1", "-c64", "-d", &seconds, "-H", &token, &url]).output().expect("wrk is there");
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{text}");
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")).expect("wrk says so");
    rate.trim().parse().expect("a number")
}

#[test]
#[allow(clippy::disallowed_methods)] // this is what `make shares` passes on
fn a_lone_user_is_as_fast_as_before() {
    let Some(before) = std::env::var_os("CONTACTD_BEFORE") else {
        println!("\nCONTACTD_BEFORE names no older build, so nothing is compared.");
        return;
    };
    let builds = [("before", before.into()), ("now", program())].map(|(name, program)| {
        let database = database();
        let server = Setup::on(&database).program(program).ready();
        let user = server.client().new_user("alone@example.com");
        let id = user.new_contact(&json!({ "first_name": "A", "birthday": "1990-05-17" }));
        (name, server, database, user.token.expect("a token"), format!("/api/contacts/{id}"))
    });
    for what in ["one contact", "list", "/livez"] {
        for (name, server, _database, token, contact) in &builds {
            let target = match what {
                "one contact" => contact,
                "list" => "/api/contacts",
                other => other,
            };
            let rates: Vec<_> = (0..ROUNDS).map(|_| rate(&server.address.to_string(), token, target).round()).collect();
            println!("\n64 in flight, {what}, {name}: {rates:?} a second");
        }
    }
}
