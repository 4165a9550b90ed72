//! What burns the processor: imports of one user, and logins that nobody waits for any more.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use serde_json::json;

use crate::stage::Stage;
use crate::wire::Wire;

/// The largest file that an import takes.
const IMPORT: usize = 16 << 20;

/// A CSV file of this size with 254 long headings that we do not know: the costliest to read that is known.
fn wide_csv() -> String {
    let headings: Vec<_> = (0..254).map(|n| format!("{n:03}{}", "h".repeat(190))).collect();
    let mut text = headings.join(",") + "\n";
    let row = ["a"; 254].join(",") + "\n";
    while text.len() + row.len() <= IMPORT {
        text += &row;
    }
    text
}

fn imports_from(connections: usize) {
    let stage = Stage::set();
    let file = wide_csv();
    let head = stage.head("POST", "/api/contacts/import?dry_run=true");
    let request = format!("{head}Content-Type: text/csv\r\nContent-Length: {}\r\n\r\n{file}", file.len());
    let what = format!("{connections} connections with dry runs of an import of 16 MiB");
    let force = stage.under(&what, connections, |attack, _| attack.repeat(&stage, request.as_bytes()));
    assert!(force.held >= 1, "no import was under way: {force}");
    // An import may take longer than the measurement, so what is known is that its file lay in memory.
    assert!(force.memory > 12 * 1024 || force.answers(&[200]) > 0, "no file was taken: {force}");
}

#[test]
fn imports_from_two_connections() {
    imports_from(2);
}

#[test]
fn imports_from_six_connections() {
    imports_from(6);
}

/// A login of nobody; the answer takes as long as any.
fn login_of_nobody(number: usize) -> String {
    let body = json!({ "email": format!("nobody{number}@example.com"), "password": "123456" }).to_string();
    let head = "POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json";
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Sends as many logins and leaves at once. How many the service took.
fn abandon(stage: &Stage, count: usize) -> usize {
    let mut wires: Vec<Wire> = (0..count).map(|_| stage.connect()).collect();
    let sent = wires.iter_mut().enumerate().map(|(n, wire)| wire.try_send(login_of_nobody(n).as_bytes()));
    let sent = sent.filter(|sent| *sent).count();
    for wire in &wires {
        // Closing sends RST in place of an orderly end, after which a client may still read.
        set_socket_linger(wire.socket.as_fd(), Some(Duration::ZERO)).expect("an option");
    }
    sent
}

#[test]
fn sixty_four_abandoned_logins_before_each_real_one() {
    let stage = Stage::set();
    let mut times: Vec<_> = (0..9)
        .map(|_| {
            assert_eq!(abandon(&stage, 64), 64);
            let started = Instant::now();
            stage.attacker.login("attacker@example.com", "123456");
            started.elapsed()
        })
        .collect();
    times.sort();
    println!("\na login behind 64 abandoned ones: {times:.0?}");
    let force = stage.under("64 abandoned logins every half second", 1, |attack, _| {
        while !attack.is_over() {
            for _ in 0..abandon(&stage, 64) {
                attack.answered(0);
            }
            attack.rest(Duration::from_millis(500));
        }
    });
    assert!(force.answers(&[0]) >= 128, "{force}");
    assert!(times[times.len() / 2] < Duration::from_secs(1), "{times:?}");
}
