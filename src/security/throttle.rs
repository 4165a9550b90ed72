//! Whom failed attempts are counted for. The counters themselves are in the database, so that they survive a restart and
//! span instances; here is only what they go by.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::hs256;

/// What attempts are counted for.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// An account, whether there is one by this e-mail or not: the answer must not tell.
    Account(&'a str),
    /// A user who is logged in and is asked for the password again. Apart from the account's, so that a stranger who guesses
    /// at the door cannot keep the owner, who is inside, from changing the password.
    Confirmation(i64),
    /// Where the attempt comes from.
    Address(IpAddr),
}

impl Subject<'_> {
    /// The key of its counter: a digest, since people type passwords where the e-mail belongs. It is not a secret's digest,
    /// so a fixed key only serves to tell the kinds apart.
    pub fn digest(&self) -> Vec<u8> {
        match self {
            Subject::Account(email) => hs256::mac(b"contactd attempts of an account", email.as_bytes()),
            Subject::Confirmation(user) => hs256::mac(b"contactd attempts of a user", &user.to_be_bytes()),
            Subject::Address(address) => hs256::mac(b"contactd attempts from an address", &network(*address)),
        }
        .to_vec()
    }
}

/// An IPv4 address, or the first half of an IPv6 address: a single customer commands the second.
fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets()[..8].to_vec(),
    }
}

/// The attempts that this instance is checking right now, by their subject's digest.
///
/// An attempt is counted before the password is looked at and given back when it was right. So of many *right* logins at
/// the same moment (a script that starts its jobs all at once) some would find none left; they wait for those before them.
#[derive(Default)]
pub struct InFlight {
    counts: Mutex<HashMap<Vec<u8>, usize>>,
    fewer: Condvar,
}

/// An attempt that is being checked, until it is dropped.
pub struct Flight<'a> {
    all: &'a InFlight,
    subject: Vec<u8>,
}

impl InFlight {
    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there are any of a subject.
    pub fn holds(&self, subject: &[u8]) -> bool {
        self.lock().contains_key(subject)
    }

    /// One more, from when it is counted to when it is known what it was.
    pub fn enter(&self, subject: Vec<u8>) -> Flight<'_> {
        *self.lock().entry(subject.clone()).or_insert(0) += 1;
        Flight { all: self, subject }
    }

    /// Where there are any of a subject, waits until one of them, or of another's, has ended. Whether there were any.
    pub fn wait(&self, subject: &[u8]) -> bool {
        let counts = self.lock();
        let any = counts.contains_key(subject);
        if any {
            drop(self.fewer.wait(counts));
        }
        any
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut counts = self.all.lock();
        if let Some(count) = counts.get_mut(&self.subject) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.subject);
            }
        }
        drop(counts);
        self.all.fewer.notify_all();
    }
}
