//! The program's end: graceful on SIGTERM and SIGINT, harmless on SIGKILL.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::support::eventually;
use crate::support::server::{self, Server, Setup};

#[test]
fn a_request_in_flight_is_answered_and_the_program_ends_with_0() {
    for signal in ["TERM", "INT"] {
        let (mut server, database) = Server::with_database();
        let user = server.client().new_user("a@example.com");
        let id = user.new_contact(&json!({ "first_name": "A" }));
        let mut admin = database.client();
        let mut lock = admin.transaction().expect("a transaction");
        lock.execute("select from contacts where id = $1 for update", &[&id]).expect("a lock");

        // An idle connection, and a change that waits for the lock.
        let mut idle = TcpStream::connect(server.address).expect("it listens");
        let change =
            std::thread::spawn(move || user.patch(&format!("/api/contacts/{id}"), &json!({ "last_name": "B" })).send());
        let waiting =
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
        let mut watch = database.client();
        eventually("the change waits", || watch.query_one(waiting, &[]).expect("a count").get::<_, i64>(0) == 1);

        server.signal(signal);
        let mut rest = Vec::new();
        idle.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        assert_eq!(idle.read_to_end(&mut rest).expect("the idle connection is closed"), 0);
        lock.rollback().expect("the lock is let go");
        let answer = change.join().expect("the client's thread");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("Connection"), Some("close"));
        assert_eq!(server.wait(Duration::from_secs(10)).code(), Some(0), "{}", server.log());
        assert!(TcpStream::connect(server.address).is_err(), "nothing listens any more");
    }
}

#[test]
fn a_request_that_takes_too_long_does_not_hold_up_the_end() {
    let database = server::database();
    let mut server = Setup::on(&database).with("DRAIN_TIMEOUT", "1").ready();
    let mut half = TcpStream::connect(server.address).expect("it listens");
    half.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").expect("half a head");
    server.signal("TERM");
    assert_eq!(server.wait(Duration::from_secs(8)).code(), Some(0));
}

#[test]
fn kill_9_loses_nothing_that_was_answered() {
    let database = server::database();
    let setup = Setup::on(&database);
    let mut server = setup.ready();
    let user = server.client().new_user("a@example.com");
    let kept: Vec<_> = (0..50).map(|n| user.new_contact(&json!({ "first_name": format!("N{n}") }))).collect();
    server.signal("KILL");
    server.wait(Duration::from_secs(5));

    let server = setup.ready();
    // The same secret, so the token still counts.
    let token = user.token.expect("a token");
    let list = server.client().with_token(&token).get("/api/contacts").send().json();
    let ids: Vec<_> = list.as_array().expect("a list").iter().filter_map(|c| c["id"].as_i64()).collect();
    assert_eq!(ids, kept);
}

#[test]
fn sixty_four_clients_that_connect_at_once_are_all_answered() {
    let (server, _database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    let id = user.new_contact(&json!({ "first_name": "A" }));
    let request = format!(
        "GET /api/contacts/{id} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        user.token.expect("a token")
    );
    // All are connected, and stay so, before the first of them asks: none may be answered by another's leaving.
    let mut clients: Vec<_> = (0..64).map(|_| TcpStream::connect(server.address).expect("it listens")).collect();
    for client in &mut clients {
        client.write_all(request.as_bytes()).expect("it takes the request");
    }
    for client in &mut clients {
        client.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let mut start = [0; 12];
        client.read_exact(&mut start).expect("an answer");
        assert_eq!(&start, b"HTTP/1.1 200");
    }
}
