//! Sessions: rotation, theft, logging out, on two instances over one database.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use contactd::security::token::Keys;
use contactd::store::{Options, Store};
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::database::Database;
use crate::support::proxy::Proxy;
use crate::support::server::{Server, Setup, database};
use crate::support::{eventually, random_secret};

/// Two instances that share a database and a secret.
pub fn two_instances() -> (Server, Server, Database) {
    let database = database();
    let setup = Setup::on(&database);
    (setup.ready(), setup.ready(), database)
}

/// The same user at another instance.
pub fn at(server: &Server, client: &Client) -> Client {
    Client {
        address: server.address,
        ..client.clone()
    }
}

/// Sends a refresh token.
pub fn refresh(server: &Server, token: &str) -> Answer {
    let body = json!({ "refresh_token": token });
    server
        .client()
        .post("/api/auth/refresh_token", &body)
        .send()
}

/// A member of an answer that is a string.
pub fn text(answer: &Answer, member: &str) -> String {
    let found = answer.json()[member].as_str().map(str::to_owned);
    found.unwrap_or_else(|| panic!("{member} in {}", answer.text()))
}

/// A login that has checked the password holds its session back until a change of that password is through, and then
/// does not begin it: the change ends what an old password began, so nothing may slip past it.
#[test]
fn a_login_that_meets_a_change_of_the_password_begins_no_session() {
    let (server, database) = Server::with_database();
    server.client().new_user("ivan@example.com");
    let mut behind = database.client();
    for (change, undo) in [
        (
            "password_hash = 'x' || password_hash",
            "password_hash = substr(password_hash, 2)",
        ),
        ("disabled_at = now()", "disabled_at = null"),
    ] {
        let mut change_under_way = behind.transaction().unwrap();
        change_under_way
            .execute(&format!("update users set {change}"), &[])
            .unwrap();
        let client = server.client();
        let login = thread::spawn(move || {
            let body = json!({ "email": "ivan@example.com", "password": "123456" });
            client.post("/api/auth/login", &body).send()
        });
        let mut look = database.client();
        eventually("the login waits for the change", || {
            let waits = "select from pg_stat_activity where wait_event_type = 'Lock' and query like '%into sessions%'";
            login.is_finished() || !look.query(waits, &[]).unwrap().is_empty()
        });
        change_under_way.commit().unwrap();
        let answer = login.join().unwrap();
        assert_eq!(answer.status, 401, "{change}: {}", answer.text());
        behind
            .execute(&format!("update users set {undo}"), &[])
            .unwrap();
        let sessions: i64 = behind
            .query_one("select count(*) from sessions", &[])
            .unwrap()
            .get(0);
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
    behind
        .execute("update users set password_hash = $1", &[&weak])
        .unwrap();
    let logins: Vec<_> = (0..2)
        .map(|_| {
            let client = server.client();
            thread::spawn(move || client.login("ivan@example.com", "123456"))
        })
        .collect();
    for login in logins {
        login.join().unwrap();
    }
    let hash: String = behind
        .query_one("select password_hash from users", &[])
        .unwrap()
        .get(0);
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
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
    let user = ivan.get("/api/users/me").send().json()["id"]
        .as_i64()
        .unwrap();
    let mut login_under_way = behind.transaction().unwrap();
    let begun: i64 = login_under_way
        .query_one(
            "insert into sessions (user_id) values ($1) returning id",
            &[&user],
        )
        .unwrap()
        .get(0);
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
    let revoked = behind
        .query("select from revocations where session_id = $1", &[&begun])
        .unwrap();
    assert_eq!(
        revoked.len(),
        1,
        "the access token of session {begun} would live"
    );
}

/// Puts the last refresh of all sessions into the past.
pub fn move_rotations(database: &Database, seconds: i64) {
    let earlier = "update sessions set rotated_at = rotated_at - make_interval(secs => $1)";
    database
        .client()
        .execute(earlier, &[&(seconds as f64)])
        .unwrap();
}

fn logout(client: &Client, target: &str) -> u16 {
    client.request("POST", target).send().status
}

fn is_alive(client: &Client) -> bool {
    let status = client.get("/api/users/me").send().status;
    assert!(status == 200 || status == 401, "{status}");
    status == 200
}

#[test]
fn a_refresh_token_is_taken_wherever_the_contract_says() {
    let (server, _database) = Server::with_database();
    let mut token = server
        .client()
        .new_user("ivan@example.com")
        .refresh_token
        .unwrap();
    let client = server.client();
    for (method, body, in_header) in [
        ("GET", None, true),
        ("POST", None, true),
        ("POST", Some(json!({})), true),
        ("POST", Some(json!({ "refresh_token": null })), true),
        ("POST", Some(json!({ "refresh_token": "" })), true),
        ("POST", Some(json!({ "refresh_token": "TOKEN" })), false),
    ] {
        let mut request = client.request(method, "/api/auth/refresh_token/");
        if in_header {
            request = request.header("Authorization", &format!("bearer {token}"));
        }
        if let Some(body) = &body {
            request = request.header("Content-Type", "application/json");
            request = request.body(body.to_string().replace("TOKEN", &token));
        }
        let answer = request.send();
        assert_eq!(answer.status, 200, "{method} {body:?}: {}", answer.text());
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        let alive = client.with_token(&text(&answer, "access_token"));
        assert!(is_alive(&alive));
        token = text(&answer, "refresh_token");
    }
    let none = client.request("POST", "/api/auth/refresh_token").send();
    assert_eq!(
        (none.status, none.header("WWW-Authenticate")),
        (401, Some("Bearer"))
    );
    assert_eq!(client.get("/api/auth/refresh_token").send().status, 401);
    assert_eq!(refresh(&server, "eyJ.eyJ.x").status, 401);
    assert_eq!(
        client
            .post("/api/auth/refresh_token", &json!({ "refresh_token": 7 }))
            .send()
            .status,
        422
    );
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
            let client = if n % 2 == 0 {
                one.client()
            } else {
                two.client()
            };
            let (token, start) = (token.clone(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                let body = json!({ "refresh_token": token });
                client.post("/api/auth/refresh_token", &body).send()
            })
        })
        .collect();
    let answers: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let generation = |database: &Database| -> i32 {
        database
            .client()
            .query_one("select generation from sessions", &[])
            .unwrap()
            .get(0)
    };
    assert_eq!(generation(&database), 2);
    // Each of the fifty holds that one generation: any of them may go on, the others then within the grace.
    for answer in &answers {
        assert_eq!(refresh(&two, &text(answer, "refresh_token")).status, 200);
    }
    assert_eq!(generation(&database), 3);
    assert!(is_alive(&ivan) && is_alive(&at(&two, &ivan)));
}

