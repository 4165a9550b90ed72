//! Requests whose end two servers could see in different places, and requests that are none: one answer each, and what
//! stands behind them is not run.

use crate::siege::Siege;
use crate::wire::{exchange, statuses};

/// Sends a head with this line in it, and behind its end a request that deletes the user's contact: it is part of the body
/// for one way of reading, and a request for the other. Exactly one answer may come, and the contact must stay.
fn refused(siege: &Siege, lines: &str, expected: u16) {
    let smuggled = siege.head("DELETE", &siege.contact);
    let head = siege.head("POST", "/api/contacts");
    let bytes =
        format!("{head}Content-Type: application/json\r\n{lines}\r\n\r\n0\r\n\r\n{smuggled}Connection: close\r\n\r\n");
    one_answer(siege, bytes.as_bytes(), expected);
}

fn one_answer(siege: &Siege, bytes: &[u8], expected: u16) {
    let said = exchange(siege.server.address, bytes);
    let shown: String = String::from_utf8_lossy(bytes).chars().take(300).collect();
    assert_eq!(statuses(&said), [expected], "{shown:?} got {said:?}");
    assert!(said.contains("\r\nConnection: close\r\n"), "{shown:?} got {said:?}");
    assert!(said.contains("application/problem+json"), "{shown:?} got {said:?}");
    siege.user.get(&siege.contact).send().expect(200);
}

#[test]
fn absurd_and_malformed_lengths_get_one_refusal() {
    let siege = Siege::lay();
    let took = siege.withstands("Absurd and malformed lengths", || {
        for (length, expected) in [
            ("30000000000", 413),
            ("9223372036854775807", 413),
            ("18446744073709551616", 413),
            ("99999999999999999999999999999999", 413),
            ("1048577", 413),
            ("-1", 400),
            ("+5", 400),
            ("0x24", 400),
            ("5, 5", 400),
            ("5 5", 400),
            ("5\t5", 400),
            ("5;q=1", 400),
            ("five", 400),
            ("", 400),
            ("5\r\nContent-Length: 5", 400),
            ("5\r\ncontent-length: 6", 400),
        ] {
            refused(&siege, &format!("Content-Length: {length}"), expected);
        }
        // Announced by many, within the limit, and sent by none: memory is taken as bytes arrive.
        let liars: Vec<_> = (0..200)
            .map(|_| {
                let mut liar = siege.connect();
                liar.send((siege.head("POST", "/api/contacts") + "Content-Length: 1048576\r\n\r\n{").as_bytes());
                liar
            })
            .collect();
        siege.user.get(&siege.contact).send().expect(200);
        drop(liars);
    });
    assert!(took < 32 * 1024, "announced lengths took {took} KiB");
}

