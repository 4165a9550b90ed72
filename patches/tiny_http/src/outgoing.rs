//! Responses on their way to the client. A worker writes what the socket takes at once; the rest goes to a thread
//! of its own, with deadlines, so that a client that reads slowly or not at all never holds a worker.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendFlags, send};

use crate::budget::Permit;
use crate::connection::Slot;
use crate::core::Core;
use crate::head::Refusal;
use crate::{Header, Response, ResponseBox, StatusCode};

/// What a client must take on average, in bytes a second, once it has used up its grace.
const SLOWEST: u64 = 16 * 1024;
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
    let mut body = Vec::new();
    if let Err(error) = reader.read_to_end(&mut body) {
        refuse(slot, UNFINISHED);
        return Err(error);
    }
    let framing = match (is_bodiless(status), announced) {
        (true, _) => Framing::Bodiless,
        // To HEAD a program may announce what it does not produce.
        (false, Some(length)) if slot.head_only => Framing::Length(length as u64),
        (false, _) => Framing::Length(body.len() as u64),
    };
    let close = close || ends_connection(&slot);
    let mut bytes = Vec::with_capacity(512 + body.len());
    write_head(&mut bytes, status, &headers, &framing, close, slot.chunks);
    if !slot.head_only && !matches!(framing, Framing::Bodiless) {
        bytes.extend_from_slice(&body);
    }
    deliver(slot, bytes, close);
    Ok(())
}

const UNFINISHED: Refusal = crate::head::refusal(500, "The answer could not be completed.");

/// Answers with what the program makes of a refusal, and closes.
pub(crate) fn refuse(slot: Slot, refusal: Refusal) {
    let core = &slot.connection.core;
    match render_refusal(core, &refusal, slot.head_only) {
        Ok(bytes) => deliver(slot, bytes, true),
        // Dropping the slot cuts the connection: there is nothing sensible left to say.
        Err(error) => log::error!("the answer {} could not be made: {error}", refusal.status),
    }
}

/// A whole refusal, ready to be sent.
pub(crate) fn render_refusal(
    core: &Core,
    refusal: &Refusal,
    head_only: bool,
) -> io::Result<Vec<u8>> {
    let response = core.program.refuse(refusal.status, refusal.detail);
    let (status, headers, mut reader, ..) = response.into_parts();
    let mut body = Vec::new();
    reader.read_to_end(&mut body)?;
    let mut bytes = Vec::with_capacity(512 + body.len());
    write_head(
        &mut bytes,
        status,
        &headers,
        &Framing::Length(body.len() as u64),
        true,
        true,
    );
    if !head_only {
        bytes.extend_from_slice(&body);
    }
    Ok(bytes)
}

