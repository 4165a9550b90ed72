//! Faults 7 and 8: how long and how much a client may take.

use std::io::Write;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use super::support::*;
use contactd::http::Limits;

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn fault_7_half_a_head_gets_408() {
    let server = start(Limits { grace: SHORT, ..Limits::default() });
    for half in ["G", "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r"] {
        let said = server.exchange(half.as_bytes());
        assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("Connection: close"), "{said:?}");
    }
    // The clock starts with the first byte, not with each.
    let mut client = server.connect();
    let mut dripping = client.stream.try_clone().unwrap();
    let dripper = thread::spawn(move || {
        client.send(b"GET / HTTP/1.1\r\nX: ");
        client.rest()
    });
    while dripping.write_all(b"x").is_ok() && !dripper.is_finished() {
        thread::sleep(SHORT / 20);
    }
    let said = dripper.join().unwrap();
    assert!(said.starts_with("HTTP/1.1 408 "), "{said:?}");
    assert_eq!(server.handled.load(SeqCst), 0);
    server.stop();
}

#[test]
fn fault_7_half_a_body_gets_408() {
    let server = start(Limits { grace: SHORT, ..Limits::default() });
    for half in [
        "Content-Length: 5\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n5",
    ] {
        let said = server.exchange(format!("POST / HTTP/1.1\r\nHost: a\r\n{half}").as_bytes());
        assert!(said.starts_with("HTTP/1.1 408 "), "{said:?}");
    }
    server.stop();
}

#[test]
fn fault_7_an_idle_connection_is_closed_without_a_word() {
    let server = start(Limits { idle_timeout: SHORT, ..Limits::default() });
    let mut fresh = server.connect();
    let mut used = server.connect();
    used.get("/");
    assert!(fresh.is_closed_silently());
    assert!(used.is_closed_silently());
    eventually("both are forgotten", || server.server.connections() == 0);
    server.stop();
}

