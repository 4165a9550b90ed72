//! Guessing passwords is slow, and says nothing; whoever knows the password is not held up by it.

use std::thread;

use serde_json::json;

use crate::sessions::at;
use crate::support::client::{Answer, Client};
use crate::support::server::{Server, Setup, database};

const RIGHT: &str = "123456";

fn login(server: &Server, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    server.client().post("/api/auth/login", &body).send()
}

/// From another address, by way of a proxy at 127.0.0.1.
fn login_from(server: &Server, address: &str, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    let request = server.client().post("/api/auth/login", &body);
    request.header("X-Forwarded-For", address).send()
}

fn sign_up(server: &Server, email: &str) -> Answer {
    let body = json!({ "username": "A person", "email": email, "password": RIGHT });
    server.client().post("/api/auth/signup", &body).send()
}

fn retry_after(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 429, "{}", answer.text());
    answer.header("Retry-After").expect("Retry-After").parse().expect("seconds")
}

#[test]
fn ten_failures_close_an_account_here_elsewhere_and_after_a_restart() {
    let database = database();
    let setup = Setup::on(&database);
    let (here, elsewhere) = (setup.ready(), setup.ready());
    let ivan = here.client().new_user("ivan@example.com");
    for turn in 0..10 {
        let server = if turn % 2 == 0 { &here } else { &elsewhere };
        let answer = login(server, "Ivan@Example.com", "guess");
        assert_eq!(answer.status, 401, "failure {turn}: {}", answer.text());
    }
    let refused = login(&elsewhere, "ivan@example.com", RIGHT);
    let wait = retry_after(&refused);
    assert!((880..=900).contains(&wait), "{wait} seconds until the first failure is forgotten");
    assert_eq!(retry_after(&login(&here, " IVAN@example.com", RIGHT)).abs_diff(wait) / 5, 0);
    assert_eq!(refused.header("Content-Type"), Some("application/problem+json"));
    drop((here, elsewhere));

    let restarted = setup.ready();
    retry_after(&login(&restarted, "ivan@example.com", RIGHT));
    // A session that lives goes on: reading, refreshing, and changing the password against whoever guesses.
    let ivan = at(&restarted, &ivan);
    assert_eq!(ivan.get("/api/contacts").send().status, 200);
    let refresh_token = ivan.refresh_token.as_deref().unwrap();
    assert_eq!(crate::sessions::refresh(&restarted, refresh_token).status, 200);
    let change = json!({ "current_password": RIGHT, "new_password": "a better one" });
    assert_eq!(ivan.put("/api/users/me/password", &change).send().status, 204);

    // A quarter of an hour later the account is open again.
    let sooner =
        "update attempts set at = array(select t - interval '14 minutes 59 seconds' from unnest(at) as t order by t)";
    database.client().execute(sooner, &[]).unwrap();
    crate::support::eventually("the throttle lets go", || {
        login(&restarted, "ivan@example.com", "a better one").status == 200
    });
}

#[test]
fn the_throttle_does_not_tell_which_accounts_there_are() {
    let (server, _database) = Server::with_database();
    server.client().new_user("ivan@example.com");
    for round in 0..12 {
        let known = login(&server, "ivan@example.com", "guess");
        let unknown = login(&server, "nobody@example.com", "guess");
        assert_eq!(known.status, unknown.status, "attempt {round}");
        assert_eq!(known.status, if round < 10 { 401 } else { 429 }, "attempt {round}");
        let told = |answer: &Answer| {
            let mut problem = answer.json();
            problem.as_object_mut().unwrap().remove("request_id");
            (problem["title"].clone(), if round < 10 { problem } else { json!(null) })
        };
        assert_eq!(told(&known), told(&unknown));
    }
}

