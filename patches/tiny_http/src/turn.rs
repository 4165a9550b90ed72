//! Whose turn a connection is: of the poll, which waits for it to become readable, or of the one thread that reads a
//! request from it, handles it or writes the answer.
//!
//! A turn goes from hand to hand with the request, and back to the poll without a system call: the kernel goes on
//! reporting what arrives (edge-triggered, registered once), and a report that comes while somebody has the turn is
//! left as a note, which the holder finds when it wants to give the turn back.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

use crate::connection::Connection;

/// Somebody has the turn.
const TAKEN: u8 = 1;
/// Something may have arrived since the holder looked last.
const NEWS: u8 = 2;
/// The client has ended its side, or the connection is broken. It stays: of data with the end behind it, one read
/// takes the data only, and the kernel does not report the end again.
const ENDED: u8 = 4;

/// The state of a connection's turn.
#[derive(Default)]
pub(crate) struct Signs(AtomicU8);

impl Signs {
    /// From now on what arrives is news. To be called before reading.
    pub(crate) fn look(&self) {
        self.0.fetch_and(!NEWS, SeqCst);
    }

    /// A read may have left something in the kernel.
    pub(crate) fn look_again(&self) {
        self.0.fetch_or(NEWS, SeqCst);
    }
}

/// The right to read from a connection and to write to it, and the duty to pass that on. Dropped, it ends the
/// connection, for nobody could tell where the next request or answer starts.
pub(crate) struct Turn {
    connection: Arc<Connection>,
    passed_on: bool,
}

impl Turn {
    /// The turn, if nobody has it.
    pub(crate) fn take(connection: &Arc<Connection>) -> Option<Turn> {
        Turn::take_with(connection, 0)
    }

    /// What the kernel reports goes to whoever has the turn; if that is nobody, the turn is the caller's.
    pub(crate) fn report(connection: &Arc<Connection>, ended: bool) -> Option<Turn> {
        Turn::take_with(connection, if ended { NEWS | ENDED } else { NEWS })
    }

    fn take_with(connection: &Arc<Connection>, signs: u8) -> Option<Turn> {
        let before = connection.signs.0.fetch_or(TAKEN | signs, SeqCst);
        (before & TAKEN == 0).then(|| Turn { connection: Arc::clone(connection), passed_on: false })
    }

    /// Gives the turn back to the poll; to the caller if there is news, which the kernel will not report again.
    pub(crate) fn release(mut self) -> Option<Turn> {
        let signs = &self.connection.signs.0;
        if signs.compare_exchange(TAKEN, 0, SeqCst, SeqCst).is_err() {
            return Some(self);
        }
        self.passed_on = true;
        if self.connection.core.is_over() {
            // There is no poll any more.
            drop(Turn::take(&self.connection));
        }
        None
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
            self.connection.core.roster.leave(self.connection.id);
        }
    }
}
