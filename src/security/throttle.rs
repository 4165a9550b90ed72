//! What failed attempts are counted against. The counters themselves are in the database, so that they survive a restart and
//! span instances; this module only names them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::hs256;

/// What attempts are counted against.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// The account of this e-mail, whether or not it exists: the answer must not tell.
    Account(&'a str),
    /// A user who is logged in and is asked for the password again. This is counted apart from the account, so that a stranger
    /// who guesses at the login cannot keep the owner, who is logged in, from changing the password.
    Confirmation(i64),
    /// The address that the attempt comes from.
    Address(IpAddr),
}

impl Subject<'_> {
    /// The key of its counter. It is a digest, since people type passwords where the e-mail belongs. The key of the MAC is
    /// fixed: nothing here is secret, and it only keeps the three kinds apart.
    pub fn digest(&self) -> Vec<u8> {
        match self {
            Subject::Account(email) => hs256::mac(b"contactd attempts of an account", email.as_bytes()),
            Subject::Confirmation(user) => hs256::mac(b"contactd attempts of a user", &user.to_be_bytes()),
            Subject::Address(address) => hs256::mac(b"contactd attempts from an address", &network(*address)),
        }
        .to_vec()
    }
}

/// An IPv4 address, or the first half of an IPv6 address: the second half is the customer's to choose.
fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets()[..8].to_vec(),
    }
}

/// The attempts whose password this instance is checking right now, by their subject's digest.
///
/// An attempt is counted before the password is checked, and refunded when it was right. So when many *right* logins come at
/// the same moment (a script that starts all its jobs at once), some find no attempt left: they wait for those before them.
#[derive(Default)]
pub struct InFlight {
    counts: Mutex<HashMap<Vec<u8>, usize>>,
    one_ended: Condvar,
}

/// An attempt that is being checked, until it is dropped.
pub struct Flight<'a> {
    all: &'a InFlight,
    subject: Vec<u8>,
}

/// How long one attempt waits for another before it asks the database again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

impl InFlight {
    /// Whether any attempt of a subject is being checked.
    pub fn holds(&self, subject: &[u8]) -> bool {
        self.counts.lock().contains_key(subject)
    }

    /// Adds one, from when it is counted until it is known whether the password was right.
    pub fn enter(&self, subject: Vec<u8>) -> Flight<'_> {
        *self.counts.lock().entry(subject.clone()).or_insert(0) += 1;
        Flight { all: self, subject }
    }

    /// If any attempt of a subject is being checked, waits until one has ended, of this subject or of another, but not for
    /// long: it may itself wait for a database that does not answer. Returns whether there was any.
    pub fn wait(&self, subject: &[u8]) -> bool {
        let mut counts = self.counts.lock();
        let any = counts.contains_key(subject);
        if any {
            self.one_ended.wait_for(&mut counts, LOOK_AGAIN);
        }
        any
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut counts = self.all.counts.lock();
        if let Some(count) = counts.get_mut(&self.subject) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.subject);
            }
        }
        drop(counts);
        self.all.one_ended.notify_all();
    }
}
