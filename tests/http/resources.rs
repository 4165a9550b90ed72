//! Faults 1 to 6, by what they take of the process: threads, descriptors, memory. These tests run one at a time, for
//! they measure the process that they share.

#![allow(clippy::disallowed_methods)] // one of the tests runs this program again, as a server

#[path = "support.rs"]
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contactd::http::Limits;
use rustix::net::sockopt::set_socket_linger;
use support::*;

const MIB: usize = 1024 * 1024;

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // Idle threads stay for a second.
    eventually("the test before has left", || threads() == 0);
    alone
}

#[test]
fn fault_1_connections_that_come_together_are_all_served() {
    let _alone = alone();
    let before = descriptors();
    let server = start(Limits::default());
    // All connect before the first request, and stay.
    let mut clients: Vec<Client> = (0..200).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.reply().status, 200);
    }
    // Again and again, while the threads of those that leave are still about.
    for _ in 0..5 {
        clients.drain(..100);
        clients.extend((0..100).map(|_| server.connect()));
        for client in &mut clients {
            assert_eq!(client.get("/").status, 200);
        }
    }
    assert_eq!(clients.len(), 200);
    drop(clients);
    eventually("an idle server keeps its own thread alone", || threads() == 1);
    server.stop();
    eventually("nothing is left", || threads() == 0 && descriptors() <= before);
}

#[test]
fn fault_2_an_announced_length_takes_no_memory() {
    let _alone = alone();
    let server = start(Limits::default());
    server.assert_alive();
    let before = peak_memory();
    for length in ["30000000000", "99999999999999999999999"] {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\nabc");
        let said = server.exchange(head.as_bytes());
        assert!(said.starts_with("HTTP/1.1 413 ") && said.contains("Connection: close"), "{said:?}");
    }
    // Within the limit, announced by many and sent by none.
    let mut liars: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    for client in &mut liars {
        client.send(b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 16000000\r\n\r\nabc");
    }
    server.assert_alive();
    for client in &mut liars {
        client.stream.shutdown(Shutdown::Write).unwrap();
        assert!(client.is_closed_silently());
    }
    assert!(peak_memory() - before < 32 * MIB);
    server.stop();
}

#[test]
fn fault_3_refused_requests_leave_nothing_behind() {
    let _alone = alone();
    let before = descriptors();
    let server = start(Limits::default());
    for _ in 0..50 {
        let said = server.exchange(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n");
        assert!(said.starts_with("HTTP/1.1 505 "), "{said:?}");
    }
    eventually("their connections are gone", || server.server.connections() == 0);
    server.stop();
    eventually("nothing is left", || threads() == 0 && descriptors() <= before);
}

#[test]
fn fault_4_accepting_survives_the_lack_of_descriptors() {
    let _alone = alone();
    const CHILD: &str = "SERVE_WITH_FEW_DESCRIPTORS";
    if std::env::var_os(CHILD).is_some() {
        let server = start(Limits::default());
        println!("listening on {}", server.address.port());
        let _ = std::io::stdin().read(&mut [0]);
        return server.stop();
    }
    // The server has a process of its own, for a limit holds for all of one.
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .arg("fault_4_accepting_survives_the_lack_of_descriptors")
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("listening on ")?.1.parse::<u16>().unwrap()))
        .unwrap();

    // Far more than it can accept: the rest stay in the backlog, and accept fails for as long as the others stay.
    let connect = || Client::new(TcpStream::connect(("127.0.0.1", port)).unwrap());
    let mut clients: Vec<Client> = (0..100).map(|_| connect()).collect();
    assert_eq!(clients[0].get("/first").status, 200);
    let mut last = clients.pop().unwrap();
    last.send(b"GET /last HTTP/1.1\r\nHost: a\r\n\r\n");
    last.stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(last.stream.peek(&mut [0]).is_err(), "the last was not to be accepted yet");
    last.stream.set_read_timeout(Some(DEADLINE)).unwrap();
    drop(clients);
    assert_eq!(last.reply().text(), "GET /last 0 ");
    for _ in 0..100 {
        assert_eq!(connect().get("/").status, 200);
    }
    drop(child.stdin.take());
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
}

