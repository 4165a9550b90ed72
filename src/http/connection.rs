//! One connection, and whose turn it is: the poll's, which waits for it to become readable, or the turn of the one thread
//! that reads a request from it, handles it or writes the answer.
//!
//! A turn goes from hand to hand with the request, and back to the poll without a system call: the kernel goes on reporting
//! what arrives (edge-triggered, registered once), and a report that comes while somebody has the turn is left as a note,
//! which its owner finds when it wants to give the turn back.

use std::cmp::Reverse;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::budget::Network;
use super::input::Input;
use super::pace::{Pace, SLOW};
use super::shared::Shared;

/// How long a client may go on sending after the last answer before the socket is closed. Closing with unread input makes
/// the kernel send RST, which can destroy the answer on its way (RFC 9112 §9.6).
pub(super) const LINGER: Duration = Duration::from_secs(2);
/// How many bytes it may send meanwhile.
pub(super) const LINGER_BYTES: usize = 16 * 1024 * 1024;

pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) shared: Arc<Shared>,
    pub(super) peer: SocketAddr,
    pub(super) network: Network,
    pub(super) id: u64,
    /// A thread waits for the rest of a head: a drain may end the wait.
    pub(super) awaits_head: AtomicBool,
    /// While a thread waits for the client; without it, nobody does.
    pub(super) pace: Mutex<Option<Pace>>,
    /// `TAKEN`, `NEWS` and `ENDED`.
    turn: AtomicU8,
    pub(super) inbound: Mutex<Inbound>,
}

/// What only the owner of the turn touches, so the lock is always free.
pub(super) struct Inbound {
    pub(super) input: Input,
    /// Since when it rests, if nobody has the turn.
    pub(super) since: Instant,
    /// The last answer has been given; so many bytes more are read and thrown away.
    pub(super) lingering: Option<usize>,
}

/// Somebody has the turn.
const TAKEN: u8 = 1;
/// Something may have arrived since the owner looked last.
const NEWS: u8 = 2;
/// The client has ended its side, or the connection is broken. It stays: of data with the end behind it, one read takes the
/// data only, and the kernel does not report the end again.
const ENDED: u8 = 4;

impl Connection {
    /// Lists a connection, which stays listed until a turn at it is dropped; the caller has the first one.
    pub(super) fn open(stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>, turned_away: bool) -> Turn {
        let connection = Arc::new(Connection {
            stream,
            peer,
            network: Network::of(peer.ip()),
            pace: Mutex::new(None),
            id: shared.connections.new_id(),
            turn: AtomicU8::new(TAKEN),
            awaits_head: AtomicBool::new(false),
            inbound: Mutex::new(Inbound {
                input: Input::new(shared.limits.head_bytes),
                since: Instant::now(),
                lingering: None,
            }),
            shared: Arc::clone(shared),
        });
        shared.connections.add(Arc::clone(&connection), turned_away);
        Turn { connection, passed_on: false }
    }

    /// From now on what arrives is news. To be called before reading.
    pub(super) fn clear_news(&self) {
        self.turn.fetch_and(!NEWS, SeqCst);
    }

    /// A read may have left something in the kernel.
    pub(super) fn note_news(&self) {
        self.turn.fetch_or(NEWS, SeqCst);
    }

    /// Whether the kernel has reported that the client ended its side.
    pub(super) fn has_ended(&self) -> bool {
        self.turn.load(SeqCst) & ENDED != 0
    }

    /// Whether it has rested for too long. Gives back memory that holds nothing.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        let mut inbound = self.inbound.lock();
        inbound.input.shrink();
        now >= inbound.since + inbound.lingering.map_or(self.shared.limits.idle_timeout, |_| LINGER)
    }

    /// How well it may give way to another: whether it rests, whether a thread waits for what it sends, and how long it rests
    /// or how slow it is. Who has come or was answered just now is about to send, and rests no more than those who send: of
    /// many half-sent heads the oldest goes first. `None` while its request is with a worker.
    pub(super) fn gives_way(&self) -> Option<(bool, bool, Reverse<Instant>)> {
        if self.turn.load(SeqCst) & TAKEN == 0 {
            // A lock that is held by now belongs to somebody who has taken the turn.
            let since = self.inbound.try_lock()?.since;
            return Some((since.elapsed() >= SLOW, true, Reverse(since)));
        }
        self.pace.lock().as_ref().map(|pace| (false, pace.sends, pace.slowness()))
    }

    /// Ends the connection whatever it is doing.
    pub(super) fn cut(self: &Arc<Connection>) {
        // With the turn dropped it is gone; without, whoever holds the turn notices.
        if Turn::take(self).is_none() {
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }
}

/// The right to read from a connection and to write to it, and the duty to pass that on. Dropped, it ends the connection,
/// for nobody could tell where the next request or answer starts.
pub(super) struct Turn {
    connection: Arc<Connection>,
    passed_on: bool,
}

impl Turn {
    /// The turn, if nobody has it.
    pub(super) fn take(connection: &Arc<Connection>) -> Option<Turn> {
        Turn::take_with(connection, 0)
    }

    /// Notes for the owner what the kernel reports; if there is no owner, the turn is the caller's.
    pub(super) fn report(connection: &Arc<Connection>, ended: bool) -> Option<Turn> {
        Turn::take_with(connection, if ended { NEWS | ENDED } else { NEWS })
    }

    fn take_with(connection: &Arc<Connection>, flags: u8) -> Option<Turn> {
        let before = connection.turn.fetch_or(TAKEN | flags, SeqCst);
        (before & TAKEN == 0).then(|| Turn { connection: Arc::clone(connection), passed_on: false })
    }

    /// Gives the turn back to the poll; to the caller if there is news, which the kernel will not report again.
    pub(super) fn release(mut self) -> Option<Turn> {
        if self.connection.turn.compare_exchange(TAKEN, 0, SeqCst, SeqCst).is_err() {
            return Some(self);
        }
        self.passed_on = true;
        if self.connection.shared.polling_ended.load(SeqCst) {
            // There is no poll any more.
            drop(Turn::take(&self.connection));
        }
        None
    }

    /// Gives the turn back until the idle timeout.
    pub(super) fn rest(self) -> Option<Turn> {
        let mut inbound = self.inbound.lock();
        if inbound.lingering.is_none() {
            inbound.since = Instant::now();
        }
        drop(inbound);
        self.release()
    }
}

impl Deref for Turn {
    type Target = Arc<Connection>;

    fn deref(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.passed_on {
            self.connection.shared.connections.remove(self.connection.id);
        }
    }
}

/// The duty to write one answer, and what matters for it of the request.
pub(super) struct Responder {
    pub(super) turn: Turn,
    /// The client may send another request.
    pub(super) keep_alive: bool,
    /// The request was HEAD.
    pub(super) head_only: bool,
    /// The client speaks HTTP/1.1, and so knows `Transfer-Encoding: chunked`.
    pub(super) is_1_1: bool,
}

impl Responder {
    /// For what is no request: the answer is the connection's last.
    pub(super) fn last(turn: Turn) -> Responder {
        Responder { turn, keep_alive: false, head_only: false, is_1_1: true }
    }
}
