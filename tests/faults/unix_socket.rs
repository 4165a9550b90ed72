//! LISTEN=unix:/path: the same service at a path, where a file may be in the way.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use serde_json::json;

use crate::support::client::Answer;
use crate::support::server::{Server, Setup, database};
use crate::support::{eventually, random_secret};
use crate::systemd::{handed, inherited};

/// A path in the folder for temporary files. Dropping it removes what is there.
struct Place(String);

impl Place {
    fn new() -> Place {
        Place(format!("{}/contactd-{}", std::env::temp_dir().display(), &random_secret()[..16]))
    }

    fn listen(&self) -> String {
        format!("unix:{}", self.0)
    }

    /// Sends one request after the other on one connection; the answers.
    fn ask(&self, requests: &[String]) -> Vec<Answer> {
        let mut stream = UnixStream::connect(&self.0).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        let mut answers = Vec::new();
        for request in requests {
            stream.write_all(request.as_bytes()).expect("it takes the request");
            let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
            let is_whole = |answer: &Answer| {
                let length = answer.header("Content-Length").and_then(|length| length.parse().ok());
                answer.body.len() >= length.unwrap_or(0)
            };
            while !Answer::parse_head(&bytes).is_some_and(|answer| is_whole(&answer)) {
                let n = stream.read(&mut piece).expect("an answer");
                assert_ne!(n, 0, "the connection is kept");
                bytes.extend_from_slice(&piece[..n]);
            }
            answers.push(Answer::parse_head(&bytes).expect("an answer"));
        }
        answers
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn get(target: &str, more: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: x\r\n{more}\r\n")
}

fn post(target: &str, more: &str, body: &serde_json::Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\n{more}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn stop(mut server: Server) {
    server.signal("TERM");
    assert_eq!(server.wait(Duration::from_secs(10)).code(), Some(0), "{}", server.log());
}

#[test]
fn at_a_path_it_serves_as_at_an_address() {
    let (place, database) = (Place::new(), database());
    let setup = Setup::on(&database).with("LISTEN", place.listen()).with("TRUSTED_PROXIES", "127.0.0.1");
    let server = setup.start();
    assert!(server.log().contains(&format!("serving on {}", place.listen())), "{}", server.log());
    let person = json!({ "username": "A", "email": "a@example.com", "password": "123456" });
    let forwarded = "X-Forwarded-For: 192.0.2.7\r\n";
    let answers = place.ask(&[
        get("/readyz", ""),
        post("/api/auth/signup", forwarded, &person),
        post("/api/auth/login", forwarded, &person),
        get("/openapi.json", ""),
    ]);
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 201, 200, 200]);
    // Whoever comes over the socket counts as this machine, so a proxy there can be trusted.
    let token = answers[2].json()["access_token"].as_str().expect("a token").to_owned();
    let sessions = place.ask(&[get("/api/auth/sessions", &format!("Authorization: Bearer {token}\r\n"))]);
    assert_eq!(sessions[0].json()[0]["ip"], "192.0.2.7", "{}", sessions[0].text());

    // A second one does not take the place away, and the first goes on.
    let output = setup.output();
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains(&format!("LISTEN {} cannot be bound", place.listen())) && said.lines().count() == 1,
        "{said}"
    );
    assert_eq!(place.ask(&[get("/livez", "")])[0].status, 200);
    stop(server);
    // After the end the socket's file is in nobody's way, nor after a sudden one.
    let server = setup.start();
    assert_eq!(place.ask(&[get("/readyz", "")])[0].status, 200);
    server.signal("KILL");
    drop(server);
    stop(setup.start());
}

#[test]
fn what_is_no_socket_stays() {
    let (place, database) = (Place::new(), database());
    fs::write(&place.0, "mine").expect("a file");
    let setup = Setup::on(&database);
    for listen in [place.listen(), format!("unix:/{}", "x".repeat(200)), "unix:/does/not/exist/socket".to_owned()] {
        let output = setup.clone().with("LISTEN", &listen).output();
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("LISTEN") && said.lines().count() == 1, "{said}");
    }
    assert_eq!(fs::read_to_string(&place.0).expect("it is there"), "mine");
}

#[test]
fn systemd_may_hold_a_socket_at_a_path_and_watch_over_it() {
    let (place, watcher, database) = (Place::new(), Place::new(), database());
    let socket = UnixListener::bind(&place.0).expect("a socket");
    let manager = std::os::unix::net::UnixDatagram::bind(&watcher.0).expect("a socket");
    manager.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let given = [inherited(&socket)];
    let setup = Setup::on(&database).with("NOTIFY_SOCKET", &watcher.0).with("WATCHDOG_USEC", "400000");
    let server = handed(setup, &given).start();
    assert_eq!(place.ask(&[get("/readyz", "")])[0].status, 200);
    let mut bytes = [0; 100];
    eventually("it is well", || {
        let n = manager.recv(&mut bytes).expect("it says something");
        &bytes[..n] == b"WATCHDOG=1"
    });
    stop(server);
    assert!(fs::metadata(&place.0).expect("it stays").file_type().is_socket());
}
