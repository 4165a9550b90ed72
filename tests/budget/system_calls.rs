//! System calls of point reads over keep-alive connections, and threads started by writes, counted by strace.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::limits::{SYSTEM_CALLS, THREADS_FOR_WRITES, TOGETHER};
use crate::program;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::proxy::Proxy;
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

/// Reads of many connections at once are answered together: they share statements, system calls and wake-ups.
#[test]
fn reads_of_many_at_once_share_what_they_cost() {
    const CONNECTIONS: usize = 32;
    const READS: usize = 200;
    let database = database();
    let (url, proxy) = Proxy::before(&database);
    let server = Setup::on(&database).program(program()).with("DATABASE_URL", url).ready();
    let user = server.client().new_user("a@example.com");
    let read = format!("GET /api/contacts/{}", user.new_contact(&json!({ "first_name": "A" })));
    let all = || {
        std::thread::scope(|scope| {
            (0..CONNECTIONS).for_each(|_| drop(scope.spawn(|| repeat(&user, &read, "", 200, READS))));
        });
    };
    let each = |count: u64| count as f64 / (CONNECTIONS * READS) as f64;
    all();
    let before = voluntary_switches(server.pid());
    let statements = each(proxy.cost(all).bind);
    let switches = each(voluntary_switches(server.pid()) - before);
    let text = traced(server.pid(), &[], all);
    let calls = each(total(&text).unwrap_or_else(|| panic!("no total in strace's table:\n{text}")));
    println!(
        "a read of {CONNECTIONS} at once: {statements:.3} statements, {switches:.3} switches, {calls:.2} system calls"
    );
    let [most_statements, most_switches, most_calls] = TOGETHER;
    assert!(
        statements <= most_statements && switches <= most_switches && calls <= most_calls,
        "more than {TOGETHER:?}"
    );
}

/// How often a thread of the program has gone to sleep so far.
fn voluntary_switches(program: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{program}/task")).expect("it runs").map_while(Result::ok);
    let status = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("status")).ok());
    let count = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse::<u64>().ok()
    };
    status.filter_map(count).sum()
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
