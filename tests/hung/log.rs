//! Whoever reads the log stops reading: the pipe is full, and the program goes on.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::ioctl_fionread;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::cluster::Cluster;
use crate::support::client::Client;
use crate::support::random_secret;
use crate::support::server::command;
use crate::trial::{SetOnDrop, alone, until};

const FULL: u64 = 60 * 1024;

/// A program whose log nobody reads. Dropping it ends the process.
struct Unread(Child);

impl Unread {
    /// Reads its log until it listens.
    fn start(database: &str) -> (Unread, BufReader<ChildStderr>, Client) {
        let settings = [
            ("DATABASE_URL", Cluster::shared().by_socket(database)),
            ("JWT_SECRET", random_secret()),
            ("LISTEN", "127.0.0.1:0".to_owned()),
            ("ADDRESS_ATTEMPTS", "0".to_owned()),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value));
        let mut process = Unread(command(&settings).stderr(Stdio::piped()).spawn().expect("the program starts"));
        let mut log = BufReader::new(process.0.stderr.take().expect("it is piped"));
        let mut line = String::new();
        while !line.contains("serving on http://") {
            line.clear();
            assert!(log.read_line(&mut line).expect("a line") > 0, "it ended before it listened");
        }
        let address = line.trim().rsplit('/').next().and_then(|address| address.parse().ok());
        (process, log, Client::new(address.expect("an address")))
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let _alone = alone();
    let database = Cluster::shared().new_database();
    let (mut process, mut log, client) = Unread::start(&database);
    until("it is ready", || client.get("/readyz").send().status == 200);
    let user = client.new_user("a@example.com");
    let over = AtomicBool::new(false);
    let kinds =
        [("livez", "/livez", 200), ("docs", "/docs", 200), ("404", "/nowhere", 404), ("read", "/api/contacts", 200)];
    thread::scope(|scope| {
        let _over = SetOnDrop(&over);
        for _ in 0..4 {
            // Each is a line at info.
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    client.post("/api/auth/refresh_token", &json!({ "refresh_token": "x" })).send().expect(401);
                }
            });
        }
        // Full, with as many lines as the program may keep besides.
        until("the pipe is full", || ioctl_fionread(log.get_ref()).expect("a pipe") >= FULL);
        let full = Instant::now();
        let mut longest = [Duration::ZERO; 5];
        while full.elapsed() < Duration::from_secs(3) {
            for (index, (_, path, status)) in kinds.iter().enumerate() {
                let sent = Instant::now();
                assert_eq!(user.get(path).send().status, *status, "{path}");
                longest[index] = longest[index].max(sent.elapsed());
            }
            let sent = Instant::now();
            user.new_contact(&json!({ "first_name": "A" }));
            longest[4] = longest[4].max(sent.elapsed());
        }
        assert!(ioctl_fionread(log.get_ref()).expect("a pipe") >= FULL, "it is still full");
        let longest = longest.map(|longest| longest.as_millis());
        println!("a log that nobody reads: livez, docs, 404, read, write {longest:?}");
        assert!(longest.iter().all(|longest| *longest < 1200));
    });

    // Its reader is back, and finds out what it has missed.
    let mut line = String::new();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !line.contains("lines of the log were dropped") {
        line.clear();
        assert!(Instant::now() < deadline && log.read_line(&mut line).expect("a line") > 0, "it says so");
    }
    let dropped: u64 = line.split_whitespace().find_map(|word| word.parse().ok()).expect("a number");
    assert!(dropped > 0, "{line}");

    // And it ends, even while nobody reads.
    for _ in 0..1500 {
        client.post("/api/auth/refresh_token", &json!({ "refresh_token": "x" })).send().expect(401);
    }
    assert!(ioctl_fionread(log.get_ref()).expect("a pipe") >= FULL);
    let asked = Instant::now();
    let pid = i32::try_from(process.0.id()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, Signal::TERM).expect("it runs");
    until("it ends", || process.0.try_wait().expect("a child").is_some());
    println!("{dropped} lines dropped; the end took {:?}", asked.elapsed());
    assert!(asked.elapsed() < Duration::from_secs(5));
    let mut rest = String::new();
    log.read_to_string(&mut rest).expect("text");
    assert!(rest.lines().all(|line| line.len() > 24), "no line is cut");
}
