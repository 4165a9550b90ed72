//! A request body, whole, before a worker sees the request. Memory is taken as bytes arrive, never because a
//! client announced them.

use std::sync::Arc;

use super::budget::{Budget, Holder, Permit};
use super::connection::Connection;
use super::head::{Framing, Refusal, line_end, refusal};
use super::input::Input;
use super::limits::SMALL;
use super::reading::Stop;

pub(super) const TOO_LARGE: Refusal = refusal(413, "The body is larger than this address takes.");

/// A line that says a chunk's size, with its extensions (which mean nothing to anyone).
const CHUNK_LINE: usize = 1024;
/// All extensions of one body, and all its trailers: both are read past and dropped.
const CHUNK_WASTE: usize = 16 * 1024;
const FIRST_CAPACITY: usize = 8 * 1024;

#[derive(Default)]
pub(super) struct Body {
    /// What has arrived, then zeros up to what the next read may fill.
    bytes: Vec<u8>,
    filled: usize,
    permit: Option<Permit>,
}

impl Body {
    /// What has arrived.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

/// Reads a body of at most `limit` bytes. A length over it must have been refused before.
pub(super) fn read(
    connection: &Connection,
    input: &mut Input,
    framing: Framing,
    limit: usize,
    budget: (&Arc<Budget>, Holder),
) -> Result<Body, Stop> {
    let mut reader = Reader {
        connection,
        input,
        body: Body::default(),
        limit: match framing {
            Framing::Length(length) => length,
            _ => limit,
        },
        budget,
    };
    match framing {
        Framing::Empty => {}
        Framing::Length(length) => reader.copy(length)?,
        Framing::Chunked => reader.chunks()?,
    }
    Ok(reader.body)
}

struct Reader<'a> {
    connection: &'a Connection,
    input: &'a mut Input,
    body: Body,
    limit: usize,
    budget: (&'a Arc<Budget>, Holder),
}

impl Reader<'_> {
    /// Appends the next `count` bytes to the body.
    fn copy(&mut self, count: usize) -> Result<(), Stop> {
        let end = self.body.filled + count;
        while self.body.filled < end {
            self.make_room()?;
            let room = self.body.bytes.len().min(end) - self.body.filled;
            let into = &mut self.body.bytes[self.body.filled..][..room];
            let buffered = self.input.data().len().min(room);
            if buffered > 0 {
                into[..buffered].copy_from_slice(&self.input.data()[..buffered]);
                self.input.consume(buffered);
                self.body.filled += buffered;
            } else {
                self.body.filled += self.connection.receive(into)?;
            }
        }
        Ok(())
    }

    /// Makes room for at least one byte more, by doubling what is small; beyond, by a quarter, so that nobody holds twice what
    /// they have sent. What is made is zeroed once, so a client that sends byte by byte costs no more than another.
    fn make_room(&mut self) -> Result<(), Stop> {
        let Body { bytes, filled, permit } = &mut self.body;
        if *filled < bytes.len() {
            return Ok(());
        }
        let more = if *filled < SMALL { *filled } else { *filled / 4 };
        let wanted = self.limit.min((*filled + more).max(FIRST_CAPACITY));
        let more = wanted - bytes.len();
        let granted = match permit {
            Some(permit) => permit.grow(more),
            None if wanted <= SMALL => true,
            None => {
                *permit = self.budget.0.take(self.budget.1, wanted);
                permit.is_some()
            }
        };
        if !granted || bytes.try_reserve_exact(more).is_err() {
            return Err(refusal(503, "The server is busy with other uploads; try again in a moment.").into());
        }
        bytes.resize(wanted, 0);
        Ok(())
    }

    /// RFC 9112 section 7.1.
    fn chunks(&mut self) -> Result<(), Stop> {
        const MALFORMED: Stop = Stop::Refuse(refusal(400, "The chunked body is malformed."));
        let mut waste = 0;
        loop {
            let line = self.line()?;
            let text = &self.input.data()[..line];
            let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            let size = str::from_utf8(&text[..digits]).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
            let is_extension = text[digits..].trim_ascii_start().first().is_none_or(|byte| *byte == b';');
            if digits == 0 || !is_extension {
                return Err(MALFORMED);
            }
            waste += line - digits;
            self.input.consume(line + 2);
            match size {
                Some(0) => break,
                Some(size) if size <= self.limit - self.body.filled => self.copy(size)?,
                _ => return Err(TOO_LARGE.into()),
            }
            if self.line()? != 0 || waste > CHUNK_WASTE {
                return Err(MALFORMED);
            }
            self.input.consume(2);
        }
        loop {
            let line = self.line()?;
            self.input.consume(line + 2);
            waste += line;
            match line {
                0 => return Ok(()),
                _ if waste > CHUNK_WASTE => return Err(MALFORMED),
                _ => {}
            }
        }
    }

    /// Waits for a whole line at the head of the input; its length without CR LF.
    fn line(&mut self) -> Result<usize, Stop> {
        const MALFORMED: Stop = Stop::Refuse(refusal(400, "A line within the chunked body is malformed."));
        let mut looked_at = 0;
        loop {
            let data = self.input.data();
            if let Some(end) = line_end(data, looked_at).map_err(|_| MALFORMED)? {
                return Ok(end - 1);
            }
            looked_at = data.len();
            if looked_at > CHUNK_LINE || self.input.is_full() {
                return Err(MALFORMED);
            }
            self.input.fill(self.connection)?;
        }
    }
}
