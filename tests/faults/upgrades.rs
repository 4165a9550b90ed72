//! Upgrades under load, and back: the release before goes on working and can start anew, and nobody waits behind a migration.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use contactd::store::Store;
use contactd::store::migrations::{MIGRATIONS, Migration};
use serde_json::json;

use crate::support::client::Client;
use crate::support::database::Database;
use crate::support::eventually;
use crate::support::server::{Server, Setup, command, database};

/// What this program knows.
fn latest() -> i32 {
    MIGRATIONS.last().expect("there are some").version
}

/// The store of a release that knows one step more.
fn migrate_further(database: &Database, sql: &'static str, is_concurrent: bool) -> Result<(), String> {
    let old = MIGRATIONS.iter().map(|step| Migration { ..*step });
    let new = Migration { version: latest() + 1, min_program: latest(), name: "of_a_test", sql, is_concurrent };
    let steps: Vec<_> = old.chain([new]).collect();
    let store = Store::new(database.url().parse().expect("a URL"), 1);
    store.migrate_to(&steps).map_err(|error| error.to_string())
}

/// Asks without a pause while `work` lasts: how long the slowest answer took. Each of them must be a success.
fn answered_throughout(user: &Client, work: impl FnOnce()) -> Duration {
    let over = AtomicBool::new(false);
    let ask = || {
        let mut slowest = Duration::ZERO;
        while !over.load(SeqCst) {
            let began = Instant::now();
            let id = user.new_contact(&json!({ "first_name": "A" }));
            user.get(format!("/api/contacts/{id}")).send().expect(200);
            user.get("/api/contacts?q=a&limit=5").send().expect(200);
            user.patch(&format!("/api/contacts/{id}"), &json!({ "last_name": "B" })).send().expect(200);
            user.delete(&format!("/api/contacts/{id}")).send().expect(204);
            slowest = slowest.max(began.elapsed());
        }
        slowest
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        // The others end even if it fails.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, SeqCst);
        let slowest = clients.into_iter().map(|client| client.join().expect("all were answered")).max();
        outcome.expect("the work succeeds");
        slowest.expect("there are clients")
    })
}

#[test]
fn the_release_before_works_on_a_newer_schema_and_can_start_on_it() {
    let database = database();
    let setup = Setup::on(&database);
    let server = setup.ready();
    let user = server.client().new_user("a@example.com");
    answered_throughout(&user, || {
        migrate_further(&database, "alter table contacts add column nickname text", false).expect("it is applied");
        let again = setup.ready();
        let user = Client { address: again.address, ..user.clone() };
        answered_throughout(&user, || drop(setup.ready()));
        assert!(again.log().contains("can work on it"), "{}", again.log());
    });
    let row = "select version, name, min_program from schema_migrations order by version desc limit 1";
    let row = database.client().query_one(row, &[]).expect("a row");
    assert_eq!((row.get(0), row.get(1), row.get(2)), (latest() + 1, "of_a_test", latest()));

    // A step further, which only the newest can work on: who is there goes on, and nobody starts.
    let insert = "insert into schema_migrations (version, name, min_program) values ($1 + 2, 'future', $1 + 2)";
    database.client().execute(insert, &[&latest()]).expect("a row");
    user.get("/api/contacts").send().expect(200);
    let late = setup.start();
    late.client().get("/readyz").send().expect(503);
    let told = format!("this program knows {}: start one that knows {}", latest(), latest() + 2);
    eventually("it is said", || late.log().contains(&told));
}

#[test]
fn a_row_of_a_release_that_says_nothing_is_for_its_own_program_only() {
    let database = database();
    let mut admin = database.client();
    // As the releases before made the table.
    admin.batch_execute("alter table schema_migrations drop column min_program").expect("it is the owner");
    let setup = Setup::on(&database);
    drop(setup.ready());
    admin
        .execute("insert into schema_migrations (version, name) values ($1 + 1, 'next')", &[&latest()])
        .expect("a row");
    let server = setup.start();
    eventually("it is said", || server.log().contains(&format!("start one that knows {}", latest() + 1)));
}