/// Answers with a body that is read on a thread of its own, and may wait for what it reads from. Over
/// `Limits::streams` the client gets a 503.
pub(crate) fn respond_streaming(slot: Slot, response: ResponseBox) {
    const BUSY: Refusal = crate::head::refusal(
        503,
        "The server is busy with other downloads; try again in a moment.",
    );
    let core = &slot.connection.core;
    let Some(permit) = core.streams.take(1) else {
        return refuse(slot, BUSY);
    };
    // Started first and given its work after: a thread that cannot be had must not take the work with it.
    let (sender, receiver) = mpsc::sync_channel::<(Slot, ResponseBox, Permit)>(1);
    let thread = thread::Builder::new()
        .name("http-stream".to_owned())
        .spawn(move || {
            if let Ok((slot, response, _permit)) = receiver.recv() {
                stream(slot, response);
            }
        });
    match thread {
        Ok(_) => drop(sender.send((slot, response, permit))),
        Err(error) => {
            log::warn!("no thread for a streamed response: {error}");
            refuse(slot, BUSY);
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
    let mut bytes = Vec::with_capacity(PIECE + 512);
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
            return refuse(slot, UNFINISHED);
        }
    };
    write_head(&mut bytes, status, &headers, &framing, close, slot.chunks);
    let mut pace = Pace::new(slot.connection.core.limits.write_timeout);
    let mut left = length.map(|length| length as u64);
    loop {
        append_piece(&mut bytes, &piece[..count], &framing);
        left = left.map(|left| left - count as u64);
        if pace.write_all(&slot.connection.stream, &bytes).is_err() {
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
    !slot.keep_alive || slot.connection.core.is_draining()
}

/// Status line, headers, empty line. Writing to a vector cannot fail.
fn write_head(
    out: &mut Vec<u8>,
    status: StatusCode,
    headers: &[Header],
    framing: &Framing,
    close: bool,
    is_1_1: bool,
) {
    // RFC 9112 section 2.3: the server's own version, whichever of 1.x the client speaks.
    let _ = write!(
        out,
        "HTTP/1.1 {} {}\r\n",
        status.0,
        status.default_reason_phrase()
    );
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
    let second = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
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
/// MSG_DONTWAIT rather than a non-blocking socket, because the connection's thread waits in `recv` on the same one. A
/// client that has left makes `send` fail with EPIPE: Rust programs ignore SIGPIPE.
fn deliver(slot: Slot, bytes: Vec<u8>, close: bool) {
    let sent = match send(&slot.connection.stream, &bytes, SendFlags::DONTWAIT) {
        Ok(sent) if sent == bytes.len() => return slot.finish(close),
        Ok(sent) => sent,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => 0,
        // The client has left; so does the slot.
        Err(_) => return,
    };
    let core = &slot.connection.core;
    let Some(permit) = core.responses.take(bytes.len()) else {
        log::warn!("too many response bytes wait for slow clients: one is cut off");
        return;
    };
    let mut pace = Pace::new(core.limits.write_timeout);
    let core = std::sync::Arc::clone(core);
    core.pool.spawn(Box::new(move || {
        let _permit = permit;
        // Unfinished, the slot cuts the connection: so it does when no thread is to be had.
        if pace
            .write_all(&slot.connection.stream, &bytes[sent..])
            .is_ok()
        {
            slot.finish(close);
        }
    }));
}

/// Writes all of `bytes`, waiting for the client within the deadlines of [`Pace`].
pub(crate) fn write_all(
    stream: &TcpStream,
    bytes: &[u8],
    write_timeout: Duration,
) -> io::Result<()> {
    Pace::new(write_timeout).write_all(stream, bytes)
}

/// How fast a client takes a response. Only time spent waiting for the client counts, not what the program
/// takes to make the response.
struct Pace {
    write_timeout: Duration,
    taken: u64,
    waited: Duration,
}

impl Pace {
    fn new(write_timeout: Duration) -> Pace {
        Pace {
            write_timeout,
            taken: 0,
            waited: Duration::ZERO,
        }
    }

    fn write_all(&mut self, stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
        let mut stalled = Duration::ZERO;
        while !bytes.is_empty() {
            match send(stream, bytes, SendFlags::DONTWAIT) {
                Ok(sent) => {
                    bytes = &bytes[sent..];
                    self.taken += sent as u64;
                    stalled = Duration::ZERO;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => stalled += self.wait(stream, stalled)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits for the socket to take more; how long that was.
    fn wait(&mut self, stream: &TcpStream, stalled: Duration) -> io::Result<Duration> {
        // poll reports a socket as writable only once a third of its buffer is free, while send takes what fits:
        // trying at least once a second is what sees the progress of a slow but honest client.
        const TRY_AGAIN: Duration = Duration::from_secs(1);
        let allowed = self.write_timeout + Duration::from_millis(self.taken * 1000 / SLOWEST);
        let left = allowed
            .saturating_sub(self.waited)
            .min(self.write_timeout.saturating_sub(stalled));
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        let before = Instant::now();
        wait_writable(stream, left.min(TRY_AGAIN))?;
        let waited = before.elapsed();
        self.waited += waited;
        Ok(waited)
    }
}

fn wait_writable(stream: impl AsFd, timeout: Duration) -> io::Result<()> {
    let timeout = Timespec::try_from(timeout).map_err(|_| ErrorKind::InvalidInput)?;
    match poll(&mut [PollFd::new(&stream, PollFlags::OUT)], Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
