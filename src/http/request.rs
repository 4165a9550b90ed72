//! A request, from the parser to the handler: whole, its body included, before anyone sees it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;
use std::time::Instant;

use parking_lot::Mutex;
use tiny_http::Method;

use super::answering;
use super::body::Body;
use super::connection::Responder;
use super::head::{self, Framing, Head, Refusal, Scanner, refusal};
use super::limits::Limits;
use super::proxies;
use super::response::Response;

/// Who a valid token says the caller is. The engine only keeps it with the request, so that it is found out once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The user's id.
    pub user: i64,
    /// The session's id.
    pub session: i64,
}

/// A request. A connection has one in flight.
///
/// One that is dropped without [`Request::respond`], as by a panic, is answered with [`super::Program::refuse`] and 500,
/// and its connection is closed.
pub struct Request {
    pub(super) head: Head,
    pub(super) body: Body,
    peer: SocketAddr,
    arrived: Instant,
    identity: OnceLock<Option<Identity>>,
    row: OnceLock<Option<usize>>,
    /// The right to answer, until somebody uses it: the worker, or whoever watches that it is not kept waiting.
    responder: Mutex<Option<Responder>>,
}

impl Request {
    pub(super) fn new(head: Head, peer: SocketAddr) -> Request {
        let (identity, row, responder) = (OnceLock::new(), OnceLock::new(), Mutex::new(None));
        Request { head, body: Body::default(), peer, arrived: Instant::now(), identity, row, responder }
    }

    /// The request is whole: from now on it can be answered.
    pub(super) fn completed(mut self, responder: Responder) -> Request {
        // A body may have been waited for since the head was there.
        if self.head.framing != Framing::Empty {
            self.arrived = Instant::now();
        }
        self.responder = Mutex::new(Some(responder));
        self
    }

    /// Who calls, found out by `verify` unless it is known already.
    pub fn identity(&self, verify: impl FnOnce() -> Option<Identity>) -> Option<Identity> {
        *self.identity.get_or_init(verify)
    }

    /// The number of its row in the program's table, found by `find` unless it is known already.
    pub fn row(&self, find: impl FnOnce() -> Option<usize>) -> Option<usize> {
        *self.row.get_or_init(find)
    }

    /// When the last byte of it had arrived.
    pub fn arrived(&self) -> Instant {
        self.arrived
    }

    /// A request without a body and without a connection, from the bytes of its head; `None` if they are not one. For calling
    /// the program without a server.
    pub fn from_head(head: &[u8], peer: SocketAddr) -> Option<Request> {
        let length = Scanner::default().scan(head, &Limits::default()).ok()??;
        Some(Request::new(head::parse(&head[..length]).ok()?, peer))
    }

    /// The method; it is case-sensitive (RFC 9110 §9.1).
    pub fn method(&self) -> &Method {
        &self.head.method
    }

    /// Path and query as the client sent them, but for bytes over 127, which are percent-encoded, and the scheme and host of
    /// an absolute target, which are left out.
    pub fn target(&self) -> &str {
        &self.head.target
    }

    /// The path as it came, percent-encoded, without the query.
    pub fn path(&self) -> &str {
        self.target().split_once('?').map_or(self.target(), |(path, _)| path)
    }

    /// What follows `?`, percent-encoded.
    pub fn query(&self) -> &str {
        self.target().split_once('?').map_or("", |(_, query)| query)
    }

    /// The first value of a header; names are compared without case.
    pub fn header(&self, name: &'static str) -> Option<&str> {
        self.headers_named(name).next()
    }

    /// All values of a header.
    pub fn headers_named(&self, name: &'static str) -> impl DoubleEndedIterator<Item = &str> {
        let named = self.head.headers.iter().filter(move |header| header.field.equiv(name));
        named.map(|header| header.value.as_str())
    }

    /// The elements of a header that is a comma-separated list, from all of its lines (RFC 9110 §5.3).
    pub fn list(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.headers_named(name).flat_map(|value| value.split(',')).map(str::trim)
    }

    /// The whole body; empty where there is none.
    pub fn body(&self) -> &[u8] {
        self.body.bytes()
    }

    /// The address that the connection comes from.
    pub fn peer(&self) -> IpAddr {
        self.peer.ip().to_canonical()
    }

    /// The token of `Authorization: Bearer …`; the scheme is read in any case (RFC 9110 §11.1).
    pub fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("Authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// Whether the connection comes from a trusted proxy.
    pub fn is_from_proxy(&self, trusted: &[(IpAddr, u32)]) -> bool {
        proxies::hold(trusted, self.peer())
    }

    /// The client's address. `X-Forwarded-For` counts only from trusted proxies: it is read from its end, where each proxy
    /// adds the address it was called from, up to the first that is not one of them.
    pub fn client_address(&self, trusted: &[(IpAddr, u32)]) -> IpAddr {
        let mut address = self.peer();
        for hop in self.headers_named("X-Forwarded-For").rev().flat_map(|value| value.rsplit(',')) {
            match proxies::hop(hop) {
                Some(before) if proxies::hold(trusted, address) => address = before,
                _ => break,
            }
        }
        address
    }

    /// Scheme and host by which the client reached us, such as `https://contacts.example.org`, for addresses to be used
    /// elsewhere. We speak plain HTTP; only a trusted proxy is believed that it speaks TLS before us. `None` without a usable
    /// host, which only HTTP/1.0 allows.
    pub fn origin(&self, trusted: &[(IpAddr, u32)]) -> Option<String> {
        let is_trusted = self.is_from_proxy(trusted);
        // Of several proxies the last one wrote the last value.
        let forwarded = |name| {
            let value = self.headers_named(name).next_back().filter(|_| is_trusted)?;
            value.rsplit(',').next().map(str::trim)
        };
        let is_tls = forwarded("X-Forwarded-Proto").is_some_and(|p| p.eq_ignore_ascii_case("https"));
        let host = forwarded("X-Forwarded-Host").or_else(|| self.header("Host"))?;
        let is_host = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
        let is_usable = (1..=255).contains(&host.len()) && host.bytes().all(is_host);
        let scheme = if is_tls { "https" } else { "http" };
        is_usable.then(|| format!("{scheme}://{host}"))
    }

    /// The media type of the body, in lower case, without parameters (RFC 9110 §8.3.1).
    pub fn media_type(&self) -> Option<String> {
        let value = self.header("Content-Type")?;
        Some(value.split(';').next().unwrap_or("").trim().to_ascii_lowercase())
    }

    /// Sends the response without waiting for the client: what its socket does not take at once, and a streamed body, is
    /// written by another thread. False if the request was answered before; the response is then dropped.
    pub fn respond(&self, response: Response) -> bool {
        let Some(responder) = self.responder.lock().take() else {
            return false;
        };
        answering::answer(responder, response, Some(self));
        true
    }

    /// Whether somebody has answered it.
    pub fn is_answered(&self) -> bool {
        self.responder.lock().is_none()
    }

    /// Whether the client has ended its side since.
    pub fn client_left(&self) -> bool {
        self.responder.lock().as_ref().is_none_or(|responder| responder.turn.has_ended())
    }

    /// Answers with a refusal of the server's own.
    pub(super) fn refuse(&self, refusal: Refusal) {
        if let Some(responder) = self.responder.lock().take() {
            answering::refuse(responder, refusal, None);
        }
    }
}

impl fmt::Debug for Request {
    /// Without what is secret or private: tokens are in headers, passwords in bodies, names in queries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", self.method())
            .field("body", &self.body().len())
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        const FAILED: Refusal = refusal(500, "The server failed on this request.");
        self.refuse(FAILED);
    }
}
