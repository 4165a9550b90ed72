//! What has arrived on a connection and is not consumed yet.

use std::io;
use std::net::TcpStream;

use rustix::net::{RecvFlags, recv};

use super::connection::Connection;

/// What most requests fit into with room to spare.
const FIRST_CAPACITY: usize = 4096;

pub(super) struct Input {
    /// Without memory while there is nothing to hold, but for connections in use.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    most: usize,
}

impl Input {
    /// Holds at most `most` bytes (at least one).
    pub(super) fn new(most: usize) -> Input {
        Input { buffer: Vec::new(), start: 0, end: 0, most: most.max(1) }
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            // One big head is no reason to keep its memory for as long as the connection lasts.
            if self.buffer.len() > FIRST_CAPACITY {
                self.buffer = Vec::new();
            }
        }
    }

    /// Forgets what is not consumed.
    pub(super) fn clear(&mut self) {
        self.consume(self.end - self.start);
    }

    /// Gives memory back that holds nothing.
    pub(super) fn shrink(&mut self) {
        if self.data().is_empty() {
            self.buffer = Vec::new();
        }
    }

    /// True when `fill` has no room: `data()` is as long as it may get.
    pub(super) fn is_full(&self) -> bool {
        self.end - self.start == self.most
    }

    /// Appends what is there to `data()`, which must not be full, in one system call that does not wait; the count, and
    /// whether there may be more. 0 means that the client has ended its side, AGAIN that nothing is
    /// there.
    pub(super) fn fill_now(&mut self, stream: &TcpStream) -> rustix::io::Result<(usize, bool)> {
        let room = self.room();
        let size = room.len();
        let (_, count) = recv(stream, room, RecvFlags::DONTWAIT)?;
        self.end += count;
        Ok((count, count == size))
    }

    /// Waits for more bytes and appends them to `data()`, which must not be full.
    pub(super) fn fill(&mut self, connection: &Connection) -> io::Result<()> {
        self.end += connection.receive(self.room())?;
        Ok(())
    }

    /// Room for at least a byte more.
    fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            let larger = (self.buffer.len() * 2).max(FIRST_CAPACITY).min(self.most);
            self.buffer.resize(larger, 0);
        }
        &mut self.buffer[self.end..]
    }
}
