//! What comes at the same moment as its opposite: each of these holds one side up with a lock of the database, or lets many go
//! at once.

use std::sync::{Arc, Barrier};
use std::thread;

use serde_json::{Value, json};

use crate::sessions::{at, is_alive, refresh, text, two_instances};
use crate::support::database::Database;
use crate::support::eventually;
use crate::support::server::{Server, Setup, database};

/// A login that has checked the password holds its session back until a change of that password is through, and then
/// does not begin it: the change ends what an old password began, so nothing may slip past it.
#[test]
fn a_login_that_meets_a_change_of_the_password_begins_no_session() {
    let (server, database) = Server::with_database();
    server.client().new_user("ivan@example.com");
    let mut behind = database.client();
    for (change, undo) in [
        ("password_hash = 'x' || password_hash", "password_hash = substr(password_hash, 2)"),
        ("disabled_at = now()", "disabled_at = null"),
    ] {
        let mut change_under_way = behind.transaction().unwrap();
        change_under_way.execute(&format!("update users set {change}"), &[]).unwrap();
        let client = server.client();
        let login = thread::spawn(move || {
            let body = json!({ "email": "ivan@example.com", "password": "123456" });
            client.post("/api/auth/login", &body).send()
        });
        let mut look = database.client();
        eventually("the login waits for the change", || {
            let waits =
                "select from pg_stat_activity where wait_event_type = 'Lock' and query like '%for no key update%'";
            login.is_finished() || !look.query(waits, &[]).unwrap().is_empty()
        });
        change_under_way.commit().unwrap();
        let answer = login.join().unwrap();
        assert_eq!(answer.status, 401, "{change}: {}", answer.text());
        behind.execute(&format!("update users set {undo}"), &[]).unwrap();
        let sessions: i64 = behind.query_one("select count(*) from sessions", &[]).unwrap().get(0);
        assert_eq!(sessions, 1, "only the first login's");
    }
}

/// Once a password is renewed at a login, another login that was checked against the old hash counts all the same.
#[test]
fn two_logins_at_once_both_count_while_the_hash_is_renewed() {
    let (server, database) = Server::with_database();
    server.client().new_user("ivan@example.com");
    let mut behind = database.client();
    let weak = weak_hash();
    behind.execute("update users set password_hash = $1", &[&weak]).unwrap();
    let logins: Vec<_> = (0..2)
        .map(|_| {
            let client = server.client();
            thread::spawn(move || client.login("ivan@example.com", "123456"))
        })
        .collect();
    for login in logins {
        login.join().unwrap();
    }
    let hash: String = behind.query_one("select password_hash from users", &[]).unwrap().get(0);
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    server.client().login("ivan@example.com", "123456");
}

/// A hash of `123456`, made with half of the memory that it should take.
pub fn weak_hash() -> String {
    let config = argon2::Config {
        mem_cost: 9728,
        time_cost: 2,
        hash_length: 32,
        variant: argon2::Variant::Argon2id,
        version: argon2::Version::Version13,
        ..argon2::Config::default()
    };
    argon2::hash_encoded(b"123456", b"somesaltsomesalt", &config).unwrap()
}

/// Deleting an account kills the session of a login that was not committed yet when the deletion began.
#[test]
fn a_login_that_meets_the_deletion_of_its_account_leaves_no_living_token() {
    let (server, database) = Server::with_database();
    let ivan = server.client().new_user("ivan@example.com");
    let mut behind = database.client();
    let user = ivan.get("/api/users/me").send().json()["id"].as_i64().unwrap();
    let mut login_under_way = behind.transaction().unwrap();
    let begun: i64 =
        login_under_way.query_one("insert into sessions (user_id) values ($1) returning id", &[&user]).unwrap().get(0);
    let client = ivan.clone();
    let deletion = thread::spawn(move || {
        let body: Value = json!({ "password": "123456" });
        client.request("DELETE", "/api/users/me").json(&body).send()
    });
    let mut look = database.client();
    eventually("the deletion waits for the login", || {
        let waits = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
        !look.query(waits, &[]).unwrap().is_empty()
    });
    login_under_way.commit().unwrap();
    assert_eq!(deletion.join().unwrap().status, 204);
    let revoked = behind.query("select from revocations where session_id = $1", &[&begun]).unwrap();
    assert_eq!(revoked.len(), 1, "the access token of session {begun} would live");
}

/// A lost reply, two tabs: fifty refreshes of one token at the same moment, on two instances, agree on one successor.
#[test]
fn fifty_refreshes_at_once_leave_one_generation_and_a_living_session() {
    let (one, two, database) = two_instances();
    let ivan = one.client().new_user("ivan@example.com");
    let token = ivan.refresh_token.clone().unwrap();
    let start = Arc::new(Barrier::new(50));
    let threads: Vec<_> = (0..50)
        .map(|n| {
            let client = if n % 2 == 0 { one.client() } else { two.client() };
            let (token, start) = (token.clone(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                let body = json!({ "refresh_token": token });
                client.post("/api/auth/refresh_token", &body).send()
            })
        })
        .collect();
    let answers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let generation = |database: &Database| -> i32 {
        database.client().query_one("select generation from sessions", &[]).unwrap().get(0)
    };
    assert_eq!(generation(&database), 2);
    // Each of the fifty holds that one generation: any of them may go on, the others then within the grace.
    for answer in &answers {
        assert_eq!(refresh(&two, &text(answer, "refresh_token")).status, 200);
    }
    assert_eq!(generation(&database), 3);
    assert!(is_alive(&ivan) && is_alive(&at(&two, &ivan)));
}

/// A change that waited for another is made after it, whatever the database sets for its clients: with the isolation that
/// this one has, it would fail, and a login could slip past a change of the password.
#[test]
fn a_change_that_meets_another_is_made_whatever_the_database_sets_for_its_clients() {
    let database = database();
    let mut behind = database.client();
    for setting in ["default_transaction_isolation = 'repeatable read'", "standard_conforming_strings = off"] {
        let alter = format!("alter database {} set {setting}", database.name());
        behind.batch_execute(&alter).unwrap();
    }
    let server = Setup::on(&database).ready();
    let ivan = server.client().new_user("ivan@example.com");
    let id = ivan.new_contact(&json!({ "first_name": "Олена" }));

    let mut other = behind.transaction().unwrap();
    other.execute("update contacts set version = version + 1", &[]).unwrap();
    let change = thread::spawn(move || {
        let body = json!({ "last_name": "Пчілка" });
        ivan.patch(&format!("/api/contacts/{id}"), &body).send()
    });
    let mut look = database.client();
    eventually("the change waits for the other", || {
        let waits = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
        change.is_finished() || !look.query(waits, &[]).unwrap().is_empty()
    });
    other.commit().unwrap();
    let answer = change.join().unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("ETag"), Some("\"3\""));
}
