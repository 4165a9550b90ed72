//! What the program that uses this crate decides: how much a client may cost, and how a refusal reads.

use std::time::Duration;

use crate::{Request, ResponseBox};

/// What clients may cost the server, one by one and all together. Every field bounds something that
/// the published tiny_http leaves to the client.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a request line and its headers together; beyond, 431.
    pub head_bytes: usize,
    /// Header lines of one request; beyond, 431.
    pub headers: usize,
    /// Bytes of a body, unless [`Program::body_limit`] says otherwise; beyond, 413.
    pub body_bytes: usize,
    /// Bytes of memory for all request bodies that are being read or handled; beyond, 503.
    pub bodies_in_flight: usize,
    /// Bytes of all responses that clients have not taken yet; beyond, the connection is cut.
    pub responses_pending: usize,
    /// A whole head must arrive within this time of its first byte; else 408.
    pub head_timeout: Duration,
    /// A whole body must arrive within this time of its head; else 408.
    pub body_timeout: Duration,
    /// A connection without a request is closed, without a word, after this time.
    pub idle_timeout: Duration,
    /// A client that takes no byte of a response for this time is cut off, and one that takes fewer than
    /// 16 KiB a second once it has had this time of grace.
    pub write_timeout: Duration,
    /// Connections at once; beyond, 503 and close. Each takes one file descriptor, and a thread while a request of it is
    /// there in part; those turned away take up to 128 descriptors more, for two seconds.
    pub connections: usize,
    /// Streamed responses at once (each holds a thread of its own); beyond, 503.
    pub streams: usize,
    /// Bytes of stack for a thread that waits for a client. [`Program`]'s functions run on it.
    pub thread_stack: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        const KIB: usize = 1024;
        const MIB: usize = 1024 * KIB;
        Limits {
            head_bytes: 32 * KIB,
            headers: 100,
            body_bytes: MIB,
            bodies_in_flight: 128 * MIB,
            responses_pending: 128 * MIB,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(10),
            connections: 1024,
            streams: 16,
            thread_stack: 256 * KIB,
        }
    }
}

/// What the server asks of the program. The functions run on the thread that watches all connections, among others, so
/// they must not block.
pub trait Program: Send + Sync + 'static {
    /// How many bytes of body this request may have. Asked once the head is known and valid, before any of
    /// the body is read; `request.body()` is still empty. `None` means [`Limits::body_bytes`].
    fn body_limit(&self, request: &Request) -> Option<usize>;

    /// The answer to what the server refuses by itself: 400, 408, 413, 417, 431, 501, 503, 505, and 500 for a
    /// request that the program dropped unanswered. `detail` is a sentence for a person, `request` what was
    /// refused, without its body, where its head is known.
    /// Returns the complete response; the server adds `Connection: close`.
    fn refuse(&self, status: u16, detail: &str, request: Option<&Request>) -> ResponseBox;
}