#[test]
fn a_long_answer_is_no_idleness() {
    let server = start(Limits { idle_timeout: SHORT, ..Limits::default() });
    let mut client = server.connect();
    client.send(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("it is handled", || server.gate.waiting.load(SeqCst) == 1);
    thread::sleep(SHORT * 3); // Nothing to wait for: the test is that nothing happens.
    server.gate.open();
    assert_eq!(client.reply().text(), "through the gate");
    assert_eq!(client.get("/again").status, 200);
    server.stop();
}

#[test]
fn fault_7_too_many_connections_get_503_and_may_read_it() {
    let server = start(Limits { connections: 20, ..Limits::default() });
    // With a request at a worker, or on its way to one, nobody gives way.
    let mut inside: Vec<Client> = (0..20).map(|_| server.connect_and_send(GATE)).collect();
    eventually("all are there", || server.gate.waiting.load(SeqCst) == 4 && server.server.connections() == 20);
    // Each goes on sending: a connection closed meanwhile would answer that with RST.
    let upload =
        [b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n".to_vec(), vec![b'u'; 8_000_000]].concat();
    for _ in 0..5 {
        let said = server.exchange(&upload);
        assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("refused: "), "{said:?}");
    }
    server.gate.open();
    inside.iter_mut().for_each(|client| assert_eq!(client.reply().text(), "through the gate"));
    inside.pop();
    eventually("there is room again", || {
        server.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 200")
    });
    drop(inside);
    server.stop();
}

#[test]
fn fault_7_a_client_that_takes_nothing_is_cut_off() {
    let server = start(Limits { grace: SHORT, ..Limits::default() });
    let mut answered = server.connect();
    answered.send(b"GET /bytes/50000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut streamed = server.connect();
    streamed.send(b"GET /stream/50000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("both are there", || server.handled.load(SeqCst) == 2);
    eventually("both are gone", || server.server.connections() == 0);
    server.stop();
}

#[test]
fn a_slow_reader_holds_no_worker() {
    let server = start_with(Limits::default(), 1);
    let mut slow: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut slow {
        client.send(b"GET /bytes/20000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    eventually("all are answered", || server.handled.load(SeqCst) == 3);
    for _ in 0..10 {
        server.assert_alive();
    }
    for client in &mut slow {
        assert_eq!(client.reply().body.len(), 20_000_000);
        assert_eq!(client.get("/next").status, 200);
    }
    server.stop();
}

#[test]
fn responses_that_nobody_takes_share_a_budget() {
    let server = start(Limits { responses_pending: 60_000_000, grace: DEADLINE * 2, ..Limits::default() });
    let mut slow: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut slow {
        client.send(b"GET /bytes/20000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    eventually("the third is refused, for a quarter stays free", || {
        server.handled.load(SeqCst) == 3 && server.server.connections() == 2
    });
    let refused = slow.iter_mut().find(|client| client.peeked(12) == b"HTTP/1.1 503").expect("before its head");
    assert!(refused.rest().contains("refused: "));
    server.assert_alive();
    drop(slow);
    // Their share comes back.
    eventually("they are gone", || server.server.connections() == 0);
    assert_eq!(server.connect().get("/bytes/20000000").body.len(), 20_000_000);
    server.stop();
}

#[test]
fn fault_8_slow_uploads_hold_no_worker() {
    let server = start_with(Limits::default(), 1);
    let mut slow: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    for (number, client) in slow.iter_mut().enumerate() {
        let expect = if number % 2 == 0 { "Expect: 100-continue\r\n" } else { "" };
        client.send(format!("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n{expect}\r\n").as_bytes());
    }
    for client in slow.iter_mut().step_by(2) {
        assert_eq!(client.reply().status, 100);
    }
    for _ in 0..10 {
        server.assert_alive();
    }
    assert_eq!(server.handled.load(SeqCst), 10);
    for client in &mut slow {
        client.send(&[b'u'; 2000]);
        assert!(client.reply().text().starts_with("POST /up 2000 uuu"));
    }
    server.stop();
}

#[test]
fn fault_8_continue_is_said_only_to_who_waits_for_it() {
    let server = start(Limits::default());
    let head = |more: &str| format!("POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n{more}\r\n\r\n");
    let mut client = server.connect();
    client.send((head("Content-Length: 2") + "ab").as_bytes());
    assert_eq!(client.reply().text(), "POST /x 2 ab");
    client.send(head("Content-Length: 0").as_bytes());
    assert_eq!(client.reply().text(), "POST /x 0 ");
    client.send(head("Transfer-Encoding: chunked").as_bytes());
    assert_eq!(client.reply().status, 100);
    client.send(b"2\r\nab\r\n0\r\n\r\n");
    assert_eq!(client.reply().text(), "POST /x 2 ab");
    // In its turn: not within the answer to the request before.
    client.send(("GET /first HTTP/1.1\r\nHost: a\r\n\r\n".to_owned() + &head("Content-Length: 2")).as_bytes());
    assert_eq!(client.reply().text(), "GET /first 0 ");
    assert_eq!(client.reply().status, 100);
    client.send(b"ab");
    assert_eq!(client.reply().text(), "POST /x 2 ab");
    client.send(head("Content-Length: 9000000").as_bytes());
    assert_eq!(client.reply().status, 413);
    server.stop();
}

#[test]
fn fault_8_the_program_sets_the_limit_of_a_body() {
    let server = start(Limits::default());
    let two_mib = vec![b'b'; 2 * 1024 * 1024];
    let head = |path: &str, framing: &str| format!("POST {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n").into_bytes();
    let length = format!("Content-Length: {}", two_mib.len());
    let mut client = server.connect();
    client.send(&[head("/large", &length), two_mib.clone()].concat());
    assert!(client.reply().text().starts_with("POST /large 2097152 bbb"));
    let chunks = [b"200000\r\n".to_vec(), two_mib.clone(), b"\r\n0\r\n\r\n".to_vec()].concat();
    client.send(&[head("/large", "Transfer-Encoding: chunked"), chunks.clone()].concat());
    assert!(client.reply().text().starts_with("POST /large 2097152 bbb"));
    // The answer comes although the client is still sending.
    for body in
        [[head("/small", &length), two_mib].concat(), [head("/small", "Transfer-Encoding: chunked"), chunks].concat()]
    {
        let said = server.exchange(&body);
        assert!(said.starts_with("HTTP/1.1 413 ") && said.contains("Connection: close"), "{said:?}");
    }
    server.stop();
}

#[test]
fn fault_8_all_bodies_share_a_budget() {
    let server = start_with(Limits { bodies_in_flight: 3_000_000, ..Limits::default() }, 1);
    let upload = || {
        let mut client = server.connect();
        client.send(b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n");
        client.send(&vec![b'i'; 2_999_999]);
        client
    };
    let mut inside = upload();
    let body = [
        b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\nConnection: close\r\n\r\n".to_vec(),
        vec![b'o'; 900_000],
    ]
    .concat();
    eventually("the budget is used up", || {
        let is_full = server.exchange(&body).starts_with("HTTP/1.1 503 ");
        if inside.has_input() {
            // The others came first, and this one was refused.
            inside = upload();
            return false;
        }
        is_full
    });
    server.assert_alive();
    inside.send(b"i");
    assert!(inside.reply().text().starts_with("POST /large 3000000 iii"));
    let mut next = server.connect();
    eventually("the budget is free again", || {
        next = server.connect();
        next.send(&body);
        next.reply().status == 200
    });
    server.stop();
}

#[test]
fn a_thread_that_cannot_be_had_is_a_503() {
    let server = start(Limits { thread_stack: usize::MAX / 2, ..Limits::default() });
    for _ in 0..3 {
        let said = server.exchange(b"GET / HTTP/1.1\r\n");
        assert!(said.starts_with("HTTP/1.1 503 "), "{said:?}");
    }
    // What arrives whole needs none.
    server.assert_alive();
    eventually("they are gone", || server.server.connections() == 0);
    server.stop();
}
