//! A response, from the handler to the socket.

use std::borrow::Cow;
use std::io::Read;

use tiny_http::StatusCode;

/// Headers that the server writes by itself, or that would change how the message is framed: a handler's own are left out.
const OURS: [&str; 7] = ["Date", "Server", "Connection", "Content-Length", "Transfer-Encoding", "Trailer", "Upgrade"];

/// What follows the head of a response.
pub enum Body {
    /// Nothing.
    Empty,
    /// Made for this response.
    Bytes(Vec<u8>),
    /// Part of the program.
    Static(&'static [u8]),
    /// Made while it is sent, of unknown length. It is read on a thread of its own, so it may wait, and a slow client
    /// holds up nobody.
    Stream(Box<dyn Read + Send>),
}

impl Body {
    /// What is there already; of a stream nothing is.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Body::Bytes(bytes) => bytes,
            Body::Static(bytes) => bytes,
            Body::Empty | Body::Stream(_) => &[],
        }
    }
}

/// A response.
pub struct Response {
    /// The status code.
    pub status: StatusCode,
    /// Header names and values. tiny_http's own `Header` would cost two allocations each.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body.
    pub body: Body,
    /// Whether this is the connection's last response: it says `Connection: close`, and the server closes.
    pub close: bool,
}

impl Response {
    /// A response without a body.
    pub fn new(status: u16) -> Response {
        Response { status: StatusCode(status), headers: Vec::with_capacity(8), body: Body::Empty, close: false }
    }

    /// A response with a body of this media type.
    pub fn with_body(status: u16, content_type: &'static str, body: Body) -> Response {
        Response { body, ..Response::new(status).header("Content-Type", content_type) }
    }

    /// Adds a header. One that is the server's to write is left out, and one that could split the response (fault 10).
    pub fn header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Response {
        let value = value.into();
        if !value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) {
            log::error!(
                "the response header {name} was left out: its value has a character that is not printable ASCII"
            );
        } else if !OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
            self.headers.push((name, value));
        }
        self
    }

    /// Whether it has this header.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The first value of a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_ref())
    }

    /// Whether there is neither a body nor a length (RFC 9110 §8.6).
    pub(super) fn is_bodiless(&self) -> bool {
        matches!(self.status.0, 100..=199 | 204 | 304)
    }
}

/// The reason phrase of a status (RFC 9110 §15, RFC 6585), in the status line and as the title of a problem document.
pub fn reason(status: u16) -> &'static str {
    match status {
        // tiny_http has the older phrases of these two.
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        status => StatusCode(status).default_reason_phrase(),
    }
}