#[test]
fn an_old_refresh_token_counts_for_ten_seconds_and_then_ends_the_session() {
    let (one, two, database) = two_instances();
    let ivan = one.client().new_user("ivan@example.com");
    let other = one.client().login("ivan@example.com", "123456");
    let first = ivan.refresh_token.clone().unwrap();
    let second = text(&refresh(&one, &first), "refresh_token");
    move_rotations(&database, 9);
    let again = refresh(&two, &first);
    assert_eq!(again.status, 200, "within the grace, elsewhere too");
    assert_eq!(
        claims(&text(&again, "refresh_token"))["gen"],
        claims(&second)["gen"]
    );
    // The grace begins with the refresh, not with the use of it.
    move_rotations(&database, 2);
    let theft = refresh(&two, &first);
    assert_eq!(
        (theft.status, &theft.json()["error"]),
        (401, &json!("invalid_grant"))
    );
    for token in [&first, &second, &text(&again, "refresh_token")] {
        assert_eq!(refresh(&one, token).status, 401);
    }
    assert!(
        !is_alive(&at(&two, &ivan)),
        "dead at once where it was noticed"
    );
    eventually("dead elsewhere", || !is_alive(&ivan));
    assert!(is_alive(&other), "one login's theft is not another's");
    assert_eq!(
        two.log()
            .matches("auth refresh-token-reused user=1 address=127.0.0.1 request=")
            .count(),
        1
    );
}