#[test]
fn a_right_password_is_not_counted_and_forgets_the_failures() {
    let (server, database) = Server::with_database();
    server.client().new_user("ivan@example.com");
    for _ in 0..2 {
        for _ in 0..9 {
            assert_eq!(login(&server, "ivan@example.com", "guess").status, 401);
        }
        assert_eq!(login(&server, "ivan@example.com", RIGHT).status, 200);
    }
    let left = database.client().query("select from attempts where at <> '{}'", &[]).unwrap();
    assert_eq!(left.len(), 0);
}

/// However many guesses come at the same moment, on however many instances, no more than the limit are looked at.
#[test]
fn forty_guesses_at_once_get_no_further_than_ten_one_after_the_other() {
    let database = database();
    let setup = Setup::on(&database).with("SLOW_WORKERS", "8");
    let servers = [setup.ready(), setup.ready()];
    servers[0].client().new_user("ivan@example.com");
    let guesses: Vec<_> = (0..40)
        .map(|n: usize| {
            let client = servers[n % 2].client();
            thread::spawn(move || {
                let body = json!({ "email": "ivan@example.com", "password": format!("guess {n}") });
                client.post("/api/auth/login", &body).send().status
            })
        })
        .collect();
    let mut statuses: Vec<_> = guesses.into_iter().map(|guess| guess.join().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[401].repeat(10), [429].repeat(30)].concat());
}

/// An attempt is counted before the password is looked at; yet of right ones, however many at once, none is refused.
#[test]
fn forty_right_logins_at_once_all_count() {
    let database = database();
    let server = Setup::on(&database).with("SLOW_WORKERS", "32").ready();
    server.client().new_user("ivan@example.com");
    for _ in 0..7 {
        assert_eq!(login(&server, "ivan@example.com", "guess").status, 401);
    }
    let logins: Vec<_> = (0..40)
        .map(|_| {
            let client = server.client();
            thread::spawn(move || client.login("ivan@example.com", RIGHT))
        })
        .collect();
    logins.into_iter().for_each(|login| drop(login.join().unwrap()));
}

#[test]
fn an_address_has_its_own_limit_for_failures_and_sign_ups_together() {
    let database = database();
    let setup = Setup::on(&database).with("ADDRESS_ATTEMPTS", "5");
    let server = setup.with("TRUSTED_PROXIES", "127.0.0.1").ready();
    let ivan = server.client().new_user("ivan@example.com"); // 1
    assert_eq!(sign_up(&server, "ivan@example.com").status, 409); // 2
    assert_eq!(login(&server, "a@example.com", "guess").status, 401); // 3
    assert_eq!(login(&server, "ivan@example.com", RIGHT).status, 200); // given back
    assert_eq!(login(&server, "b@example.com", "guess").status, 401); // 4
    assert_eq!(sign_up(&server, "c@example.com").status, 201); // 5
    retry_after(&login(&server, "ivan@example.com", RIGHT));
    retry_after(&sign_up(&server, "d@example.com"));
    // What the address has no room for is not counted against the account.
    for _ in 0..20 {
        retry_after(&login(&server, "ivan@example.com", "guess"));
    }
    assert_eq!(login_from(&server, "192.0.2.1", "ivan@example.com", RIGHT).status, 200);
    // A session that lives is not affected.
    let change = json!({ "current_password": RIGHT, "new_password": "another" });
    assert_eq!(ivan.put("/api/users/me/password", &change).send().status, 204);
    // Nor does a mistake in the form count.
    for _ in 0..6 {
        let none = server.client().post("/api/auth/login", &json!({ "email": "x@example.com" }));
        assert_eq!(none.header("X-Forwarded-For", "192.0.2.7").send().status, 422);
    }
    assert_eq!(login_from(&server, "192.0.2.7", "ivan@example.com", "another").status, 200);
}

