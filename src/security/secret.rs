//! Secrets in addresses: whoever has one may see what is behind it, so they are long, random, and kept as digests alone.

use sha2::{Digest, Sha256};

use crate::domain::hex;

/// A new secret: 160 random bits as 40 hexadecimal digits.
pub fn new() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(&bytes))
}

/// SHA-256, without salt or stretching: nothing can be guessed of a random secret. It is looked up by this, so that how long a
/// comparison takes tells nothing.
pub fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}
