//! Postgres in states in which it answers and cannot be worked with: restarting, read-only, a standby, empty; and another
//! server that takes over.

use std::thread;
use std::time::{Duration, Instant};

use postgres::NoTls;
use serde_json::json;

use crate::cluster::{Cluster, Reply, ask};
use crate::relay::{Mode, Relay};
use crate::support::client::Client;
use crate::support::random_secret;
use crate::support::server::Setup;
use crate::trial::{Expected, HUNG, Trial, alone, until};

/// The service must be back while the first server still hangs.
const TAKEN_OVER: Expected = Expected { reads: true, writes: true, unready: None, back_meanwhile: true };

/// Starts the cluster again when it is dropped.
struct Stopped(&'static Cluster);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.start();
    }
}

#[test]
fn restarts() {
    let trial = Trial::on(Cluster::by_tcp);
    let url = trial.cluster.by_tcp(&trial.database);
    for mode in ["fast", "immediate"] {
        let stop = || {
            trial.cluster.stop(mode);
            Stopped(trial.cluster)
        };
        trial
            .withstands(&format!("stopped ({mode}) and started"), HUNG, stop, || assert_eq!(ask(&url), Reply::Refusal));
        trial.fill_pool();
        let restart = || {
            trial.cluster.stop(mode);
            trial.cluster.start();
        };
        let proof = || assert_eq!(ask(&url), Reply::Answer);
        trial.withstands(&format!("restarted ({mode}) at once"), TAKEN_OVER, restart, proof);
        trial.fill_pool();
    }
}

/// Makes the database writable again when it is dropped.
struct ReadOnly<'a>(&'a Trial<'a>);

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        let statement = format!("alter database {} reset default_transaction_read_only", self.0.database);
        self.0.cluster.client("postgres").batch_execute(&statement).expect("it is writable again");
    }
}

impl<'a> ReadOnly<'a> {
    fn begin(trial: &'a Trial<'a>) -> ReadOnly<'a> {
        let read_only = format!("alter database {} set default_transaction_read_only = on", trial.database);
        let mut admin = trial.cluster.client("postgres");
        admin.batch_execute(&read_only).expect("it is read-only");
        // As at a failover, where the connections end.
        let end = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'contactd'";
        admin.execute(end, &[]).expect("they end");
        ReadOnly(trial)
    }
}

#[test]
fn read_only_and_back() {
    let trial = Trial::on(Cluster::by_socket);
    let url = trial.cluster.by_socket(&trial.database);
    let proof = || {
        let mut direct = postgres::Client::connect(&url, NoTls).expect("it answers");
        let is_read_only: String = direct.query_one("show transaction_read_only", &[]).expect("a row").get(0);
        assert_eq!(is_read_only, "on");
    };
    let expected = Expected { reads: true, writes: false, unready: Some(true), back_meanwhile: false };
    trial.withstands("read-only", expected, || ReadOnly::begin(&trial), proof);
}

#[test]
fn connections_that_were_opened_while_it_was_read_only_are_not_kept() {
    // As on a larger machine: each reader has a connection.
    let trial = Trial::starting(Cluster::by_socket, |setup| setup.with("WORKERS", "32"));
    let read_only = ReadOnly::begin(&trial);
    let mut admin = trial.cluster.client(&trial.database);
    admin.batch_execute("begin read write; lock table contacts in access exclusive mode").expect("a lock");
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| trial.user.get("/api/contacts").send());
        }
        until("each reader has a connection", || trial.connections() >= 32);
        admin.batch_execute("rollback").expect("the lock is let go");
    });
    let client = trial.server.client();
    until("it is not ready", || client.get("/readyz").send().status == 503);
    drop(read_only);
    let returned = Instant::now();
    until("it is ready", || client.get("/readyz").send().status == 200);
    println!("many read-only connections: back after {:?}", returned.elapsed());
    assert!(returned.elapsed() < Duration::from_secs(5), "{:?}", returned.elapsed());
    // All workers at once, so that no connection of the pool is left out.
    until("all that there are can have been tried", || returned.elapsed() > Duration::from_secs(5));
    let body = json!({ "first_name": "A" });
    let statuses: Vec<_> = thread::scope(|scope| {
        let writers: Vec<_> =
            (0..32).map(|_| scope.spawn(|| trial.user.post("/api/contacts", &body).send().status)).collect();
        writers.into_iter().map(|writer| writer.join().expect("an answer")).collect()
    });
    assert!(statuses.iter().all(|status| *status == 201), "{statuses:?}");
}

