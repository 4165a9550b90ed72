//! What Prometheus reads, on a listener of its own. `tests/readers` reads it with a parser that nobody of us wrote.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::thread;

use contactd::api::routes::routes;
use serde_json::json;

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::proxy::Proxy;
use crate::support::server::{Server, Setup, database};

fn with_metrics(setup: Setup) -> (Server, Client) {
    let server = setup.with("METRICS_LISTEN", "127.0.0.1:0").ready();
    let log = server.log();
    let (_, rest) = log.split_once("metrics: http://").expect("the log says where");
    let address: SocketAddr = rest.split('/').next().unwrap().parse().unwrap();
    (server, Client::new(address))
}

/// The value of a line that begins so.
fn value(metrics: &Client, begins: &str) -> Option<f64> {
    let text = metrics.get("/metrics").send().expect(200).text();
    text.lines().find_map(|line| line.strip_prefix(begins)?.trim().parse().ok())
}

#[test]
fn they_are_served_on_their_own_listener_only() {
    let database = database();
    let (server, metrics) = with_metrics(Setup::on(&database));
    assert_eq!(server.client().get("/metrics").send().status, 404);
    let answer = metrics.get("/metrics").send().expect(200);
    assert_eq!(answer.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(answer.header("X-Request-Id").is_some() && answer.header("X-Content-Type-Options") == Some("nosniff"));
    assert_eq!(metrics.request("HEAD", "/metrics").send().status, 200);
    assert_eq!(metrics.request("POST", "/metrics").send().expect(405).header("Allow"), Some("GET, HEAD"));
    assert_eq!(metrics.get("/api/contacts").send().status, 404);
    assert_eq!(metrics.get("/metrics").header("Content-Length", "x").send().status, 400);
    assert!(answer.text().contains(concat!("contactd_build_info{version=\"", env!("CARGO_PKG_VERSION"))));
    assert_eq!(value(&metrics, "contactd_log_lines_dropped_total"), Some(0.0));
    let without = Setup::on(&database).ready();
    assert!(!without.log().contains("metrics"));
}

#[test]
fn each_answer_is_counted_once_by_its_row_and_status() {
    let database = database();
    let (server, metrics) = with_metrics(Setup::on(&database));
    let ivan = server.client().new_user("ivan@example.com");
    let count = |operation: &str, status: u16| {
        let path = routes().iter().find(|route| route.id == operation).map_or("none", |route| route.path);
        let labels = format!("route=\"{path}\",operation=\"{operation}\",status=\"{status}\"");
        value(&metrics, &format!("contactd_requests_total{{{labels}}}")).unwrap_or(0.0)
    };
    let id = ivan.new_contact(&json!({ "first_name": "Леся" }));
    for _ in 0..3 {
        ivan.get(format!("/api/contacts/{id}")).send().expect(200);
    }
    ivan.request("HEAD", format!("/api/contacts/{id}")).send().expect(200);
    ivan.get("/api/contacts/123456789").send().expect(404);
    ivan.get("/api/contacts/export?format=json").send().expect(200);
    server.client().get("/secretive").send().expect(404);
    server.client().request("BREW", "/livez").send().expect(405);
    server.client().get("/livez").header("Content-Length", "x").send().expect(400);
    let login = json!({ "email": "ivan@example.com", "password": "wrong one" });
    server.client().post("/api/auth/login", &login).header("X-Forwarded-For", "203.0.113.7").send().expect(401);
    assert_eq!((count("get_contact", 200), count("get_contact", 404)), (4.0, 1.0));
    assert_eq!((count("create_contact", 201), count("export_contacts", 200)), (1.0, 1.0));
    assert_eq!((count("none", 404), count("none", 405)), (1.0, 1.0));
    let row = "{route=\"/api/contacts/{id}\",operation=\"get_contact\"";
    assert_eq!(value(&metrics, &format!("contactd_request_seconds_count{row}}}")), Some(5.0));
    assert_eq!(value(&metrics, &format!("contactd_request_seconds_bucket{row},le=\"+Inf\"}}")), Some(5.0));
    let reason = "{reason=\"The Content-Length is not a number.\"}";
    assert_eq!(value(&metrics, &format!("contactd_refusals_total{reason}")), Some(1.0));
    assert_eq!(value(&metrics, "contactd_account_events_total{event=\"login-failed\"}"), Some(1.0));
    let _connection = TcpStream::connect(server.address).unwrap();
    eventually("it is counted", || value(&metrics, "contactd_connections") == Some(1.0));

    // Nothing that a client sent is a label.
    let text = metrics.get("/metrics").send().text();
    for told in ["123456789", "secretive", "BREW", "203.0.113.7", "ivan"] {
        assert!(!text.contains(&format!("\"{told}\"")) && !text.contains(&format!("/{told}")), "{told}: {text}");
    }
    let paths: BTreeSet<_> = routes().iter().map(|route| route.path).chain(["none"]).collect();
    for rest in text.split("route=\"").skip(1) {
        assert!(paths.contains(rest.split('"').next().unwrap()), "{rest}");
    }
}

#[test]
fn what_waits_is_measured_by_lane_and_the_pool_with_it() {
    let database = database();
    let (server, metrics) = with_metrics(Setup::on(&database).with("WRITE_WORKERS", "1"));
    let ivan = server.client().new_user("ivan@example.com");
    let id = ivan.new_contact(&json!({ "first_name": "Леся" }));
    let mut other = database.client();
    other.batch_execute("begin; select from contacts for update").unwrap();
    let measured = |name: &str| value(&metrics, &format!("contactd_{name}")).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| ivan.patch(&format!("/api/contacts/{id}"), &json!({ "last_name": "Українка" })).send());
        }
        eventually("some wait", || measured("waiting_requests{lane=\"write\"}") >= 1.0);
        eventually("the oldest has waited", || measured("oldest_wait_seconds{lane=\"write\"}") > 0.01);
        assert!(measured("pool_in_use") >= 1.0 && measured("pool_connections") >= 1.0);
        other.batch_execute("rollback").unwrap();
    });
    eventually("nobody waits", || measured("waiting_requests{lane=\"write\"}") == 0.0);
    assert_eq!(measured("oldest_wait_seconds{lane=\"read\"}"), 0.0);
}

#[test]
fn a_database_that_is_away_is_told() {
    let database = database();
    let (url, proxy) = Proxy::before(&database);
    let (_server, metrics) = with_metrics(Setup::at(&url));
    assert_eq!(value(&metrics, "contactd_database_usable"), Some(1.0));
    proxy.cut();
    eventually("it is away", || value(&metrics, "contactd_database_usable") == Some(0.0));
    proxy.mend();
    eventually("it is back", || value(&metrics, "contactd_database_usable") == Some(1.0));
}
