//! Many at once: connections, requests, resets, and more of them than there are descriptors.

use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use crate::siege::{Siege, Vitals};
use crate::support::eventually;
use crate::support::server::Setup;
use crate::wire::Wire;

/// A burst's connections wait no longer for their answers.
const PROMPT: Duration = Duration::from_secs(1);

#[test]
fn a_hundred_thousand_pipelined_requests_are_answered_in_order() {
    let siege = Siege::lay();
    let took = siege.withstands("100,000 pipelined requests", || {
        const REQUESTS: u32 = 100_000;
        let mut wire = siege.connect();
        let socket = wire.socket.try_clone().expect("a descriptor");
        thread::scope(|scope| {
            scope.spawn(move || {
                use std::io::Write;
                let mut socket = std::io::BufWriter::new(socket);
                for n in 0..REQUESTS {
                    write!(socket, "GET /livez HTTP/1.1\r\nHost: a\r\nX-Request-Id: {n}\r\n\r\n")
                        .expect("the server takes it");
                }
                socket.flush().expect("the server takes it");
            });
            for n in 0..REQUESTS {
                let answer = wire.answer();
                assert_eq!(answer.status, 200);
                assert_eq!(answer.header("X-Request-Id"), Some(&*n.to_string()));
            }
        });
    });
    assert!(took < 8 * 1024, "{took} KiB");
}

#[test]
fn bursts_of_two_hundred_connections_are_answered_at_once() {
    let siege = Siege::lay();
    siege.withstands("Ten bursts of 200 new connections", || {
        let request = siege.head("GET", &siege.contact) + "\r\n";
        let mut times: Vec<_> = (0..10)
            .map(|_| {
                let mut wires: Vec<_> = (0..200).map(|_| siege.connect()).collect();
                let started = Instant::now();
                for wire in &mut wires {
                    wire.send(request.as_bytes());
                }
                for wire in &mut wires {
                    // All stay: none may be answered by another's leaving.
                    assert_eq!(wire.answer().status, 200);
                }
                started.elapsed()
            })
            .collect();
        times.sort();
        println!("bursts: {times:?}");
        // The median, for a machine that is busy with something else slows single ones.
        assert!(times[times.len() / 2] < PROMPT, "{times:?}");
    });
}

#[test]
fn nine_hundred_idle_connections_cost_little_and_hold_up_nobody() {
    let siege = Siege::with(&[("IDLE_TIMEOUT", "8")]);
    let took = siege.withstands_waiting("900 idle connections", || {
        let request = siege.head("GET", &siege.contact) + "\r\n";
        let mut wires: Vec<_> = (0..900).map(|_| siege.connect()).collect();
        // Half of them have never said a thing.
        for wire in wires.iter_mut().step_by(2) {
            wire.send(request.as_bytes());
            assert_eq!(wire.answer().status, 200);
        }
        for wire in &mut wires {
            assert_eq!(wire.rest(), "", "closed without a word");
        }
    });
    // 4 KiB each for what may come, and its share of what a thread takes where each has one.
    assert!(took < 40 * 1024, "{took} KiB");
}

#[test]
fn two_thousand_resets_leave_nothing_behind() {
    let siege = Siege::lay();
    siege.withstands("2,000 resets", || {
        let request = siege.head("GET", &siege.contact) + "\r\n";
        let before = ["", "GET / HT", &request, &request.repeat(20)];
        for n in 0..2000 {
            let mut wire = siege.connect();
            wire.try_send(before[n % before.len()].as_bytes());
            // Closing sends RST in place of an orderly end.
            set_socket_linger(wire.socket.as_fd(), Some(Duration::ZERO)).expect("an option");
        }
    });
}

#[test]
fn connections_beyond_the_limit_take_the_places_of_those_that_rest() {
    const PLACES: usize = 50;
    let siege = Siege::with(&[("MAX_CONNECTIONS", "50")]);
    let request = siege.head("GET", &siege.contact) + "\r\n";
    let ask = |wire: &mut Wire| {
        wire.send(request.as_bytes());
        assert_eq!(wire.answer().status, 200);
    };
    let mut inside: Vec<_> = (0..4 * PLACES)
        .map(|_| {
            let mut wire = siege.connect();
            ask(&mut wire);
            wire
        })
        .collect();
    let now = Vitals::of(siege.server.pid());
    assert!(now.descriptors < 2 * PLACES as u64 + 64, "no more than have a place are held: {now}");
    // Those who came first have given way, without a word; who came last is still served.
    for wire in &mut inside[..PLACES] {
        assert_eq!(wire.rest(), "");
    }
    inside[4 * PLACES - PLACES / 2..].iter_mut().for_each(ask);
    drop(inside);
    siege.withstands("after 200 connections where 50 may be", || {});
}

/// The hard limit; the soft one alone would be no limit, for the program raises it.
fn with_descriptors(most: u32) -> Siege {
    let limited = format!("ulimit -n {most} && exec \"$0\"");
    Siege::starting(&[], |setup: Setup| setup.under(&["sh".to_owned(), "-c".to_owned(), limited]))
}

#[test]
fn without_descriptors_it_goes_on_and_recovers() {
    let siege = with_descriptors(160);
    let log = siege.server.log();
    assert!(log.contains("MAX_CONNECTIONS"), "it says so: {log}");
    siege.withstands("Descriptors all but exhausted under ulimit -n 160", || {
        let wires: Vec<_> = (0..20).map(|_| siege.connect()).collect();
        drop(wires);
    });
    for _ in 0..3 {
        let wires: Vec<_> = (0..400).filter_map(|_| Wire::try_connect(siege.server.address).ok()).collect();
        // Whom the system has connected, the program has yet to accept.
        eventually("they come in", || Vitals::of(siege.server.pid()).descriptors > 48);
        // Whoever asks is served, and the database reached, all the while.
        for _ in 0..50 {
            let started = Instant::now();
            siege.user.get(&siege.contact).send().expect(200);
            assert!(started.elapsed() < Duration::from_secs(5));
        }
        drop(wires);
        eventually("a new client is served again", || siege.user.get(&siege.contact).send().status == 200);
    }
    siege.withstands("after descriptors were exhausted", || {});
}
