//! More than anybody needs to send: headers without end, bodies over the limit, and all bodies together.

use std::time::Duration;

use crate::siege::Siege;
use crate::support::eventually;
use crate::wire::{exchange, statuses};

const MIB: usize = 1024 * 1024;

/// Sends these bytes; the statuses of the answers.
fn refusals(siege: &Siege, bytes: &[u8]) -> Vec<u16> {
    statuses(&exchange(siege.server.address, bytes))
}

#[test]
fn a_header_of_50_mib_takes_no_memory() {
    let siege = Siege::lay();
    let took = siege.withstands("A header line of 50 MiB, in each place", || {
        let long = "x".repeat(50 * MIB);
        for bytes in [
            siege.head("GET", "/") + "X: " + &long + "\r\n\r\n",
            siege.head("GET", "/") + &long + ": x\r\n\r\n",
            siege.head("GET", &format!("/{long}")) + "\r\n",
            long,
        ] {
            assert_eq!(refusals(&siege, bytes.as_bytes()), [431]);
        }
    });
    assert!(took < 8 * 1024, "{took} KiB");
}

#[test]
fn a_hundred_thousand_headers_take_no_memory() {
    let siege = Siege::lay();
    let took = siege.withstands("100,000 headers", || {
        let head = siege.head("GET", "/");
        for header in ["X: y\r\n", "a:\r\n", "Cookie: a=b; c=d\r\n"] {
            let bytes = head.clone() + &header.repeat(100_000) + "\r\n";
            assert_eq!(refusals(&siege, bytes.as_bytes()), [431]);
        }
        // As many as may be, of whatever kind, are an ordinary request.
        let cookies = "a=b; ".repeat(5_000);
        for bytes in [
            head.clone() + &"X: y\r\n".repeat(97) + "Connection: close\r\n\r\n",
            format!("{head}Cookie: {cookies}\r\nConnection: close\r\n\r\n"),
            siege.head("GET", &format!("/?{}", "a=b&".repeat(7_000))) + "Connection: close\r\n\r\n",
            siege.head("GET", &format!("/?{}", "%".repeat(30_000))) + "Connection: close\r\n\r\n",
        ] {
            assert_eq!(refusals(&siege, bytes.as_bytes()), [200]);
        }
    });
    assert!(took < 8 * 1024, "{took} KiB");
}

#[test]
fn bodies_over_the_limit_are_refused_before_they_are_read() {
    let siege = Siege::lay();
    let took = siege.withstands("Bodies over the limit, by length and in chunks", || {
        let length = format!("Content-Length: {}\r\n\r\n", 16 * MIB);
        let chunked = "Transfer-Encoding: chunked\r\n\r\n";
        let chunks = format!("{:x}\r\n{}\r\n", 64 * 1024, "x".repeat(64 * 1024)).repeat(256);
        let body = "x".repeat(16 * MIB);
        for path in ["/api/contacts", "/api/auth/login", "/api/contacts/import"] {
            let stranger = format!("POST {path} HTTP/1.1\r\nHost: a\r\n");
            let forged = stranger.clone() + "Authorization: Bearer eyJhbGciOiJub25lIn0.e30.\r\n";
            for head in [&stranger, &forged] {
                assert_eq!(refusals(&siege, (head.clone() + &length + &body).as_bytes()), [413]);
                assert_eq!(refusals(&siege, (head.clone() + chunked + &chunks).as_bytes()), [413]);
                // Nothing of the body has to be sent to learn it.
                let mut wire = siege.connect();
                wire.send((head.clone() + &length).as_bytes());
                assert_eq!(wire.answer().status, 413);
            }
        }
    });
    // A chunked body is read up to the limit, 1 MiB.
    assert!(took < 8 * 1024, "{took} KiB");
}

#[test]
fn all_bodies_together_have_a_budget() {
    // Of 128 MiB, a quarter stays free for others.
    let (size, fitting) = (16 * MIB, 6);
    let siege = Siege::lay();
    let took = siege.withstands_waiting("20 files of 16 MiB at once, of which 6 fit", || {
        let head =
            siege.head("POST", "/api/contacts/import") + "Content-Type: text/csv\r\nContent-Length: 16777216\r\n\r\n";
        let part = vec![b' '; MIB];
        let mut uploads: Vec<_> = (0..20)
            .map(|_| {
                let mut upload = siege.connect();
                upload.send(head.as_bytes());
                // All but the last byte. Refused ones may be closed meanwhile.
                (1..16).for_each(|_| _ = upload.try_send(&part));
                upload.try_send(&part[1..]);
                upload
            })
            .collect();
        // While they wait for their last bytes, others still have room for a large body of theirs.
        let other = siege.server.client().new_user("other@example.com");
        let file = format!("first_name\n{}", "A\n".repeat(200_000));
        let import = other.request("POST", "/api/contacts/import?dry_run=true").header("Content-Type", "text/csv");
        import.body(file).send().expect(200);
        let mut refused = 0;
        let mut late = 0;
        for upload in &mut uploads {
            match statuses(&upload.rest())[..] {
                [503] => refused += 1,
                [408] => late += 1,
                ref other => panic!("{other:?}"),
            }
        }
        assert!((1..=fitting).contains(&late), "{late} fitted into the budget");
        assert_eq!(refused + late, 20);
        // And it is free again for a client that means it.
        let text = "é".repeat(5_000);
        let body = serde_json::json!({ "first_name": "A", "additional_info": text });
        eventually("there is room again", || siege.user.post("/api/contacts", &body).send().status == 201);
    });
    // The budget, and as much again while a body's memory is doubled.
    let most = 2 * (fitting * size) as u64 / 1024 + 32 * 1024;
    assert!(took < most, "{took} KiB");
}

#[test]
fn a_client_that_sends_on_after_a_refusal_is_cut_off() {
    let siege = Siege::lay();
    siege.withstands("20 clients that send on for ever after a refusal", || {
        let mut talkers: Vec<_> = (0..20)
            .map(|_| {
                let mut talker = siege.connect();
                talker.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n");
                talker
            })
            .collect();
        let piece = vec![b'x'; MIB];
        for talker in &mut talkers {
            // The answer can be read, and the end comes soon after.
            assert_eq!(talker.answer().status, 413);
            let mut sent = 0;
            while talker.try_send(&piece) {
                sent += 1;
                assert!(sent < 200, "it takes all that comes");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
}