#[test]
fn a_standby_that_is_promoted() {
    let _alone = alone();
    let primary = Cluster::shared();
    let (database, secret) = (primary.new_database(), random_secret());
    let first = Setup::at(&primary.by_tcp(&database)).with("JWT_SECRET", &secret).ready();
    let user = first.client().new_user("a@example.com");
    let contact = format!("/api/contacts/{}", user.new_contact(&json!({ "first_name": "A" })));
    let standby = primary.standby();

    let second = Setup::at(&standby.by_tcp(&database)).with("JWT_SECRET", &secret).start();
    let user = second.client().with_token(user.token.as_deref().expect("a token"));
    until("a standby is read from", || user.get(&contact).send().status == 200);
    for _ in 0..20 {
        assert_eq!(user.get("/readyz").send().status, 503);
        assert_eq!(user.get("/livez").send().status, 200);
        let sent = Instant::now();
        assert_eq!(user.patch(&contact, &json!({ "last_name": "B" })).send().status, 503);
        assert!(sent.elapsed() < Duration::from_secs(3), "{:?}", sent.elapsed());
    }
    assert!(second.log().contains("it is a standby"), "{}", second.log());
    promote(&standby);
    let promoted = Instant::now();
    until("it is ready", || user.get("/readyz").send().status == 200);
    for _ in 0..20 {
        assert_eq!(user.patch(&contact, &json!({ "last_name": "C" })).send().status, 200);
    }
    println!("a standby is promoted: back after {}", promoted.elapsed().as_millis());
    assert!(promoted.elapsed() < Duration::from_secs(5));
    assert_eq!(user.login("a@example.com", "123456").get(&contact).send().expect(200).json()["last_name"], "C");
}

fn promote(standby: &Cluster) {
    standby.client("postgres").query_one("select pg_promote()", &[]).expect("it is promoted");
}

/// The first server waits for its standby at each commit, until this is dropped.
struct Synchronous<'a>(&'a Cluster);

impl<'a> Synchronous<'a> {
    fn begin(cluster: &'a Cluster) -> Synchronous<'a> {
        set_synchronous(cluster, "alter system set synchronous_standby_names = '*'");
        let is_synchronous = "select count(*) from pg_stat_replication where sync_state = 'sync'";
        let mut client = cluster.client("postgres");
        until("the standby follows", || client.query_one(is_synchronous, &[]).expect("a count").get::<_, i64>(0) == 1);
        Synchronous(cluster)
    }
}

impl Drop for Synchronous<'_> {
    fn drop(&mut self) {
        set_synchronous(self.0, "alter system reset synchronous_standby_names");
    }
}

fn set_synchronous(cluster: &Cluster, statement: &str) {
    let mut client = cluster.client("postgres");
    client.batch_execute(statement).and_then(|()| client.batch_execute("select pg_reload_conf()")).expect("it is set");
}

