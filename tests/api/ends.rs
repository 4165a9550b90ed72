//! How sessions end: at once where it is asked for, within a second on every other instance, and for good.

use std::time::{Duration, Instant};

use contactd::store::Store;

use crate::sessions::{at, is_alive, refresh, two_instances};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::proxy::Proxy;
use crate::support::server::{Server, Setup, database};

fn logout(client: &Client, target: &str) -> u16 {
    client.request("POST", target).send().status
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
    assert_eq!(logout(&first, "/api/auth/logout"), 401, "there is nobody to log out");
    assert_eq!(refresh(&two, first.refresh_token.as_deref().unwrap()).status, 401);
    assert!(is_alive(&second) && is_alive(&third));
    assert_eq!(logout(&second, "/api/auth/logout/?everywhere=true"), 204);
    for client in [&second, &third] {
        assert!(!is_alive(client));
        assert_eq!(refresh(&one, client.refresh_token.as_deref().unwrap()).status, 401);
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
        eventually("it is back", || server.client().get("/readyz").send().status == 200);
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
            "insert into sessions (user_id, id, created_at, last_used_at)
             select id, n, now() - make_interval(days => 30, mins => 61 - n), now() from users, unnest(array[0, 2]) as n;
             insert into sessions (user_id, id, created_at, last_used_at)
             select id, n, now() - interval '8 days', now() - make_interval(days => 7, mins => 71 - n) from users, unnest(array[10, 12]) as n;
             insert into revocations (session_id, revoked_at) values (20, now() - interval '961 seconds'), (21, now() - interval '950 seconds');
             insert into login_attempts (subject, until, network, granted) values
               ('old', array[now() - interval '1 second'], '{1}', true), ('given back', '{}', '{}', true),
               ('young', array[now() - interval '1 hour', now() + interval '1 minute'], '{1, 2}', true);",
        )
        .unwrap();
    let store = Store::new(database.url().parse().unwrap(), 1);
    store.migrate().unwrap();
    store.purge().unwrap();
    let mut left =
        |query: &str| -> Vec<String> { behind.query(query, &[]).unwrap().iter().map(|row| row.get(0)).collect() };
    assert_eq!(left("select id::text from sessions where sessions.id < 20 order by sessions.id"), ["2", "10", "12"]);
    assert_eq!(left("select session_id::text from revocations"), ["21"]);
    assert_eq!(left("select encode(subject, 'escape') from login_attempts"), ["young"]);
    // What no refresh token can revive any more is not listed either, though it is still there: what was not used for a week goes
    // when it is too old, for only that goes by an index that a refresh need not write.
    assert_eq!(ivan.get("/api/auth/sessions").send().json().as_array().unwrap().len(), 1);
}

#[test]
fn one_instance_at_a_time_forgets_and_in_batches() {
    let (server, database) = Server::with_database();
    server.client().new_user("ivan@example.com");
    let mut behind = database.client();
    let many = "insert into sessions (user_id, id, created_at)
        select id, n, now() - interval '31 days' from users, generate_series(1, 2500) as n;
        insert into api_tokens (user_id, name, digest, may_write, expires_at)
        select id, 'T', '', false, now() + make_interval(secs => n) from users, unnest(array[-1, 1000]) as n";
    behind.batch_execute(many).unwrap();
    let store = Store::new(database.url().parse().unwrap(), 1);
    store.migrate().unwrap();
    let count = "select (select count(*) from sessions), (select count(*) from api_tokens)";
    let mut other = database.client();
    let mut busy = other.transaction().unwrap();
    // As another instance holds it, whatever the number is.
    let purge = include_str!("../../sql/queries/sessions/purge.sql");
    let lock =
        purge.split("(select pg_try_advisory_xact_lock(").nth(1).and_then(|rest| rest.split(')').next()).unwrap();
    busy.batch_execute(&format!("select pg_advisory_xact_lock({lock})")).unwrap();
    store.purge().unwrap();
    let row = behind.query_one(count, &[]).unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (2501, 2));
    busy.commit().unwrap();
    store.purge().unwrap();
    let row = behind.query_one(count, &[]).unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1, 1));
}
