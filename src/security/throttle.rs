//! What failed attempts are counted against. The counters themselves are in the database, so that they survive a restart and
//! span instances; this module names them, and has those wait in line who would ask for the same one.

use std::collections::HashSet;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::hs256;

/// What attempts are counted against.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// The account of this e-mail, whether or not it exists: the answer must not tell.
    Account(&'a str),
    /// The network that the attempt comes from, by its number.
    Network(i64),
}

impl Subject<'_> {
    /// The key of its counter. It is a digest, since people type passwords where the e-mail belongs. The key of the MAC is
    /// fixed: nothing here is secret, and it only keeps the two kinds apart.
    pub fn digest(&self) -> Vec<u8> {
        match self {
            Subject::Account(email) => hs256::mac(b"contactd attempts of an account", email.as_bytes()),
            Subject::Network(number) => hs256::mac(b"contactd attempts from a network", &number.to_be_bytes()),
        }
        .to_vec()
    }
}

/// Lets one attempt at each account ask for its place at a time. Where none is left, it asks again and again, and a crowd that
/// did so would hold up those who have theirs.
#[derive(Default)]
pub struct Line {
    asking: Mutex<HashSet<Vec<u8>>>,
    one_done: Condvar,
}

/// The turn to ask, until it is dropped.
pub struct Turn<'a>(&'a Line, Vec<u8>);

impl Line {
    /// Waits for the turn; `None` when it has not come by then.
    pub fn turn(&self, subject: &[u8], by: Instant) -> Option<Turn<'_>> {
        let mut asking = self.asking.lock();
        while !asking.insert(subject.to_vec()) {
            if self.one_done.wait_until(&mut asking, by).timed_out() {
                return None;
            }
        }
        Some(Turn(self, subject.to_vec()))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.asking.lock().remove(&self.1);
        self.0.one_done.notify_all();
    }
}
