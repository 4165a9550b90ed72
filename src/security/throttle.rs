//! Whom failed attempts are counted for. The counters themselves are in the database, so that they survive a restart and
//! span instances; here is only what they go by.

use std::net::IpAddr;

use super::hs256;

/// What attempts are counted for.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// An account, whether there is one by this e-mail or not: the answer must not tell.
    Account(&'a str),
    /// Where the attempt comes from.
    Address(IpAddr),
}

impl Subject<'_> {
    /// The key of its counter: a digest, since people type passwords where the e-mail belongs. It is not a secret's digest,
    /// so a fixed key only serves to tell the two kinds apart.
    pub fn digest(&self) -> Vec<u8> {
        match self {
            Subject::Account(email) => {
                hs256::mac(b"contactd attempts of an account", email.as_bytes())
            }
            Subject::Address(address) => {
                hs256::mac(b"contactd attempts from an address", &network(*address))
            }
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