#[test]
fn the_one_before_the_last_is_theft_even_within_the_grace() {
    let (server, _database) = Server::with_database();
    let ivan = server.client().new_user("ivan@example.com");
    let first = ivan.refresh_token.clone().unwrap();
    let second = text(&refresh(&server, &first), "refresh_token");
    let third = text(&refresh(&server, &second), "refresh_token");
    assert_eq!(refresh(&server, &first).status, 401);
    assert_eq!(refresh(&server, &third).status, 401);
    assert!(!is_alive(&ivan));
}

/// What a token says, unchecked.
pub fn claims(token: &str) -> Value {
    let mut data = jsonwebtoken::dangerous::insecure_decode::<Value>(token).unwrap();
    data.claims.take()
}

#[test]
fn a_session_lives_seven_days_without_a_refresh_and_thirty_in_all() {
    let database = database();
    let secret = random_secret();
    let server = Setup::on(&database).with("JWT_SECRET", &secret).ready();
    let ivan = server.client().new_user("ivan@example.com");
    let life = |token: &str| {
        claims(token)["exp"].as_i64().unwrap() - claims(token)["iat"].as_i64().unwrap()
    };
    assert_eq!(life(ivan.token.as_deref().unwrap()), 15 * 60);
    assert_eq!(life(ivan.refresh_token.as_deref().unwrap()), 7 * 86_400);

    // The end of the session bounds its last tokens.
    let mut behind = database.client();
    let mut move_logins = |days: &str| {
        let earlier = format!("update sessions set created_at = created_at - interval '{days}'");
        behind.execute(&earlier, &[]).unwrap();
    };
    move_logins("29 days");
    let late = refresh(&server, ivan.refresh_token.as_deref().unwrap());
    assert_eq!(late.status, 200);
    let left = life(&text(&late, "refresh_token"));
    assert!((86_390..=86_400).contains(&left), "{left} seconds");
    assert_eq!(
        ivan.get("/api/auth/sessions")
            .send()
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    move_logins("1 day");
    assert_eq!(refresh(&server, &text(&late, "refresh_token")).status, 401);
    let another = server.client().login("ivan@example.com", "123456");
    let listed = another.get("/api/auth/sessions").send().json();
    assert_eq!(
        (listed.as_array().unwrap().len(), &listed[0]["current"]),
        (1, &json!(true))
    );

    // Seven days after the last refresh its token is over, however young the session.
    let keys = Keys::new(secret.as_bytes(), None).unwrap();
    let fresh = server.client().login("ivan@example.com", "123456");
    let mine = claims(fresh.refresh_token.as_deref().unwrap());
    let issued = |age: TimeDelta| {
        let (user, session) = (
            mine["sub"].as_str().unwrap().parse().unwrap(),
            mine["sid"].as_i64().unwrap(),
        );
        keys.issue_refresh(
            user,
            session,
            1,
            Utc::now() - age,
            Utc::now() + TimeDelta::days(9),
        )
    };
    assert_eq!(
        refresh(&server, &issued(TimeDelta::days(7) + TimeDelta::seconds(6))).status,
        401
    );
    assert_eq!(
        refresh(
            &server,
            &issued(TimeDelta::days(7) - TimeDelta::seconds(60))
        )
        .status,
        200
    );
}

#[test]
fn the_list_shows_each_login_and_one_can_be_ended() {
    let (one, two, _database) = two_instances();
    let first = one.client().new_user("ivan@example.com");
    let agent = "Browser/1 (".to_owned() + &"x".repeat(300);
    let body = json!({ "email": "ivan@example.com", "password": "123456" });
    let login = one
        .client()
        .post("/api/auth/login", &body)
        .header("User-Agent", &agent)
        .send();
    let second = one.client().with_token(&text(&login, "access_token"));
    let olena = one.client().new_user("olena@example.com");

    let list = second.get("/api/auth/sessions").send();
    assert_eq!(
        (list.status, list.header("Cache-Control")),
        (200, Some("no-store"))
    );
    let list = list.json();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 2);
    let members: Vec<_> = list[0].as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        [
            "id",
            "created_at",
            "last_used_at",
            "user_agent",
            "ip",
            "current"
        ]
    );
    assert_eq!(list[0]["user_agent"], json!(agent[..200]));
    assert_eq!(
        (&list[0]["ip"], &list[0]["current"]),
        (&json!("127.0.0.1"), &json!(true))
    );
    assert_eq!(
        (&list[1]["user_agent"], &list[1]["current"]),
        (&json!(null), &json!(false))
    );

    // A refresh counts as use.
    refresh(&two, first.refresh_token.as_deref().unwrap());
    let list = second.get("/api/auth/sessions/").send().json();
    assert_eq!(
        (&list[0]["current"], &list[1]["current"]),
        (&json!(false), &json!(true))
    );

    let path = format!("/api/auth/sessions/{}", list[0]["id"]);
    assert_eq!(
        olena.delete(&path).send().status,
        404,
        "another user's is as good as none"
    );
    assert!(is_alive(&first));
    assert_eq!(second.delete(&path).send().status, 204);
    assert!(!is_alive(&first));
    assert_eq!(
        refresh(&one, first.refresh_token.as_deref().unwrap()).status,
        401
    );
    assert_eq!(second.delete(&path).send().status, 404);
    assert_eq!(
        second
            .delete("/api/auth/sessions/9223372036854775807")
            .send()
            .status,
        404
    );
    for odd in ["0", "-1", "x", "100000000000000000000", "1%00"] {
        assert_eq!(
            second
                .delete(&format!("/api/auth/sessions/{odd}"))
                .send()
                .status,
            422,
            "{odd}"
        );
    }
    assert!(is_alive(&second) && is_alive(&olena));
}