/// A long read, as of pg_dump: the migration has to wait for it, and whoever comes then would wait behind the migration.
#[test]
fn nobody_waits_behind_a_migration_that_waits_for_a_long_read() {
    let (server, database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    let mut reader = database.client();
    let mut reading = reader.transaction().expect("a transaction");
    reading.query("select from contacts, users, sessions", &[]).expect("a read");
    let slowest = thread::scope(|scope| {
        let migrating =
            scope.spawn(|| migrate_further(&database, "alter table contacts add column nickname text", false));
        let slowest = answered_throughout(&user, || {
            thread::sleep(Duration::from_secs(30));
            assert!(!migrating.is_finished(), "it waits");
        });
        reading.rollback().expect("the read is over");
        migrating.join().expect("its thread").expect("it is applied");
        slowest
    });
    // Five requests, each of which can meet a try of 0.2 s.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    user.get("/api/contacts").send().expect(200);
}

const INDEX: &str = "-- Of a test.
drop index concurrently if exists contacts_of_a_test;
create index concurrently contacts_of_a_test on contacts (user_id, created_at);
";

/// Whether there is an index of this test, and whether it is valid.
fn index(database: &Database) -> Option<bool> {
    let query = "select indisvalid from pg_index where indexrelid = to_regclass('contacts_of_a_test')";
    database.client().query_opt(query, &[]).expect("the catalogue").map(|row| row.get(0))
}

#[test]
fn an_index_is_made_while_everybody_goes_on_and_again_after_an_interruption() {
    let (server, database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    let mut reader = database.client();
    let mut reading = reader.build_transaction();
    reading = reading.isolation_level(postgres::IsolationLevel::RepeatableRead);
    let mut reading = reading.start().expect("a transaction");
    reading.query("select from contacts", &[]).expect("a read");
    let make = || migrate_further(&database, INDEX, true);
    thread::scope(|scope| {
        answered_throughout(&user, || {
            // It waits for the long read, and then somebody ends it.
            let first = scope.spawn(make);
            eventually("there is one that is not valid yet", || index(&database) == Some(false));
            // Another instance waits for its turn. Where it waited with a statement, the two would wait for each other.
            let second = scope.spawn(make);
            thread::sleep(Duration::from_millis(1500));
            assert!(!first.is_finished() && !second.is_finished(), "both wait");
            let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                       where query like '%create index concurrently%' and datname = current_database()
                       and pid <> pg_backend_pid()";
            assert_eq!(database.client().query_one(end, &[]).expect("its own role may").get::<_, i64>(0), 1);
            first.join().expect("its thread").expect_err("it was ended");
            assert_eq!(index(&database), Some(false), "what is left of it");
            // The other begins anew, and is done when the read is.
            thread::sleep(Duration::from_millis(1500));
            assert!(!second.is_finished(), "it waits");
            reading.rollback().expect("the read is over");
            eventually("it is made", || second.is_finished());
            second.join().expect("its thread").expect("it is applied");
        });
    });
    assert_eq!(index(&database), Some(true));
    make().expect("there is nothing to do");
}

#[test]
fn a_migration_that_fails_is_told_once_and_tried_until_somebody_puts_it_right() {
    let database = Database::empty();
    database.client().batch_execute("create table users (of_somebody_else text)").expect("a table");
    let server = Setup::on(&database).start();
    server.client().get("/readyz").send().expect(503);
    // Some tries later.
    thread::sleep(Duration::from_secs(3));
    let log = server.log();
    assert_eq!(log.matches("the database cannot be used").count(), 1, "{log}");
    assert!(log.contains("42P07"), "{log}");
    assert_eq!(log.matches("migrating the database").count(), 1, "{log}");
    assert!(!log.contains("NOTICE"), "{log}");
    database.client().batch_execute("drop table users").expect("a table");
    eventually("it is ready", || server.client().get("/readyz").send().status == 200);
    server.client().new_user("a@example.com");
}

#[test]
fn without_migrating_it_waits_for_somebody_who_does() {
    let database = Database::empty();
    for line in [&["--no-migrate"][..], &["serve", "--no-migrate"]] {
        let setup = line.iter().fold(Setup::on(&database), |setup, word| setup.word(word));
        let server = setup.start();
        server.client().get("/healthchecker").send().expect(503);
        eventually("it is said", || server.log().contains("`contactd migrate`"));
        let tables: i64 = database
            .client()
            .query_one("select count(*) from pg_tables where schemaname = 'public'", &[])
            .expect("a count")
            .get(0);
        assert_eq!(tables, 0);
    }
    let server = Setup::on(&database).word("--no-migrate").start();
    let migrated = command(&[("DATABASE_URL".to_owned(), database.url())]).arg("migrate").status();
    assert!(migrated.expect("the program starts").success());
    eventually("it is ready", || server.client().get("/readyz").send().status == 200);
    let output = command(&[("DATABASE_URL".to_owned(), database.url())]).args(["migrate", "--no-migrate"]).output();
    assert_eq!(output.expect("the program starts").status.code(), Some(2), "that makes no sense");
}
