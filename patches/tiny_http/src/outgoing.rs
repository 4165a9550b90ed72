//! Responses on their way to the client. A worker writes what the socket takes at once; the rest goes to a thread
//! of its own, with deadlines, so that a client that reads slowly or not at all never holds a worker.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;
use rustix::net::{SendFlags, send};

use crate::budget::Permit;
use crate::connection::Slot;
use crate::core::{Core, Job};
use crate::head::Refusal;
use crate::pace::{self, Pace};
use crate::{Header, Request, Response, ResponseBox, StatusCode};

/// What a head takes, with some room.
const HEAD: usize = 512;
/// Bytes read from a streamed response at a time, and written as one chunk.
const PIECE: usize = 32 * 1024;

/// How the end of the body is known.
enum Framing {
    /// 204 and 304 have no body and no length (RFC 9110 section 8.6).
    Bodiless,
    Length(u64),
    Chunked,
    /// For HTTP/1.0: the connection's end is the body's end.
    UntilClose,
}

/// Answers with a body of known length: its reader must not wait for anything. The worker is free again
/// when this returns. An error is the program's (its reader failed; the client got a 500), never the client's.
pub(crate) fn respond<R: Read>(slot: Slot, response: Response<R>) -> io::Result<()> {
    let (status, headers, mut reader, announced, close) = response.into_parts();
    let is_bodiless = is_bodiless(status);
    let close = close || ends_connection(&slot);
    let head = |length: usize| {
        let framing = match is_bodiless {
            true => Framing::Bodiless,
            false => Framing::Length(length as u64),
        };
        let mut bytes = Vec::with_capacity(HEAD + length.min(PIECE));
        write_head(&mut bytes, status, &headers, &framing, close, slot.chunks);
        bytes
    };
    // The body is read to where it is sent from, in the faith that it is as long as announced.
    let mut bytes = head(announced.unwrap_or(0));
    let head_length = bytes.len();
    if let Err(error) = reader.read_to_end(&mut bytes) {
        refuse(slot, UNFINISHED, None);
        return Err(error);
    }
    let length = bytes.len() - head_length;
    if slot.head_only || is_bodiless {
        // To HEAD a program may announce what it does not produce.
        if announced.is_none() {
            bytes = head(length);
        } else {
            bytes.truncate(head_length);
        }
    } else if announced != Some(length) {
        let body = bytes.split_off(head_length);
        bytes = head(length);
        bytes.extend_from_slice(&body);
    }
    deliver(slot, bytes, close);
    Ok(())
}

const UNFINISHED: Refusal = crate::head::refusal(500, "The answer could not be completed.");

/// Answers with what the program makes of a refusal, and closes. The request is given where its head is known.
pub(crate) fn refuse(slot: Slot, refusal: Refusal, request: Option<&Request>) {
    match render_refusal(&slot.connection().core, &refusal, request, slot.head_only) {
        Ok(bytes) => deliver(slot, bytes, true),
        // Dropping the slot cuts the connection: there is nothing sensible left to say.
        Err(error) => log::error!("the answer {} could not be made: {error}", refusal.status),
    }
}

/// A whole refusal, ready to be sent.
pub(crate) fn render_refusal(
    core: &Core,
    refusal: &Refusal,
    request: Option<&Request>,
    head_only: bool,
) -> io::Result<Vec<u8>> {
    let render = || {
        let response = core.program.refuse(refusal.status, refusal.detail, request);
        let (status, headers, mut reader, ..) = response.into_parts();
        let mut body = Vec::new();
        reader.read_to_end(&mut body)?;
        let framing = Framing::Length(body.len() as u64);
        let mut bytes = Vec::with_capacity(HEAD + body.len());
        write_head(&mut bytes, status, &headers, &framing, true, true);
        if !head_only {
            bytes.extend_from_slice(&body);
        }
        Ok(bytes)
    };
    // The program must not take down whoever refuses for it, least of all the thread that watches everybody; and a
    // second panic during the unwinding that dropped a request would abort the process.
    catch_unwind(AssertUnwindSafe(render)).unwrap_or_else(|_| Err(io::Error::other("the program panicked")))
}

/// Answers with a body that is read on a thread of its own, and may wait for what it reads from. Over
/// `Limits::streams` the client gets a 503.
pub(crate) fn respond_streaming(slot: Slot, response: ResponseBox) {
    const BUSY: Refusal = crate::head::refusal(503, "The server is busy with other downloads; try again in a moment.");
    let Some(permit) = slot.connection().core.streams.take(1) else {
        return refuse(slot, BUSY, None);
    };
    // Started first and given its work after: a thread that cannot be had must not take the work with it.
    let (sender, receiver) = mpsc::sync_channel::<(Slot, ResponseBox, Permit)>(1);
    let thread = thread::Builder::new().name("http-stream".to_owned()).spawn(move || {
        if let Ok((slot, response, _permit)) = receiver.recv() {
            stream(slot, response);
        }
    });
    match thread {
        Ok(_) => drop(sender.send((slot, response, permit))),
        Err(error) => {
            log::warn!("no thread for a streamed response: {error}");
            refuse(slot, BUSY, None);
        }
    }
}