#[test]
fn an_ipv6_customer_counts_as_one_however_many_addresses_they_have() {
    let database = database();
    let setup = Setup::on(&database).with("ADDRESS_ATTEMPTS", "2");
    let server = setup.with("TRUSTED_PROXIES", "127.0.0.1").ready();
    let from = |address: &str| login_from(&server, address, "x@example.com", "guess").status;
    assert_eq!([from("2001:db8::1"), from("2001:db8::ffff:2")], [401, 401]);
    assert_eq!([from("2001:db8::3"), from("2001:db8:0:1::1")], [429, 401]);
    // An IPv4 address is the same one in IPv6's clothes.
    assert_eq!([from("192.0.2.1"), from("::ffff:192.0.2.1")], [401, 401]);
    assert_eq!([from("192.0.2.1"), from("192.0.2.2")], [429, 401]);
}

#[test]
fn x_forwarded_for_counts_only_from_proxies_that_are_named() {
    let ip = |client: &Client| client.get("/api/auth/sessions").send().json()[0]["ip"].as_str().map(str::to_owned);
    let login = |server: &Server, forwarded: &[&str]| {
        let body = json!({ "email": "ivan@example.com", "password": RIGHT });
        let mut request = server.client().post("/api/auth/login", &body);
        for value in forwarded {
            request = request.header("X-Forwarded-For", value);
        }
        server.client().with_token(&crate::sessions::text(&request.send(), "access_token"))
    };
    let database = database();
    let open = Setup::on(&database).ready();
    open.client().new_user("ivan@example.com");
    let claimed = login(&open, &["192.0.2.1"]);
    assert_eq!(ip(&claimed).as_deref(), Some("127.0.0.1"), "nobody is trusted by default");

    let setup = Setup::on(&database).with("TRUSTED_PROXIES", "127.0.0.1, 198.51.100.7");
    let behind = setup.ready();
    for (forwarded, expected) in [
        (&["192.0.2.1"][..], "192.0.2.1"),
        // What stands before the first address that is no proxy is what the client says of itself.
        (&["203.0.113.9, 192.0.2.1, 198.51.100.7"], "192.0.2.1"),
        (&["203.0.113.9", "192.0.2.1"], "192.0.2.1"),
        (&["203.0.113.9, unknown"], "127.0.0.1"),
        (&["::ffff:192.0.2.1"], "192.0.2.1"),
        (&[], "127.0.0.1"),
    ] {
        let client = login(&behind, forwarded);
        assert_eq!(ip(&client).as_deref(), Some(expected), "{forwarded:?}");
    }
}

#[test]
fn a_stolen_token_does_not_help_to_guess_the_password() {
    let (server, _database) = Server::with_database();
    let ivan = server.client().new_user("ivan@example.com");
    let change = |current: &str| {
        let body = json!({ "current_password": current, "new_password": "another" });
        ivan.put("/api/users/me/password", &body).send()
    };
    for _ in 0..5 {
        assert_eq!(change("guess").status, 401);
        let delete = ivan.request("DELETE", "/api/users/me").json(&json!({ "password": "guess" }));
        assert_eq!(delete.send().status, 401);
    }
    retry_after(&change(RIGHT));
    assert_eq!(login(&server, "ivan@example.com", RIGHT).status, 200, "the owner still gets in");
}

#[test]
fn zero_turns_the_limit_off() {
    let database = database();
    let server = Setup::on(&database).with("LOGIN_ATTEMPTS", "0").ready();
    for _ in 0..15 {
        assert_eq!(login(&server, "x@example.com", "guess").status, 401);
    }
    let counted = database.client().query("select from attempts", &[]).unwrap();
    assert_eq!(counted.len(), 0);
}

/// After a limit was lowered, an account is open again once few enough failures are left, not once the first is forgotten.
#[test]
fn retry_after_is_when_there_is_room_again() {
    let database = database();
    let server = Setup::on(&database).with("LOGIN_ATTEMPTS", "2").ready();
    assert_eq!(login(&server, "x@example.com", "guess").status, 401);
    let mut behind = database.client();
    let older = "update attempts set at = array[now() - interval '14 minutes', now() - interval '10 minutes', now() - interval '1 minute']";
    behind.execute(older, &[]).unwrap();
    let wait = retry_after(&login(&server, "x@example.com", "guess"));
    assert!((290..=300).contains(&wait), "{wait} seconds");
}
