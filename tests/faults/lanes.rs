//! The lane of hashing: logins without pause slow no read, take no more memory than their workers, and what cannot wait is told
//! so.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::siege::Siege;

/// What one hash takes, in KiB (argon2id with m=19456).
const HASH: u64 = 19 * 1024;
const SLOW_WORKERS: u64 = 2;
/// On top: what glibc keeps, and 200 connections.
const SLACK: u64 = 12 * 1024;

/// A login that fails costs as much as one that succeeds, and leaves no session behind.
fn login() -> String {
    let body = json!({ "email": "normal@example.com", "password": "not the one" }).to_string();
    format!(
        "POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What became of a flood of logins.
struct Flood {
    /// Their passwords were checked.
    checked: usize,
    /// There was no room for them: 503.
    refused: usize,
    /// Their turn did not come in time: 429.
    late: usize,
    took: Duration,
}

impl Flood {
    /// A turn may be waited for 2.7 s. So it comes in time where so many hashes, at the pace of this moment, take 2 s at most.
    fn came_in_time(&self, waiting: u32) {
        let turn = self.took * waiting / u32::try_from(self.checked.max(1)).expect("not that many");
        assert!(self.late == 0 || turn > Duration::from_secs(2), "{} were late, with a turn after {turn:?}", self.late);
    }
}

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} logins in {:?}, {} refused, {} late", self.checked, self.took, self.refused, self.late)
    }
}

/// So many clients log in without pause while something else is done.
fn flood(siege: &Siege, clients: usize, during: impl FnOnce()) -> Flood {
    let (over, began) = (AtomicBool::new(false), Instant::now());
    let [checked, refused, late] = [const { AtomicUsize::new(0) }; 3];
    let login = login();
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut wire = siege.connect();
                while !over.load(Ordering::SeqCst) {
                    wire.send(login.as_bytes());
                    let answer = wire.answer();
                    let counter = match answer.status {
                        401 => &checked,
                        503 => &refused,
                        429 => &late,
                        _ => panic!("{}", answer.text()),
                    };
                    counter.fetch_add(1, Ordering::SeqCst);
                    if answer.status != 401 {
                        assert!(answer.header("Retry-After").is_some());
                        // A client that does as it is told, for the most part.
                        thread::sleep(Duration::from_millis(100));
                    }
                }
            });
        }
        during();
        over.store(true, Ordering::SeqCst);
    });
    let [checked, refused, late] = [checked, refused, late].map(AtomicUsize::into_inner);
    Flood { checked, refused, late, took: began.elapsed() }
}

/// The 99th percentile of reading a contact, over so long, by four clients that keep their connections.
fn reads(siege: &Siege, long: Duration) -> (usize, Duration) {
    let request = siege.head("GET", &siege.contact) + "\r\n";
    let read = || {
        let mut wire = siege.connect();
        let (started, mut times) = (Instant::now(), Vec::new());
        while started.elapsed() < long {
            let sent = Instant::now();
            wire.send(request.as_bytes());
            assert_eq!(wire.answer().status, 200);
            times.push(sent.elapsed());
            thread::sleep(Duration::from_millis(2));
        }
        times
    };
    let mut times: Vec<_> = thread::scope(|scope| {
        let readers: Vec<_> = (0..4).map(|_| scope.spawn(read)).collect();
        let times = readers.into_iter().map(|reader| reader.join());
        times.flat_map(|times| times.expect("a reader")).collect()
    });
    times.sort();
    (times.len(), times[times.len() * 99 / 100])
}

#[test]
fn forty_logins_at_once_without_pause_slow_no_read_and_take_their_permits_alone() {
    let siege = Siege::with(&[("SLOW_WORKERS", &SLOW_WORKERS.to_string()), ("WORKERS", "4")]);
    let took = siege.withstands("40 clients that log in without pause", || {
        // The best of three rounds counts: what else the machine does must not decide.
        let mut rounds = Vec::new();
        for _ in 0..3 {
            let mut round = (0, Duration::ZERO);
            let flood = flood(&siege, 40, || {
                round = reads(&siege, Duration::from_secs(4));
            });
            println!("{flood}; {} reads, 99 % within {:?}", round.0, round.1);
            assert!(flood.checked > 40, "they do log in: {flood}");
            assert_eq!(flood.refused, 0, "forty may wait");
            flood.came_in_time(40);
            rounds.push(round.1);
            if round.1 < Duration::from_millis(100) {
                return;
            }
        }
        panic!("99 % of reads within {rounds:?}, in three rounds");
    });
    assert!(took < SLOW_WORKERS * HASH + SLACK, "{took} KiB");
}

#[test]
fn logins_that_cannot_wait_are_told_to_come_again() {
    let siege = Siege::with(&[("SLOW_WORKERS", &SLOW_WORKERS.to_string())]);
    let took = siege.withstands("200 clients that log in without pause", || {
        let flood = flood(&siege, 200, || thread::sleep(Duration::from_secs(4)));
        println!("{flood}");
        // 64 may wait.
        assert!(flood.refused >= 200 - 64 - 2 * usize::try_from(SLOW_WORKERS).unwrap(), "{flood}");
        assert!(flood.checked > 0, "the others are answered: {flood}");
        flood.came_in_time(64);
    });
    assert!(took < SLOW_WORKERS * HASH + SLACK, "{took} KiB");
    // The flood over, the owner comes in.
    siege.server.client().login("normal@example.com", "123456");
}