#[test]
fn a_second_server_that_takes_over() {
    let standby = {
        let _alone = alone();
        Cluster::shared().standby()
    };
    let both = |first: &Cluster, database: &str| {
        format!("host={},{} user=contactd dbname={database}", first.address, standby.address)
    };
    let mut trial = Trial::on(|cluster, database| both(cluster, database));
    let (first, database) = (trial.cluster, trial.database.clone());
    let (name, witness) = (database.clone(), &standby);
    trial.witness = Box::new(move || witness.client(&name));
    let url = first.by_tcp(&database);
    let fall = || {
        let synchronous = Synchronous::begin(first);
        let frozen = first.freeze();
        until("it is not ready", || trial.server.client().get("/readyz").send().status == 503);
        promote(&standby);
        // They end in this order: the first server must go on to be told.
        (frozen, synchronous)
    };
    trial.withstands("a standby takes over", TAKEN_OVER, fall, || assert_eq!(ask(&url), Reply::Silence));
    let count = "select count(*) from pg_stat_activity where datname = current_database() and usename = 'contactd'";
    let count = standby.client(&database).query_one(count, &[]).expect("a count").get::<_, i64>(0);
    assert!(count > 0, "it works on the second server");
}

#[test]
fn a_second_way_where_the_first_hangs() {
    let (first, second) = (Relay::before(Cluster::shared()), Relay::before(Cluster::shared()));
    let trial = Trial::on(|_, database| {
        let (one, two) = (first.address, second.address);
        format!("host={},{} port={},{} user=contactd dbname={database}", one.ip(), two.ip(), one.port(), two.port())
    });
    let url = first.url(&trial.database);
    let begin = || first.during(Mode::Stalled);
    trial.withstands("the first of two hosts hangs", TAKEN_OVER, begin, || assert_eq!(ask(&url), Reply::Silence));
    let url = second.url(&trial.database);
    trial.fill_pool();
    let begin = || second.during(Mode::Stalled);
    trial.withstands("and then the second", TAKEN_OVER, begin, || assert_eq!(ask(&url), Reply::Silence));
}

#[test]
fn a_database_that_is_dropped_and_made_anew_is_migrated_again() {
    let trial = Trial::on(Cluster::by_socket);
    let (cluster, database) = (trial.cluster, &trial.database);
    let client = trial.server.client();
    let drop_it = || {
        let statement = format!("drop database {database} with (force)");
        cluster.client("postgres").batch_execute(&statement).expect("it is dropped");
    };
    for (gap, email) in [(true, "b@example.com"), (false, "c@example.com")] {
        drop_it();
        if gap {
            until("it is not ready", || client.get("/readyz").send().status == 503);
            let sent = Instant::now();
            assert_eq!(trial.user.get("/api/contacts").send().status, 503);
            assert!(sent.elapsed() < Duration::from_secs(3));
            assert_eq!(client.get("/livez").send().status, 200);
        }
        cluster.create(database);
        let made = Instant::now();
        until("accounts can be made in it", || signs_up(&client, email));
        println!("dropped and made anew (a gap: {gap}): back after {}", made.elapsed().as_millis());
        assert!(made.elapsed() < Duration::from_secs(5));
        until("it is ready", || client.get("/readyz").send().status == 200);
        client.login(email, "123456").new_contact(&json!({ "first_name": "B" }));
    }
    let mut direct = cluster.client(database);
    let tables = "drop schema public cascade; create schema public; grant all on schema public to contactd";
    direct.batch_execute(tables).expect("all tables are gone");
    let emptied = Instant::now();
    until("accounts can be made in an emptied one", || signs_up(&client, "d@example.com"));
    println!("emptied: back after {}", emptied.elapsed().as_millis());
    assert!(emptied.elapsed() < Duration::from_secs(5));
}

/// Whether an account can be made; 503 is the only other answer.
fn signs_up(client: &Client, email: &str) -> bool {
    let body = json!({ "username": "A", "email": email, "password": "123456" });
    let sent = Instant::now();
    let answer = client.post("/api/auth/signup", &body).send();
    assert!(matches!(answer.status, 201 | 503), "{}: {}", answer.status, answer.text());
    assert!(sent.elapsed() < Duration::from_millis(3200), "{:?}", sent.elapsed());
    answer.status == 201
}
