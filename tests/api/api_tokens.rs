//! API tokens: made, used, ended; and what they open.

use std::thread;

use chrono::{DateTime, TimeDelta, Utc};
use contactd::api::endpoint::{Route, Scope};
use contactd::api::routes::routes;
use serde_json::{Value, json};

use crate::operator;
use crate::sessions::{at, id, two_instances};
use crate::support::client::{Answer, Client};
use crate::support::eventually;
use crate::support::proxy::Proxy;
use crate::support::server::{Server, Setup, database};
use crate::support::shared::shared;
use crate::table::request;

const TOKENS: &str = "/api/auth/tokens";

fn ask(user: &Client, scope: &str) -> Answer {
    user.post(TOKENS, &json!({ "name": "Backup", "password": "123456", "scope": scope })).send()
}

/// A client with a new API token of the user.
pub fn with_token(user: &Client, scope: &str) -> Client {
    user.with_token(ask(user, scope).expect(201).json()["token"].as_str().unwrap())
}

fn tokens(user: &Client) -> Vec<Value> {
    user.get(TOKENS).send().expect(200).json().as_array().unwrap().clone()
}

#[track_caller]
fn is_refused(answer: &Answer) {
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert_eq!(answer.header("WWW-Authenticate"), Some("Bearer error=\"invalid_token\""));
}

/// Whether the token counts.
fn is_alive(script: &Client) -> bool {
    let answer = script.get("/api/contacts").send();
    if answer.status != 200 {
        is_refused(&answer);
    }
    answer.status == 200
}

#[test]
fn a_token_is_made_shown_once_listed_and_ended() {
    let shared = shared();
    let (user, other) = (shared.user(), shared.user());
    assert_eq!(tokens(&user), [] as [Value; 0]);
    let draft = json!({ "name": "  Nightly  ", "password": "123456" });
    let made = user.post(TOKENS, &draft).send().expect(201).json();
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with(&format!("contactd_{}_", id(&user))), "{token}");
    assert!(token.rsplit('_').next().unwrap().len() >= 40, "160 bits");
    let lives = |made: &Value| {
        let instant = |name: &str| made[name].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
        instant("expires_at") - instant("created_at")
    };
    assert_eq!((&made["name"], &made["scope"], lives(&made)), (&json!("Nightly"), &json!("read"), TimeDelta::days(90)));
    let more = json!({ "name": "Sync", "password": "123456", "scope": "write", "expires_in_days": 365 });
    let second = user.post(TOKENS, &more).send().expect(201).json();
    assert_eq!((&second["scope"], lives(&second)), (&json!("write"), TimeDelta::days(365)));
    let listed = tokens(&user);
    for (listed, mut made) in listed.iter().zip([second, made.clone()]) {
        made.as_object_mut().unwrap().remove("token");
        assert_eq!(listed, &made, "without the token itself");
    }
    assert!(is_alive(&user.with_token(token)));
    let one = format!("{TOKENS}/{}", made["id"]);
    other.delete(&one).send().expect(404);
    user.delete(&one).send().expect(204);
    user.delete(&one).send().expect(404);
    assert!(!is_alive(&user.with_token(token)));
    assert_eq!(tokens(&user).len(), 1);
}

#[test]
fn a_draft_that_is_no_good_makes_none() {
    let shared = shared();
    let user = shared.user();
    let wrong = [
        (json!({}), vec!["name", "password"]),
        (json!({ "name": "", "password": "" }), vec!["name", "password"]),
        (json!({ "name": "x".repeat(51), "password": "123456" }), vec!["name"]),
        (json!({ "name": "x\u{0}", "password": "123456", "scope": "admin" }), vec!["name", "scope"]),
        (json!({ "name": "x", "password": "123456", "expires_in_days": 0 }), vec!["expires_in_days"]),
        (json!({ "name": "x", "password": "123456", "expires_in_days": 366 }), vec!["expires_in_days"]),
        (json!({ "name": "x", "password": "123456", "expires_in_days": 1.5 }), vec!["expires_in_days"]),
        (json!({ "name": "x", "password": "123456", "expires_in_days": 1e300 }), vec!["expires_in_days"]),
        (
            json!({ "name": "x", "password": "123456", "scope": ["read"], "expires_in_days": "90" }),
            vec!["scope", "expires_in_days"],
        ),
    ];
    for (draft, fields) in wrong {
        assert_eq!(user.post(TOKENS, &draft).send().expect(422).faults(), fields, "{draft}");
    }
    // A wrong password is no matter of the token that was sent.
    let answer = user.post(TOKENS, &json!({ "name": "x", "password": "654321" })).send().expect(401);
    assert_eq!(answer.header("WWW-Authenticate"), Some("Bearer"));
    assert_eq!(tokens(&user), [] as [Value; 0]);
    let whole = json!({ "name": "і".repeat(50), "password": "123456", "scope": "read", "expires_in_days": 1.0 });
    user.post(TOKENS, &whole).send().expect(201);
}

