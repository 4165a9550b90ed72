//! The way to Postgres is broken, in each way that a network, a balancer or a pooler breaks it.

use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, Reply, ask};
use crate::relay::{Mode, Relay};
use crate::support::server::Setup;
use crate::trial::{Expected, HUNG, Trial, alone, until};

#[test]
fn a_proxy_that_stops_forwarding() {
    let relay = Relay::before(Cluster::shared());
    let trial = Trial::on(|_, database| relay.url(database));
    let url = relay.url(&trial.database);
    assert_eq!(ask(&url), Reply::Answer);
    trial.withstands(
        "a proxy that stops forwarding",
        HUNG,
        || relay.during(Mode::Stalled),
        || assert_eq!(ask(&url), Reply::Silence),
    );
}

#[test]
fn a_proxy_that_never_answers_the_handshake_of_connections_made_anew() {
    let relay = Relay::before(Cluster::shared());
    let trial = Trial::on(|_, database| relay.url(database));
    let url = relay.url(&trial.database);
    let begin = || {
        let during = relay.during(Mode::Mute);
        relay.cut();
        during
    };
    trial.withstands("handshakes without an answer", HUNG, begin, || assert_eq!(ask(&url), Reply::Silence));
    assert!(relay.mute() > 0, "some are never answered");
}

#[test]
fn a_proxy_that_forgets_the_connections_that_there_are() {
    let relay = Relay::before(Cluster::shared());
    let trial = Trial::on(|_, database| relay.url(database));
    let url = relay.url(&trial.database);
    // The database has returned as soon as it is gone: whoever connects anew is served.
    let fails = Expected { reads: true, writes: true, unready: None, back_meanwhile: true };
    let forget_twice = || {
        relay.forget();
        let mut well = 0;
        until("the service is back after the first time", || {
            let answers = trial.asked_well();
            well = if answers { well + 1 } else { 0 };
            well == 50
        });
        relay.forget();
        Remembered(&relay)
    };
    // What hangs on the first ones is still there at the second time.
    trial.withstands("connections are forgotten, twice", fails, forget_twice, || assert_eq!(ask(&url), Reply::Answer));
}

/// The proxy closes the connections that it has forgotten, when this is dropped.
struct Remembered<'a>(&'a Relay);

impl Drop for Remembered<'_> {
    fn drop(&mut self) {
        self.0.cut_forgotten();
    }
}

#[test]
fn a_database_that_is_slow_is_not_away() {
    let relay = Relay::before(Cluster::shared());
    let trial = Trial::on(|_, database| relay.url(database));
    let url = relay.url(&trial.database);
    let late = Mode::Late(Duration::from_millis(300));
    let fails = Expected { reads: true, writes: true, unready: Some(false), back_meanwhile: false };
    let proof = || {
        let asked = Instant::now();
        assert_eq!(ask(&url), Reply::Answer);
        assert!(asked.elapsed() >= Duration::from_millis(300));
    };
    trial.withstands("each answer 300 ms later", fails, || relay.during(late), proof);
}

#[test]
fn a_handshake_without_an_answer_at_the_start() {
    let _alone = alone();
    let relay = Relay::before(Cluster::shared());
    let database = Cluster::shared().new_database();
    let during = relay.during(Mode::Mute);
    let server = Setup::at(&relay.url(&database)).start();
    let client = server.client();
    let started = Instant::now();
    let mut longest = [Duration::ZERO; 2];
    while started.elapsed() < Duration::from_secs(4) {
        for (path, status, index) in
            [("/livez", 200, 0), ("/docs", 200, 0), ("/readyz", 503, 0), ("/healthchecker", 503, 1)]
        {
            let sent = Instant::now();
            assert_eq!(client.get(path).send().status, status, "{path}");
            longest[index] = longest[index].max(sent.elapsed());
        }
        thread::sleep(Duration::from_millis(20));
    }
    assert!(relay.mute() >= 2, "it tries again and again");
    drop(during);
    let returned = Instant::now();
    until("it is ready", || client.get("/readyz").send().status == 200);
    let back = returned.elapsed();
    println!(
        "no handshake at the start: free {} bound {}; back after {}",
        longest[0].as_millis(),
        longest[1].as_millis(),
        back.as_millis()
    );
    assert!(longest[0] < Duration::from_millis(1200) && longest[1] < Duration::from_millis(3200), "{longest:?}");
    assert!(back < Duration::from_millis(5200), "{back:?}");
    client.new_user("a@example.com");
}

#[test]
fn a_handshake_without_an_answer_in_a_burst_keeps_the_pool_from_growing_for_a_moment_only() {
    let relay = Relay::before(Cluster::shared());
    let trial = Trial::lazily(|_, database| relay.url(database), |setup| setup);
    let few = trial.connections();
    let during = relay.during(Mode::Mute);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| trial.asked_well());
        }
        until("the pool tries to grow", || relay.mute() > 0);
    });
    drop(during);
    let returned = Instant::now();
    trial.fill_pool();
    println!(
        "no handshake in a burst: from {few} connections to {} within {:?}",
        trial.connections(),
        returned.elapsed()
    );
    assert!(returned.elapsed() < Duration::from_secs(5));
}
