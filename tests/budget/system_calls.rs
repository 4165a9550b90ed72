//! System calls of point reads over keep-alive connections, counted by strace.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::limits::SYSTEM_CALLS;
use crate::program;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::server::{Setup, database};

/// Reads the contact so often over one connection.
pub fn read_over_one_connection(user: &Client, id: i64, times: usize) {
    let token = user.token.as_deref().expect("a token");
    let request = format!("GET /api/contacts/{id} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    let mut socket = TcpStream::connect(user.address).expect("it listens");
    socket.set_nodelay(true).expect("a socket option");
    let mut length = 0;
    for _ in 0..times {
        socket.write_all(request.as_bytes()).expect("it takes the request");
        let mut answer = [0; 4096];
        let read = socket.read(&mut answer).expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..read]));
        // One write a response, so one read; and all of the same length, so none was cut.
        assert!(length == 0 || length == read, "{length} bytes, then {read}");
        length = read;
    }
}

/// The total of `strace -c`'s table.
fn total(table: &str) -> Option<u64> {
    let line = table.lines().find(|line| line.trim_end().ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[test]
fn a_point_read_makes_no_more_system_calls_than_its_budget() {
    const READS: usize = 2_000;
    let database = database();
    let server = Setup::on(&database).program(program()).ready();
    let user = server.client().new_user("a@example.com");
    let id = user.new_contact(&json!({ "first_name": "A" }));
    // Prepares the statement on the connections that there are.
    read_over_one_connection(&user, id, 50);

    let table = std::env::temp_dir().join(format!("contactd-strace-{}", server.pid()));
    let mut strace = Command::new("strace")
        .args(["-c", "-f", "-o", table.to_str().expect("UTF-8"), "-p", &server.pid().to_string()])
        .stderr(Stdio::null())
        .spawn()
        .expect("strace is missing (Debian: apt-get install strace)");
    let traced = format!("/proc/{}/status", server.pid());
    eventually("strace is attached", || {
        !std::fs::read_to_string(&traced).unwrap_or_default().contains("TracerPid:\t0")
    });
    read_over_one_connection(&user, id, READS);
    let interrupted = Command::new("kill").args(["-s", "INT", &strace.id().to_string()]).status();
    assert!(interrupted.expect("kill is there").success());
    strace.wait().expect("strace ends");

    let text = std::fs::read_to_string(&table).expect("strace writes its table");
    std::fs::remove_file(&table).expect("the table can be removed");
    let calls = total(&text).unwrap_or_else(|| panic!("no total in strace's table:\n{text}")) as f64 / READS as f64;
    println!("system calls of a point read: {calls:.2}");
    assert!(calls <= SYSTEM_CALLS, "{calls:.2} system calls, {SYSTEM_CALLS} are allowed:\n{text}");
}
