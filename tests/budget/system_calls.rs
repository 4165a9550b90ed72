//! System calls of point reads over keep-alive connections, and threads started by writes, counted by strace.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::limits::{SYSTEM_CALLS, THREADS_FOR_WRITES};
use crate::program;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::server::{Setup, database};

/// Sends the same request so often over one connection, each once the one before was answered with this status.
pub fn repeat(user: &Client, request: &str, body: &str, status: u16, times: usize) {
    let token = user.token.as_deref().expect("a token");
    let length = body.len();
    let request = format!(
        "{request} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut socket = TcpStream::connect(user.address).expect("it listens");
    socket.set_nodelay(true).expect("a socket option");
    for _ in 0..times {
        socket.write_all(request.as_bytes()).expect("it takes the request");
        // One write a response, so one read.
        let mut answer = [0; 16 * 1024];
        let read = socket.read(&mut answer).expect("an answer");
        let text = String::from_utf8_lossy(&answer[..read]);
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
        let (head, body) = text.split_once("\r\n\r\n").expect("a whole head");
        assert!(head.lines().any(|line| line == format!("Content-Length: {}", body.len())), "{text}");
    }
}

/// The total of `strace -c`'s table.
fn total(table: &str) -> Option<u64> {
    let line = table.lines().find(|line| line.trim_end().ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// The table of `strace -c`, with these arguments besides, for what the program does while the work is done.
fn traced(program: u32, arguments: &[&str], work: impl FnOnce()) -> String {
    let table = std::env::temp_dir().join(format!("contactd-strace-{program}"));
    let mut strace = Command::new("strace")
        .args(["-c", "-f", "-o", table.to_str().expect("UTF-8"), "-p", &program.to_string()])
        .args(arguments)
        .stderr(Stdio::null())
        .spawn()
        .expect("strace is missing (Debian: apt-get install strace)");
    let status = format!("/proc/{program}/status");
    eventually("strace is attached", || {
        !std::fs::read_to_string(&status).unwrap_or_default().contains("TracerPid:\t0")
    });
    work();
    let interrupted = Command::new("kill").args(["-s", "INT", &strace.id().to_string()]).status();
    assert!(interrupted.expect("kill is there").success());
    strace.wait().expect("strace ends");
    let text = std::fs::read_to_string(&table).expect("strace writes its table");
    std::fs::remove_file(&table).expect("the table can be removed");
    text
}

#[test]
fn a_point_read_makes_no_more_system_calls_than_its_budget() {
    const READS: usize = 2_000;
    let database = database();
    let server = Setup::on(&database).program(program()).ready();
    let user = server.client().new_user("a@example.com");
    let id = user.new_contact(&json!({ "first_name": "A" }));
    // Prepares the statement on the connections that there are.
    let read = format!("GET /api/contacts/{id}");
    repeat(&user, &read, "", 200, 50);

    let text = traced(server.pid(), &[], || repeat(&user, &read, "", 200, READS));
    let calls = total(&text).unwrap_or_else(|| panic!("no total in strace's table:\n{text}")) as f64 / READS as f64;
    println!("system calls of a point read: {calls:.2}");
    assert!(calls <= SYSTEM_CALLS, "{calls:.2} system calls, {SYSTEM_CALLS} are allowed:\n{text}");
}

/// Threads of the pool are kept for a while, so that work that comes again and again does not start one each time.
#[test]
fn many_writes_over_one_connection_start_few_threads() {
    let database = database();
    let server = Setup::on(&database).program(program()).ready();
    let user = server.client().new_user("a@example.com");
    let text = traced(server.pid(), &["-e", "trace=clone,clone3"], || {
        repeat(&user, "POST /api/contacts", r#"{"first_name":"A"}"#, 201, 300);
    });
    let threads = total(&text).unwrap_or(0);
    println!("threads started by 300 writes over one connection: {threads}");
    assert!(threads <= THREADS_FOR_WRITES, "{threads} threads, {THREADS_FOR_WRITES} are allowed:\n{text}");
}
