//! Faults 3, 6, 9 and 12: what a head may say, and what is done with the bytes after it.

use std::sync::atomic::Ordering::SeqCst;

use super::support::*;
use contactd::http::Limits;

/// Sends `bytes`, and a harmless request behind them which must never run; exactly one answer may come.
fn refused(server: &Running, bytes: &[u8]) -> u16 {
    let before = server.handled.load(SeqCst);
    let said = server.exchange(bytes);
    let shown = String::from_utf8_lossy(bytes);
    assert_eq!(said.matches("\r\nDate: ").count(), 1, "{shown:?} got {said:?}");
    assert!(said.contains("\r\nConnection: close\r\n"), "{shown:?} got {said:?}");
    assert!(said.contains("\r\n\r\nrefused: "), "{shown:?} got {said:?}");
    assert_eq!(server.handled.load(SeqCst), before, "{shown:?} reached a worker");
    said[9..12].parse().unwrap()
}

#[test]
fn fault_3_another_version_gets_505_once() {
    let server = start(Limits::default());
    assert_eq!(refused(&server, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
    assert_eq!(refused(&server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
    // A later minor version is read as the latest that is known (RFC 9110 section 2.5).
    assert!(server.exchange(b"GET / HTTP/1.2\r\nHost: a\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 200"));
    server.stop();
}

#[test]
fn fault_6_a_head_has_a_greatest_size() {
    let server = start(Limits::default());
    let head = |headers: usize, size: usize| {
        let mut head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n".to_owned();
        (2..headers).for_each(|n| head += &format!("X-{n}: y\r\n"));
        let padding = size.saturating_sub(head.len() + "X: \r\n\r\n".len());
        head + "X: " + &"z".repeat(padding) + "\r\n\r\n"
    };
    // One header more than `headers`, the padding's.
    assert!(server.exchange(head(99, 0).as_bytes()).starts_with("HTTP/1.1 200"));
    assert_eq!(refused(&server, head(100, 0).as_bytes()), 431);
    let most = Limits::default().head_bytes;
    assert!(server.exchange(head(0, most).as_bytes()).starts_with("HTTP/1.1 200"));
    assert_eq!(refused(&server, head(0, most + 1).as_bytes()), 431);
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(most));
    assert_eq!(refused(&server, long_target.as_bytes()), 431);
    server.stop();
}

#[test]
fn fault_6_pipelined_requests_take_one_worker_and_are_answered_in_order() {
    let server = start_with(Limits::default(), 2);
    let mut pipeliner = server.connect();
    let mut requests = String::new();
    requests += &"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3);
    (0..2000).for_each(|n| requests += &format!("GET /n{n} HTTP/1.1\r\nHost: a\r\n\r\n"));
    pipeliner.send(requests.as_bytes());
    eventually("the first is handled", || server.gate.waiting.load(SeqCst) > 0);
    // The other worker is free, however many wait on that one connection.
    for _ in 0..20 {
        server.assert_alive();
    }
    assert_eq!(server.gate.waiting.load(SeqCst), 1);
    server.gate.open();
    for _ in 0..3 {
        assert_eq!(pipeliner.reply().text(), "through the gate");
    }
    for n in 0..2000 {
        assert_eq!(pipeliner.reply().text(), format!("GET /n{n} 0 "));
    }
    server.stop();
}

#[test]
fn fault_9_what_two_servers_could_read_differently_is_refused() {
    let server = start(Limits::default());
    let host = "Host: a\r\n";
    // Five bytes that are a whole body for who believes in a length of 5 as well as for who believes in chunks.
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let cases = [
        // Lengths
        (400, "Content-Length: -1"),
        (400, "Content-Length: +5"),
        (400, "Content-Length: 0x24"),
        (400, "Content-Length: 5, 5"),
        (400, "Content-Length: 5 5"),
        (400, "Content-Length:"),
        (400, "Content-Length: 5\r\nContent-Length: 5"),
        (400, "Content-Length: 5\r\ncontent-length: 6"),
        // Codings
        (400, "Transfer-Encoding: chunked\r\nContent-Length: 5"),
        (400, "Content-Length: 5\r\nTransfer-Encoding: chunked"),
        (400, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        (501, "Transfer-Encoding: gzip, chunked"),
        (501, "Transfer-Encoding: identity"),
        (501, "Transfer-Encoding: xchunked"),
        (501, "Transfer-Encoding: chunked, chunked"),
        // Lines
        (400, "X: a\r\n folded"),
        (400, "X: a\r\n\tfolded"),
        (400, "X: a\nY: b"),
        (400, "X: a\rY: b"),
        (400, "X: a\0b"),
        (400, "X: a\u{7f}b"),
        (400, "X: a\u{b}b"),
        (400, "X : a"),
        (400, "Content-Length : 5"),
        (400, " X: a"),
        (400, ": a"),
        (400, "no colon"),
        (400, "X\u{e9}: a"),
        (400, "X(): a"),
        // Host
        (400, "Host: b"),
        (400, "host: a"),
    ];
    for (status, lines) in cases {
        let request = format!("POST / HTTP/1.1\r\n{host}{lines}\r\n\r\n{smuggled}");
        assert_eq!(refused(&server, request.as_bytes()), status, "{lines:?}");
    }
    let whole = [
        (400, "GET / HTTP/1.1\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        (400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, "GET / HTTP/1.1\nHost: a\n\n"),
        (400, "GET /\r\n\r\n"),
        (400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        (400, "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET / a HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET / http/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET / HTTP/11\r\nHost: a\r\n\r\n"),
        (400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, "\u{16}\u{3}\u{1} a TLS handshake"),
        (501, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        (417, "GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n"),
    ];
    for (status, request) in whole {
        assert_eq!(refused(&server, request.as_bytes()), status, "{request:?}");
    }
    server.stop();
}

#[test]
fn fault_9_a_body_never_runs_as_a_request() {
    let server = start(Limits::default());
    let inner = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut client = server.connect();
    client.send(format!("GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{inner}", inner.len()).as_bytes());
    assert_eq!(client.reply().text(), format!("GET /a {} {inner}", inner.len()));
    let chunked = "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n";
    client.send(format!("{chunked}{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len()).as_bytes());
    assert_eq!(client.reply().text(), format!("POST /b {} {inner}", inner.len()));
    assert_eq!(client.get("/c").text(), "GET /c 0 ");
    assert_eq!(server.handled.load(SeqCst), 3);
    server.stop();
}

#[test]
fn chunked_bodies_are_read_whatever_their_pieces() {
    let server = start(Limits::default());
    let mut client = server.connect();
    let head = "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let extras = "5;a=b;c=\"d\"\r\nhello\r\n6 ; x\r\n world\r\n0\r\nTrailer: dropped\r\nContent-Length: 9\r\n\r\n";
    client.send(format!("{head}{extras}").as_bytes());
    assert_eq!(client.reply().text(), "POST /c 11 hello world");

    // Byte by byte, so that every state is left and entered again.
    for byte in format!("{head}{extras}").bytes() {
        client.send(&[byte]);
    }
    assert_eq!(client.reply().text(), "POST /c 11 hello world");

    let pieces: String = (0..20_000).map(|_| "1\r\nz\r\n").collect();
    client.send(format!("{head}{pieces}0\r\n\r\n").as_bytes());
    assert!(client.reply().text().starts_with("POST /c 20000 zzz"));

    let bad = [
        (400, "\r\n\r\n"),
        (400, "g\r\n"),
        (400, "-1\r\n"),
        (400, "0x5\r\nhello\r\n0\r\n\r\n"),
        (400, "5\nhello\r\n0\r\n\r\n"),
        (400, "5\r\nhelloX\r\n0\r\n\r\n"),
        (400, "5\r\nhello\n0\r\n\r\n"),
        (400, "5 5\r\nhello\r\n0\r\n\r\n"),
        (400, "0\r\nA: b\n\r\n"),
        (413, "ffffffffffffffff\r\n"),
        (413, "fffffffffffffffffffff\r\n"),
        (413, "100001\r\n"),
    ];
    for (status, body) in bad {
        assert_eq!(refused(&server, format!("{head}{body}").as_bytes()), status, "{body:?}");
    }
    let endless = [format!("5;{}", "e".repeat(2000)), "1;eeeeeeeeeeeeeeee\r\nz\r\n".repeat(2000)];
    for body in endless {
        assert_eq!(refused(&server, format!("{head}{body}").as_bytes()), 400);
    }
    // Each chunk would fit by itself.
    let half = "h".repeat(0x80000);
    let two = format!("{head}80000\r\n{half}\r\n80001\r\n{half}h\r\n0\r\n\r\n");
    assert_eq!(refused(&server, two.as_bytes()), 413);
    let trailers = format!("0\r\n{}", "T: eeeeeeeeeeeeeeeeee\r\n".repeat(2000));
    assert_eq!(refused(&server, format!("{head}{trailers}").as_bytes()), 400);
    server.stop();
}

#[test]
fn fault_12_raw_bytes_in_the_target_are_percent_encoded() {
    let server = start(Limits::default());
    let mut client = server.connect();
    client.send("GET /api/?first_name=\u{406}\u{432}%20x HTTP/1.1\r\nHost: a\r\n\r\n".as_bytes());
    assert_eq!(client.reply().text(), "GET /api/?first_name=%D0%86%D0%B2%20x 0 ");
    client.send(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.reply().text(), "GET /%FF 0 ");
    // In a header value they are opaque.
    client.send(b"GET /x HTTP/1.1\r\nHost: a\r\nX: \xd0\x86\r\n\r\n");
    assert_eq!(client.reply().text(), "GET /x 0 ");
    server.stop();
}

#[test]
fn a_target_may_be_absolute() {
    let server = start(Limits::default());
    let mut client = server.connect();
    let cases = [
        ("GET http://a/x?y=1", "GET /x?y=1"),
        ("GET HTTPS://a:80", "GET /"),
        ("GET http://a?y", "GET /?y"),
        ("GET //a/b", "GET //a/b"),
        ("OPTIONS *", "OPTIONS *"),
        ("BREW /pot", "BREW /pot"),
    ];
    for (line, seen) in cases {
        client.send(format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        assert_eq!(client.reply().text(), format!("{seen} 0 "));
    }
    // RFC 9112 section 2.2: one empty line before a request is a relic to read past.
    client.send(b"\r\nGET /a HTTP/1.1\r\nHost: [::1]:80\r\nX:\tspaced\t\r\n\r\n");
    assert_eq!(client.reply().text(), "GET /a 0 ");
    server.stop();
}