fn stream(slot: Slot, response: ResponseBox) {
    let (status, headers, reader, length, close) = response.into_parts();
    let framing = match length {
        _ if is_bodiless(status) => Framing::Bodiless,
        Some(length) => Framing::Length(length as u64),
        None if slot.chunks => Framing::Chunked,
        None => Framing::UntilClose,
    };
    let close = close || ends_connection(&slot) || matches!(framing, Framing::UntilClose);
    let mut bytes = Vec::with_capacity(PIECE + HEAD);
    if slot.head_only || matches!(framing, Framing::Bodiless) {
        write_head(&mut bytes, status, &headers, &framing, close, slot.chunks);
        return deliver(slot, bytes, close);
    }

    let mut reader = reader.take(length.map_or(u64::MAX, |length| length as u64));
    let mut piece = vec![0; PIECE];
    // The first piece before the head: a body that fails at once can still become a 500.
    let mut count = match read_piece(&mut reader, &mut piece) {
        Ok(count) => count,
        Err(error) => {
            log::error!("a streamed response failed before its first byte: {error}");
            return refuse(slot, UNFINISHED, None);
        }
    };
    write_head(&mut bytes, status, &headers, &framing, close, slot.chunks);
    let mut pace = Pace::new(slot.connection().core.limits.write_timeout);
    let mut left = length.map(|length| length as u64);
    loop {
        append_piece(&mut bytes, &piece[..count], &framing);
        left = left.map(|left| left - count as u64);
        if pace.write_all(&slot.connection().stream, &bytes).is_err() {
            return;
        }
        if count < PIECE {
            break;
        }
        bytes.clear();
        count = match read_piece(&mut reader, &mut piece) {
            Ok(count) => count,
            Err(error) => {
                // The missing end tells the client that the body is incomplete.
                log::error!("a streamed response broke off: {error}");
                return;
            }
        };
    }
    match left {
        Some(1..) => log::error!("a streamed response was shorter than announced"),
        _ => slot.finish(close),
    }
}

/// Fills `piece`, but for the end of the body.
fn read_piece(reader: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < piece.len() {
        match reader.read(&mut piece[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
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

fn is_bodiless(status: StatusCode) -> bool {
    matches!(status.0, 100..=199 | 204 | 304)
}

fn ends_connection(slot: &Slot) -> bool {
    !slot.keep_alive || slot.connection().core.is_draining()
}

/// Status line, headers, empty line. Writing to a vector cannot fail.
fn write_head(out: &mut Vec<u8>, status: StatusCode, headers: &[Header], framing: &Framing, close: bool, is_1_1: bool) {
    // RFC 9112 section 2.3: the server's own version, whichever of 1.x the client speaks.
    let _ = write!(out, "HTTP/1.1 {} {}\r\n", status.0, status.default_reason_phrase());
    out.extend_from_slice(b"Date: ");
    out.extend_from_slice(&date());
    out.extend_from_slice(b"\r\n");
    for header in headers {
        out.extend_from_slice(header.field.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(header.value.as_bytes());
        out.extend_from_slice(b"\r\n");
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

/// Sends a whole answer: at once as far as the socket takes it, the rest on a thread of its own.
///
/// MSG_DONTWAIT rather than a non-blocking socket, because a thread may wait for a request on the same one. A client
/// that has left makes `send` fail with EPIPE: Rust programs ignore SIGPIPE.
fn deliver(slot: Slot, bytes: Vec<u8>, close: bool) {
    let sent = match send(&slot.connection().stream, &bytes, SendFlags::DONTWAIT) {
        Ok(sent) if sent == bytes.len() => return slot.finish(close),
        Ok(sent) => sent,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => 0,
        // The client has left; so does the slot.
        Err(_) => return,
    };
    let core = Arc::clone(&slot.connection().core);
    let Some(permit) = core.responses.take(bytes.len()) else {
        log::warn!("too many response bytes wait for slow clients: one is cut off");
        return;
    };
    // Dropped for want of a thread, the slot ends the connection.
    let _ = core.pool.spawn(Job::Write(Unsent { slot, bytes, sent, close, _permit: permit }));
}

/// What a client's socket did not take at once.
pub(crate) struct Unsent {
    slot: Slot,
    bytes: Vec<u8>,
    sent: usize,
    close: bool,
    _permit: Permit,
}

impl Unsent {
    /// Sends the rest, waiting for the client. Unfinished, the slot ends the connection.
    pub(crate) fn write(self) {
        let connection = self.slot.connection();
        let rest = &self.bytes[self.sent..];
        let sent = pace::write_all(&connection.stream, rest, connection.core.limits.write_timeout);
        if sent.is_ok() {
            self.slot.finish(self.close);
        }
    }
}
