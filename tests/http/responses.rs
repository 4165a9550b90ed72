//! Faults 10, 11, 13, 14 and 15: what a response looks like on the wire.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::Ordering::SeqCst;

use super::support::*;
use contactd::http::Limits;

#[test]
fn fault_10_no_header_can_split_a_response() {
    let server = start(Limits::default());
    let reply = server.connect().get("/split");
    assert_eq!((reply.status, reply.header("injected")), (200, None));
    let sent: Vec<_> = reply.head.lines().filter(|line| line.starts_with("X-Test")).collect();
    assert_eq!(sent, ["X-Test: a\tb"], "only the value without a control character");
    server.stop();
}

#[test]
fn what_frames_the_message_is_the_servers_to_say() {
    let server = start(Limits::default());
    let mut client = server.connect();
    let reply = client.get("/forbidden");
    assert_eq!((reply.text().as_str(), reply.header("content-length")), ("ok", Some("2")));
    for name in ["server", "connection", "transfer-encoding", "trailer", "upgrade"] {
        assert_eq!(reply.header(name), None, "{name}");
    }
    assert_eq!(reply.head.matches("Date: ").count(), 1);
    assert_eq!(client.get("/next").text(), "GET /next 0 ");
    server.stop();
}

#[test]
fn fault_11_a_response_is_one_write() {
    let server = start(Limits::default());
    let mut client = server.connect();
    let mut piece = vec![0; 65536];
    for size in [0, 100, 1500, 10_000, 30_000].into_iter().cycle().take(200) {
        client.send(format!("GET /bytes/{size} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        // A packet on loopback holds 64 KiB, so one write is one read; of two, one would sometimes come alone.
        let count = client.stream.read(&mut piece).unwrap();
        assert!(piece.starts_with(b"HTTP/1.1 200 OK\r\n"));
        let head = piece[..count].windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(count - head, size);
    }
    server.stop();
}

#[test]
fn fault_13_a_response_can_end_the_connection() {
    let server = start(Limits::default());
    let said = server.exchange(b"GET /close HTTP/1.1\r\nHost: a\r\n\r\nGET /more HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(said.contains("\r\nConnection: close\r\n") && said.ends_with("\r\n\r\nbye"), "{said:?}");
    let said = server.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n");
    assert!(said.contains("\r\nConnection: close\r\n"), "{said:?}");
    eventually("both are gone", || server.server.connections() == 0);
    assert_eq!(server.handled.load(SeqCst), 2, "nothing runs after the last answer");
    server.stop();
}

#[test]
fn fault_14_a_dropped_request_is_a_500_of_the_programs_making() {
    let server = start(Limits::default());
    for path in ["/drop", "/panic"] {
        let said = server.exchange(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        assert!(said.starts_with("HTTP/1.1 500 ") && said.contains("\r\n\r\nrefused: "), "{said:?}");
        assert!(said.contains("Connection: close"), "{said:?}");
    }
    server.assert_alive();
    server.stop();
}

#[test]
fn fault_15_the_length_is_always_said_but_where_it_must_not_be() {
    let server = start(Limits::default());
    let mut client = server.connect();
    client.send(b"GET /bytes/100000 HTTP/1.1\r\nHost: a\r\nTE: chunked\r\n\r\n");
    let reply = client.reply();
    assert_eq!(reply.header("content-length"), Some("100000"));
    assert_eq!(reply.header("transfer-encoding"), None);
    assert_eq!(reply.header("server"), None);
    assert!(reply.header("date").is_some_and(|date| date.ends_with(" GMT")));
    for status in [204, 304] {
        let reply = client.get(&format!("/status/{status}"));
        assert_eq!((reply.status, reply.header("content-length")), (status, None));
        assert_eq!(reply.header("transfer-encoding"), None);
    }
    // HEAD says what GET would, and sends none of it: the next answer follows at once.
    client.send(b"HEAD /bytes/7 HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let said = client.rest();
    let (head, next) = said.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Content-Length: 7"), "{head:?}");
    assert!(next.starts_with("HTTP/1.1 200 ") && next.ends_with("GET /next 0 "), "{next:?}");
    server.stop();
}

#[test]
fn a_refused_head_request_gets_no_body() {
    let server = start(Limits::default());
    let said = server.exchange(b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n");
    assert!(said.starts_with("HTTP/1.1 413 ") && said.ends_with("\r\n\r\n"), "{said:?}");
    server.stop();
}

#[test]
fn http_1_0_closes_unless_asked_not_to() {
    let server = start(Limits::default());
    let said = server.exchange(b"GET /old HTTP/1.0\r\n\r\n");
    assert!(said.ends_with("GET /old 0 ") && said.contains("Connection: close"), "{said:?}");
    let mut client = server.connect();
    for _ in 0..2 {
        client.send(b"GET /old HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
        let reply = client.reply();
        assert_eq!(reply.header("connection"), Some("keep-alive"));
        assert_eq!(reply.text(), "GET /old 0 ");
    }
    server.stop();
}

#[test]
fn a_client_that_ends_its_side_is_still_answered() {
    let server = start(Limits::default());
    let mut client = server.connect();
    client.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.reply().text(), "GET /a 0 ");
    assert_eq!(client.reply().text(), "GET /b 0 ");
    assert!(client.is_closed_silently());
    server.stop();
}

#[test]
fn streams_are_chunked_or_end_with_the_connection() {
    let server = start(Limits::default());
    for size in [0, 1, 32 * 1024, 100_000] {
        let mut client = server.connect();
        let path = format!("/stream/{size}");
        client.send(
            format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        );
        let said = client.rest();
        let (head, rest) = said.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Transfer-Encoding: chunked"), "{head:?}");
        let (length, rest) = dechunk(rest);
        assert_eq!(length, size);
        assert!(rest.ends_with("GET /next 0 "), "{rest:?}");

        let said = server.exchange(format!("GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").as_bytes());
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Connection: close") && !head.contains("chunked"), "{head:?}");
        assert_eq!(body.len(), size);

        let said = server.exchange(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes());
        assert!(said.contains("Transfer-Encoding: chunked"), "{said:?}");
        assert!(said.split_once("\r\n\r\n").unwrap().1.is_empty(), "{said:?}");
    }
    let mut client = server.connect();
    let reply = client.get("/streamed-status/204");
    assert_eq!((reply.status, reply.header("transfer-encoding")), (204, None));
    assert_eq!(client.get("/next").text(), "GET /next 0 ");
    // A length that is known is said.
    let reply = client.get("/bytes/100000");
    assert_eq!(reply.header("transfer-encoding"), None);
    assert_eq!(reply.body.len(), 100_000);
    assert_eq!(client.get("/next").text(), "GET /next 0 ");
    server.stop();
}

/// The length of a chunked body of nothing but `s`, and what follows it.
fn dechunk(mut text: &str) -> (usize, &str) {
    let mut length = 0;
    loop {
        let (size, rest) = text.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        assert!(rest[..size].bytes().all(|byte| byte == b's'));
        text = rest[size..].strip_prefix("\r\n").unwrap();
        length += size;
        if size == 0 {
            return (length, text);
        }
    }
}

#[test]
fn streams_have_threads_of_their_own_and_a_greatest_number() {
    let server = start_with(Limits { streams: 2, ..Limits::default() }, 1);
    let mut streams: Vec<Client> = (0..2).map(|_| server.connect()).collect();
    for client in &mut streams {
        client.send(b"GET /stream/50000000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let mut first = [0; 12];
        client.stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
    }
    let said = server.exchange(b"GET /stream/5 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("refused: "), "{said:?}");
    server.assert_alive();
    for client in &mut streams {
        let said = client.rest();
        assert!(said.ends_with("\r\n0\r\n\r\n"));
    }
    eventually("there is room again", || {
        server.exchange(b"GET /stream/5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 200 ")
    });
    server.stop();
}

#[test]
fn a_stream_that_breaks_off_is_seen_as_incomplete() {
    let server = start(Limits::default());
    let said = server.exchange(b"GET /broken/0 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(said.starts_with("HTTP/1.1 500 ") && said.contains("refused: "), "{said:?}");
    let mut client = server.connect();
    client.send(b"GET /broken/100000 HTTP/1.1\r\nHost: a\r\n\r\n");
    let said = client.rest();
    assert!(said.starts_with("HTTP/1.1 200 ") && said.contains("chunked"));
    assert!(!said.ends_with("\r\n0\r\n\r\n"));
    server.stop();
}

#[test]
fn an_answer_to_an_unfinished_upload_arrives() {
    let server = start(Limits::default());
    let mut client = server.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n");
    // Far more than fits into the buffers on the way: closing at once would answer it with RST.
    for _ in 0..80 {
        client.stream.write_all(&[b'u'; 100_000]).unwrap();
    }
    let said = client.rest();
    assert!(said.starts_with("HTTP/1.1 413 "), "{said:?}");
    server.stop();
}
