//! Takes connections. Nothing that a client or the system does ends that, but for a drain.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::{SendFlags, SocketFlags, acceptfrom_with, send};

use super::answering;
use super::budget::Network;
use super::connection::{Connection, Responder};
use super::reading::FULL;
use super::shared::Shared;

/// A pause after an accept error: without file descriptors left, accept fails at once and for as long.
const PAUSE: Duration = Duration::from_millis(50);
/// Clients turned away and not gone yet.
const TURNED_AWAY: usize = 128;

pub(super) struct Acceptor {
    pub(super) listener: TcpListener,
    shared: Arc<Shared>,
    /// After an error.
    pub(super) paused_until: Option<Instant>,
    failures: u32,
}

impl Acceptor {
    pub(super) fn new(listener: TcpListener, shared: Arc<Shared>) -> io::Result<Acceptor> {
        // A connection that is gone between report and accept must not make accept wait for the next.
        listener.set_nonblocking(true)?;
        Ok(Acceptor { listener, shared, paused_until: None, failures: 0 })
    }

    /// False during a pause.
    pub(super) fn is_due(&self) -> bool {
        self.paused_until.is_none_or(|until| until <= Instant::now())
    }

    /// Takes so many of those who wait at most.
    pub(super) fn accept(&mut self, most: usize) {
        self.paused_until = None;
        for _ in 0..most {
            match acceptfrom_with(&self.listener, SocketFlags::CLOEXEC) {
                Ok((stream, peer)) => {
                    self.failures = 0;
                    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                    self.admit(stream.into(), peer);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    // Twenty times a second is too often to say the same.
                    if self.failures.is_multiple_of(200) {
                        log::error!("accepting a connection failed, will go on trying: {error}");
                    }
                    self.failures = self.failures.wrapping_add(1);
                    self.paused_until = Some(Instant::now() + PAUSE);
                    return;
                }
            }
        }
    }

    /// Who comes over a Unix socket is on this machine, and has no address.
    fn admit(&self, stream: TcpStream, peer: Option<SocketAddr>) {
        let is_local = peer.is_none();
        let peer = peer.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
        let (admitted, turned_away) = self.shared.connections.count();
        let is_full = admitted >= self.shared.limits.connections && !self.shared.displace(Network::of(peer.ip()));
        if is_full && turned_away >= TURNED_AWAY {
            return self.turn_away(&stream);
        }
        // A response is one write, and must not wait for the client's delayed ACK of the one before. An error means
        // that the client has left.
        if !is_local && stream.set_nodelay(true).is_err() {
            return;
        }
        let turn = Connection::open(stream, peer, &self.shared, is_full);
        if let Err(error) = self.shared.watch(&turn) {
            log::error!("a connection could not be watched: {error}");
        } else if is_full {
            answering::refuse(Responder::last(turn), FULL, None);
        } else if let Some(turn) = turn.rest() {
            turn.read_on();
        }
    }

    /// Says why, and closes at once, which makes the kernel drop that again if the client has sent something.
    fn turn_away(&self, stream: &TcpStream) {
        if let Some(bytes) = answering::render_refusal(&self.shared, &FULL) {
            let _ = send(stream, &bytes, SendFlags::DONTWAIT);
        }
    }
}
