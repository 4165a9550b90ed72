//! Guessing passwords is slow, and says nothing; whoever knows the password is not held up by it.

use std::thread;

use serde_json::{Value, json};

use crate::sessions::at;
use crate::support::client::{Answer, Client};
use crate::support::database::Database;
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

/// Behind that proxy.
fn behind_a_proxy(database: &Database) -> Setup {
    Setup::on(database).with("TRUSTED_PROXIES", "127.0.0.1")
}

/// Makes every attempt older.
fn let_pass(database: &Database, seconds: i64) {
    let older = "update login_attempts set until = array(select t - make_interval(secs => $1) from unnest(until) with ordinality as live (t, n) order by n)";
    database.client().execute(older, &[&(seconds as f64)]).unwrap();
}

/// How many attempts count.
fn counted(database: &Database) -> i64 {
    let live = "select count(*) from login_attempts, unnest(until) as t where t > now()";
    database.client().query_one(live, &[]).unwrap().get(0)
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
fn ten_failures_close_an_account_to_their_network_here_elsewhere_and_after_a_restart() {
    let database = database();
    let setup = behind_a_proxy(&database);
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
    // From everywhere else the owner gets in, which forgives nothing here.
    assert_eq!(login_from(&restarted, "192.0.2.1", "ivan@example.com", RIGHT).status, 200);
    retry_after(&login(&restarted, "ivan@example.com", RIGHT));
    // A session that lives goes on: reading, refreshing, and from another network changing the password.
    let ivan = at(&restarted, &ivan);
    assert_eq!(ivan.get("/api/contacts").send().status, 200);
    let refresh_token = ivan.refresh_token.as_deref().unwrap();
    assert_eq!(crate::sessions::refresh(&restarted, refresh_token).status, 200);
    let change = json!({ "current_password": RIGHT, "new_password": "a better one" });
    retry_after(&ivan.put("/api/users/me/password", &change).send());
    let from_home = ivan.put("/api/users/me/password", &change).header("X-Forwarded-For", "192.0.2.1");
    assert_eq!(from_home.send().status, 204);

    // A quarter of an hour later the account is open again.
    let_pass(&database, 14 * 60 + 59);
    crate::support::eventually("the throttle lets go", || {
        login(&restarted, "ivan@example.com", "a better one").status == 200
    });
}

/// Guesses from many networks, ten from each: a hundred close the account, but not to its owner, who is known by the networks of
/// the sessions that live: that of a login, and that of the latest refresh.
#[test]
fn a_hundred_failures_close_an_account_to_all_networks_but_those_of_its_sessions() {
    let database = database();
    let server = behind_a_proxy(&database).ready();
    server.client().new_user("ivan@example.com");
    let from = |address: &str, password: &str| login_from(&server, address, "ivan@example.com", password);
    let home = from("192.0.2.1", RIGHT);
    assert_eq!(home.status, 200);
    let refreshed = |pair: &Answer, address: &str| {
        let body = json!({ "refresh_token": crate::sessions::text(pair, "refresh_token") });
        let request = server.client().post("/api/auth/refresh_token", &body);
        request.header("X-Forwarded-For", address).send().expect(200)
    };
    let pair = refreshed(&home, "2001:db8:1::1");
    for network in 0..10 {
        for _ in 0..10 {
            assert_eq!(from(&format!("198.51.100.{network}"), "guess").status, 401);
        }
    }
    let closed = |address: &str| from(address, RIGHT).status == 429;
    assert!(closed("203.0.113.1") && closed("198.51.100.1") && closed("2001:db8:2::1"));
    let nobody = |address: &str| login_from(&server, address, "nobody@example.com", "guess").status;
    assert_eq!(nobody("203.0.113.1"), 401, "another account is open");
    for address in ["192.0.2.1", "2001:db8:1:ffff::2", "127.0.0.1"] {
        assert_eq!(from(address, RIGHT).status, 200, "{address} is of a session that lives");
    }
    // A wrong password is one there, too, and ten are enough.
    for _ in 0..10 {
        assert_eq!(from("192.0.2.1", "guess").status, 401);
    }
    assert!(closed("192.0.2.1") && !closed("2001:db8:1::1"));
    // A later refresh from elsewhere takes the place of the one before; that of the login stays.
    refreshed(&pair, "2001:db8:3::1");
    assert!(!closed("2001:db8:3::1"));
    let sessions = "delete from sessions where latest_network is null";
    database.client().execute(sessions, &[]).unwrap();
    assert!(closed("2001:db8:1::1"));
    database.client().execute("update sessions set last_used_at = now() - interval '8 days'", &[]).unwrap();
    assert!(closed("2001:db8:3::1"), "the session lives no more");
}

#[test]
fn a_right_password_forgives_this_accounts_failures_from_its_own_network_and_nothing_else() {
    let database = database();
    let server = behind_a_proxy(&database).with("ADDRESS_ATTEMPTS", "12").ready();
    server.client().new_user("ivan@example.com"); // the first that counts at 127.0.0.1
    let from = |address: &str, email: &str, password: &str| login_from(&server, address, email, password).status;
    for _ in 0..9 {
        assert_eq!(from("192.0.2.1", "ivan@example.com", "guess"), 401);
        assert_eq!(from("192.0.2.2", "ivan@example.com", "guess"), 401);
    }
    assert_eq!(from("192.0.2.1", "ivan@example.com", RIGHT), 200);
    // There nine are forgiven, and elsewhere none.
    assert_eq!(from("192.0.2.2", "ivan@example.com", "guess"), 401);
    assert_eq!(from("192.0.2.2", "ivan@example.com", RIGHT), 429);
    for turn in 0..3 {
        assert_eq!(from("192.0.2.1", "ivan@example.com", "guess"), 401, "turn {turn}");
    }
    // The network has used up its twelve: an account of one's own must not help to guess at others.
    assert_eq!(from("192.0.2.1", "ivan@example.com", RIGHT), 429);
    assert_eq!(from("192.0.2.1", "olena@example.com", "guess"), 429);
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
    assert_eq!(counted(&database), 0);
}

/// A failure of ours is no guess, neither at a login nor at a sign-up, though the database cannot be told at that moment.
#[test]
fn what_fails_by_our_fault_is_never_counted() {
    let database = database();
    let server = Setup::on(&database).with("ADDRESS_ATTEMPTS", "2").with("LOGIN_ATTEMPTS", "2").ready();
    server.client().new_user("ivan@example.com");
    let_pass(&database, 901);
    let mut behind = database.client();
    // A session cannot begin, nor can a user be made.
    let refuse = "create function refuse() returns trigger language plpgsql as $$ begin raise 'no' using errcode = '57P01'; end $$;
        create trigger refuse before insert on sessions for each row execute function refuse();
        create trigger refuse before insert on users for each row execute function refuse();";
    behind.batch_execute(refuse).unwrap();
    for _ in 0..5 {
        assert_eq!(login(&server, "ivan@example.com", RIGHT).status, 503);
        assert_eq!(sign_up(&server, "olena@example.com").status, 503);
    }
    // Nor can anything be said of the attempts: now each counts for as long as it could be under way.
    let silence = "create trigger refuse before update on login_attempts for each row
        when (cardinality(new.until) <= cardinality(old.until)) execute function refuse()";
    behind.batch_execute(silence).unwrap();
    for _ in 0..2 {
        assert_eq!(login(&server, "ivan@example.com", RIGHT).status, 503);
    }
    let longest =
        "select coalesce(max(t), now()) <= now() + interval '30 seconds' from login_attempts, unnest(until) as t";
    assert!(behind.query_one(longest, &[]).unwrap().get::<_, bool>(0));
    let wrong = login(&server, "ivan@example.com", "guess");
    assert!(matches!(wrong.status, 429 | 503), "nothing is told that could not be counted: {}", wrong.text());
    behind.batch_execute("drop function refuse cascade").unwrap();
    let_pass(&database, 31);
    assert_eq!(counted(&database), 0);
    assert_eq!(login(&server, "ivan@example.com", RIGHT).status, 200);
}

/// However many guesses come at the same moment, on however many instances, no more than the limit are looked at; also while
/// the owner, elsewhere, logs in again and again.
#[test]
fn forty_guesses_at_once_get_no_further_than_ten_one_after_the_other() {
    for right in [0, 20] {
        let database = database();
        let setup = behind_a_proxy(&database).with("SLOW_WORKERS", "8");
        let servers = [setup.ready(), setup.ready()];
        servers[0].client().new_user("ivan@example.com");
        let attempt = |n: usize, address: &'static str, password: String| {
            let body = json!({ "email": "ivan@example.com", "password": password });
            let request = servers[n % 2].client().post("/api/auth/login", &body).header("X-Forwarded-For", address);
            thread::spawn(move || request.send().status)
        };
        let guesses: Vec<_> = (0..40).map(|n| attempt(n, "192.0.2.1", format!("guess {n}"))).collect();
        let logins: Vec<_> = (0..right).map(|n| attempt(n, "192.0.2.2", RIGHT.to_owned())).collect();
        let mut statuses: Vec<_> = guesses.into_iter().map(|guess| guess.join().unwrap()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [[401].repeat(10), [429].repeat(30)].concat());
        let logins: Vec<_> = logins.into_iter().map(|login| login.join().unwrap()).collect();
        assert_eq!(logins, [200].repeat(right));
    }
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
    assert_eq!(counted(&database), 0);
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
    // A password that is asked for again is as good as a login.
    let change = json!({ "current_password": RIGHT, "new_password": "another" });
    retry_after(&ivan.put("/api/users/me/password", &change).send());
    let change = ivan.put("/api/users/me/password", &change).header("X-Forwarded-For", "192.0.2.1");
    assert_eq!(change.send().status, 204);
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
    assert_eq!([from("2001:db8::1"), from("2001:db8:0:ffff::2")], [401, 401]);
    assert_eq!([from("2001:db8:0:1::3"), from("2001:db8:1::1")], [429, 401]);
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
    login(&open, &["192.0.2.2"]);
    let warning = "WARN  X-Forwarded-For from 127.0.0.1 is not believed";
    crate::support::eventually("the operator is told", || open.log().contains(warning));
    assert_eq!(open.log().matches(warning).count(), 1, "once");

    let setup = Setup::on(&database).with("TRUSTED_PROXIES", "127.0.0.0/8, 198.51.100.7, 203.0.113.64/26");
    let behind = setup.ready();
    for (forwarded, expected) in [
        (&["192.0.2.1"][..], "192.0.2.1"),
        // What stands before the first address that is no proxy is what the client says of itself.
        (&["203.0.113.9, 192.0.2.1, 198.51.100.7"], "192.0.2.1"),
        (&["203.0.113.9", "192.0.2.1"], "192.0.2.1"),
        (&["203.0.113.9, unknown"], "127.0.0.1"),
        // Some proxies add the port.
        (&["203.0.113.9:1, 192.0.2.1:5678"], "192.0.2.1"),
        (&["[2001:db8::1]:443"], "2001:db8::1"),
        (&["192.0.2.1, 203.0.113.77"], "192.0.2.1"),
        (&["::ffff:192.0.2.1"], "192.0.2.1"),
        (&[], "127.0.0.1"),
    ] {
        let client = login(&behind, forwarded);
        assert_eq!(ip(&client).as_deref(), Some(expected), "{forwarded:?}");
    }
    assert!(!behind.log().contains("is not believed"));
}

