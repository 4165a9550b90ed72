//! Requests that may be sent again: the key that a client gives one, and the answer that repeats get.

use std::time::Instant;

/// The key of a request.
pub struct Key {
    /// As the client chose it.
    pub text: String,
    /// A digest of the request.
    pub fingerprint: [u8; 32],
    /// When the request arrived.
    pub arrived: Instant,
}

/// An answer as it is kept.
pub struct Kept {
    /// `ETag` and `Location`.
    pub headers: [Option<String>; 2],
    /// The body.
    pub body: Vec<u8>,
}