#[test]
fn logging_out_ends_one_session_or_all_of_them() {
    let (one, two, _database) = two_instances();
    let first = one.client().new_user("ivan@example.com");
    let second = two.client().login("ivan@example.com", "123456");
    let third = two.client().login("ivan@example.com", "123456");
    let olena = one.client().new_user("olena@example.com");
    assert_eq!(logout(&first, "/api/auth/logout?everywhere=maybe"), 422);
    assert_eq!(logout(&first, "/api/auth/logout"), 204);
    assert!(!is_alive(&first));
    assert_eq!(
        logout(&first, "/api/auth/logout"),
        401,
        "there is nobody to log out"
    );
    assert_eq!(
        refresh(&two, first.refresh_token.as_deref().unwrap()).status,
        401
    );
    assert!(is_alive(&second) && is_alive(&third));
    assert_eq!(logout(&second, "/api/auth/logout/?everywhere=true"), 204);
    for client in [&second, &third] {
        assert!(!is_alive(client));
        assert_eq!(
            refresh(&one, client.refresh_token.as_deref().unwrap()).status,
            401
        );
    }
    assert!(is_alive(&olena));
}

/// Elsewhere a session that ended is dead within a second, at no cost to a request there.
#[test]
fn what_ends_here_is_dead_elsewhere_within_a_second_without_a_round_trip() {
    let database = database();
    let (url, proxy) = Proxy::before(&database);
    let setup = Setup::on(&database);
    let here = setup.ready();
    let elsewhere = setup.with("DATABASE_URL", url).ready();
    let ivan = here.client().new_user("ivan@example.com");
    let mut latest = Duration::ZERO;
    for _ in 0..4 {
        let login = here.client().login("ivan@example.com", "123456");
        let there = at(&elsewhere, &login);
        assert!(is_alive(&there));
        assert_eq!(logout(&login, "/api/auth/logout"), 204);
        let ended = Instant::now();
        assert!(!is_alive(&login), "dead at once where it ended");
        // The last request is refused from memory alone: it is no request that asks the database, but housekeeping.
        let refusal = loop {
            let cost = proxy.cost(|| {
                is_alive(&there);
            });
            if cost.round_trips() == 0 {
                break cost;
            }
            assert!(ended.elapsed() < Duration::from_secs(10), "it lives on");
        };
        latest = latest.max(ended.elapsed());
        assert!(!is_alive(&there), "{refusal:?}");
    }
    assert!(latest < Duration::from_millis(1500), "{latest:?}");
    assert!(is_alive(&at(&elsewhere, &ivan)));
}

