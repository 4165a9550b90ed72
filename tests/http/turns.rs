//! Whatever arrives when, each request is answered once and in order: the races between what the kernel reports, the
//! thread that reads and the worker that has just answered.

use std::io::Write;
use std::net::Shutdown;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use super::support::*;
use contactd::http::Limits;

/// Numbers without a pattern, but the same in each run (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// A request that is echoed, and its answer. One in four has a length, one a body in chunks.
fn request(numbers: &mut Numbers, name: &str) -> (Vec<u8>, String) {
    let mut body = vec![b'b'; numbers.below(200)];
    if numbers.below(16) == 0 {
        body = vec![b'B'; numbers.below(30_000)];
    }
    let padding = "p".repeat(numbers.below(300));
    let head = format!("{name} HTTP/1.1\r\nHost: a\r\nX-Padding: {padding}\r\n");
    let text = String::from_utf8_lossy(&body[..body.len().min(1000)]).into_owned();
    let echo = format!("POST {name} {} {text}", body.len());
    match numbers.below(4) {
        0 => {
            let head = format!("POST {head}Content-Length: {}\r\n\r\n", body.len());
            ([head.into_bytes(), body].concat(), echo)
        }
        1 if !body.is_empty() => {
            let head = format!("POST {head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len());
            let end = b"\r\n0\r\n\r\n".to_vec();
            ([head.into_bytes(), body, end].concat(), echo)
        }
        _ => (format!("GET {head}\r\n").into_bytes(), format!("GET {name} 0 ")),
    }
}

/// Sends bytes in random pieces, some of them with a moment between.
fn send_in_pieces(client: &Client, numbers: &mut Numbers, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let most = [3, 40, 400, 5000, 40_000][numbers.below(5)];
        let count = (1 + numbers.below(most)).min(bytes.len());
        (&client.stream).write_all(&bytes[..count]).unwrap();
        bytes = &bytes[count..];
        if numbers.below(8) == 0 {
            thread::yield_now();
        }
    }
}

/// A client's life: some rounds of some requests sent together, then one of several ends. Returns how many requests
/// were answered, and must have been handled.
fn live(server: &Running, numbers: &mut Numbers, name: &str) -> usize {
    let mut client = server.connect();
    let mut answered = 0;
    for round in 0..1 + numbers.below(6) {
        let pipelined = [1, 1, 1, 2, 30][numbers.below(5)];
        let (requests, answers): (Vec<Vec<u8>>, Vec<String>) =
            (0..pipelined).map(|n| request(numbers, &format!("/{name}/{round}/{n}"))).unzip();
        send_in_pieces(&client, numbers, &requests.concat());
        for answer in answers {
            let reply = client.reply();
            assert_eq!((reply.status, reply.text()), (200, answer));
            answered += 1;
        }
    }
    match numbers.below(5) {
        // Ends its own side right behind the last request, whose answer it still gets.
        0 => {
            client.send(b"GET /last HTTP/1.1\r\nHost: a\r\n\r\n");
            client.stream.shutdown(Shutdown::Write).unwrap();
            let said = client.rest();
            assert!(said.ends_with("GET /last 0 "), "{said:?}");
            answered += 1;
        }
        1 => {
            client.send(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /beyond HT");
            let said = client.rest();
            assert!(said.ends_with("GET /last 0 "), "{said:?}");
            answered += 1;
        }
        // Leaves within a request.
        2 => client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"),
        3 => {
            client.send(b"GET /refused HTTP/1.1\r\n\r\n");
            assert!(client.rest().starts_with("HTTP/1.1 400 "));
        }
        _ => {}
    }
    answered
}

#[test]
fn each_request_is_answered_once_however_it_arrives() {
    // Fewer workers than clients, and more.
    for workers in [1, 3, 16] {
        let server = start_with(Limits::default(), workers);
        let answered: usize = thread::scope(|scope| {
            let clients: Vec<_> = (0..12_u64)
                .map(|client| {
                    let server = &server;
                    scope.spawn(move || {
                        let mut numbers = Numbers(client + 1000 * workers as u64);
                        let lives = 0..25;
                        lives.map(|life| live(server, &mut numbers, &format!("{client}/{life}"))).sum::<usize>()
                    })
                })
                .collect();
            clients.into_iter().map(|c| c.join().unwrap()).sum()
        });
        assert!(answered > 3000, "{answered}");
        assert_eq!(server.handled.load(SeqCst), answered);
        // Nobody is forgotten, whichever way it left.
        eventually("all are gone", || server.server.connections() == 0);
        server.stop();
    }
}

#[test]
fn a_request_right_behind_an_answer_is_not_missed() {
    let server = start_with(Limits::default(), 2);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = server.connect();
                // Each is sent as soon as the answer is there, when the worker may not have given back its turn.
                for number in 0..2000 {
                    let path = format!("/{number}");
                    assert_eq!(client.get(&path).text(), format!("GET {path} 0 "));
                }
            });
        }
    });
    assert_eq!(server.handled.load(SeqCst), 8 * 2000);
    server.stop();
}

#[test]
fn pieces_that_arrive_while_a_request_is_handled_are_read_after_it() {
    let server = start(Limits::default());
    let mut client = server.connect();
    client.send(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("it is handled", || server.gate.waiting.load(SeqCst) == 1);
    client.send(b"GET /second HTTP/1.1\r\nHost: a\r\n\r\nGET /thi");
    client.send(b"rd HTTP/1.1\r\nHost: a\r\n\r\nGET /fourth HTTP/1.1\r\n");
    server.assert_alive();
    server.gate.open();
    assert_eq!(client.reply().text(), "through the gate");
    assert_eq!(client.reply().text(), "GET /second 0 ");
    assert_eq!(client.reply().text(), "GET /third 0 ");
    client.send(b"Host: a\r\n\r\n");
    assert_eq!(client.reply().text(), "GET /fourth 0 ");
    server.stop();
}

#[test]
fn a_client_that_leaves_while_its_request_is_handled_is_forgotten() {
    let server = start(Limits::default());
    let mut client = server.connect();
    client.send(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("it is handled", || server.gate.waiting.load(SeqCst) == 1);
    drop(client);
    server.assert_alive();
    server.gate.open();
    eventually("it is gone", || server.server.connections() == 0);
    server.stop();
}

#[test]
fn a_program_that_panics_while_a_request_is_read_harms_its_client_only() {
    let server = start(Limits::default());
    let whole = b"POST /panic HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
    // Read by the thread that watches everybody, by a thread of its own, and by a worker.
    for bytes in [&whole[..], &whole[..whole.len() - 1]] {
        assert!(server.connect_and_send(bytes).is_closed_silently());
    }
    let mut client = server.connect_and_send(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("it is handled", || server.gate.waiting.load(SeqCst) == 1);
    client.send(whole);
    server.assert_alive();
    server.gate.open();
    assert!(client.rest().ends_with("through the gate"));
    server.assert_alive();
    eventually("all are gone", || server.server.connections() == 0);
    server.stop();
}