#[test]
fn wrong_passwords_for_tokens_count_as_failed_logins() {
    let (server, _database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    for _ in 0..10 {
        user.post(TOKENS, &json!({ "name": "x", "password": "wrong" })).send().expect(401);
    }
    ask(&user, "read").expect(429);
}

#[test]
fn twenty_may_live_and_no_more_however_many_are_asked_for_at_once() {
    let (here, there, database) = two_instances();
    let user = here.client().new_user("a@example.com");
    let elsewhere = at(&there, &user);
    let statuses: Vec<_> = thread::scope(|scope| {
        let asked = (0..24).map(|n| if n % 2 == 0 { &user } else { &elsewhere });
        let asked: Vec<_> = asked.map(|user| scope.spawn(|| ask(user, "read").status)).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let count = |status: u16| statuses.iter().filter(|s| **s == status).count();
    assert!(count(201) + count(409) + count(429) + count(503) == 24 && count(201) <= 20, "{statuses:?}");
    while tokens(&user).len() < 20 {
        ask(&user, "read").expect(201);
    }
    assert_eq!(ask(&user, "read").expect(409).json()["type"], "urn:contactd:too-many-tokens");
    user.post(TOKENS, &json!({ "name": "x", "password": "wrong" })).send().expect(401);
    // One that has expired makes room.
    let expire = "update api_tokens set expires_at = now() where id = (select max(id) from api_tokens)";
    database.client().execute(expire, &[]).unwrap();
    assert_eq!(tokens(&user).len(), 19);
    ask(&user, "read").expect(201);
    ask(&user, "read").expect(409);
}

// ------------------------------------------------------------------------------------------------------------ what it opens

/// Closing a row to API tokens, or opening it, is a decision: it is made here a second time.
#[test]
fn these_rows_and_no_others_are_closed_to_api_tokens() {
    let routes = routes();
    let closed: Vec<_> = routes
        .iter()
        .filter(|route| route.is_guarded() && route.scope().is_none())
        .map(|route| format!("{} {}", route.method.as_str(), route.path))
        .collect();
    assert_eq!(
        closed,
        [
            "POST /api/auth/logout",
            "GET /api/auth/sessions",
            "DELETE /api/auth/sessions/{id}",
            "POST /api/auth/tokens",
            "GET /api/auth/tokens",
            "DELETE /api/auth/tokens/{id}",
            "PATCH /api/users/me",
            "PUT /api/users/me/password",
            "DELETE /api/users/me",
            "POST /api/contacts/calendar",
            "DELETE /api/contacts/calendar",
            "DELETE /api/contacts/trash/{id}",
            "DELETE /api/contacts/trash",
        ]
    );
    for route in routes.iter().filter(|route| route.scope().is_some()) {
        let expected = if route.method.as_str() == "GET" { Scope::Read } else { Scope::Write };
        assert_eq!(route.scope(), Some(expected), "{} {}", route.method.as_str(), route.path);
    }
}

/// What a good token may do at a row: `None` if all.
fn refusal(route: &Route, may_write: bool) -> Option<Option<&'static str>> {
    match route.scope() {
        None => Some(None),
        Some(Scope::Write) if !may_write => Some(Some("Bearer error=\"insufficient_scope\", scope=\"write\"")),
        Some(_) => None,
    }
}

#[test]
fn every_row_is_open_to_the_tokens_that_may_and_to_no_others() {
    let (server, database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    let other = server.client().new_user("b@example.com");
    let good = [(with_token(&user, "read"), false), (with_token(&user, "write"), true)];
    let (expired, ended, disabled) =
        (with_token(&user, "write"), with_token(&user, "write"), with_token(&other, "write"));
    database
        .client()
        .batch_execute(
            "update api_tokens set expires_at = now() where id = (select id from api_tokens order by created_at offset 2 limit 1);
             delete from api_tokens where id = (select id from api_tokens order by created_at offset 3 limit 1);
             update users set disabled_at = now() where email = 'b@example.com'",
        )
        .unwrap();
    let token = good[1].0.token.clone().unwrap();
    let (whose, secret) = token.rsplit_once('_').unwrap();
    let bad = [
        expired,
        ended,
        disabled,
        user.with_token(&format!("{whose}_{}", "0".repeat(40))),
        user.with_token(&format!("{whose}_{secret}0")),
        user.with_token(&format!("contactd_{}_{secret}", id(&user) + 1)),
        user.with_token(&format!("contactd_999999999999999999999_{secret}")),
        user.with_token(&format!("contactd_{secret}")),
        user.with_token("contactd_"),
        user.with_token(&token.to_uppercase()),
        user.with_token(&format!("{whose}_{}", secret.to_uppercase())),
    ];
    for route in routes() {
        let what = format!("{} {}", route.method.as_str(), route.path);
        for (script, may_write) in &good {
            let answer = request(script, &route).send();
            if !route.is_guarded() {
                // An API token is nothing there; to a refresh, it is no refresh token.
                assert_eq!(answer.status == 401, what.contains("/refresh_token"), "{what}: {}", answer.status);
                continue;
            }
            match refusal(&route, *may_write) {
                Some(challenge) => {
                    assert_eq!(answer.status, 403, "{what}: {}", answer.text());
                    assert_eq!(answer.header("WWW-Authenticate"), challenge, "{what}");
                    assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{what}");
                }
                None => assert!(![401, 403].contains(&answer.status), "{what}: {}", answer.text()),
            }
        }
        if route.is_guarded() {
            bad.iter().for_each(|script| is_refused(&request(script, &route).send()));
        }
        if route.scope() == Some(Scope::Read) {
            let head = good[0].0.request("HEAD", crate::table::concrete(route.path)).send();
            assert!(![401, 403].contains(&head.status), "HEAD {what}");
        }
    }
    // None of it had an effect on the account.
    user.get("/api/users/me").send().expect(200);
    assert_eq!(tokens(&user).len(), 2);
}

#[test]
fn a_script_keeps_an_address_book() {
    let shared = shared();
    let user = shared.user();
    let (reads, writes) = (with_token(&user, "read"), with_token(&user, "write"));
    let id = writes.new_contact(&json!({ "first_name": "Іван" }));
    writes.patch(&format!("/api/contacts/{id}"), &json!({ "last_name": "Франко" })).send().expect(200);
    writes.delete(&format!("/api/contacts/{id}")).send().expect(204);
    writes.delete(&format!("/api/contacts/trash/{id}")).send().expect(403);
    writes.request("POST", format!("/api/contacts/trash/{id}/restore")).send().expect(200);
    let export = reads.get("/api/contacts/export?format=vcf").send().expect(200);
    assert!(export.text().contains("FN:Іван Франко"), "{}", export.text());
    // Also more than a mebibyte.
    let many: Vec<_> = (0..400).map(|_| json!({ "first_name": "A", "additional_info": "x".repeat(5_000) })).collect();
    let import = "/api/contacts/import?duplicates=add";
    assert_eq!(writes.post(import, &json!(many)).send().expect(200).json()["created"], 400);
    reads.post(import, &json!(many)).send().expect(403);
    assert_eq!(reads.get("/api/contacts?count=true&limit=1").send().header("X-Total-Count"), Some("401"));
    assert_eq!(reads.get("/api/users/me").send().expect(200).json(), user.get("/api/users/me").send().json());
}

// ------------------------------------------------------------------------------------------------------------- how it ends

#[test]
fn it_ends_everywhere_with_the_next_call() {
    let (here, there, database) = two_instances();
    let user = here.client().new_user("a@example.com");
    let other = with_token(&here.client().new_user("b@example.com"), "read");
    let both = |script: &Client| {
        let (first, second) = (is_alive(script), is_alive(&at(&there, script)));
        assert_eq!(first, second);
        first
    };
    // What ends a session, or changes the account, leaves it alone.
    let script = with_token(&user, "write");
    let second = here.client().login("a@example.com", "123456");
    second.request("POST", "/api/auth/logout").send().expect(204);
    user.patch("/api/users/me", &json!({ "email": "c@example.com", "current_password": "123456" })).send().expect(200);
    assert!(both(&script));
    // A new password ends it, and so does logging out everywhere.
    let change = json!({ "current_password": "123456", "new_password": "654321" });
    user.put("/api/users/me/password", &change).send().expect(204);
    assert!(!both(&script));
    let again = json!({ "current_password": "654321", "new_password": "123456" });
    user.put("/api/users/me/password", &again).send().expect(204);
    let script = with_token(&user, "write");
    assert!(both(&script));
    user.request("POST", "/api/auth/logout?everywhere=true").send().expect(204);
    assert!(!both(&script));
    // The operator's ways.
    let user = here.client().login("c@example.com", "123456");
    let script = with_token(&user, "write");
    assert!(operator::user(&database, &["disable", "c@example.com"], "").status.success());
    assert!(!both(&script), "while the user is disabled");
    assert!(operator::user(&database, &["enable", "c@example.com"], "").status.success());
    assert!(both(&script), "and no longer");
    assert!(operator::user(&database, &["logout", "c@example.com"], "").status.success());
    assert!(!both(&script));
    assert!(both(&other), "another user's goes on");
    assert!(operator::user(&database, &["logout", "--all"], "").status.success());
    assert!(!both(&other));
    let user = here.client().login("c@example.com", "123456");
    let script = with_token(&user, "write");
    user.request("DELETE", "/api/users/me").json(&json!({ "password": "123456" })).send().expect(204);
    assert!(!both(&script));
    let left: i64 = database.client().query_one("select count(*) from api_tokens", &[]).unwrap().get(0);
    assert_eq!(left, 0);
}

#[test]
fn it_lives_through_a_restart_and_a_new_secret() {
    let database = database();
    let setup = Setup::on(&database);
    let server = setup.ready();
    let script = with_token(&server.client().new_user("a@example.com"), "read");
    drop(server);
    let secret = crate::support::random_secret();
    let server = setup.with("JWT_SECRET", secret).ready();
    assert!(is_alive(&at(&server, &script)));
    eventually("its first use is logged", || server.log().contains("api-token-first-used"));
}

#[test]
fn its_life_is_in_the_log_and_its_secret_is_not() {
    let (server, database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    let made = ask(&user, "write").expect(201).json();
    let script = user.with_token(made["token"].as_str().unwrap());
    for _ in 0..3 {
        assert!(is_alive(&script));
    }
    user.delete(&format!("{TOKENS}/{}", made["id"])).send().expect(204);
    for event in ["api-token-made", "api-token-first-used", "api-token-ended"] {
        let line = format!("auth {event} user={} address=127.0.0.1", id(&user));
        eventually(event, || server.log().matches(&line).count() == 1);
    }
    let log = server.log();
    assert!(!log.contains("contactd_"), "{log}");
    let row = with_token(&user, "read").token.unwrap();
    let kept: String = database.client().query_one("select api_tokens::text from api_tokens", &[]).unwrap().get(0);
    assert!(!kept.contains(row.rsplit('_').next().unwrap()), "{kept}");
}

// ------------------------------------------------------------------------------------------------------- what it costs

#[test]
fn it_costs_one_more_round_trip_and_one_that_cannot_be_ours_none() {
    let database = database();
    let (url, proxy) = Proxy::before(&database);
    let server = Setup::on(&database).with("DATABASE_URL", url).with("WORKERS", "1").ready();
    let user = server.client().new_user("a@example.com");
    let script = with_token(&user, "write");
    let contact = format!("/api/contacts/{}", user.new_contact(&json!({ "first_name": "A" })));
    for read in [&contact, "/api/contacts", "/api/users/me"] {
        let cost = proxy.least_cost(|| assert_eq!(script.get(read).send().status, 200));
        assert_eq!(cost.round_trips(), 2, "{read}: {cost:?}");
    }
    let cost = proxy.least_cost(|| assert_eq!(user.with_token("contactd_1_x").get(&contact).send().status, 401));
    assert_eq!(cost.round_trips(), 0, "{cost:?}");
}

#[test]
fn its_calls_are_answered_together_with_none_and_yet_rightly() {
    let database = database();
    let server = Setup::on(&database).with("WORKERS", "1").with("WRITE_WORKERS", "1").ready();
    let user = server.client().new_user("a@example.com");
    let (reads, writes) = (with_token(&user, "read"), with_token(&user, "write"));
    let id = user.new_contact(&json!({ "first_name": "A" }));
    thread::scope(|scope| {
        for (client, created) in [(&user, 201), (&reads, 403), (&writes, 201), (&user, 201)] {
            for _ in 0..4 {
                scope.spawn(move || {
                    for _ in 0..10 {
                        client.get(format!("/api/contacts/{id}")).send().expect(200);
                        client.post("/api/contacts", &json!({ "first_name": "B" })).send().expect(created);
                    }
                });
            }
        }
    });
    assert_eq!(user.get("/api/contacts?count=true&limit=1").send().header("X-Total-Count"), Some("121"));
}

#[test]
fn it_counts_for_the_rate_of_its_user_and_tells_what_is_left() {
    let database = database();
    let server = Setup::on(&database).with("RATE_LIMIT", "6").ready();
    let user = server.client().new_user("a@example.com");
    let (reads, writes) = (with_token(&user, "read"), with_token(&user, "write"));
    let left = |answer: &Answer| answer.header("RateLimit-Remaining").map(str::to_owned).expect("it tells");
    assert_eq!(left(&reads.get("/api/contacts").send().expect(200)), "3");
    assert_eq!(left(&user.get("/api/contacts").send().expect(200)), "2");
    assert_eq!(left(&reads.delete("/api/contacts/1").send().expect(403)), "1");
    assert_eq!(left(&writes.delete("/api/contacts/1").send().expect(404)), "0");
    assert_eq!(left(&reads.get("/api/contacts").send().expect(429)), "0");
}
