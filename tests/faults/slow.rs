//! Clients that take their time: heads and bodies byte by byte, answers that nobody reads.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::siege::Siege;
use crate::support::load;
use crate::wire::{Wire, statuses};

/// What a client's kernel takes while the client reads nothing.
const NARROW: usize = 64 * 1024;

/// In KiB.
const MIB: u64 = 1024;

/// Each gets one answer of this status, and that within so many seconds.
fn each_is_told(wires: &mut [Wire], status: u16, within: u64) {
    let deadline = Instant::now() + Duration::from_secs(within);
    for wire in wires {
        assert_eq!(statuses(&wire.rest()), [status]);
        assert!(Instant::now() < deadline, "it came too late");
    }
}

#[test]
fn three_hundred_half_heads_are_given_up() {
    let siege = Siege::with(&[("HEAD_TIMEOUT", "3")]);
    siege.withstands("300 half-open heads", || {
        let halves = ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: "];
        let mut wires: Vec<_> = (0..300)
            .map(|n| {
                let mut wire = siege.connect();
                wire.send(halves[n % 3].as_bytes());
                wire
            })
            .collect();
        each_is_told(&mut wires, 408, 15);
    });
}

/// Sends these bytes one by one on all connections, until the server has closed them all.
fn drip(wires: &mut [Wire], bytes: &[u8], pause: Duration) {
    for byte in bytes.iter().cycle().take(200) {
        let mut open = 0;
        for wire in &mut *wires {
            open += usize::from(wire.try_send(&[*byte]));
        }
        if open == 0 {
            return;
        }
        thread::sleep(pause);
    }
}

#[test]
fn a_head_byte_by_byte_has_no_more_time_than_another() {
    let siege = Siege::with(&[("HEAD_TIMEOUT", "2")]);
    siege.withstands("100 heads, byte by byte", || {
        let mut wires: Vec<_> = (0..100).map(|_| siege.connect()).collect();
        for wire in &mut wires {
            wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ");
        }
        drip(&mut wires, b"x", Duration::from_millis(100));
        each_is_told(&mut wires, 408, 15);
    });
}

#[test]
fn a_body_byte_by_byte_has_no_more_time_than_another_and_holds_no_worker() {
    let siege = Siege::with(&[("BODY_TIMEOUT", "2")]);
    siege.withstands("100 bodies, byte by byte", || {
        for (framing, bytes) in [
            ("Content-Length: 100000", &b"x"[..]),
            ("Transfer-Encoding: chunked", b"1\r\nx\r\n"),
            ("Transfer-Encoding: chunked\r\nExpect: 100-continue", b"1\r\nx\r\n"),
        ] {
            let mut wires: Vec<_> = (0..100).map(|_| siege.connect()).collect();
            for wire in &mut wires {
                let head = siege.head("POST", "/api/contacts");
                wire.send(format!("{head}{framing}\r\n\r\n").as_bytes());
            }
            drip(&mut wires, bytes, Duration::from_millis(100));
            each_is_told(&mut wires, 408, 15);
        }
    });
}

/// The server cuts off who reads nothing: after that, sending fails.
fn until_cut_off(wire: &mut Wire) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while wire.try_send(b"\r\n") {
        assert!(Instant::now() < deadline, "it is never cut off");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Lists of a thousand contacts, with so many bytes of text in each.
fn fill(siege: &Siege, bytes: usize) {
    let draft = load::draft_of(&json!({ "first_name": "Large", "additional_info": "é".repeat(bytes / 2) }));
    load::insert(&siege.database, &siege.user, &vec![draft; 1_000]);
}

#[test]
fn answers_that_nobody_reads_are_given_up_and_bounded() {
    let siege = Siege::with(&[("WRITE_TIMEOUT", "2")]);
    fill(&siege, 9_000);
    let list = siege.head("GET", "/api/contacts?limit=1000") + "\r\n";
    let took = siege.withstands("12 clients that never read a list of 9 MB", || {
        let mut wires: Vec<_> = (0..12).map(|_| siege.connect().narrow(NARROW)).collect();
        for wire in &mut wires {
            wire.send(list.as_bytes());
            // One after the other: making such a list is work, and all at once would be in a normal client's way for as long
            // as they take to make. What counts here is what becomes of them then.
            thread::sleep(Duration::from_millis(500));
        }
        for wire in &mut wires {
            until_cut_off(wire);
        }
    });
    // What waits for slow clients, and four workers that make an answer, which is there as rows, as JSON and ready to be sent.
    assert!(took < 12 * 9 * MIB + 4 * 40 * MIB, "{took} KiB");
}

#[test]
fn a_slow_reader_gets_its_whole_answer() {
    let siege = Siege::lay();
    fill(&siege, 2_500);
    siege.withstands("10 clients that read 2.5 MB slowly", || {
        let list = siege.head("GET", "/api/contacts?limit=1000") + "Connection: close\r\n\r\n";
        let mut wires: Vec<_> = (0..10).map(|_| siege.connect().narrow(NARROW)).collect();
        for wire in &mut wires {
            wire.send(list.as_bytes());
        }
        // Nothing to wait for: they are slow.
        thread::sleep(Duration::from_secs(2));
        for wire in &mut wires {
            assert!(wire.answer().body.len() > 2_500_000);
        }
    });
}

#[test]
fn pipelined_requests_that_nobody_reads_take_one_worker_at_most() {
    let siege = Siege::with(&[("WRITE_TIMEOUT", "2")]);
    fill(&siege, 9_000);
    let took = siege.withstands("20 clients that pipeline and never read", || {
        let small = (siege.head("GET", "/livez") + "\r\n").repeat(200_000);
        let large = (siege.head("GET", "/api/contacts?limit=1000") + "\r\n").repeat(100_000);
        thread::scope(|scope| {
            for n in 0..20 {
                // One that asks for large answers: see the test above.
                let (siege, bytes) = (&siege, if n > 0 { &small } else { &large });
                scope.spawn(move || {
                    let mut wire = siege.connect().narrow(NARROW);
                    let sent = wire.stuff(bytes.as_bytes(), Duration::from_secs(5));
                    assert!(sent < bytes.len(), "it took all {sent} bytes");
                    until_cut_off(&mut wire);
                });
            }
        });
    });
    // One large answer that waits, one that is made.
    assert!(took < 2 * 40 * MIB, "{took} KiB");
}
