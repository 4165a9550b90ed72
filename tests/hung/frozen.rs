//! All of Postgres stands still: it accepts connections, by its kernel, and answers nothing.

use crate::cluster::{Cluster, Reply, ask};
use crate::trial::Trial;
use crate::verdict::HUNG;

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
    trial.meets_crowd("stopped", false, || trial.cluster.freeze(), || assert_eq!(ask(&direct), Reply::Silence));
}
