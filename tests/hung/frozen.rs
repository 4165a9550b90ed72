//! All of Postgres stands still: it accepts connections, by its kernel, and answers nothing.

use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, Reply, ask};
use crate::trial::{HUNG, Trial, until};

#[test]
fn a_stopped_postgres_over_tcp() {
    stopped("stopped, TCP", Cluster::by_tcp);
}

#[test]
fn a_stopped_postgres_over_a_unix_socket() {
    stopped("stopped, Unix socket", Cluster::by_socket);
}

fn stopped(what: &str, url: fn(&Cluster, &str) -> String) {
    let trial = Trial::on(url);
    let direct = url(trial.cluster, &trial.database);
    assert_eq!(ask(&direct), Reply::Answer);
    trial.withstands(what, HUNG, || trial.cluster.freeze(), || assert_eq!(ask(&direct), Reply::Silence));
}

#[test]
fn a_crowd_that_comes_when_postgres_has_just_stopped() {
    let trial = Trial::on(Cluster::by_tcp);
    let direct = trial.cluster.by_tcp(&trial.database);
    let frozen = trial.cluster.freeze();
    assert_eq!(ask(&direct), Reply::Silence);
    let mut longest = [Duration::ZERO; 4];
    let ask_once = |kind: usize| {
        let kinds = ["read", "write", "login"];
        let request = kinds.get(kind).map_or_else(|| trial.server.client().get("/livez"), |kind| trial.bound(kind));
        let sent = Instant::now();
        let status = request.send().status;
        // More logins than the lane can hold are told so at once.
        assert_eq!(status, if kind == 3 { 200 } else { 503 });
        (kind, sent.elapsed())
    };
    thread::scope(|scope| {
        let crowd: Vec<_> = (0..400).map(|n| scope.spawn(move || ask_once(n % 4))).collect();
        for one in crowd {
            let (kind, took) = one.join().expect("an answer");
            longest[kind] = longest[kind].max(took);
        }
    });
    assert_eq!(ask(&direct), Reply::Silence);
    drop(frozen);
    let returned = Instant::now();
    until("the service is back", || trial.asked_well());
    let (back, longest) = (returned.elapsed().as_millis(), longest.map(|longest| longest.as_millis()));
    println!("a crowd of 400: read, write, login, livez {longest:?}; back after {back}");
    assert!(longest[..3].iter().all(|longest| *longest < 3300) && longest[3] < 1300 && back < 5200);
    trial.nothing_is_lost();
}