#[test]
fn fault_5_a_client_that_resets_at_once_harms_nobody() {
    let _alone = alone();
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {
        PANICS.fetch_add(1, SeqCst);
    }));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for _ in 0..20 {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        // Closing with a linger time of 0 sends RST, before anybody has accepted.
        set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    }
    let server = serve(listener, Limits::default(), 4);
    for _ in 0..20 {
        server.assert_alive();
    }
    eventually("they are gone", || server.server.connections() == 0);
    std::panic::set_hook(usual);
    assert_eq!(PANICS.load(SeqCst), 0);
    server.stop();
}

#[test]
fn fault_6_endless_input_takes_no_memory() {
    let _alone = alone();
    let server = start(Limits::default());
    server.assert_alive();
    let piece = vec![b'x'; MIB];
    let requests = "GET /bytes/1000000 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(25_000);
    let before = peak_memory();

    let mut endless = server.connect();
    endless.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ");
    // It is read past for a while, then cut off.
    while endless.stream.write_all(&piece).is_ok() {}

    // Pipelined, and their answers never read: writing blocks once all buffers on the way are full.
    let deaf: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    for client in &deaf {
        client.stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let _ = (&client.stream).write_all(requests.as_bytes());
    }
    for _ in 0..10 {
        server.assert_alive();
    }
    assert!(peak_memory() - before < 32 * MIB, "{}", peak_memory() - before);
    drop(deaf);
    server.stop();
}

#[test]
fn fault_7_a_refused_connection_takes_no_thread() {
    let _alone = alone();
    let server = start(Limits { connections: 5, ..Limits::default() });
    let mut inside: Vec<Client> = (0..5).map(|_| server.connect_and_send(GATE)).collect();
    eventually("all are there", || server.gate.waiting.load(SeqCst) == 4 && server.server.connections() == 5);
    let refused: Vec<Client> = (0..300).map(|_| server.connect()).collect();
    let mut last = server.connect();
    assert!(last.rest().starts_with("HTTP/1.1 503 "));
    assert_eq!(threads(), 1);
    drop(refused);
    server.gate.open();
    inside.iter_mut().for_each(|client| assert_eq!(client.reply().text(), "through the gate"));
    inside.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
    server.stop();
}

#[test]
fn idle_connections_take_no_thread() {
    let _alone = alone();
    let server = start(Limits::default());
    let mut clients: Vec<Client> = (0..450).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!((server.server.connections(), threads()), (450, 1));
    // Those that are not idle are served meanwhile.
    server.assert_alive();
    for client in clients.iter_mut().step_by(7) {
        assert_eq!(client.get("/again").text(), "GET /again 0 ");
    }
    assert_eq!(threads(), 1);
    server.stop();
}

#[test]
fn a_request_in_pieces_takes_a_thread_until_it_is_whole() {
    let _alone = alone();
    let server = start(Limits::default());
    let mut slow: Vec<Client> = (0..50).map(|_| server.connect()).collect();
    for round in 0..3 {
        for (number, client) in slow.iter_mut().enumerate() {
            client.send(match number % 3 {
                0 => b"G",
                1 => b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab",
                _ => b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3",
            });
        }
        eventually("each has a thread", || threads() == 51);
        server.assert_alive();
        for (number, client) in slow.iter_mut().enumerate() {
            client.send(match number % 3 {
                0 => b"ET / HTTP/1.1\r\nHost: a\r\n\r\n",
                1 => b"cde",
                _ => b"\r\nxyz\r\n0\r\n\r\n",
            });
            let said = ["GET / 0 ", "POST / 5 abcde", "POST / 3 xyz"][number % 3];
            assert_eq!(client.reply().text(), said, "round {round}");
        }
    }
    eventually("all threads are given back", || threads() == 1);
    for client in &mut slow {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(threads(), 1);
    server.stop();
}
