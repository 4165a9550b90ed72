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
