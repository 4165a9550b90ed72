//! What the program decides: how much a client may cost, and how a refusal reads.

use std::time::Duration;

use super::budget::Holder;
use super::fair_queue::Kind;
use super::request::Request;
use super::response::Response;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// A body or a response of so many bytes draws on no budget: the number of connections bounds them, so that no upload stands
/// before a login.
pub(super) const SMALL: usize = 64 * KIB;

/// What clients may cost the server, one by one and all together. Every field bounds something that the published
/// tiny_http leaves to the client. An operator sets two of them; the others are constants, whose reasons stand at
/// [`Limits::default`], and tests set them to small values.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a request line and its headers together; beyond, 431.
    pub head_bytes: usize,
    /// Header lines of one request; beyond, 431.
    pub headers: usize,
    /// Bytes of memory for all request bodies over 64 KiB that are being read or handled; beyond, 503.
    pub bodies_in_flight: usize,
    /// Bytes of all responses over 64 KiB that clients have not taken yet; beyond, 503, unless somebody slower gives way.
    pub responses_pending: usize,
    /// A connection without a request is closed, without a word, after this time.
    pub idle_timeout: Duration,
    /// A client that is waited for, for the head or the body of a request or to take a response, is cut off when nothing
    /// moves for this time, and when less than 16 KiB a second does once it has had this time of grace. In a request that is
    /// a 408.
    pub grace: Duration,
    /// Connections at once; beyond, one gives way, or where none can it is 503 and close. Each takes one file descriptor, and
    /// a thread while a request of it is there in part; those turned away take up to 128 descriptors more, for two seconds.
    pub connections: usize,
    /// Streamed responses at once (each holds a thread); beyond, 503, unless somebody slower gives way.
    pub streams: usize,
    /// Batches of one kind that are under way at once. With more they are smaller, and each request costs more; with fewer the
    /// processors wait for each other.
    pub batches: usize,
    /// Bytes of stack for a thread of the pool. The program's handlers run on it.
    pub thread_stack: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            // What nginx takes by default, so a proxy before us passes nothing that we refuse.
            head_bytes: 32 * KIB,
            // Apache's default; browsers send about twenty.
            headers: 100,
            // Eight of the largest bodies at once.
            bodies_in_flight: 128 * MIB,
            // As much again for those who read slowly.
            responses_pending: 128 * MIB,
            // Above the 60 seconds after which nginx closes an idle upstream connection: who closes first loses no request.
            idle_timeout: Duration::from_secs(75),
            // Rides out some seconds without a network.
            grace: Duration::from_secs(10),
            connections: 1024,
            // Each takes a database connection for a moment now and then, of which three are kept for them.
            streams: 16,
            // About one a core.
            batches: std::thread::available_parallelism().map_or(1, usize::from),
            // Measured use is below a quarter of it.
            thread_stack: 512 * KIB,
        }
    }
}

/// What the server asks of the program. The functions run on the thread that watches all connections, among others, so they
/// must not block.
pub trait Program: Send + Sync + 'static {
    /// Who the request comes from, for what all clients share.
    fn holder(&self, request: &Request) -> Holder;

    /// Whether the answer takes no time: such requests do not wait behind others. Asked when all workers are busy.
    fn is_instant(&self, request: &Request) -> bool;

    /// Which others the request can be answered together with: those of the same kind.
    fn batch(&self, request: &Request) -> Kind;

    /// The most bytes that this request's body may have. Asked once the head is known and valid, before any of the body is
    /// read; `request.body()` is still empty.
    fn body_limit(&self, request: &Request) -> usize;

    /// The answer to what the server refuses by itself: 400, 408, 413, 417, 431, 501, 503, 505, and 500 for a request that
    /// the program dropped unanswered. `detail` is a sentence for a person; `request` is what was refused, without its body,
    /// where its head is known. The server adds `Connection: close`.
    fn refuse(&self, status: u16, detail: &str, request: Option<&Request>) -> Response;

    /// An answer goes out, which may be a refusal; with its request, where its head is known.
    fn answered(&self, _: Option<&Request>, _: &mut Response) {}
}
