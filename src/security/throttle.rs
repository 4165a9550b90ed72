//! What failed attempts are counted against. The counters themselves are in the database, so that they survive a restart and
//! span instances; this module only names them.

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
