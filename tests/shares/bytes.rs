//! What lies in memory: downloads and lists that are read slowly, uploads that stall.

use std::io::Read;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use crate::others::{Kind, large_contacts};
use crate::stage::{Attack, Force, Stage};
use crate::support::load;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// What a slow client's kernel takes while the client reads nothing.
const NARROW: usize = 64 * KIB;
/// A slow reader takes so many bytes every second: more than the least pace that the service wants.
const SLOW: usize = 20 * KIB;

/// Asks and reads 20 KiB a second, again and again; counts as held what has begun with 200 and not ended.
fn read_slowly(stage: &Stage, attack: &Attack, request: &str) {
    while !attack.is_over() {
        let mut wire = stage.connect().narrow(NARROW);
        wire.try_send(request.as_bytes());
        let mut piece = vec![0; SLOW / 4];
        let mut held = None;
        while !attack.is_over() {
            let count = wire.socket.read(&mut piece).unwrap_or(0);
            if held.is_none() {
                let status = piece.get(9..12).and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
                attack.answered(if count == 0 { 0 } else { status.unwrap_or(0) });
                held = Some((status == Some(200)).then(|| attack.hold()));
            }
            if count == 0 || !matches!(held, Some(Some(_))) {
                break;
            }
            attack.bytes.fetch_add(count as u64, SeqCst);
            attack.rest(Duration::from_millis(250));
        }
        attack.rest(Duration::from_millis(250));
    }
}

#[test]
fn sixteen_slow_downloads() {
    // Of 20 contacts, so their exports and feeds are small, as nearly all are.
    slow_downloads("16 slow downloads", Stage::set());
}

#[test]
fn sixteen_slow_downloads_and_others_with_large_files() {
    slow_downloads(
        "16 slow downloads, the others' files have 3 MB",
        Stage::with(200, &[Kind::Read, Kind::Export, Kind::Feed]),
    );
}

fn slow_downloads(what: &str, stage: Stage) {
    load::insert(&stage.database, &stage.attacker, &large_contacts(1_000));
    let request = stage.head("GET", "/api/contacts/export?format=json") + "\r\n";
    let force = stage.under(what, 16, |attack, _| read_slowly(&stage, attack, &request));
    assert!(force.held >= 8, "hardly any slow download was under way: {force}");
}

#[test]
fn sixteen_slow_lists_of_fifteen_megabytes() {
    let stage = Stage::with(400, &[Kind::Read, Kind::Write, Kind::List, Kind::Feed]);
    load::insert(&stage.database, &stage.attacker, &large_contacts(1_000));
    let request = stage.head("GET", "/api/contacts?limit=1000") + "\r\n";
    let what = "16 slow lists of 15 MB, the others' have 6 MB";
    let force = stage.under(what, 16, |attack, _| read_slowly(&stage, attack, &request));
    assert!(force.held >= 2 && force.memory > 32 * 1024, "hardly any answer waited: {force}");
}

/// Keeps so many uploads that stall after `sent` bytes: whatever the service ends is begun anew.
fn keep_stalled(stage: &Stage, attack: &Attack, count: usize, head: &str, sent: usize) {
    let request = [head.as_bytes(), &vec![b' '; sent]].concat();
    let mut wires = Vec::new();
    while !attack.is_over() {
        while wires.len() < count && !attack.is_over() {
            let mut wire = stage.connect();
            wire.socket.set_nonblocking(false).expect("an option");
            if wire.stuff(&request, Duration::from_secs(5)) == request.len() {
                attack.bytes.fetch_add(sent as u64, SeqCst);
            }
            wires.push((wire, attack.hold()));
        }
        wires.retain_mut(|(wire, _)| {
            wire.socket.set_nonblocking(true).expect("an option");
            let mut piece = [0; 4 * KIB];
            let ended = match wire.socket.read(&mut piece) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return true,
                Ok(count @ 12..) => {
                    str::from_utf8(&piece[9..count.min(12)]).ok().and_then(|digits| digits.parse().ok())
                }
                _ => None,
            };
            attack.answered(ended.unwrap_or(0));
            false
        });
        attack.rest(Duration::from_millis(100));
    }
}

/// The head of an upload without a token, to which a body of this length belongs.
fn login(length: usize) -> String {
    let head = "POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json";
    format!("{head}\r\nContent-Length: {length}\r\n\r\n")
}

/// Uploads that stall and those that are refused at once are the attack; one of them must have been in force.
fn is_stalled(force: &Force, least: i64) {
    let refused = force.answers(&[413, 429, 503]);
    assert!(force.held >= least || refused > 100, "{force}");
}

#[test]
fn stalled_uploads_without_an_account() {
    let stage = Stage::set();
    let (large, small) = (login(MIB), login(16 * KIB));
    let what = "128 stalled logins of 1 MiB and 160 of 16 KiB, without an account";
    let force = stage.under(what, 5, |attack, number| match number {
        0 => keep_stalled(&stage, attack, 160, &small, 8 * KIB + 1),
        _ => keep_stalled(&stage, attack, 32, &large, MIB / 2 + 1),
    });
    is_stalled(&force, 160);
    assert!(force.held >= 100, "the small ones at least were held: {force}");
}

#[test]
fn stalled_uploads_with_an_account() {
    let stage = Stage::set();
    let json = |target, length| {
        stage.head("POST", target) + &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n")
    };
    let (create, import) = (json("/api/contacts", MIB), json("/api/contacts/import", 16 * MIB));
    let what = "8 stalled imports of 16 MiB and 128 stalled creates of 1 MiB";
    let force = stage.under(what, 5, |attack, number| match number {
        0 => keep_stalled(&stage, attack, 8, &import, 8 * MIB + 1),
        _ => keep_stalled(&stage, attack, 32, &create, MIB / 2 + 1),
    });
    is_stalled(&force, 100);
    assert!(force.memory > 32 * 1024, "hardly any byte was held: {force}");
}

#[test]
fn an_import_at_one_megabit_a_second_goes_through_and_a_stalled_one_ends() {
    /// More than any clock of half a minute allows.
    const LENGTH: usize = 4 * MIB;
    const PACE: usize = 125_000;
    let stage = Stage::set();
    let head = |length: usize| {
        let head = stage.head("POST", "/api/contacts/import?dry_run=true");
        format!("{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n")
    };
    let file = b"[]".iter().copied().chain(std::iter::repeat_n(b' ', LENGTH - 2)).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut wire = stage.connect();
            wire.send(head(LENGTH).as_bytes());
            let started = Instant::now();
            // A byte now and then is no pace.
            while started.elapsed() < Duration::from_secs(60) && wire.try_send(b" ") {
                std::thread::sleep(Duration::from_millis(500));
            }
            let took = started.elapsed();
            println!("\na stalled import ended after {took:.1?}");
            assert!(took < Duration::from_secs(40), "{took:?}");
        });
        let mut wire = stage.connect();
        wire.send(head(LENGTH).as_bytes());
        let started = Instant::now();
        for piece in file.chunks(PACE / 10) {
            assert!(wire.try_send(piece), "ended after {:?}: {}", started.elapsed(), wire.rest());
            std::thread::sleep(Duration::from_millis(100));
        }
        println!("\nan import of 4 MiB took {:.1?}", started.elapsed());
        let answer = wire.answer();
        assert_eq!(answer.status, 200, "{}", answer.text());
    });
}
