//! Patroni changes the leader while clients write, once because it was killed and once because it hangs; and the follower hangs. Nothing
//! that was acknowledged is lost or doubled, every answer comes in time, and the service is back soon after Patroni has done its part.
//!
//! Two instances of the real program are under trial at once. One names both servers in `DATABASE_URL`, the other one reaches
//! them through HAProxy. `make check-all` runs this.
// A test may say what it measures, and its helpers too; where Postgres is, is in the environment.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod cluster;

use std::collections::BTreeMap;
use std::time::Instant;

use clients::{Failover, Instance, Log};
use cluster::{Cluster, Member, wait};
use support::client::Client;
use support::server::Setup;
use support::{processes, random_secret};

/// The most connections of an instance's pool.
const POOL: i64 = 18;

#[test]
fn nothing_acknowledged_is_lost_or_doubled_when_a_server_is_killed_or_hangs() {
    let cluster = Cluster::start();
    let secret = random_secret();
    let servers = [cluster.by_haproxy(), cluster.by_hosts()]
        .map(|url| Setup::at(&url).with("JWT_SECRET", &secret).with("DATABASE_CONNECTIONS", POOL.to_string()).ready());
    let user = servers[0].client().new_user("a@example.com");
    let instances = [("HAProxy", &servers[0]), ("hosts", &servers[1])]
        .map(|(way, server)| Instance { way, user: Client { address: server.address, ..user.clone() } });
    let log = clients::ask(&instances, |log| {
        log.await_work(&instances, 20);
        let killed = kill(&cluster, Member::One, &instances, log);
        let hung = stop(&cluster, Member::Two, &instances, log);
        let alone = stop_follower(&cluster, Member::One, &instances, log);
        log.judge(&[killed, hung, alone]);
    });
    for instance in &instances {
        instance.user.login("a@example.com", "123456");
    }
    let acknowledged = log.acknowledged();
    println!("{} contacts were acknowledged", acknowledged.len());
    assert_eq!(
        differences(&cluster, Member::One, &acknowledged),
        BTreeMap::new(),
        "they are not what was acknowledged"
    );
    // It follows the first one, and may be behind it by a moment.
    wait("the second member has it all", || differences(&cluster, Member::Two, &acknowledged).is_empty());
}

/// The leader and its Patroni are gone at once, and are started anew when the other one leads.
fn kill(cluster: &Cluster, leader: Member, instances: &[Instance], log: &Log) -> Failover {
    let began = Instant::now();
    processes::kill(&cluster.folder(leader));
    let promoted = cluster.await_leader(leader.other());
    log.await_work(instances, 50);
    cluster.start_member(leader);
    cluster.await_follower(leader);
    log.await_work(instances, 50);
    let failover = Failover { began, promoted };
    log.tell("killed", instances, &failover, Instant::now());
    failover
}

/// The leader and its Patroni hang, and go on when the other one leads. Postgres goes on first: as long as its Patroni does not, two
/// servers take writes, and the clients must not meet the one that was replaced.
fn stop(cluster: &Cluster, leader: Member, instances: &[Instance], log: &Log) -> Failover {
    let began = Instant::now();
    processes::stop(&cluster.folder(leader));
    let promoted = cluster.await_leader(leader.other());
    log.await_work(instances, 50);
    let failover = Failover { began, promoted };
    log.tell("stopped", instances, &failover, Instant::now());
    processes::go_on(&cluster.folder(leader).join("data"));
    assert!(is_primary(cluster, leader), "two servers take writes");
    log.await_work(instances, 50);
    assert!(is_primary(cluster, leader), "two servers still do");
    processes::go_on(&cluster.folder(leader));
    cluster.await_follower(leader);
    log.await_work(instances, 50);
    failover
}

/// The follower hangs, so that nothing can be acknowledged until Patroni lets the leader go on alone. Contacts can be read meanwhile.
fn stop_follower(cluster: &Cluster, leader: Member, instances: &[Instance], log: &Log) -> Failover {
    let mut client = cluster.client(leader, "contactd");
    let began = Instant::now();
    processes::stop(&cluster.folder(leader.other()));
    let mut most = 0;
    wait("Patroni lets the leader go on alone", || {
        let count = "select current_setting('synchronous_standby_names'), count(*) from pg_stat_activity where usename = 'contactd'";
        let row = client.query_one(count, &[]).expect("it answers");
        most = most.max(row.get::<_, i64>(1));
        row.get::<_, &str>(0).is_empty()
    });
    let failover = Failover { began, promoted: Instant::now() };
    println!("alone: at most {most} connections");
    // A pool that was replaced keeps those that a writer waits on, and no others.
    assert!(most <= 2 * (POOL + clients::WRITERS as i64), "{most} connections");
    log.expect_reads(began);
    log.await_work(instances, 50);
    log.tell("alone", instances, &failover, Instant::now());
    processes::go_on(&cluster.folder(leader.other()));
    cluster.await_follower(leader.other());
    log.await_work(instances, 50);
    failover
}

fn is_primary(cluster: &Cluster, member: Member) -> bool {
    let row = cluster.client(member, "contactd").query_one("select not pg_is_in_recovery()", &[]);
    row.expect("it answers").get(0)
}

/// What was acknowledged and is not there (-1), what is there once too often, and what nobody has acknowledged (1).
fn differences(cluster: &Cluster, member: Member, acknowledged: &[String]) -> BTreeMap<String, i64> {
    let mut counts: BTreeMap<_, _> = acknowledged.iter().map(|name| (name.clone(), -1)).collect();
    for row in cluster.client(member, "contactd").query("select first_name from contacts", &[]).expect("rows") {
        *counts.entry(row.get(0)).or_default() += 1;
    }
    counts.retain(|_, count| *count != 0);
    counts
}
