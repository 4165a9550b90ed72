//! Clients that each keep a connection, ask at a steady pace, read and write in turn, and repeat nothing. What they count as a
//! failure a person would have noticed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Answer, Client};

/// Twenty requests a second.
const PACE: Duration = Duration::from_millis(50);

/// What the clients have met.
#[derive(Default)]
pub struct Tally {
    /// Answers as they ought to be.
    pub answered: AtomicUsize,
    /// Everything else.
    pub failures: Mutex<Vec<String>>,
}

impl Tally {
    /// Nothing failed. What did is told.
    pub fn expect_no_failure(&self) {
        let failures = self.failures.lock().unwrap();
        let some: Vec<_> = failures.iter().take(20).collect();
        assert!(failures.is_empty(), "{} of {}: {some:#?}", failures.len(), self.answered.load(SeqCst));
    }
}

/// Lets so many clients ask there, as this user, while `work` lasts; each has asked once more when it is over.
pub fn ask(user: &Client, count: usize, work: impl FnOnce(&Tally)) -> Tally {
    let (tally, over) = (Tally::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                let mut connection = None;
                for turn in 0.. {
                    let last = over.load(SeqCst);
                    let began = Instant::now();
                    match one(user, &mut connection, turn) {
                        Ok(()) => drop(tally.answered.fetch_add(1, SeqCst)),
                        Err(failure) => tally.failures.lock().unwrap().push(format!("{:?} {failure}", began.elapsed())),
                    }
                    if last {
                        return;
                    }
                    thread::sleep(PACE.saturating_sub(began.elapsed()));
                }
            });
        }
        // The clients end even if it fails.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&tally)));
        over.store(true, SeqCst);
        outcome.unwrap_or_else(|panic| resume_unwind(panic));
    });
    tally
}

/// Asks once, on the connection that there is.
fn one(user: &Client, connection: &mut Option<TcpStream>, turn: usize) -> Result<(), String> {
    let body = r#"{"first_name": "A"}"#;
    let (line, body, status) = match turn % 3 {
        0 => ("GET /api/contacts?limit=2", "", 200),
        1 => ("POST /api/contacts", body, 201),
        _ => ("GET /api/users/me", "", 200),
    };
    let kept = connection.is_some();
    let told = |error: std::io::Error| format!("{line}, kept: {kept}: {error}");
    let mut socket = connection.take().map_or_else(|| connect(user.address), Ok).map_err(told)?;
    let token = user.token.as_deref().expect("a token");
    let request = format!(
        "{line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).map_err(told)?;
    let answer = read(&mut socket).map_err(told)?;
    if answer.status != status {
        return Err(format!("{line}, kept: {kept}: {} {}", answer.status, answer.text()));
    }
    if answer.header("Connection") != Some("close") {
        *connection = Some(socket);
    }
    Ok(())
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// One answer, which says its length.
fn read(socket: &mut TcpStream) -> std::io::Result<Answer> {
    let mut bytes = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        let n = socket.read(&mut piece)?;
        if n == 0 {
            return Err(std::io::Error::other(format!("closed after {} bytes", bytes.len())));
        }
        bytes.extend_from_slice(&piece[..n]);
        let Some(answer) = Answer::parse_head(&bytes) else { continue };
        let length = answer.header("Content-Length").and_then(|length| length.parse().ok());
        if answer.body.len() >= length.unwrap_or(0) {
            return Ok(answer);
        }
    }
}
