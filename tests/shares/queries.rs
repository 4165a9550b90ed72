//! Costly and many queries of one user: crafted searches, sorts and skips of a long list, a flood of cheap reads.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use contactd::domain::contact::Draft;
use serde_json::json;

use crate::stage::{Force, Stage};
use crate::support::load;
use crate::wire::Wire;

/// Contacts whose names fold to 333 times `∫` each: Postgres' LIKE takes quadratic time for them.
const LONG_NAMES: usize = 9_000;
/// As many as a user may well have.
const MANY: usize = 100_000;

/// A search that the attacker's contacts nearly match everywhere.
fn search_that_never_matches() -> String {
    format!("/api/contacts?q={}x", "%E2%A8%8C".repeat(41))
}

/// An attack that is refused as a whole proves nothing.
fn is_costly(force: &Force) {
    let answered: u64 = force.answers.values().sum();
    assert!(answered > 0, "nothing of the attack was answered: {force}");
    assert!(force.busy > 0.3, "the attacker's statements were at work only now and then: {force}");
}

fn searches_from(connections: usize) {
    let stage = Stage::set();
    let name = "\u{2a0c}".repeat(100);
    let draft = load::draft_of(&json!({ "first_name": name, "last_name": name }));
    load::insert(&stage.database, &stage.attacker, &vec![draft; LONG_NAMES]);
    let request = stage.head("GET", &search_that_never_matches()) + "\r\n";
    let what = format!("{connections} connections with a crafted search");
    let force = stage.under(&what, connections, |attack, _| attack.repeat(&stage, request.as_bytes()));
    is_costly(&force);
}

#[test]
fn crafted_searches_from_four_connections() {
    searches_from(4);
}

#[test]
fn crafted_searches_from_eight_connections() {
    searches_from(8);
}

#[test]
fn crafted_searches_from_sixteen_connections() {
    searches_from(16);
}

/// An address book of 100,000 people.
fn many_contacts() -> Vec<Draft> {
    let person = |n: usize| {
        load::draft_of(&json!({
            "first_name": format!("First{n}"),
            "last_name": format!("Last{}", n * 7_919 % MANY),
            "email": format!("person{n}@example.com"),
            "phone_number": format!("+38050{n:07}"),
            "birthday": format!("19{:02}-{:02}-{:02}", 50 + n % 50, 1 + n % 12, 1 + n % 28),
        }))
    };
    (0..MANY).map(person).collect()
}

#[test]
fn sorts_and_skips_of_a_long_list_from_sixteen_connections() {
    let stage = Stage::set();
    load::insert(&stage.database, &stage.attacker, &many_contacts());
    let targets = [
        "/api/contacts?q=nobody&count=true",
        "/api/contacts?sort=last_name",
        "/api/contacts?sort=-birthday&skip=90000",
        "/api/contacts/upcoming_birthdays?days=366&limit=1000",
    ];
    let requests = targets.map(|target| stage.head("GET", target) + "\r\n");
    let force = stage.under("16 connections with sorts and skips of 100,000 contacts", 16, |attack, number| {
        attack.repeat(&stage, requests[number % requests.len()].as_bytes());
    });
    is_costly(&force);
    assert!(force.answers(&[200]) > 0, "{force}");
}

#[test]
fn a_flood_of_cheap_reads_over_two_hundred_connections() {
    /// Each has so many on its way at once.
    const PIPELINED: usize = 16;
    let stage = Stage::set();
    let id = stage.attacker.new_contact(&json!({ "first_name": "Cheap" }));
    let requests = (stage.head("GET", &format!("/api/contacts/{id}")) + "\r\n").repeat(PIPELINED);
    let force = stage.under("200 connections with 16 cheap reads each", 4, |attack, _| {
        let mut wires: Vec<Wire> = (0..50).map(|_| stage.connect()).collect();
        while !attack.is_over() {
            for wire in &mut wires {
                wire.try_send(requests.as_bytes());
            }
            let held: Vec<_> = wires.iter().map(|_| attack.hold()).collect();
            for wire in &mut wires {
                for _ in 0..PIPELINED {
                    let answer = wire.try_answer();
                    attack.answered(answer.as_ref().map_or(0, |answer| answer.status));
                    if answer.is_none() {
                        *wire = stage.connect();
                        break;
                    }
                }
            }
            drop(held);
        }
    });
    assert!(force.answers(&[200, 429, 503]) > 1_000 && force.answers(&[200]) > 0, "{force}");
}

#[test]
fn a_hundred_thousand_sessions_are_no_burden() {
    let stage = Stage::set();
    let me = stage.attacker.get("/api/users/me").send().expect(200).json()["id"].as_i64().expect("an id");
    // The rows of an attacker from before there was a limit; the fields that no row can do without.
    let sql = "insert into sessions (user_id, id)
        select $1, n + 1000000000 from generate_series(1, 100000) as n";
    assert_eq!(stage.database.client().execute(sql, &[&me]).expect("it takes them"), 100_000);
    let request = stage.head("GET", "/api/auth/sessions") + "\r\n";
    let force = stage.under("8 connections with the list of 100,000 sessions", 8, |attack, _| {
        while !attack.is_over() {
            let mut wire = stage.connect();
            while !attack.is_over() && wire.try_send(request.as_bytes()) {
                let Some(answer) = wire.try_answer() else { break };
                attack.answered(answer.status);
                attack.bytes.fetch_max(answer.body.len() as u64, SeqCst);
                attack.rest(Duration::from_millis(1));
            }
        }
    });
    assert!(force.answers(&[200]) > 0, "{force}");
    assert!(force.bytes < 100_000, "a list of {} bytes", force.bytes);
    assert!(force.memory < 64 * 1024, "{} KiB for lists of sessions", force.memory);
}

#[test]
fn a_user_has_at_most_a_hundred_sessions() {
    let stage = Stage::set();
    (0..103).for_each(|_| drop(stage.attacker.login("attacker@example.com", "123456")));
    let last = stage.attacker.login("attacker@example.com", "123456");
    let sessions = last.get("/api/auth/sessions").send().expect(200).json();
    assert_eq!(sessions.as_array().map(Vec::len), Some(100));
    // The one least recently used has ended, for its refresh token as well.
    let first = stage.attacker.refresh_token.clone().expect("a token");
    stage.attacker.post("/api/auth/refresh_token", &json!({ "refresh_token": first })).send().expect(401);
    last.post("/api/auth/logout?everywhere=true", &json!({})).send().expect(204);
    last.get("/api/auth/sessions").send().expect(401);
}
