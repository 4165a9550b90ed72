//! Who gets what all share, and who gives way: nobody keeps clients of other networks waiting.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use super::support::*;
use contactd::http::Limits;

/// Long enough for who takes nothing to count as slow.
const A_WHILE: Duration = Duration::from_secs(3);

/// Requests something that it then does not read, but for the beginning.
fn slow_reader(mut client: Client, path: &str) -> Client {
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes());
    let mut first = [0; 12];
    client.stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    client
}

/// Gets something, and then rests for less than those who did so before.
fn rests(client: &mut Client) {
    assert_eq!(client.get("/").status, 200);
    thread::sleep(Duration::from_millis(30));
}

/// What comes before the connection ends, in whichever way.
fn length_until_cut(client: &mut Client) -> usize {
    let (mut length, mut piece) = (0, vec![0; 1 << 16]);
    while let Ok(more @ 1..) = client.stream.read(&mut piece) {
        length += more;
    }
    length
}

#[test]
fn who_has_rested_longest_gives_way_first() {
    let server = start(Limits { connections: 5, ..Limits::default() });
    let mut working = server.connect_and_send(GATE);
    eventually("it is handled", || server.gate.waiting.load(SeqCst) == 1);
    let mut half = server.connect_and_send(b"GET / HT");
    let mut resting: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for at in [1, 0, 2] {
        rests(&mut resting[at]);
    }
    thread::sleep(A_WHILE);
    let mut guests = Vec::new();
    for expected in [1, 0, 2] {
        // At the limit everybody stays, beyond it one goes for each that comes.
        assert_eq!(server.server.connections(), 5);
        let mut guest = server.connect_from(2);
        assert_eq!(guest.get("/").status, 200);
        guests.push(guest);
        assert!(resting[expected].is_closed_silently());
    }
    half.send(b"TP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(half.reply().status, 200);
    server.gate.open();
    assert_eq!(working.reply().text(), "through the gate");
    guests.iter_mut().for_each(|guest| assert_eq!(guest.get("/").status, 200));
    server.stop();
}

#[test]
fn then_the_slowest_sender_and_then_the_slowest_reader_gives_way() {
    let server = start(Limits { connections: 5, ..Limits::default() });
    let mut working = server.connect_and_send(GATE);
    eventually("it is handled", || server.gate.waiting.load(SeqCst) == 1);
    let mut slow = slow_reader(server.connect(), "/bytes/50000000");
    let mut slower = slow_reader(server.connect(), "/stream/50000000");
    let upload = || {
        let head = b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\nExpect: 100-continue\r\n\r\n";
        let mut client = server.connect_and_send(head);
        assert_eq!(client.reply().status, 100); // so the server waits for its body
        client
    };
    let (mut fast, mut stalled) = (upload(), upload());
    fast.send(&[b'f'; 2_900_000]);
    assert_eq!(server.server.connections(), 5);
    slow.stream.read_exact(&mut vec![0; 10_000_000]).unwrap();
    thread::sleep(Duration::from_millis(300)); // for the server to have taken what is fast

    let mut guests = Vec::new();
    let mut come = || {
        let mut guest = server.connect_from(2);
        guest.send(GATE);
        guests.push(guest);
        eventually("it is there", || server.gate.waiting.load(SeqCst) == guests.len() + 1);
    };
    come();
    assert_eq!(stalled.rest(), "");
    come();
    assert_eq!(fast.rest(), "");
    come();
    assert!(length_until_cut(&mut slower) < 50_000_000);
    server.gate.open();
    assert_eq!(working.reply().text(), "through the gate");
    // Of what is left, all arrives.
    assert!(length_until_cut(&mut slow) >= 40_000_000);
    server.stop();
}

#[test]
fn half_sent_heads_keep_nobody_out() {
    let server = start(Limits { connections: 5, ..Limits::default() });
    let halves: Vec<Client> = (0..5).map(|_| server.connect_and_send(b"GET / HTTP/1.1\r\nX: ")).collect();
    let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    eventually("a thread waits for one of them", || {
        let mut guest = server.connect_from(2);
        guest.send(get);
        guest.reply().status == 200
    });
    eventually("one gives way", || halves.iter().any(Client::has_input));
    // Their neighbour has just come, and is not who has rested longest.
    let mut neighbour = server.connect();
    let mut guest = server.connect_from(2);
    guest.send(get);
    assert_eq!((guest.reply().status, neighbour.get("/").status), (200, 200));
    server.stop();
}

#[test]
fn only_the_network_that_has_most_gives_way() {
    let server = start(Limits { connections: 5, ..Limits::default() });
    let mut small = server.connect_from(2);
    rests(&mut small);
    let mut many: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    many.iter_mut().for_each(rests);
    // One more of its own, and one of a network without any.
    let mut more = server.connect();
    rests(&mut more);
    assert!(many[0].is_closed_silently());
    let mut third = server.connect_from(3);
    assert_eq!(third.get("/").status, 200);
    assert!(many[1].is_closed_silently());
    for client in [&mut small, &mut third, &mut more].into_iter().chain(&mut many[2..]) {
        assert_eq!(client.get("/").status, 200);
    }
    server.stop();
}

#[test]
fn where_a_network_fills_all_with_requests_others_rest_for_its_sake_no_longer() {
    let server = start(Limits { connections: 3, ..Limits::default() });
    let mut working: Vec<Client> = (0..2).map(|_| server.connect_and_send(GATE)).collect();
    let mut other = server.connect_from(2);
    assert_eq!(other.get("/").status, 200);
    // The other network is smaller than the one that wants more.
    let said = server.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(said.starts_with("HTTP/1.1 503 "), "{said:?}");
    assert_eq!(other.get("/").status, 200);
    server.gate.open();
    working.iter_mut().for_each(|client| assert_eq!(client.reply().text(), "through the gate"));
    server.stop();
}

#[test]
fn an_upload_keeps_a_pace() {
    let server = start(Limits { grace: Duration::from_secs(1), ..Limits::default() });
    let upload = |bytes_at_a_time: usize| {
        let mut client = server.connect_and_send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
        let begun = Instant::now();
        let mut left = 200_000;
        while left > 0 && !client.has_input() {
            thread::sleep(Duration::from_millis(50));
            let now = left.min(bytes_at_a_time);
            left -= now;
            if client.stream.write_all(&vec![b'u'; now]).is_err() {
                break;
            }
        }
        (client.reply().status, begun.elapsed())
    };
    // 80 KB a second take far longer than the grace; 4 KB a second are too few, though they never stop.
    thread::scope(|scope| {
        let slow = scope.spawn(|| upload(200));
        let (status, took) = upload(4_000);
        assert!(status == 200 && took > Duration::from_secs(2), "{status} {took:?}");
        let (status, took) = slow.join().unwrap();
        assert!(status == 408 && took > Duration::from_secs(1), "{status} {took:?}");
    });
    server.stop();
}

#[test]
fn what_was_sent_fast_is_no_licence_to_stall() {
    let server = start(Limits { grace: Duration::from_millis(300), ..Limits::default() });
    let mut client = server.connect_and_send(b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 5000001\r\n\r\n");
    client.send(&[b'u'; 5_000_000]);
    assert_eq!(client.reply().status, 408);
    server.stop();
}

#[test]
fn small_bodies_and_small_answers_need_no_room() {
    let server = start(Limits { bodies_in_flight: 1, responses_pending: 1, ..Limits::default() });
    let post = |length: usize| {
        let mut client = server.connect();
        client.send(format!("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n").as_bytes());
        client.send(&vec![b'u'; length]);
        client.reply().status
    };
    assert_eq!(post(65_536), 200);
    assert_eq!(post(65_537), 503);
    assert_eq!(server.connect().get("/bytes/65000").status, 200);
    let mut client = server.connect();
    let refused = client.get("/bytes/65537");
    assert!(refused.status == 503 && refused.text().starts_with("refused: "), "{refused:?}");
    server.stop();
}

#[test]
fn an_upload_holds_little_more_than_it_has_sent() {
    let server = start(Limits { bodies_in_flight: 1_000_000, ..Limits::default() });
    let stall = || {
        let mut client =
            server.connect_and_send(b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 16000000\r\n\r\n");
        client.send(&[b'u'; 790_000]);
        client
    };
    let mut stalled = stall();
    let body = [&b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 250000\r\n\r\n"[..], &[b'u'; 250_000]].concat();
    // What it holds is seen by what is left for others.
    eventually("it holds what it has sent", || {
        // Where the other came first, it was refused.
        if stalled.has_input() {
            stalled = stall();
        }
        thread::sleep(Duration::from_millis(50));
        let mut other = server.connect_from(2);
        other.send(&body);
        other.reply().status == 503 && !stalled.has_input()
    });
    thread::sleep(Duration::from_millis(50));
    assert!(!stalled.has_input(), "twice as much would be more than there is");
    drop(stalled);
    server.stop();
}

#[test]
fn the_slowest_reader_of_whoever_holds_most_gives_way() {
    let server = start(Limits { responses_pending: 60_000_000, grace: DEADLINE * 2, ..Limits::default() });
    let mut slow = [0, 1].map(|_| slow_reader(server.connect(), "/bytes/20000000"));
    // Nobody is slow yet.
    let mut guest = server.connect_from(2);
    assert_eq!(guest.get("/bytes/25000000").status, 503);
    // It is there already.
    thread::sleep(A_WHILE);
    let mut small = slow_reader(server.connect_from(2), "/bytes/5000000");
    let mut guest = server.connect_from(3);
    assert_eq!(guest.get("/bytes/25000000").body.len(), 25_000_000);
    // Whoever wants more than the others hold gets none. The others get all of theirs.
    assert_eq!(guest.get("/bytes/60000000").status, 503);
    let is_cut = |client: &mut Client| length_until_cut(client) < 20_000_000;
    assert_eq!(slow.iter_mut().map(is_cut).filter(|is_cut| *is_cut).count(), 1);
    assert!(length_until_cut(&mut small) >= 5_000_000);
    server.stop();
}

#[test]
fn streams_give_way_as_answers_do() {
    let server = start(Limits { streams: 4, grace: DEADLINE * 2, ..Limits::default() });
    let mut many: Vec<Client> = (0..3).map(|_| slow_reader(server.connect(), "/stream/50000000")).collect();
    let mut one = slow_reader(server.connect_from(2), "/stream/50000000");
    let stream = b"GET /stream/5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let from = |last: u8| {
        let mut client = server.connect_from(last);
        client.send(stream);
        client.rest()
    };
    assert!(from(3).starts_with("HTTP/1.1 503 "), "nobody is slow yet");
    thread::sleep(A_WHILE);
    assert!(server.exchange(stream).starts_with("HTTP/1.1 503 "), "it holds most itself");
    assert!(from(3).starts_with("HTTP/1.1 200 "));
    let is_cut = |client: &mut Client| length_until_cut(client) < 50_000_000;
    assert!(!is_cut(&mut one));
    assert_eq!(many.iter_mut().map(is_cut).filter(|is_cut| *is_cut).count(), 1);
    server.stop();
}

#[test]
fn a_handler_can_see_that_the_client_has_left() {
    let server = start(Limits::default());
    let mut client = server.connect_and_send(b"GET /left HTTP/1.1\r\nHost: a\r\n\r\n");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.reply().text(), "it left");
    let stays = server.connect_and_send(b"GET /left HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("it is handled", || server.handled.load(SeqCst) == 2);
    thread::sleep(Duration::from_millis(50));
    assert!(!stays.has_input());
    drop(stays);
    server.stop();
}
