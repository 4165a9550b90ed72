//! Requests that arrive in pieces: read on a thread from the pool, with deadlines, so that nobody else waits for the
//! client.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::connection::{Connection, Found, STOPPING};
use crate::head::{self, Framing, Head, Refusal, Scanner, refusal};
use crate::input::Input;
use crate::turn::Turn;
use crate::{Request, body, pace};

/// Why no request was read.
pub(crate) enum Stop {
    /// The client left.
    Gone,
    Refuse(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refuse(refusal)
    }
}

impl Stop {
    /// The result of a read within a request: its count, which is not 0.
    pub(crate) fn at_eof(read: io::Result<usize>) -> Result<usize, Stop> {
        match read {
            Ok(0) => Err(Stop::Gone),
            Ok(count) => Ok(count),
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                Err(refusal(408, "The request did not arrive in time.").into())
            }
            Err(_) => Err(Stop::Gone),
        }
    }

    fn found(self, connection: &Connection, request: Option<Request>) -> Found {
        let request = request.map(Box::new);
        match self {
            Stop::Refuse(refusal) => Found::Refused(refusal, request),
            // Somebody who has begun a request when the server stops deserves to know that it was not run.
            Stop::Gone if connection.core.is_draining() => Found::Refused(STOPPING, request),
            Stop::Gone => Found::End,
        }
    }
}

/// Waits for the rest of a request and passes the turn on. The body of a thread from the pool.
pub(crate) fn read(turn: Turn) {
    let mut state = turn.lock();
    let input = &mut state.input;
    turn.awaits_head.store(true, Ordering::SeqCst);
    let head = read_head(&turn, input);
    turn.awaits_head.store(false, Ordering::SeqCst);
    let found = match head {
        Ok(head) => complete(&turn, head, input),
        Err(stop) => stop.found(&turn, None),
    };
    drop(state);
    if let Some(turn) = turn.act(found) {
        turn.read_on();
    }
}

fn read_head(connection: &Connection, input: &mut Input) -> Result<Head, Stop> {
    let limits = &connection.core.limits;
    let mut scanner = Scanner::default();
    let deadline = Instant::now() + limits.head_timeout;
    loop {
        if let Some(length) = scanner.scan(input.data(), limits)? {
            let head = head::parse(&input.data()[..length]);
            input.consume(length);
            return Ok(head?);
        }
        if input.is_full() {
            return Err(refusal(431, "The request line and headers are too long.").into());
        }
        Stop::at_eof(input.fill(&connection.stream, deadline))?;
    }
}

/// The request of a head, with its body, which is waited for unless all of it is in `input`.
pub(crate) fn complete(connection: &Arc<Connection>, head: Head, input: &mut Input) -> Found {
    let (framing, expects_continue) = (head.framing, head.expects_continue);
    let mut request = Request::from_head(head, connection.peer);
    match read_body(connection, &mut request, framing, expects_continue, input) {
        Ok(()) => Found::Request(request),
        Err(stop) => stop.found(connection, Some(request)),
    }
}

fn read_body(
    connection: &Connection,
    request: &mut Request,
    framing: Framing,
    expects_continue: bool,
    input: &mut Input,
) -> Result<(), Stop> {
    if framing == Framing::Empty {
        return Ok(());
    }
    let core = &connection.core;
    let limit = core.program.body_limit(request).unwrap_or(core.limits.body_bytes);
    if matches!(framing, Framing::Length(length) if length > limit) {
        return Err(refusal(413, "The body is larger than this address takes.").into());
    }
    if expects_continue && input.data().is_empty() {
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
        pace::write_all(&connection.stream, interim, core.limits.write_timeout).map_err(|_| Stop::Gone)?;
    }
    let deadline = Instant::now() + core.limits.body_timeout;
    let stream = &connection.stream;
    let body = body::read(stream, input, framing, limit, &core.bodies, deadline)?;
    request.set_body(body);
    Ok(())
}
