//! The program's end: graceful on SIGTERM and SIGINT, harmless on SIGKILL.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::eventually;
use crate::support::proxy::Proxy;
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

/// As a proxy needs it: it finds out by /readyz, and by each answer on the connections that it keeps, while nobody is refused.
#[test]
fn before_it_stops_it_goes_on_for_a_while_and_says_so() {
    let database = server::database();
    let mut server = Setup::on(&database).with("SHUTDOWN_DELAY", "3600").ready();
    let user = server.client().new_user("a@example.com");
    let mut idle = TcpStream::connect(server.address).expect("it listens");
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = |socket: &mut TcpStream, target: &str| {
        socket.write_all(get(target).as_bytes()).expect("it takes the request");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        let mut bytes = [0; 4096];
        let n = socket.read(&mut bytes).expect("an answer");
        String::from_utf8_lossy(&bytes[..n]).into_owned()
    };
    let mut kept = TcpStream::connect(server.address).expect("it listens");
    assert!(!head(&mut kept, "/livez").contains("Connection: close"));

    server.signal("TERM");
    eventually("it is not ready", || server.client().get("/readyz").send().status == 503);
    // Everything else is as before, on connections old and new, but that each answer is its connection's last.
    user.new_contact(&json!({ "first_name": "A" }));
    for target in ["/livez", "/docs", "/openapi.json", "/nowhere", "/readyz"] {
        let mut fresh = TcpStream::connect(server.address).expect("it listens");
        assert!(head(&mut fresh, target).contains("Connection: close\r\n"), "{target}");
    }
    assert!(head(&mut kept, "/livez").contains("Connection: close\r\n"));
    let mut rest = Vec::new();
    assert_eq!(kept.read_to_end(&mut rest).expect("it is closed"), 0);
    // It does not close what nobody uses, yet; nor does SIGHUP cut the wait short.
    server.signal("HUP");
    idle.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    assert!(idle.read(&mut [0]).is_err(), "it is open");
    assert!(server.client().get("/livez").send().status == 200 && !server.log().contains("stopping"));

    // Somebody who does not want to wait asks once more.
    server.signal("TERM");
    idle.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    assert_eq!(idle.read_to_end(&mut rest).expect("it is closed"), 0);
    assert_eq!(server.wait(Duration::from_secs(10)).code(), Some(0), "{}", server.log());
}

#[test]
fn the_wait_before_the_stop_ends_by_itself() {
    let database = server::database();
    let mut server = Setup::on(&database).with("SHUTDOWN_DELAY", "1").ready();
    let asked = Instant::now();
    server.signal("TERM");
    assert_eq!(server.wait(Duration::from_secs(10)).code(), Some(0), "{}", server.log());
    assert!(asked.elapsed() >= Duration::from_secs(1), "{:?}", asked.elapsed());
}

/// Who connects while it starts waits for the first look at the database, and gets no 503.
#[test]
fn the_first_request_of_all_finds_it_ready() {
    let database = server::database();
    for _ in 0..5 {
        let server = Setup::on(&database).start();
        assert_eq!(server.client().get("/readyz").send().status, 200, "{}", server.log());
        assert_eq!(server.client().get("/healthchecker").send().status, 200, "{}", server.log());
    }
    // A database that answers late is waited for; one that stays away, for three seconds.
    let (url, proxy) = Proxy::before(&database);
    proxy.cut();
    let setup = Setup::on(&database).with("DATABASE_URL", url);
    let began = Instant::now();
    let server = std::thread::scope(|scope| {
        let starting = scope.spawn(|| setup.start());
        std::thread::sleep(Duration::from_millis(700));
        proxy.mend();
        starting.join().expect("it starts")
    });
    assert_eq!(server.client().get("/readyz").send().status, 200, "{}", server.log());
    proxy.cut();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    let began = Instant::now();
    let server = setup.start();
    assert_eq!(server.client().get("/readyz").send().status, 503);
    assert_eq!(server.client().get("/livez").send().status, 200);
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
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