#[test]
fn codings_that_two_servers_read_differently_get_one_refusal() {
    let siege = Siege::lay();
    siege.withstands("Every trick of framing", || {
        for (lines, expected) in [
            ("Transfer-Encoding: chunked\r\nContent-Length: 5", 400),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
            ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", 400),
            ("Transfer-Encoding: gzip, chunked", 501),
            ("Transfer-Encoding: chunked, identity", 501),
            ("Transfer-Encoding: identity", 501),
            ("Transfer-Encoding: xchunked", 501),
            ("Transfer-Encoding: \"chunked\"", 501),
            ("Transfer-Encoding:", 501),
            ("Transfer-Encoding : chunked", 400),
            ("Transfer-Encoding\t: chunked", 400),
            ("Transfer-Encoding\u{b}: chunked", 400),
            ("Transfer-Encoding: chunked\u{b}", 400),
            ("Transfer-Encoding: chun\0ked", 400),
            (" Transfer-Encoding: chunked", 400),
            ("X: y\r\n Transfer-Encoding: chunked", 400),
            ("X: y\nTransfer-Encoding: chunked", 400),
            ("X: y\rTransfer-Encoding: chunked", 400),
            ("Transfer_Encoding: chunked\r\nContent-Length : 5", 400),
            (": y", 400),
            ("no colon", 400),
            ("X: \u{e9}", 400),
            ("X: \u{7f}", 400),
            ("Host: b", 400),
            ("Expect: 200-ok", 417),
        ] {
            refused(&siege, lines, expected);
        }
        for (line, expected) in [
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", 400),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
            ("GET /\r\n\r\n", 400),
            ("GET / HTTP/1.1\nHost: a\n\n", 400),
            ("G\0T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET /# HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
            ("\u{16}\u{3}\u{1}\u{2}\0\u{1}", 400),
        ] {
            one_answer(&siege, line.as_bytes(), expected);
        }
    });
}

#[test]
fn chunks_that_are_none_get_one_refusal() {
    let siege = Siege::lay();
    siege.withstands("Malformed and endless chunks", || {
        let megabyte = "a".repeat(1024 * 1024);
        for (chunks, expected) in [
            ("-1\r\n", 400),
            ("+5\r\nhello\r\n0\r\n\r\n", 400),
            ("0x5\r\nhello\r\n0\r\n\r\n", 400),
            ("5\nhello\n0\n\n", 400),
            ("5\r\nhelloo\r\n0\r\n\r\n", 400),
            ("5 5\r\nhello\r\n0\r\n\r\n", 400),
            ("\r\n", 400),
            ("100001\r\n", 413),
            ("ffffffffffffffff\r\n", 413),
            ("fffffffffffffffff\r\n", 413),
            ("0000000000000000000000000000000100001\r\n", 413),
            (&format!("100000\r\n{megabyte}\r\n1\r\na\r\n"), 413),
            (&format!("5;{}\r\n", "x".repeat(2000)), 400),
            (&"1;xxxxxxxxxxxxxxxxxxxxxxxx\r\na\r\n".repeat(1000), 400),
            (&format!("0\r\n{}", "X: y\r\n".repeat(10_000)), 400),
        ] {
            let head = siege.head("POST", "/api/contacts");
            let head = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}");
            let smuggled = siege.head("DELETE", &siege.contact) + "\r\n";
            one_answer(&siege, (head + &smuggled).as_bytes(), expected);
        }
    });
}

#[test]
fn versions_that_are_not_spoken_get_505_and_an_upgrade_is_not_taken() {
    let siege = Siege::lay();
    siege.withstands("HTTP/2 lines and upgrades, 200 times", || {
        for _ in 0..50 {
            for line in [
                "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0",
                "GET / HTTP/3.0\r\nHost: a\r\n\r\n",
            ] {
                one_answer(&siege, line.as_bytes(), 505);
            }
        }
        for upgrade in [
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
            "Connection: Upgrade\r\nUpgrade: TLS/1.0",
        ] {
            // RFC 9110 section 7.8: a server may ignore it, and the connection goes on as it was.
            let mut wire = siege.connect();
            for _ in 0..2 {
                wire.send(format!("{}{upgrade}\r\n\r\n", siege.head("GET", "/livez")).as_bytes());
                assert_eq!(wire.answer().status, 200);
            }
        }
    });
}

#[test]
fn continue_is_said_to_who_will_be_read_and_to_nobody_else() {
    let siege = Siege::lay();
    siege.withstands("Expect: 100-continue, both ways", || {
        let body = r#"{"first_name":"Expected"}"#;
        let head = |path: &str, length: usize| {
            let head = siege.head("POST", path);
            format!("{head}Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
        };
        let mut wire = siege.connect();
        for _ in 0..3 {
            wire.send(head("/api/contacts", body.len()).as_bytes());
            assert_eq!(wire.answer().status, 100);
            wire.send(body.as_bytes());
            assert_eq!(wire.answer().status, 201);
        }
        // It does not wait: neither does the server.
        wire.send((head("/api/contacts", body.len()) + body).as_bytes());
        assert_eq!(wire.answer().status, 201);
        // What will be refused is refused before it is sent.
        wire.send(head("/api/contacts", 16 << 20).as_bytes());
        let said = wire.rest();
        assert_eq!(statuses(&said), [413], "{said:?}");
        assert!(!said.contains("100 Continue"), "{said:?}");
        // Many that are told to go on, and say nothing.
        let silent: Vec<_> = (0..100)
            .map(|_| {
                let mut wire = siege.connect();
                wire.send(head("/api/contacts", 1000).as_bytes());
                assert_eq!(wire.answer().status, 100);
                wire
            })
            .collect();
        siege.user.get(&siege.contact).send().expect(200);
        drop(silent);
    });
}
