//! Secrets in addresses: whoever has one may see what is behind it. So they are long and random, and only digests are kept.

use sha2::{Digest, Sha256};

use crate::domain::hex;

/// 160 random bits.
pub const BYTES: usize = 20;

/// A new secret, as hexadecimal digits.
///
/// # Panics
/// If the operating system gives no randomness.
pub fn new() -> String {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).expect("the system's random number generator works");
    hex::encode(&bytes)
}

/// SHA-256 of several texts: others give another one, however they are divided.
pub fn fingerprint(parts: &[&[u8]]) -> [u8; 32] {
    let add = |digest: Sha256, part: &&[u8]| digest.chain_update(part.len().to_le_bytes()).chain_update(part);
    parts.iter().fold(Sha256::new(), add).finalize().into()
}

/// SHA-256 without salt or stretching, since a random secret cannot be guessed. Rows are found by this digest, so the time that a
/// comparison takes tells nothing about the secret.
pub fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}
