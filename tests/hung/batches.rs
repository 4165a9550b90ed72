//! Several creates in one statement are cut at each of its messages, and each answer to it is withheld until its deadline has
//! struck: every contact is made once or not at all, and is there if its client was told so.

use std::thread;

use postgres::Client as Direct;
use serde_json::json;

use crate::cluster::Cluster;
use crate::relay::{Relay, Strike};
use crate::support::client::Client;
use crate::support::server::{Server, Setup};
use crate::trial::alone;
use crate::verdict::until;

/// Creates at once: one goes ahead by itself, the others wait for it and go together.
const MANY: usize = 8;
/// More messages than they have.
const MOST: usize = 100;

/// Creates contacts of these names at once; the statuses. A lock holds the first until the server has all.
fn create(server: &Server, users: &[Client; 2], admin: &mut Direct, names: &[String]) -> Vec<u16> {
    let mut lock = admin.transaction().expect("a transaction");
    lock.batch_execute("lock table contacts in exclusive mode").expect("a lock");
    thread::scope(|scope| {
        let creates = names.iter().zip(users.iter().cycle()).map(|(name, user)| {
            scope.spawn(move || user.post("/api/contacts", &json!({ "first_name": name })).send().status)
        });
        let creates: Vec<_> = creates.collect();
        let answered = || creates.iter().filter(|create| create.is_finished()).count();
        until("the server has all of them", || server.taken() + answered() >= MANY);
        lock.rollback().expect("it is let go");
        creates.into_iter().map(|create| create.join().expect("an answer")).collect()
    })
}

fn count(admin: &mut Direct, name: &str) -> i64 {
    admin.query_one("select count(*) from contacts where first_name = $1", &[&name]).expect("a count").get(0)
}

/// The most contacts that one statement made: they have the time of its transaction in common.
fn made_together(admin: &mut Direct) -> i64 {
    let query = "select count(*) from contacts group by created_at order by count(*) desc limit 1";
    admin.query_opt(query, &[]).expect("a count").map_or(0, |row| row.get(0))
}

#[test]
fn a_batch_is_done_once_or_not_at_all_wherever_it_is_cut() {
    let _alone = alone();
    let cluster = Cluster::shared();
    let (relay, database) = (Relay::before(cluster), cluster.new_database());
    let server = Setup::at(&relay.url(&database)).with("WRITE_WORKERS", "1").ready();
    let users = ["a@example.com", "b@example.com"].map(|email| server.client().new_user(email));
    let mut admin = cluster.client(&database);
    let mut unknown = Vec::new();
    for strike in [Strike::Cut, Strike::Withhold] {
        let mut at = 0;
        loop {
            assert!(at < MOST, "more than {MOST} messages");
            let names: Vec<_> = (0..MANY).map(|n| format!("{strike:?} {at} {n}")).collect();
            let (statuses, struck) = relay.strike(strike, at, || create(&server, &users, &mut admin, &names));
            for (name, status) in names.into_iter().zip(&statuses) {
                match (status, count(&mut admin, &name)) {
                    (201, 1) => {}
                    (503, 0 | 1) => unknown.push(name),
                    (status, count) => panic!("{name}: {status}, and {count} are there"),
                }
            }
            if !struck {
                assert!(statuses.iter().all(|status| *status == 201), "{statuses:?}");
                break;
            }
            at += 1;
        }
        // Of answers, the first create has one and the batch another.
        assert!(at >= 2, "there are messages to cut at");
        println!("{strike:?}: at {at} messages of {MANY} creates");
        relay.cut_forgotten();
    }
    assert!(made_together(&mut admin) as usize >= MANY / 2, "they were a batch");
    assert!(unknown.len() > MANY, "the batch was struck, and not only who went ahead: {unknown:?}");
    // Whoever was left behind has found out that nobody waits.
    let active = "select count(*) from pg_stat_activity where usename = 'contactd' and datname = current_database()
        and state <> 'idle'";
    until("nothing is under way", || admin.query_one(active, &[]).expect("a count").get::<_, i64>(0) == 0);
    for name in unknown {
        assert!(count(&mut admin, &name) <= 1, "{name} is there twice");
    }
    let again = || users[0].post("/api/contacts", &json!({ "first_name": "after" })).send();
    until("it works again", || again().status == 201);
}
