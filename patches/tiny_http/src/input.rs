//! Buffered reading from a connection, with deadlines, in as few system calls as there can be.

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// What most heads fit into with room to spare. 1,024 idle connections hold 4 MiB of it.
const FIRST_CAPACITY: usize = 4096;

/// Until when a read may take.
#[derive(Clone, Copy)]
pub(crate) enum Patience {
    /// Each read by itself may take the idle timeout: no request has begun.
    Idle,
    /// The clock of a head or body runs.
    Until(Instant),
}

pub(crate) struct Input<'a> {
    stream: &'a TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    most: usize,
    idle: Duration,
    /// The SO_RCVTIMEO in force. It is set again only when another is needed: in ordinary keep-alive use, never.
    timeout: Option<Duration>,
}

impl<'a> Input<'a> {
    /// Reads `stream`, holding at most `most` bytes (at least one).
    pub(crate) fn new(stream: &'a TcpStream, most: usize, idle: Duration) -> Input<'a> {
        Input {
            stream,
            buffer: vec![0; FIRST_CAPACITY.min(most.max(1))],
            start: 0,
            end: 0,
            most: most.max(1),
            idle,
            timeout: None,
        }
    }

    /// What has arrived and is not consumed yet.
    pub(crate) fn data(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            // One big head is no reason to keep its memory for as long as the connection lasts.
            if self.buffer.len() > FIRST_CAPACITY {
                self.buffer = vec![0; FIRST_CAPACITY];
            }
        }
    }

    /// True when `fill` has no room: `data()` is as long as it may get.
    pub(crate) fn is_full(&self) -> bool {
        self.end - self.start == self.most
    }

    /// Waits for more bytes and appends them to `data()`, which must not be full. 0 means the client has
    /// ended its side. ErrorKind::TimedOut when patience is over.
    pub(crate) fn fill(&mut self, patience: Patience) -> io::Result<usize> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            let larger = (self.buffer.len() * 2).min(self.most);
            self.buffer.resize(larger, 0);
        }
        self.set_timeout(patience)?;
        let count = receive(self.stream, &mut self.buffer[self.end..])?;
        self.end += count;
        Ok(count)
    }

    /// Reads past the buffer, which must be empty, straight into `into`. Otherwise as `fill`.
    pub(crate) fn read_into(&mut self, into: &mut [u8], patience: Patience) -> io::Result<usize> {
        debug_assert!(self.data().is_empty());
        self.set_timeout(patience)?;
        receive(self.stream, into)
    }

    fn set_timeout(&mut self, patience: Patience) -> io::Result<()> {
        let wanted = match patience {
            Patience::Idle => self.idle,
            Patience::Until(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(ErrorKind::TimedOut.into());
                }
                left
            }
        };
        if self.timeout != Some(wanted) {
            self.stream.set_read_timeout(Some(wanted))?;
            self.timeout = Some(wanted);
        }
        Ok(())
    }
}

fn receive(mut stream: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(into) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // What SO_RCVTIMEO says at its end, on Linux and elsewhere.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(ErrorKind::TimedOut.into());
            }
            result => return result,
        }
    }
}
