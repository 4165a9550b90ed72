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

/// The limits as the program has them, and how late it may be. A body at less than 16 KiB a second ends with the grace.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
const LATE: Duration = Duration::from_secs(10);

/// What began at this moment was to end when the limit was over, neither earlier nor much later.
#[track_caller]
fn is_over(limit: Duration, began: Instant) {
    let took = began.elapsed();
    assert!((limit..limit + LATE).contains(&took), "over after {took:?}, where {limit:?} is the limit");
}

/// Each gets one answer, 408, when the time is over.
fn each_is_told(wires: &mut [Wire], limit: Duration, began: Instant) {
    for wire in wires {
        assert_eq!(statuses(&wire.rest()), [408]);
        is_over(limit, began);
    }
}

#[test]
fn three_hundred_half_heads_are_given_up() {
    let siege = Siege::lay();
    siege.withstands_waiting("300 half-open heads", || {
        let began = Instant::now();
        let halves = ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: "];
        let mut wires: Vec<_> = (0..300)
            .map(|n| {
                let mut wire = siege.connect();
                wire.send(halves[n % 3].as_bytes());
                wire
            })
            .collect();
        each_is_told(&mut wires, HEAD_TIMEOUT, began);
    });
}

/// Sends these bytes one by one on all connections, until the server has closed them all or is too late to.
fn drip(wires: &mut [Wire], bytes: &[u8], limit: Duration, began: Instant) {
    for byte in bytes.iter().cycle() {
        let mut open = 0;
        for wire in &mut *wires {
            open += usize::from(wire.try_send(&[*byte]));
        }
        if open == 0 || began.elapsed() > limit + LATE {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_head_byte_by_byte_has_no_more_time_than_another() {
    let siege = Siege::lay();
    siege.withstands_waiting("100 heads, byte by byte", || {
        let began = Instant::now();
        let mut wires: Vec<_> = (0..100).map(|_| siege.connect()).collect();
        for wire in &mut wires {
            wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ");
        }
        drip(&mut wires, b"x", HEAD_TIMEOUT, began);
        each_is_told(&mut wires, HEAD_TIMEOUT, began);
    });
}

#[test]
fn a_body_byte_by_byte_has_no_more_time_than_another_and_holds_no_worker() {
    let siege = Siege::lay();
    siege.withstands_waiting("300 bodies, byte by byte", || {
        let head = siege.head("POST", "/api/contacts");
        let attack = |framing: &str, bytes: &[u8]| {
            let began = Instant::now();
            let mut wires: Vec<_> = (0..100).map(|_| siege.connect()).collect();
            for wire in &mut wires {
                wire.send(format!("{head}{framing}\r\n\r\n").as_bytes());
            }
            drip(&mut wires, bytes, BODY_TIMEOUT, began);
            each_is_told(&mut wires, BODY_TIMEOUT, began);
        };
        thread::scope(|scope| {
            scope.spawn(|| attack("Content-Length: 100000", b"x"));
            scope.spawn(|| attack("Transfer-Encoding: chunked", b"1\r\nx\r\n"));
            scope.spawn(|| attack("Transfer-Encoding: chunked\r\nExpect: 100-continue", b"1\r\nx\r\n"));
        });
    });
}

/// A client that reads nothing is cut off when the time is over.
fn until_cut_off(wire: &mut Wire, began: Instant) {
    while !wire.is_cut_off() {
        assert!(began.elapsed() < WRITE_TIMEOUT + LATE, "it is never cut off");
        thread::sleep(Duration::from_millis(20));
    }
    is_over(WRITE_TIMEOUT, began);
}

/// Lists of a thousand contacts, with so many bytes of text in each.
fn fill(siege: &Siege, bytes: usize) {
    let draft = load::draft_of(&json!({ "first_name": "Large", "additional_info": "é".repeat(bytes / 2) }));
    load::insert(&siege.database, &siege.user, &vec![draft; 1_000]);
}

#[test]
fn answers_that_nobody_reads_are_given_up_and_bounded() {
    let siege = Siege::lay();
    fill(&siege, 9_000);
    let list = siege.head("GET", "/api/contacts?limit=1000") + "\r\n";
    let took = siege.withstands_waiting("12 clients that never read a list of 9 MB", || {
        let mut wires: Vec<_> = (0..12).map(|_| siege.connect().narrow(NARROW)).collect();
        let mut asked = Vec::new();
        for wire in &mut wires {
            asked.push(Instant::now());
            wire.send(list.as_bytes());
            // One after the other: making such a list is work, and all at once would be in a normal client's way for as long
            // as they take to make. What counts here is what becomes of them then.
            thread::sleep(Duration::from_millis(500));
        }
        for (wire, asked) in wires.iter_mut().zip(asked) {
            until_cut_off(wire, asked);
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
    let siege = Siege::lay();
    fill(&siege, 9_000);
    let took = siege.withstands_waiting("20 clients that pipeline and never read", || {
        let small = (siege.head("GET", "/livez") + "\r\n").repeat(200_000);
        let large = (siege.head("GET", "/api/contacts?limit=1000") + "\r\n").repeat(100_000);
        thread::scope(|scope| {
            for n in 0..20 {
                // One that asks for large answers: see the test above.
                let (siege, bytes) = (&siege, if n > 0 { &small } else { &large });
                scope.spawn(move || {
                    let (mut wire, began) = (siege.connect().narrow(NARROW), Instant::now());
                    let sent = wire.stuff(bytes.as_bytes(), Duration::from_secs(5));
                    assert!(sent < bytes.len(), "it took all {sent} bytes");
                    until_cut_off(&mut wire, began);
                });
            }
        });
    });
    // One large answer that waits, one that is made.
    assert!(took < 2 * 40 * MIB, "{took} KiB");
}
