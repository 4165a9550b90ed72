//! All places taken by connections that do nothing, or next to nothing.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use crate::stage::{Attack, Force, Stage};

/// Keeps so many connections that have sent these bytes, some of which may have been answered; whatever ends is made anew.
fn keep(stage: &Stage, attack: &Attack, count: usize, bytes: &str) {
    let mut wires = Vec::new();
    while !attack.is_over() {
        while wires.len() < count && !attack.is_over() {
            let mut wire = stage.connect();
            wire.try_send(bytes.as_bytes());
            wire.socket.set_nonblocking(true).expect("an option");
            wires.push((wire, attack.hold()));
        }
        wires.retain_mut(|(wire, _)| {
            loop {
                let mut piece = [0; 4096];
                match wire.socket.read(&mut piece) {
                    Ok(count @ 12..) => {
                        attack.answered(
                            str::from_utf8(&piece[9..count.min(12)]).ok().and_then(|s| s.parse().ok()).unwrap_or(0),
                        );
                    }
                    Ok(1..) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                    _ => return false,
                }
            }
        });
        attack.rest(Duration::from_millis(20));
    }
}

fn are_taken(force: &Force) {
    assert!(force.held >= 1_000 && force.descriptors >= 900, "not all places were taken: {force}");
}

#[test]
fn a_thousand_and_twenty_three_idle_connections() {
    let stage = Stage::set();
    let request = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
    are_taken(&stage.under("1,023 idle connections", 1, |attack, _| keep(&stage, attack, 1_023, request)));
}

#[test]
fn a_thousand_and_a_hundred_connections_that_never_said_a_word() {
    let stage = Stage::set();
    are_taken(&stage.under("1,100 silent connections", 1, |attack, _| keep(&stage, attack, 1_100, "")));
}

#[test]
fn a_thousand_and_a_hundred_half_sent_heads() {
    let stage = Stage::set();
    let half = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    are_taken(&stage.under("1,100 half-sent heads", 1, |attack, _| keep(&stage, attack, 1_100, half)));
}
