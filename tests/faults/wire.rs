//! A raw connection of a hostile client: it sends what it is told and hides nothing of what comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt::set_socket_recv_buffer_size;

use crate::support::client::Answer;

/// Generous: nothing waits this long unless a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Wire {
    pub socket: TcpStream,
    /// Read and not yet taken.
    buffer: Vec<u8>,
}

impl Wire {
    pub fn connect(address: SocketAddr) -> Wire {
        Wire::try_connect(address).expect("it listens")
    }

    pub fn try_connect(address: SocketAddr) -> std::io::Result<Wire> {
        let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        Ok(Wire { socket, buffer: Vec::new() })
    }

    /// The kernel takes little for this client while it reads nothing; by itself it would take some megabytes.
    pub fn narrow(self, bytes: usize) -> Wire {
        set_socket_recv_buffer_size(self.socket.as_fd(), bytes).expect("an option");
        self
    }

    /// Sends all of it; panics if the server does not take it.
    pub fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("the server takes the bytes");
    }

    /// Sends what the server takes, which may close at any time; whether that was all.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.socket.write_all(bytes).is_ok()
    }

    /// Whether the server has cut the connection off. Merely taking nothing more does not count.
    pub fn is_cut_off(&mut self) -> bool {
        self.socket.set_write_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        match self.socket.write_all(b"\n") {
            Ok(()) => false,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted),
        }
    }

    /// Sends until the server has taken nothing for a while; how many bytes it took.
    pub fn stuff(&mut self, bytes: &[u8], patience: Duration) -> usize {
        self.socket.set_write_timeout(Some(patience)).expect("a timeout");
        let mut sent = 0;
        while sent < bytes.len() {
            match self.socket.write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        sent
    }

    /// The next answer, by its Content-Length.
    pub fn answer(&mut self) -> Answer {
        self.try_answer().unwrap_or_else(|| panic!("closed within {:?}", self.text()))
    }

    /// The same; `None` if the connection ends before.
    pub fn try_answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if self.read_more() == 0 {
                return None;
            }
        };
        let length = Answer::parse(&self.buffer[..end])?
            .header("Content-Length")
            .map_or(0, |value| value.parse().expect("a length"));
        while self.buffer.len() < end + length {
            if self.read_more() == 0 {
                return None;
            }
        }
        let rest = self.buffer.split_off(end + length);
        Answer::parse(&std::mem::replace(&mut self.buffer, rest))
    }

    /// Everything that comes until the server closes.
    pub fn rest(&mut self) -> String {
        while self.read_more() > 0 {}
        self.text()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }

    /// 0 once the connection has ended, be it by RST.
    fn read_more(&mut self) -> usize {
        let mut piece = [0; 64 * 1024];
        loop {
            match self.socket.read(&mut piece) {
                Ok(count) => {
                    self.buffer.extend_from_slice(&piece[..count]);
                    return count;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return 0,
                Err(error) => panic!("nothing came for {PATIENCE:?}: {error}"),
            }
        }
    }
}

/// Sends these bytes on a connection of their own; everything that comes until the server closes.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut wire = Wire::connect(address);
    // The server may refuse, and close, before it has taken all of it.
    wire.try_send(bytes);
    wire.rest()
}

/// The statuses of all answers in what a server said, `100 Continue` left out.
pub fn statuses(said: &str) -> Vec<u16> {
    let heads = said.match_indices("\r\nDate: ");
    heads
        .map(|(at, _)| {
            let line = said[..at].rfind("HTTP/1.1 ").expect("a status line before each Date");
            said[line + 9..line + 12].parse().expect("a status")
        })
        .collect()
}