/// An instance that could not ask for a while, or has just begun, lets no token pass before it knows what has ended.
#[test]
fn a_session_that_ended_stays_dead_on_an_instance_that_could_not_ask() {
    let database = database();
    let (url, proxy) = Proxy::before(&database);
    let setup = Setup::on(&database);
    let here = setup.ready();
    let ivan = here.client().new_user("ivan@example.com");
    let setup = setup.with("DATABASE_URL", url);
    let elsewhere = setup.ready();
    let there = at(&elsewhere, &ivan);
    assert!(is_alive(&there));

    proxy.cut();
    assert_eq!(logout(&ivan, "/api/auth/logout"), 204);
    let refused = |server: &Server| {
        let status = at(server, &ivan).get("/api/users/me").send().status;
        assert!(status == 503 || status == 401, "{status}");
        status == 401
    };
    let cut = Instant::now();
    while cut.elapsed() < Duration::from_millis(2100) {
        refused(&elsewhere); // longer than the list is trusted
    }
    let begun = setup.start(); // while the database is away
    assert!(!refused(&begun));
    proxy.mend();
    for server in [&elsewhere, &begun] {
        eventually("it knows", || refused(server));
    }

    // And over a restart of the database, as far as the program can tell.
    database.kick();
    assert!(refused(&here), "what it knows it knows");
    database.allow();
    for server in [&here, &elsewhere, &begun] {
        eventually("it is back", || {
            server.client().get("/readyz").send().status == 200
        });
        assert!(refused(server));
    }
}

#[test]
fn what_has_no_more_use_is_forgotten_and_nothing_else() {
    let (server, database) = Server::with_database();
    let ivan = server.client().new_user("ivan@example.com");
    let mut behind = database.client();
    behind
        .batch_execute(
            "insert into sessions (user_id, id, created_at, last_used_at) overriding system value
             select id, n, now() - make_interval(days => 30, mins => 61 - n), now() from users, unnest(array[0, 2]) as n;
             insert into sessions (user_id, id, created_at, last_used_at) overriding system value
             select id, n, now() - interval '8 days', now() - make_interval(days => 7, mins => 71 - n) from users, unnest(array[10, 12]) as n;
             insert into revocations (session_id, revoked_at) values (20, now() - interval '961 seconds'), (21, now() - interval '950 seconds');
             insert into attempts (subject, at, granted) values
               ('old', array[now() - interval '15 minutes 1 second'], true), ('given back', '{}', true),
               ('young', array[now() - interval '1 hour', now() - interval '14 minutes'], true);",
        )
        .unwrap();
    let store = Store::new(&Options {
        database: database.url().parse().unwrap(),
        size: 1,
    });
    store.migrate().unwrap();
    store.purge().unwrap();
    let mut left = |query: &str| -> Vec<String> {
        behind
            .query(query, &[])
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect()
    };
    assert_eq!(
        left("select id::text from sessions order by sessions.id"),
        ["1", "2", "12"]
    );
    assert_eq!(left("select session_id::text from revocations"), ["21"]);
    assert_eq!(
        left("select encode(subject, 'escape') from attempts"),
        ["young"]
    );
    // What no refresh token can revive any more is not listed either, though it is still there.
    assert_eq!(
        ivan.get("/api/auth/sessions")
            .send()
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

/// Whatever a client calls itself, it is no fault of the server's. (Bytes beyond ASCII are refused in any header.)
#[test]
fn an_odd_user_agent_is_no_fault() {
    let (server, _database) = Server::with_database();
    server.client().new_user("ivan@example.com");
    let body = json!({ "email": "ivan@example.com", "password": "123456" });
    for (agent, expected) in [
        ("", 200),
        ("  ", 200),
        ("'; drop table users; --", 200),
        ("Ім'я/1", 400),
        ("a\u{0}b", 400),
        ("a\u{1}b", 400),
    ] {
        let request = server.client().post("/api/auth/login", &body);
        let answer = request.header("User-Agent", agent).send();
        assert_eq!(answer.status, expected, "{agent:?}: {}", answer.text());
    }
}
