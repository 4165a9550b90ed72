//! The database away, restarted, hung, busy: requests get a 503 with Retry-After, and the program recovers by itself.

use std::net::TcpListener;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::server::{self, Server, Setup};
use crate::support::{eventually, steady};

#[test]
fn a_database_that_is_away_at_the_start_is_waited_for() {
    let database = server::database();
    database.kick();
    let server = Setup::on(&database).start();
    let client = server.client();
    for path in ["/healthchecker", "/api/healthchecker", "/readyz"] {
        let answer = client.get(path).send();
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.header("Retry-After").is_some(), "{path}");
        assert_eq!(answer.json()["status"], 503);
    }
    assert_eq!(client.get("/livez").send().status, 200);
    assert_eq!(client.get("/").send().status, 200);
    let signup = json!({ "username": "A", "email": "a@example.com", "password": "123456" });
    assert_eq!(client.post("/api/auth/signup", &signup).send().status, 503);
    eventually("it is said", || server.log().contains("the database is away"));

    database.allow();
    eventually("it recovers", || client.get("/readyz").send().status == 200);
    assert_eq!(client.post("/api/auth/signup", &signup).send().status, 201);
    assert!(server.log().contains("the database is back"));
}

#[test]
fn a_restart_of_the_database_costs_reads_nothing_once_it_is_back() {
    let (server, database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    let id = user.new_contact(&json!({ "first_name": "A" }));
    // Every pooled connection has been used, so every one of them is about to die.
    let readers: Vec<_> = (0..8).map(|_| user.clone()).collect();
    std::thread::scope(|scope| {
        for reader in &readers {
            scope.spawn(move || {
                (0..20).for_each(|_| assert_eq!(reader.get(format!("/api/contacts/{id}")).send().status, 200))
            });
        }
    });

    database.kick();
    assert_eq!(user.get(format!("/api/contacts/{id}")).send().status, 503);
    database.allow();
    eventually("it is back", || user.get("/readyz").send().status == 200);
    for n in 0..20 {
        assert_eq!(user.get(format!("/api/contacts/{id}")).send().status, 200, "read {n}");
        assert_eq!(user.post("/api/contacts", &json!({ "first_name": "B" })).send().status, 201, "write {n}");
    }
}

#[test]
fn what_needs_no_database_does_not_wait_for_one_that_is_away() {
    let (server, database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    database.kick();
    eventually("it is noticed", || server.log().contains("the database is away"));
    // More than there are workers, so that one waiting checkout each would hold up everything else.
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| assert_eq!(user.get("/api/contacts").send().status, 503));
        }
        assert_eq!(server.client().get("/livez").send().status, 200);
    });
    // One checkout takes a second; one after the other they would take many.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    database.allow();
    eventually("it is back", || user.get("/api/contacts").send().status == 200);
}

#[test]
fn connections_that_died_unnoticed_do_not_show() {
    let (server, database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    let id = user.new_contact(&json!({ "first_name": "A" }));
    for n in 0..5 {
        // All at once, as a restart that is over within a moment does it; no request sees the database away.
        let me = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                  where datname = current_database() and pid <> pg_backend_pid()";
        database.client().query_one(me, &[]).expect("its own role may end its connections");
        assert_eq!(user.get(format!("/api/contacts/{id}")).send().status, 200, "read {n}");
    }
}

#[test]
fn a_database_that_never_answers_holds_up_neither_requests_nor_the_end() {
    // It accepts and says nothing, as a database behind a broken network.
    let mute = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("postgres://user@{}/none", mute.local_addr().expect("its address"));
    let database = server::database();
    let mut server = Setup::on(&database).with("DATABASE_URL", url).start();
    let started = Instant::now();
    let answer = server.client().get("/healthchecker").send();
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(server.client().get("/livez").send().status, 200);
    server.signal("TERM");
    assert_eq!(server.wait(Duration::from_secs(10)).code(), Some(0));
}

#[test]
fn a_lock_that_somebody_holds_is_waited_for_a_bounded_time() {
    let (server, database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    let id = user.new_contact(&json!({ "first_name": "A" }));
    let mut admin = database.client();
    let mut transaction = admin.transaction().expect("a transaction");
    transaction.execute("select from contacts where id = $1 for update", &[&id]).expect("a lock");

    let answer = user.patch(&format!("/api/contacts/{id}"), &json!({ "last_name": "B" })).send();
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(user.get(format!("/api/contacts/{id}")).send().status, 200, "reading needs no lock");
    transaction.rollback().expect("the lock is let go");
    assert_eq!(user.patch(&format!("/api/contacts/{id}"), &json!({ "last_name": "B" })).send().status, 200);
}

#[test]
fn with_a_single_connection_of_a_name_everything_is_served() {
    let database = server::database();
    let url = database.url();
    let url = if url.contains("://") { format!("{url}&application_name=mine") } else { url + " application_name=mine" };
    let server = Setup::at(&url).with("DATABASE_CONNECTIONS", "1").ready();
    let user = server.client().new_user("a@example.com");
    let mut watch = database.client();
    let names =
        "select application_name from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    let tally = steady::ask(&user, 12, |tally| {
        eventually("they are answered", || tally.answered.load(SeqCst) > 500);
        let many: Vec<_> = (0..2000).map(|n| json!({ "first_name": format!("N{n}") })).collect();
        user.post("/api/contacts/import", &json!(many)).send().expect(200);
        user.get("/api/contacts/export").send().expect(200);
        server.client().login("a@example.com", "123456");
        let names: Vec<String> = watch.query(names, &[]).expect("a list").iter().map(|row| row.get(0)).collect();
        assert_eq!(names, ["mine"]);
    });
    tally.expect_no_failure();
}

#[test]
fn instances_that_start_at_once_on_an_empty_database_migrate_it_once() {
    let database = crate::support::database::Database::empty();
    let setup = Setup::on(&database);
    let servers: Vec<_> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..4).map(|_| scope.spawn(|| setup.ready())).collect();
        starting.into_iter().map(|one| one.join().expect("it starts")).collect()
    });
    let rows: i64 =
        database.client().query_one("select count(*) from schema_migrations", &[]).expect("the table").get(0);
    let latest: i32 =
        database.client().query_one("select max(version) from schema_migrations", &[]).expect("a row").get(0);
    assert_eq!(rows, i64::from(latest));
    // Each step by one of them, whichever.
    let steps: usize = servers.iter().map(|server| server.log().matches("migrating the database").count()).sum();
    assert_eq!(steps, latest as usize);
}

#[test]
fn a_schema_of_a_newer_program_is_left_alone() {
    let database = server::database();
    database
        .client()
        .execute("insert into schema_migrations (version, name) values (9999, 'future')", &[])
        .expect("a row");
    let server = Setup::on(&database).start();
    eventually("it is said", || server.log().contains("9999"));
    assert_eq!(server.client().get("/healthchecker").send().status, 503);
}
