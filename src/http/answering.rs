//! Responses on their way to the client. A worker writes what the socket takes at once; a thread of the pool writes the
//! rest, with deadlines, so that a client that reads slowly or not at all never holds a worker.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;
use rustix::net::{SendFlags, send};

use super::budget::{Holder, Permit};
use super::connection::{LINGER_BYTES, Responder};
use super::head::{Refusal, refusal};
use super::limits::SMALL;
use super::request::Request;
use super::response::{Body, Response, reason};
use super::shared::Shared;

/// What a head takes, with some room.
const HEAD: usize = 512;
/// Bytes read from a streamed response at a time, and written as one chunk.
const PIECE: usize = 32 * 1024;

const BUSY: Refusal = refusal(503, "The server is busy with other downloads; try again in a moment.");

/// How the end of the body is known.
enum Framing {
    /// No body and no length.
    Bodiless,
    Length(usize),
    Chunked,
    /// For HTTP/1.0: the connection's end is the body's end.
    UntilClose,
}

/// Answers. The worker is free again when this returns, however slowly the client takes it.
pub(super) fn answer(responder: Responder, mut response: Response, request: Option<&Request>) {
    let close = response.close || !responder.keep_alive || responder.turn.shared.is_draining();
    if let Body::Stream(_) = response.body {
        return answer_by_stream(responder, response, request, close);
    }
    let bytes = render(&response, response.body.bytes(), responder.head_only, close, responder.is_1_1);
    // The room is taken before the head is sent, so that whoever gets one gets all of the answer.
    let mut permit = None;
    if bytes.len() > SMALL {
        let shared = &responder.turn.shared;
        permit = shared.reserve(&shared.responses, holder(&responder, request), bytes.len());
        if permit.is_none() {
            return refuse(responder, BUSY, request);
        }
    }
    responder.turn.shared.program.answered(request, &mut response);
    deliver(responder, bytes, permit, close);
}

/// Answers with what the program makes of a refusal, and closes. The request is given where its head is known.
pub(super) fn refuse(responder: Responder, refusal: Refusal, request: Option<&Request>) {
    // Without a response the responder is dropped, which cuts the connection: there is nothing sensible left to say.
    if let Some(response) = refusal_response(&responder.turn.shared, &refusal, request) {
        answer(responder, response, request);
    }
}

/// The program's response to a refusal. The program must not take down whoever refuses for it, least of all the thread that
/// watches everybody; and a second panic during the unwinding that dropped a request would abort the process.
fn refusal_response(shared: &Shared, refusal: &Refusal, request: Option<&Request>) -> Option<Response> {
    let refuse = || shared.program.refuse(refusal.status, refusal.detail, request);
    let mut response = catch_unwind(AssertUnwindSafe(refuse)).ok()?;
    response.close = true;
    Some(response)
}

/// A refusal as bytes, for a client that is turned away without becoming a connection.
pub(super) fn render_refusal(shared: &Shared, refusal: &Refusal) -> Option<Vec<u8>> {
    let response = refusal_response(shared, refusal, None)?;
    Some(render(&response, response.body.bytes(), false, true, true))
}

/// A whole response.
fn render(response: &Response, body: &[u8], head_only: bool, close: bool, is_1_1: bool) -> Vec<u8> {
    let framing = if response.is_bodiless() { Framing::Bodiless } else { Framing::Length(body.len()) };
    let body = if head_only || response.is_bodiless() { &[] } else { body };
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    write_head(&mut bytes, response, &framing, close, is_1_1);
    bytes.extend_from_slice(body);
    bytes
}

/// Answers with a body that is read on a thread of the pool, and may wait for what it reads from. Beyond
/// [`super::Limits::streams`] at once the client gets a 503.
fn answer_by_stream(responder: Responder, mut response: Response, request: Option<&Request>, close: bool) {
    let shared = Arc::clone(&responder.turn.shared);
    let Some(permit) = shared.reserve(&shared.streams, holder(&responder, request), 1) else {
        return refuse(responder, BUSY, request);
    };
    shared.program.answered(request, &mut response);
    shared.pool.spawn(move |has_thread| match has_thread {
        true => stream(responder, response, permit, close),
        false => refuse(responder, BUSY, None),
    });
}

fn stream(responder: Responder, mut response: Response, permit: Permit, close: bool) {
    let Body::Stream(mut reader) = std::mem::replace(&mut response.body, Body::Empty) else {
        return;
    };
    let framing = match responder.is_1_1 {
        _ if response.is_bodiless() => Framing::Bodiless,
        true => Framing::Chunked,
        false => Framing::UntilClose,
    };
    let close = close || matches!(framing, Framing::UntilClose);
    let mut bytes = Vec::with_capacity(PIECE + HEAD);
    if responder.head_only || matches!(framing, Framing::Bodiless) {
        write_head(&mut bytes, &response, &framing, close, responder.is_1_1);
        return deliver(responder, bytes, None, close);
    }

    let mut piece = Vec::with_capacity(PIECE);
    // The first piece before the head: a body that fails at once can still become a 500.
    if let Err(error) = read_piece(&mut reader, &mut piece) {
        log::error!("a streamed response failed before its first byte: {error}");
        return refuse(responder, refusal(500, "The answer could not be completed."), None);
    }
    write_head(&mut bytes, &response, &framing, close, responder.is_1_1);
    let connection = &responder.turn;
    let written = connection.paced(false, Some(permit), || {
        loop {
            append_piece(&mut bytes, &piece, &framing);
            connection.write_all(&bytes)?;
            if piece.len() < PIECE {
                return io::Result::Ok(());
            }
            bytes.clear();
            read_piece(&mut reader, &mut piece)
                .inspect_err(|error| log::error!("a streamed response broke off: {error}"))?;
        }
    });
    // Otherwise the missing end tells the client that the body is incomplete.
    if written.is_ok() {
        finish(responder, close);
    }
}

