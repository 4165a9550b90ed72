//! Fault 16: a server that stops lets nobody hang, and ends in time.

use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use super::support::*;
use contactd::http::Limits;

#[test]
fn fault_16_a_drain_answers_what_is_in_flight_and_closes_the_idle() {
    let server = start(Limits::default());
    let mut fresh = server.connect();
    let mut idle = server.connect();
    idle.get("/");
    let mut half = server.connect();
    half.send(b"GET / HTTP/1.1\r\nHo");
    let mut in_flight = server.connect();
    in_flight.send(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut uploading = server.connect();
    uploading.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(uploading.reply().status, 100);
    eventually("one is handled", || server.gate.waiting.load(SeqCst) == 1);
    eventually("all are accepted", || server.server.connections() == 5);

    let draining = server.server.clone();
    let drain = thread::spawn(move || draining.drain(DEADLINE));
    assert!(fresh.is_closed_silently());
    assert!(idle.is_closed_silently());
    let said = half.rest();
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("Connection: close"), "{said:?}");
    eventually("nobody new is let in", || std::net::TcpStream::connect(server.address).is_err());
    uploading.send(b"body");
    let said = uploading.rest();
    assert!(said.ends_with("POST /up 4 body") && said.contains("Connection: close"), "{said:?}");
    assert!(!drain.is_finished());
    server.gate.open();
    let said = in_flight.rest();
    assert!(said.ends_with("through the gate") && said.contains("Connection: close"), "{said:?}");
    assert!(drain.join().unwrap(), "all were done in time");
    assert_eq!(server.server.connections(), 0);
    // Joins every worker: `recv` has failed for each.
    server.stop();
}

#[test]
fn fault_16_a_drain_is_over_in_time_whatever_hangs() {
    let server = start(Limits::default());
    let mut stuck = server.connect();
    stuck.send(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut deaf = server.connect();
    deaf.send(b"GET /bytes/50000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut uploading = server.connect();
    uploading.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
    eventually("they are handled", || server.handled.load(SeqCst) == 2);
    eventually("all are accepted", || server.server.connections() == 3);
    assert!(!server.server.drain(Duration::from_millis(200)));
    // Cut off, though its worker still waits.
    assert!(stuck.is_closed_silently());
    server.gate.open();
    server.stop();
}

#[test]
fn fault_16_a_dropped_server_closes_its_connections() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = contactd::http::Server::start(listener, Limits::default(), std::sync::Arc::new(Refuser)).unwrap();
    let mut clients: Vec<Client> =
        (0..5).map(|_| Client::new(std::net::TcpStream::connect(address).unwrap())).collect();
    eventually("all are accepted", || server.connections() == 5);
    // Nobody receives this one.
    clients[0].send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    drop(server);
    for client in &mut clients[1..] {
        assert!(client.is_closed_silently());
    }
    clients[0].rest();
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn clients_in_the_backlog_are_served_before_the_door_closes() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut waiting = Client::new(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    waiting.send(b"GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n");
    let server = serve(listener, Limits::default(), 1);
    assert!(server.server.drain(DEADLINE));
    let said = waiting.rest();
    assert!(said.ends_with("GET /waiting 0 "), "{said:?}");
    server.stop();
}