#[test]
fn a_stolen_token_does_not_help_to_guess_the_password() {
    let database = database();
    let server = behind_a_proxy(&database).ready();
    let ivan = server.client().new_user("ivan@example.com");
    let ask = |method: &str, path: &str, body: &Value| {
        ivan.request(method, path).header("X-Forwarded-For", "192.0.2.1").json(body).send()
    };
    let change = |current: &str| {
        ask("PUT", "/api/users/me/password", &json!({ "current_password": current, "new_password": "another" }))
    };
    for _ in 0..3 {
        assert_eq!(change("guess").status, 401);
        assert_eq!(ask("DELETE", "/api/users/me", &json!({ "password": "guess" })).status, 401);
        let body = json!({ "email": "thief@example.com", "current_password": "guess" });
        assert_eq!(ask("PATCH", "/api/users/me", &body).status, 401);
    }
    assert_eq!(login_from(&server, "192.0.2.1", "ivan@example.com", "guess").status, 401);
    retry_after(&change(RIGHT));
    retry_after(&login_from(&server, "192.0.2.1", "ivan@example.com", RIGHT));
    assert_eq!(login(&server, "ivan@example.com", RIGHT).status, 200, "the owner still gets in");
}

#[test]
fn zero_turns_the_limit_off() {
    let database = database();
    let server = Setup::on(&database).with("LOGIN_ATTEMPTS", "0").ready();
    for _ in 0..15 {
        assert_eq!(login(&server, "x@example.com", "guess").status, 401);
    }
    assert_eq!(counted(&database), 0);
}

/// After a limit was lowered, an account is open again once few enough failures are left, not once the first is forgotten.
#[test]
fn retry_after_is_when_there_is_room_again() {
    let database = database();
    let server = Setup::on(&database).with("LOGIN_ATTEMPTS", "2").ready();
    assert_eq!(login(&server, "x@example.com", "guess").status, 401);
    let mut behind = database.client();
    let older = "update login_attempts set until = array[now() + interval '1 minute', now() + interval '5 minutes', now() + interval '14 minutes'],
        network = array[network[1], network[1], network[1]]";
    behind.execute(older, &[]).unwrap();
    let wait = retry_after(&login(&server, "x@example.com", "guess"));
    assert!((290..=300).contains(&wait), "{wait} seconds");
}