/// Reads the next piece in place of the last; it is full, but at the end of the body.
fn read_piece(reader: &mut impl Read, piece: &mut Vec<u8>) -> io::Result<usize> {
    piece.clear();
    reader.take(PIECE as u64).read_to_end(piece)
}

/// A piece that is not full is the last.
fn append_piece(bytes: &mut Vec<u8>, piece: &[u8], framing: &Framing) {
    let Framing::Chunked = framing else {
        return bytes.extend_from_slice(piece);
    };
    if !piece.is_empty() {
        let _ = write!(bytes, "{:x}\r\n", piece.len());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    if piece.len() < PIECE {
        bytes.extend_from_slice(b"0\r\n\r\n");
    }
}

/// Whose share the answer takes.
fn holder(responder: &Responder, request: Option<&Request>) -> Holder {
    let unknown = || Holder { network: responder.turn.network, user: None };
    request.map_or_else(unknown, |request| responder.turn.shared.program.holder(request))
}

/// Status line, headers, empty line. Writing to a vector cannot fail.
fn write_head(out: &mut Vec<u8>, response: &Response, framing: &Framing, close: bool, is_1_1: bool) {
    let status = response.status.0;
    // RFC 9112 §2.3: the server's own version, whichever of 1.x the client speaks.
    let _ = write!(out, "HTTP/1.1 {status} {}\r\n", reason(status));
    out.extend_from_slice(b"Date: ");
    out.extend_from_slice(&date());
    out.extend_from_slice(b"\r\n");
    for (name, value) in &response.headers {
        for part in [name, ": ", value, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    let _ = match framing {
        Framing::Length(length) => write!(out, "Content-Length: {length}\r\n"),
        Framing::Chunked => write!(out, "Transfer-Encoding: chunked\r\n"),
        Framing::Bodiless | Framing::UntilClose => Ok(()),
    };
    if close {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if !is_1_1 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// The `Date` header's value, made at most once a second by each thread.
fn date() -> [u8; 29] {
    thread_local! {
        static LAST: Cell<(u64, [u8; 29])> = const { Cell::new((0, [b' '; 29])) };
    }
    #[expect(clippy::disallowed_methods)]
    // RFC 9110 §6.6.1: the date is the origin server's clock, whatever a test sets
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    LAST.with(|last| {
        let (of, mut text) = last.get();
        if of != second {
            let _ = write!(&mut text[..], "{}", HttpDate::from(now));
            last.set((second, text));
        }
        text
    })
}

/// Sends a whole answer: at once as far as the socket takes it, the rest on a thread of the pool.
///
/// MSG_DONTWAIT rather than a non-blocking socket, because a thread may wait for a request on the same one. A client that
/// has left makes `send` fail with EPIPE: Rust programs ignore SIGPIPE.
fn deliver(responder: Responder, bytes: Vec<u8>, permit: Option<Permit>, close: bool) {
    let sent = match send(&responder.turn.stream, &bytes, SendFlags::DONTWAIT) {
        Ok(sent) if sent == bytes.len() => return finish(responder, close),
        Ok(sent) => sent,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => 0,
        // The client has left; dropping the responder ends the connection.
        Err(_) => return,
    };
    let pool = responder.turn.shared.pool.clone();
    pool.spawn(move |has_thread| {
        let connection = &responder.turn;
        let rest = || connection.write_all(&bytes[sent..]);
        // Without a thread, or unfinished, the responder is dropped and the connection ends.
        if has_thread && connection.paced(false, permit, rest).is_ok() {
            finish(responder, close);
        }
    });
}

/// The whole answer is with the kernel: on to the next request, or with `close` to the connection's end.
fn finish(responder: Responder, close: bool) {
    let turn = responder.turn;
    let mut inbound = turn.inbound.lock();
    if close {
        let _ = turn.stream.shutdown(Shutdown::Write);
        inbound.input.clear();
        inbound.lingering = Some(LINGER_BYTES);
        inbound.since = Instant::now();
    }
    // In the ordinary case there is neither: the client has yet to read the answer.
    let is_begun = !inbound.input.data().is_empty();
    drop(inbound);
    let turn = if is_begun { Some(turn) } else { turn.rest() };
    if let Some(turn) = turn {
        turn.read_on();
    }
}
